package wire

import (
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/trouperaft/troupe/core"
)

// A context is 16 bytes of trace id, 8 of span id, 1 of flags, as W3C
// traceparent has them. One of another length is of a later version: it is
// skipped, and what it stood with is not traced. So is one that is all zero.

func (f *fields) trace() core.TraceContext { return traceOf(f.bytes()) }

func traceOf(b []byte) (c core.TraceContext) {
	if len(b) == len(c) {
		copy(c[:], b)
	}
	return c
}

func traceToProto(c core.TraceContext) []byte {
	if c.IsZero() {
		return nil
	}
	return c[:]
}

func sizeTrace(c core.TraceContext) int {
	if c.IsZero() {
		return 0
	}
	return 1 + protowire.SizeBytes(len(c))
}

func appendTrace(b []byte, number protowire.Number, c core.TraceContext) []byte {
	if c.IsZero() {
		return b
	}
	return appendBytes(b, number, c[:])
}

func appendEntryTraces(b []byte, number protowire.Number, traces []core.EntryTrace) []byte {
	for i := range traces {
		t := &traces[i]
		if t.Context.IsZero() {
			continue
		}
		b = protowire.AppendTag(b, number, protowire.BytesType)
		b = protowire.AppendVarint(b, uint64(sizeUint(uint64(t.Index))+sizeTrace(t.Context)))
		b = appendUint(b, 1, uint64(t.Index))
		b = appendTrace(b, 2, t.Context)
	}
	return b
}

// appendDecoded appends the trace of an entry that stands in outer.
func appendDecoded(traces []core.EntryTrace, outer *fields) []core.EntryTrace {
	var t core.EntryTrace
	for f := (fields{rest: outer.bytes()}); f.next(&outer.err); {
		switch f.number {
		case 1:
			t.Index = core.Index(f.uint())
		case 2:
			t.Context = f.trace()
		}
	}
	switch {
	case outer.err != nil || t.Context.IsZero():
		return traces
	case len(traces) == ItemsMax:
		outer.fail(malformed("more than %d traces", ItemsMax))
		return traces
	}
	return append(traces, t)
}
