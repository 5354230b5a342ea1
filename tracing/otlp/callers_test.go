package otlp

import (
	"context"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/trouperaft/troupe/tracing"
)

// TestSpansOfTheApplication asserts that a span which an application starts with
// the exporter's provider is sampled as the variable says, beside a budget of
// troupe's own that is used up, takes nothing from that, and is followed.
func TestSpansOfTheApplication(t *testing.T) {
	none, all := 0.0, 1.0
	for _, test := range []struct {
		name, sampler, arg string
		ratio              *float64
		parent             trace.TraceFlags // 0xff: there is none
		want               bool
	}{
		{name: "default", parent: 0xff, want: true},
		{name: "beside no ratio of its own", ratio: &none, parent: 0xff, want: true},
		{name: "always_off", sampler: "always_off", parent: 0xff},
		{name: "always_off, whatever the ratio", sampler: "parentbased_always_off", ratio: &all, parent: 0xff},
		{name: "a ratio of 0", sampler: "traceidratio", arg: "0", parent: 0xff},
		{name: "always_on", sampler: "always_on", parent: 0xff, want: true},
		{name: "under a sampled one", sampler: "always_off", parent: trace.FlagsSampled, want: true},
		{name: "under one that is not", sampler: "always_on"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Setenv("OTEL_TRACES_SAMPLER", test.sampler)
			t.Setenv("OTEL_TRACES_SAMPLER_ARG", test.arg)
			r := collector(t)
			e := setup(t, Options{Endpoint: r.GRPC, Ratio: test.ratio})
			tracer := tracing.NewTracer(e.Tracing())
			if test.sampler == "" && test.ratio == nil {
				for tracer.Samples(context.Background()) { // until the budget is used up
				}
			}
			ctx := context.Background()
			if test.parent != 0xff {
				ctx = trace.ContextWithRemoteSpanContext(ctx, trace.NewSpanContext(trace.SpanContextConfig{
					TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}, TraceFlags: test.parent,
				}))
			}
			ctx, span := e.TracerProvider.Tracer("application").Start(ctx, "checkout")
			if got := span.SpanContext().IsSampled(); got != test.want {
				t.Errorf("the application's span is sampled: %v", got)
			}
			if got := tracer.Samples(ctx); got != test.want {
				t.Errorf("its write is traced: %v", got)
			}
			if test.want {
				_ = tracer.Export(record(ctx, tracing.Propose))
			}
			span.End()
			if err := e.Flush(within(t, 10*time.Second)); err != nil {
				t.Fatal(err)
			}
			spans := r.Spans()
			if !test.want {
				if len(spans) != 0 {
					t.Errorf("%d spans came", len(spans))
				}
				return
			}
			if len(spans) != 2 || spans[0].ParentID != spans[1].SpanID || spans[0].TraceID != spans[1].TraceID {
				t.Errorf("the spans are %+v", spans)
			}
		})
	}
}
