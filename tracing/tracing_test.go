package tracing

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/trouperaft/troupe/core"
)

// count asks a sampler so often.
func count(s Sampler, times int) (yes int) {
	for range times {
		if s.Sample() {
			yes++
		}
	}
	return yes
}

func TestRateSampler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewRateSampler(10)
		if n := count(s, 1000); n != 10 {
			t.Errorf("%d of a burst, want 10", n)
		}
		time.Sleep(time.Second - time.Nanosecond)
		synctest.Wait()
		if n := count(s, 1000); n != 0 {
			t.Errorf("%d within the second, want none", n)
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if n := count(s, 3); n != 3 {
			t.Errorf("%d of 3 after a second", n)
		}
		time.Sleep(time.Second / 2)
		synctest.Wait()
		if n := count(s, 1000); n != 7 {
			t.Errorf("%d half a second later, want what is left of 10", n)
		}
		// An idle hour saves nothing up.
		time.Sleep(time.Hour)
		synctest.Wait()
		if n := count(s, 1000); n != 10 {
			t.Errorf("%d after an hour, want 10", n)
		}
	})
	if n := count(NewRateSampler(0), 100) + count(NewRateSampler(-1), 100); n != 0 {
		t.Errorf("%d of none", n)
	}
}

func TestRatioSampler(t *testing.T) {
	for _, test := range []struct {
		ratio       float64
		least, most int
	}{{0, 0, 0}, {-1, 0, 0}, {1, 10000, 10000}, {2, 10000, 10000}, {0.5, 4500, 5500}, {1e-30, 0, 0}, {0.999999999, 9990, 10000}} {
		if n := count(NewRatioSampler(test.ratio), 10000); n < test.least || n > test.most {
			t.Errorf("a ratio of %v gave %d of 10,000", test.ratio, n)
		}
	}
}

// counting is a sampler that counts the questions.
type counting struct{ asked int }

func (c *counting) Sample() bool { c.asked++; return true }

func withCaller(flags trace.TraceFlags) context.Context {
	c := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}, TraceFlags: flags})
	return trace.ContextWithSpanContext(context.Background(), c)
}

func TestDecision(t *testing.T) {
	for _, test := range []struct {
		name        string
		ctx         context.Context
		want, asked bool
	}{
		{"no caller", context.Background(), true, true},
		{"a sampled caller", withCaller(trace.FlagsSampled), true, false},
		{"a caller that is not sampled", withCaller(0), false, false},
	} {
		s := &counting{}
		tracer := NewTracer(Config{Provider: sdktrace.NewTracerProvider(), Sampler: s})
		if got := tracer.Samples(test.ctx); got != test.want || (s.asked == 1) != test.asked {
			t.Errorf("%s: %v, and the sampler was asked %d times", test.name, got, s.asked)
		}
	}
	if NewTracer(Config{Sampler: &counting{}}) != nil {
		t.Error("there is a tracer without a provider")
	}
	var off *Tracer
	if off.Samples(withCaller(trace.FlagsSampled)) || off.SamplesRare() {
		t.Error("a nil tracer samples")
	}
}

// TestExport asserts that a record becomes a span with its ids, times, events and
// status, under its parent, unless the provider's sampler does not want it or the
// provider makes ids of its own.
func TestExport(t *testing.T) {
	begun := time.Unix(100, 0)
	record := &Record{
		Type: Propose, Parent: withCaller(trace.FlagsSampled), Begun: begun, Over: begun.Add(time.Second), Failed: true, Reason: "lost",
		Context:    trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{9}, TraceFlags: trace.FlagsSampled}),
		Attributes: []attribute.KeyValue{TermKey.Int(1), TermKey.Int(2)},
		Events:     []Event{{EventRoom, begun.Add(time.Millisecond), []attribute.KeyValue{PeerKey.Int(3)}}},
	}
	for _, test := range []struct {
		name   string
		option sdktrace.TracerProviderOption
		err    error
		spans  int
	}{
		{"taken", sdktrace.WithIDGenerator(IDs{}), nil, 1},
		{"not wanted", sdktrace.WithSampler(sdktrace.NeverSample()), nil, 0},
		{"ids of its own", sdktrace.WithSampler(sdktrace.AlwaysSample()), ErrOwnIDs, 0},
	} {
		recorder := tracetest.NewSpanRecorder()
		tracer := NewTracer(Config{Provider: sdktrace.NewTracerProvider(test.option, sdktrace.WithSpanProcessor(recorder))})
		if err := tracer.Export(record); !errors.Is(err, test.err) {
			t.Errorf("%s: %v", test.name, err)
		}
		ended := recorder.Ended()
		if len(ended) != test.spans {
			t.Errorf("%s: %d spans", test.name, len(ended))
		}
		for _, s := range ended {
			got := fmt.Sprint(s.Name(), s.SpanContext().SpanID(), s.Parent().SpanID(), s.StartTime().Unix(), s.EndTime().Unix(), s.Status(), s.Attributes(), len(s.Events()), s.Events()[0].Time.UnixMilli())
			want := fmt.Sprint("raft.propose", trace.SpanID{9}, trace.SpanID{2}, 100, 101, sdktrace.Status{Code: codes.Error, Description: "lost"}, []attribute.KeyValue{TermKey.Int(2)}, 1, 100001)
			if got != want {
				t.Errorf("%s\n%s", got, want)
			}
		}
	}
}

// TestIDs asserts that a provider with this generator gives the spans of others
// random ids, and that what a span of troupe's was begun with is kept by it alone.
func TestIDs(t *testing.T) {
	tracer := sdktrace.NewTracerProvider(sdktrace.WithIDGenerator(IDs{})).Tracer("others")
	seen := map[trace.SpanID]bool{}
	for range 100 {
		ctx, root := tracer.Start(context.Background(), "root")
		_, child := tracer.Start(ctx, "child")
		for _, s := range []trace.Span{root, child} {
			if id := s.SpanContext().SpanID(); !s.SpanContext().IsValid() || seen[id] {
				t.Fatalf("%v is no new id", id)
			} else {
				seen[id] = true
			}
		}
	}
}

func TestPropagation(t *testing.T) {
	sampled := trace.SpanContextFromContext(withCaller(trace.FlagsSampled))
	c := Inject(sampled)
	if c[0] != 1 || c[16] != 2 || c[24] != 1 {
		t.Errorf("the context is %x", c)
	}
	got, ok := Extract(c)
	if !ok || got.TraceID() != sampled.TraceID() || got.SpanID() != sampled.SpanID() || !got.IsSampled() || !got.IsRemote() {
		t.Errorf("%v comes back as %v, %v", sampled, got, ok)
	}
	if c := Inject(trace.SpanContextFromContext(withCaller(0))); !c.IsZero() {
		t.Errorf("what is not sampled travels: %x", c)
	}
	if c := Inject(trace.SpanContext{}); !c.IsZero() {
		t.Errorf("nothing travels: %x", c)
	}
	for name, c := range map[string]core.TraceContext{
		"zero": {}, "no trace": {16: 1, 24: 1}, "no span": {0: 1, 24: 1}, "not sampled": {0: 1, 16: 1},
	} {
		if _, ok := Extract(c); ok {
			t.Errorf("%s: taken", name)
		}
	}
}

// A proposal that is not sampled must allocate nothing.
func TestDecisionAllocatesNothing(t *testing.T) {
	exhausted := NewRateSampler(0)
	for _, test := range []struct {
		name    string
		sampler Sampler
		ctx     context.Context
	}{
		{"rate", exhausted, t.Context()},
		{"ratio", NewRatioSampler(0.0000001), context.Background()},
		{"caller", exhausted, withCaller(0)},
	} {
		tracer := NewTracer(Config{Provider: sdktrace.NewTracerProvider(), Sampler: test.sampler})
		if n := testing.AllocsPerRun(1000, func() { tracer.Samples(test.ctx) }); n != 0 {
			t.Errorf("%s: %v allocations", test.name, n)
		}
	}
}

func BenchmarkDecision(b *testing.B) {
	deep, cancel := context.WithTimeout(context.WithValue(context.Background(), decided{}, nil), time.Hour)
	defer cancel()
	for _, c := range []struct {
		name   string
		tracer *Tracer
		ctx    context.Context
	}{
		{"off", nil, context.Background()},
		{"rate", NewTracer(Config{Provider: sdktrace.NewTracerProvider(), Sampler: NewRateSampler(0)}), context.Background()},
		{"rate-deep-context", NewTracer(Config{Provider: sdktrace.NewTracerProvider(), Sampler: NewRateSampler(0)}), deep},
		{"ratio", NewTracer(Config{Provider: sdktrace.NewTracerProvider(), Sampler: NewRatioSampler(1e-9)}), context.Background()},
		{"unsampled-caller", NewTracer(Config{Provider: sdktrace.NewTracerProvider()}), withCaller(0)},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if c.tracer.Samples(c.ctx) {
					b.Fatal("sampled")
				}
			}
		})
	}
}
