package observe

import (
	"context"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/trouperaft/troupe/actors/stage"
	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/tracing"
)

// Span names something that was begun. Whoever began it keeps it, and gives it
// back in the event that ends it. The zero value names nothing, and is what Begin
// returns while nobody wants to know.
type Span struct {
	// Context travels in messages, so that another node goes on under this span.
	// It is zero unless the span is traced.
	Context core.TraceContext
	// Begun is when it began; 0 if nobody wants to know.
	Begun core.Instant
}

// Traced reports whether the span belongs to a trace.
func (s Span) Traced() bool { return s.Context[24] != 0 }

// LogIDs adds the ids of the span to the fields of a line of the log.
func (s Span) LogIDs(fields ...any) []any {
	if !s.Traced() {
		return fields
	}
	for _, a := range logIDs(s.Context) {
		fields = append(fields, a)
	}
	return fields
}

// logIDs are the ids of a traced span as fields of a line of the log.
func logIDs(c core.TraceContext) []slog.Attr {
	return []slog.Attr{slog.String("trace_id", trace.TraceID(c[:16]).String()), slog.String("span_id", trace.SpanID(c[16:24]).String())}
}

// openSpan is a span under way. nil is one that is not traced, or has ended. The
// lock of its traces guards it.
type openSpan struct {
	record tracing.Record
	// context is the record's, as it travels.
	context core.TraceContext
	ended   *observer[*tracing.Record]
}

// begin begins a span under that of parent.
func (t *traces) begin(parent context.Context, row *tracing.SpanType, at time.Time, more ...attribute.KeyValue) *openSpan {
	above := trace.SpanContextFromContext(parent)
	ids := trace.SpanContextConfig{TraceID: above.TraceID(), SpanID: tracing.NewSpanID(t.env.Rand), TraceFlags: above.TraceFlags() | trace.FlagsSampled}
	if !above.IsValid() {
		ids.TraceID = tracing.NewTraceID(t.env.Rand)
	}
	s := &openSpan{ended: t.spans}
	s.record = tracing.Record{Type: row, Parent: parent, Context: trace.NewSpanContext(ids), Begun: at, Attributes: t.on(more...)}
	s.context = tracing.Inject(s.record.Context)
	return s
}

// under begins a span under one of this node, and from under one of the node that
// sent its context. Without a parent there is no span.
func (t *traces) under(parent core.TraceContext, row *tracing.SpanType, at time.Time, more ...attribute.KeyValue) *openSpan {
	above, ok := tracing.Extract(parent)
	if !ok {
		return nil
	}
	return t.begin(tracing.Under(above.WithRemote(false)), row, at, more...)
}

func (t *traces) from(sent core.TraceContext, row *tracing.SpanType, at time.Time, more ...attribute.KeyValue) *openSpan {
	above, ok := tracing.Extract(sent)
	if !ok {
		return nil
	}
	return t.begin(tracing.Under(above), row, at, more...)
}

// of returns the context of a span, zero of none.
func (s *openSpan) of() core.TraceContext {
	if s == nil {
		return core.TraceContext{}
	}
	return s.context
}

// set adds attributes to a span, if there is one.
func (s *openSpan) set(attributes ...attribute.KeyValue) {
	if s != nil {
		s.record.Attributes = append(s.record.Attributes, attributes...)
	}
}

// note adds an event to a span, if there is one.
func (s *openSpan) note(at time.Time, event string, attributes ...attribute.KeyValue) {
	if s != nil && len(s.record.Events) < eventsMax {
		s.record.Events = append(s.record.Events, tracing.Event{Name: event, At: at, Attributes: attributes})
	}
}

// eventsMax bounds the events of one span: what is tried again and again says so
// as often as an SDK keeps.
const eventsMax = 128

// end ends a span, if there is one, and forgets it.
func end(span **openSpan, at time.Time) {
	if s := *span; s != nil {
		s.record.Over = at
		s.ended.put(&s.record)
		*span = nil
	}
}

// endWith ends a span with an error, if err is one.
func endWith(span **openSpan, at time.Time, err error) {
	if s := *span; s != nil && err != nil {
		s.record.Failed, s.record.Reason = true, err.Error()
	}
	end(span, at)
}

// leave ends a span that nobody follows up any more, and that has not failed.
func leave(span **openSpan, at time.Time, reason string) {
	(*span).note(at, tracing.EventAbandoned, tracing.ReasonKey.String(reason))
	end(span, at)
}

// abandon ends a span that nobody follows up any more, as a failure.
func abandon(span **openSpan, at time.Time, reason string) {
	if s := *span; s != nil {
		s.record.Failed, s.record.Reason = true, reason
	}
	leave(span, at, reason)
}

// clock turns the node's monotonic clock into wall time, by one reading of both:
// within a trace no span of a node ends before it began.
type clock struct {
	env  stage.Environment
	wall int64
	at   core.Instant
}

func (t *traces) clock() clock {
	return clock{env: t.env, wall: t.env.WallTime(), at: instant(t.env)}
}

func (c *clock) now() time.Time { return c.of(instant(c.env)) }

// of returns the wall time of an instant.
func (c *clock) of(i core.Instant) time.Time { return time.Unix(0, c.wall+int64(i.Sub(c.at))) }

// instant reads the clock for the engine, whose instants the environment's are.
func instant(env stage.Environment) core.Instant { return core.Instant(env.Now()) }
