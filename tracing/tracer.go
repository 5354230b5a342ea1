package tracing

import (
	"context"
	"sync"

	"go.opentelemetry.io/otel/trace"
)

// ScopeName is the instrumentation scope of all spans.
const ScopeName = "github.com/trouperaft/troupe"

// Config turns tracing on. The zero value leaves it off.
type Config struct {
	// Provider makes the spans; nil turns tracing off. Package tracing/otlp has
	// one. Any other needs an option of its SDK, sdktrace.WithIDGenerator([IDs]{}):
	// an id travels to other nodes long before its span is made. Without it the
	// spans are lost, and a line of the log says so.
	//
	// What its own sampler refuses is not recorded. One whose sampler follows its
	// parent, or what [Decided] says, neither undoes nor repeats a decision.
	//
	// It is never called by whoever proposes or reads, nor by what they wait for:
	// one that blocks costs spans, which are counted.
	Provider trace.TracerProvider
	// Sampler decides which writes and reads without a caller's span begin a
	// trace; a caller's own span, also one that Provider has made, is followed
	// whatever it would say. Default: NewRateSampler(TracesPerSecondDefault).
	// Its life is the caller's.
	Sampler Sampler
}

// Tracer makes the spans of one node. A nil Tracer traces nothing. Its methods
// are safe for concurrent use.
type Tracer struct {
	tracer  func() trace.Tracer
	sampler Sampler
	rare    Sampler
}

// NewTracer returns the tracer of a node, nil if tracing is off.
func NewTracer(c Config) *Tracer {
	if c.Provider == nil {
		return nil
	}
	if c.Sampler == nil {
		c.Sampler = NewRateSampler(TracesPerSecondDefault)
	}
	provider := c.Provider
	made := sync.OnceValue(func() trace.Tracer { return provider.Tracer(ScopeName) })
	return &Tracer{tracer: made, sampler: c.Sampler, rare: NewRateSampler(rareTracesPerSecond)}
}

// Samples is the decision on a write or a read, before anything is made for it:
// a sampled caller is always followed, a caller that is traced and not sampled
// never; without either the sampler decides. It allocates nothing.
func (t *Tracer) Samples(ctx context.Context) bool {
	if t == nil {
		return false
	}
	if held, ok := ctx.Value(spanKey).(trace.Span); ok {
		caller := held.SpanContext()
		if caller.IsSampled() {
			return true
		}
		// IsValid would take longer than all the rest.
		if caller.TraceID() != (trace.TraceID{}) {
			return false
		}
	}
	return t.sampler.Sample()
}

// spanKey is the key under which the API keeps the span of a context, as
// SpanFromContext asks for it. Who asks for it directly need not tell the API's
// span of nobody from others, which would be most of the cost of a decision.
var spanKey = func() any {
	asked := &asked{Context: context.Background()}
	trace.SpanFromContext(asked)
	return asked.key
}()

// asked is a context that remembers what it was asked for.
type asked struct {
	context.Context
	key any
}

// Value implements context.Context.
func (a *asked) Value(key any) any {
	a.key = key
	return nil
}

// SamplesRare is the decision on what is always traced, elections for one: only
// a storm of them is cut off, at 50 a second.
func (t *Tracer) SamplesRare() bool { return t != nil && t.rare.Sample() }

const rareTracesPerSecond = 50

type decided struct{}

// Decided reports whether the span that is about to be started in ctx was
// decided on by troupe: a provider's sampler that is asked for it says yes.
func Decided(ctx context.Context) bool { return ctx.Value(decided{}) != nil }
