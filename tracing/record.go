package tracing

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// Record is a span that has ended, as plain values. Whoever was busy with what it
// is about has made it; whoever has time makes a span of it.
type Record struct {
	Type *SpanType
	// Parent holds the span that it stands under, as the API keeps it: the
	// caller's, or one of which only the context is known.
	Parent context.Context
	// Context are the ids of the span. They have travelled already.
	Context     trace.SpanContext
	Begun, Over time.Time
	Attributes  []attribute.KeyValue
	Events      []Event
	// Failed: it ended with the error Reason.
	Failed bool
	Reason string
}

// Event is something that happened within a span.
type Event struct {
	Name       string
	At         time.Time
	Attributes []attribute.KeyValue
}

// Under returns a context for Record.Parent of a span of which only the context
// is known: of this node, or of the one that sent it.
func Under(parent trace.SpanContext) context.Context {
	return trace.ContextWithSpanContext(context.Background(), parent)
}

// ErrOwnIDs says that a provider gives spans ids of its own.
var ErrOwnIDs = errors.New("tracing: the provider gives spans ids of its own; it has to be made with sdktrace.WithIDGenerator(tracing.IDs{})")

// Export makes a span of r. It calls the provider, which may block or panic. It
// returns ErrOwnIDs if the span has other ids than those of r, and is lost.
func (t *Tracer) Export(r *Record) error {
	ctx := context.WithValue(context.WithValue(r.Parent, decided{}, true), givenIDs{}, r.Context)
	_, span := t.tracer().Start(ctx, r.Type.Name, trace.WithSpanKind(r.Type.Kind), trace.WithTimestamp(r.Begun), trace.WithAttributes(r.Attributes...))
	if !span.IsRecording() {
		return nil // its sampler does not want it
	}
	if got := span.SpanContext(); got.SpanID() != r.Context.SpanID() || got.TraceID() != r.Context.TraceID() {
		return ErrOwnIDs
	}
	for _, e := range r.Events {
		span.AddEvent(e.Name, trace.WithTimestamp(e.At), trace.WithAttributes(e.Attributes...))
	}
	if r.Failed {
		span.SetStatus(codes.Error, r.Reason)
	}
	span.End(trace.WithTimestamp(r.Over))
	return nil
}

type givenIDs struct{}

// IDs gives troupe's spans the ids that they were begun with, and others random
// ones. It is the generator of ids that a provider of the OpenTelemetry SDK has to
// be made with: sdktrace.WithIDGenerator(tracing.IDs{}).
type IDs struct{}

// NewIDs returns the ids of a span without a parent.
func (IDs) NewIDs(ctx context.Context) (trace.TraceID, trace.SpanID) {
	if given, ok := ctx.Value(givenIDs{}).(trace.SpanContext); ok {
		return given.TraceID(), given.SpanID()
	}
	return NewTraceID(rand.Uint64), NewSpanID(rand.Uint64)
}

// NewSpanID returns the id of a span in a trace.
func (IDs) NewSpanID(ctx context.Context, _ trace.TraceID) trace.SpanID {
	if given, ok := ctx.Value(givenIDs{}).(trace.SpanContext); ok {
		return given.SpanID()
	}
	return NewSpanID(rand.Uint64)
}

// NewTraceID draws an id.
func NewTraceID(draw func() uint64) (id trace.TraceID) {
	for !id.IsValid() {
		put(id[:8], draw())
		put(id[8:], draw())
	}
	return id
}

// NewSpanID draws an id.
func NewSpanID(draw func() uint64) (id trace.SpanID) {
	for !id.IsValid() {
		put(id[:], draw())
	}
	return id
}

func put(b []byte, n uint64) {
	for i := range b {
		b[i] = byte(n >> (8 * i))
	}
}
