package core

// TraceContext names a span of a trace, for whoever records what comes of a
// message. Package tracing says what the bytes mean; nothing here looks at them.
// The zero value is no context.
type TraceContext [25]byte

// IsZero reports whether there is no context.
func (c TraceContext) IsZero() bool { return c == TraceContext{} }

// EntryTrace is the context of one entry's write.
type EntryTrace struct {
	Index   Index
	Context TraceContext
}
