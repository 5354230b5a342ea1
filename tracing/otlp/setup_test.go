package otlp

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/goleak"

	"github.com/trouperaft/troupe/tracing"
	"github.com/trouperaft/troupe/tracing/otlp/otlptest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func collector(t *testing.T) *otlptest.Receiver {
	t.Helper()
	r, err := otlptest.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func setup(t *testing.T, o Options) *Exporter {
	t.Helper()
	o.Node = max(o.Node, 7)
	e, err := Setup(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_ = e.Shutdown(ctx)
	})
	return e
}

// makeSpans ends so many sampled spans.
func makeSpans(e *Exporter, count int) {
	tracer := tracing.NewTracer(e.Tracing())
	for range count {
		_ = tracer.Export(record(context.Background(), tracing.Propose))
	}
}

// record is a span of troupe's that has just ended.
func record(parent context.Context, row *tracing.SpanType) *tracing.Record {
	ids := trace.SpanContextConfig{TraceID: trace.SpanContextFromContext(parent).TraceID(), SpanID: tracing.NewSpanID(rand.Uint64), TraceFlags: trace.FlagsSampled}
	if !ids.TraceID.IsValid() {
		ids.TraceID = tracing.NewTraceID(rand.Uint64)
	}
	return &tracing.Record{
		Type: row, Parent: parent, Context: trace.NewSpanContext(ids), Begun: time.Now(), Over: time.Now(),
		Attributes: []attribute.KeyValue{attribute.Int("raft.index", 5)},
	}
}

func TestExport(t *testing.T) {
	for _, test := range []struct {
		name, protocol, service string
		endpoint                func(r *otlptest.Receiver) string
		env                     map[string]string
	}{
		{name: "grpc by option", service: "troupe-node-7", endpoint: func(r *otlptest.Receiver) string { return r.GRPC }},
		{name: "grpc by URL", service: "troupe-node-7", endpoint: func(r *otlptest.Receiver) string { return "http://" + r.GRPC }},
		{name: "http by option", protocol: "http/protobuf", service: "troupe-node-7", endpoint: func(r *otlptest.Receiver) string { return r.HTTP }},
		{name: "named by the environment", service: "mine", endpoint: func(r *otlptest.Receiver) string { return r.GRPC },
			env: map[string]string{"OTEL_SERVICE_NAME": "mine"}},
		{name: "resource of the environment", service: "ours", endpoint: func(r *otlptest.Receiver) string { return r.GRPC },
			env: map[string]string{"OTEL_RESOURCE_ATTRIBUTES": "service.name=ours,zone=a"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := collector(t)
			t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", test.protocol)
			for name, value := range test.env {
				t.Setenv(name, value)
			}
			e := setup(t, Options{Endpoint: test.endpoint(r)})
			makeSpans(e, 3)
			if err := e.Flush(within(t, 10*time.Second)); err != nil {
				t.Fatal(err)
			}
			spans := r.Spans()
			if len(spans) != 3 || e.Dropped() != 0 || e.Exported() != 3 {
				t.Fatalf("%d spans came, %d were lost, %d are counted", len(spans), e.Dropped(), e.Exported())
			}
			if at := e.Endpoint(); at != "http://"+r.GRPC && at != "http://"+r.HTTP+"/v1/traces" {
				t.Errorf("the endpoint is %s, the collector listens on %s and %s", at, r.GRPC, r.HTTP)
			}
			if s := spans[0]; s.Service != test.service || s.Instance != "7" || s.Name != "raft.propose" || s.Attributes["raft.index"] != int64(5) {
				t.Errorf("the span is %+v", s)
			}
		})
	}
}

func TestEndpointOfTheEnvironment(t *testing.T) {
	r := collector(t)
	for _, test := range []struct{ protocol, variable, value string }{
		{"grpc", "OTEL_EXPORTER_OTLP_ENDPOINT", "http://" + r.GRPC},
		{"grpc", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", r.GRPC},
		{"http/protobuf", "OTEL_EXPORTER_OTLP_ENDPOINT", "http://" + r.HTTP},
		{"http/protobuf", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://" + r.HTTP + "/v1/traces"},
	} {
		t.Run(test.protocol+" "+test.variable, func(t *testing.T) {
			before := len(r.Spans())
			t.Setenv("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", test.protocol)
			t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "secret=open")
			t.Setenv(test.variable, test.value)
			e := setup(t, Options{})
			makeSpans(e, 1)
			if err := e.Flush(within(t, 10*time.Second)); err != nil {
				t.Fatal(err)
			}
			if n := len(r.Spans()) - before; n != 1 {
				t.Errorf("%d spans came", n)
			}
			if h := r.Headers(); test.protocol != "grpc" && h[len(h)-1].Get("secret") != "open" {
				t.Errorf("the headers are %v", h)
			}
		})
	}
}

func TestSamplerIsChosen(t *testing.T) {
	half := 0.5
	for _, test := range []struct {
		name, sampler, arg string
		ratio              *float64
		want               string
	}{
		{name: "default", want: "at most 10 a second"},
		{name: "option before all", sampler: "always_on", ratio: &half, want: "a ratio of 0.5"},
		{name: "always_on", sampler: "always_on", want: "a ratio of 1"},
		{name: "parentbased_always_off", sampler: "parentbased_always_off", want: "a ratio of 0"},
		{name: "traceidratio", sampler: "traceidratio", arg: "0.25", want: "a ratio of 0.25"},
		{name: "parentbased_traceidratio", sampler: "parentbased_traceidratio", want: "a ratio of 1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Setenv("OTEL_TRACES_SAMPLER", test.sampler)
			t.Setenv("OTEL_TRACES_SAMPLER_ARG", test.arg)
			e := setup(t, Options{Ratio: test.ratio})
			if got := fmt.Sprint(e.Sampler); got != test.want {
				t.Errorf("the sampler is %s, want %s", got, test.want)
			}
		})
	}
}

// The SDK's sampler neither undoes nor repeats what was decided, and follows a
// parent.
func TestSDKFollowsTheDecision(t *testing.T) {
	never := 0.0
	r := collector(t)
	e := setup(t, Options{Endpoint: r.GRPC, Ratio: &never})
	tracer := tracing.NewTracer(e.Tracing())
	root := record(context.Background(), tracing.Propose)
	child := record(tracing.Under(root.Context), tracing.Queue)
	for _, span := range []*tracing.Record{root, child} {
		if err := tracer.Export(span); err != nil {
			t.Error(err)
		}
	}
	spans, err := r.Wait(within(t, 10*time.Second), func(s []otlptest.Span) bool { return len(s) == 2 })
	if err != nil {
		t.Fatalf("the SDK refuses what was decided: %v: %v", spans, err)
	}
	slices.SortFunc(spans, func(a, b otlptest.Span) int { return strings.Compare(a.ParentID, b.ParentID) })
	if id := root.Context.SpanID().String(); spans[0].SpanID != id || spans[1].ParentID != id || spans[1].TraceID != spans[0].TraceID {
		t.Errorf("the ids on their way are not those of the spans: %+v", spans)
	}
	if _, span := e.TracerProvider.Tracer("others").Start(tracing.Under(trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{1}})), "child"); span.IsRecording() {
		t.Error("the SDK samples a child of a parent that is not")
	}
}

func TestEnvironmentTurnsOff(t *testing.T) {
	for name, value := range map[string]string{"OTEL_SDK_DISABLED": "true", "OTEL_TRACES_EXPORTER": "none"} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(name, value)
			e := setup(t, Options{})
			if e.Tracing().Provider != nil || e.Dropped() != 0 || e.Flush(t.Context()) != nil || e.Shutdown(t.Context()) != nil {
				t.Error("it is not off")
			}
		})
	}
}

func TestWrongSettingsAreNamed(t *testing.T) {
	two, no := 2.0, -0.1
	for _, test := range []struct {
		name, value string
		options     Options
	}{
		{name: "OTEL_SDK_DISABLED", value: "maybe"},
		{name: "OTEL_TRACES_EXPORTER", value: "zipkin"},
		{name: "OTEL_EXPORTER_OTLP_PROTOCOL", value: "http/json"},
		{name: "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", value: "udp"},
		{name: "OTEL_EXPORTER_OTLP_ENDPOINT", value: "nowhere"},
		{name: "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", value: "ftp://127.0.0.1:1"},
		{name: "OTEL_EXPORTER_OTLP_INSECURE", value: "1"},
		{name: "OTEL_EXPORTER_OTLP_TIMEOUT", value: "10s"},
		{name: "OTEL_EXPORTER_OTLP_COMPRESSION", value: "zip"},
		{name: "OTEL_EXPORTER_OTLP_HEADERS", value: "token"},
		{name: "OTEL_TRACES_SAMPLER", value: "sometimes"},
		{name: "OTEL_TRACES_SAMPLER_ARG", value: "1.5"},
		{name: "OTEL_BSP_MAX_QUEUE_SIZE", value: "0"},
		{name: "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", value: "many"},
		{name: "OTEL_BSP_SCHEDULE_DELAY", value: "-1"},
		{name: "OTEL_BSP_EXPORT_TIMEOUT", value: "0"},
		{name: "OTEL_RESOURCE_ATTRIBUTES", value: "alone"},
		{name: "Options.Endpoint", options: Options{Endpoint: ":::"}},
		{name: "Options.Ratio", options: Options{Ratio: &two}},
		{name: "Options.Ratio", options: Options{Ratio: &no}},
	} {
		t.Run(test.name+" "+test.value, func(t *testing.T) {
			if test.name == "OTEL_TRACES_SAMPLER_ARG" {
				t.Setenv("OTEL_TRACES_SAMPLER", "traceidratio")
			}
			if test.value != "" {
				t.Setenv(test.name, test.value)
			}
			test.options.Node = 1
			if _, err := Setup(t.Context(), test.options); err == nil || !strings.Contains(err.Error(), test.name) {
				t.Errorf("the error is %v", err)
			}
		})
	}
	if _, err := Setup(t.Context(), Options{}); err == nil || !strings.Contains(err.Error(), "Node") {
		t.Errorf("without a node: %v", err)
	}
}

// What finds no room behind a slow collector is counted, in the metric too, and
// what had room arrives in the end.
func TestDroppedForWantOfRoom(t *testing.T) {
	const queue, spans = 4, 50
	t.Setenv("OTEL_BSP_MAX_QUEUE_SIZE", fmt.Sprint(queue))
	t.Setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "2")
	r := collector(t)
	r.Hold()
	reader := sdkmetric.NewManualReader()
	e := setup(t, Options{Endpoint: r.GRPC, MeterProvider: sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))})
	makeSpans(e, spans)
	lost := e.Dropped()
	if lost == 0 || lost < spans-2*queue {
		t.Errorf("%d of %d spans were lost, with room for %d", lost, spans, queue)
	}
	var all metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	if got := all.ScopeMetrics[0].Metrics[0]; got.Name != DroppedMetric || got.Data.(metricdata.Sum[int64]).DataPoints[0].Value != int64(lost) {
		t.Errorf("the metric is %+v, want %d", got, lost)
	}
	r.Release()
	if err := e.Shutdown(within(t, 10*time.Second)); err != nil {
		t.Fatal(err)
	}
	if got := len(r.Spans()); uint64(got) != spans-e.Dropped() || e.Dropped() != lost {
		t.Errorf("%d came and %d were lost, of %d", got, e.Dropped(), spans)
	}

}

func TestDroppedByAFailure(t *testing.T) {
	r := collector(t)
	r.Fail(errors.New("no"))
	e := setup(t, Options{Endpoint: r.GRPC})
	makeSpans(e, 5)
	if err := e.Flush(within(t, 10*time.Second)); err == nil || !strings.Contains(err.Error(), "desc = no") {
		t.Errorf("the error is %v", err)
	}
	if n := e.Dropped(); n != 5 || e.Exported() != 0 {
		t.Errorf("%d spans were lost, want 5; %d are said to have come", n, e.Exported())
	}
	r.Fail(nil)
	makeSpans(e, 2)
	if err := e.Flush(within(t, 10*time.Second)); err != nil || len(r.Spans()) != 2 || e.Dropped() != 5 || e.Exported() != 2 {
		t.Errorf("afterwards %v, %d came, %d were lost", err, len(r.Spans()), e.Dropped())
	}
}

// Shutdown keeps to its context whatever the collector does, and counts what it
// could not send.
func TestShutdownKeepsToItsContext(t *testing.T) {
	for name, test := range map[string]struct {
		endpoint func(r *otlptest.Receiver) string
		limit    time.Duration // of its context; a busy machine needs time to be refused
		says     string
	}{
		"a collector that hangs":  {func(r *otlptest.Receiver) string { r.Hold(); return r.GRPC }, 200 * time.Millisecond, "deadline exceeded"},
		"nobody there":            {func(r *otlptest.Receiver) string { r.Close(); return r.GRPC }, 20 * time.Second, "connection refused"},
		"nobody there, over HTTP": {func(r *otlptest.Receiver) string { r.Close(); return "http://" + r.HTTP }, 20 * time.Second, "connection refused"},
	} {
		t.Run(name, func(t *testing.T) {
			r := collector(t)
			if strings.HasSuffix(name, "HTTP") {
				t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
			}
			e := setup(t, Options{Endpoint: test.endpoint(r)})
			makeSpans(e, 3)
			begin := time.Now()
			err := e.Shutdown(within(t, test.limit))
			if err == nil || !strings.Contains(err.Error(), test.says) || !strings.Contains(err.Error(), e.Endpoint()) {
				t.Errorf("the error is %v", err)
			}
			if took := time.Since(begin); took > 5*time.Second {
				t.Errorf("it took %v", took)
			}
			if e.Dropped() != 3 {
				t.Errorf("%d spans are counted as lost, want 3", e.Dropped())
			}
			makeSpansAfter(e)
		})
	}
}

// makeSpansAfter: a node that still ends spans after Shutdown does no harm.
func makeSpansAfter(e *Exporter) {
	_ = tracing.NewTracer(e.Tracing()).Export(record(context.Background(), tracing.Propose))
}

func TestWait(t *testing.T) {
	r := collector(t)
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "1")
	e := setup(t, Options{Endpoint: r.GRPC})
	for i := range 3 {
		makeSpans(e, 1)
		spans, err := r.Wait(within(t, 10*time.Second), func(s []otlptest.Span) bool { return len(s) == i+1 })
		if err != nil || slices.ContainsFunc(spans, func(s otlptest.Span) bool { return s.Name != "raft.propose" }) {
			t.Fatalf("%v, %v", spans, err)
		}
	}
}

// TestShutdownWaitsForNoSecondAttempt asserts that a collector that is not there does
// not hold up the end, whatever the exporter is doing: it would try again for ten
// seconds.
func TestShutdownWaitsForNoSecondAttempt(t *testing.T) {
	for name, underWay := range map[string]bool{"nothing is under way": false, "an export waits for its second attempt": true} {
		t.Run(name, func(t *testing.T) {
			logger, logged := lines()
			e := setup(t, Options{Endpoint: nowhere(t), Logger: logger})
			makeSpans(e, 3)
			if underWay {
				flushed := make(chan error, 1)
				go func() { flushed <- e.Flush(t.Context()) }()
				<-logged // an attempt has failed
				makeSpans(e, 2)
				defer func() {
					if err := <-flushed; err == nil || !strings.Contains(err.Error(), "connection refused") {
						t.Errorf("Flush says %v", err)
					}
				}()
			}
			begin := time.Now()
			err := e.Shutdown(context.Background())
			if took := time.Since(begin); took > 5*time.Second {
				t.Errorf("it took %v", took)
			}
			if err == nil || !strings.Contains(err.Error(), "connection refused") || !strings.Contains(err.Error(), e.Endpoint()) || errors.Is(err, context.Canceled) {
				t.Errorf("the error is %v", err)
			}
			want := uint64(3)
			if underWay {
				want = 5
			}
			if e.Dropped() != want {
				t.Errorf("%d spans are counted as lost, want %d", e.Dropped(), want)
			}
		})
	}
}
