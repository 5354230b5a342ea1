package observe

import (
	"bytes"
	"context"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	sdk "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/trouperaft/troupe/actors/stage"
	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/metrics"
	"github.com/trouperaft/troupe/tracing"
)

const patience = 30 * time.Second

// eventually waits for what is bound to become true.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for begun := time.Now(); !condition(); time.Sleep(time.Millisecond) {
		if time.Since(begun) > patience {
			t.Fatalf("waited %v for %s", patience, what)
		}
	}
}

// TestObserverLosesAndCounts asserts what becomes of observations whose taker
// hangs, panics or ends its goroutine: they are lost and counted, whoever told them
// goes on, and the next ones are handed on.
func TestObserverLosesAndCounts(t *testing.T) {
	release := make(chan struct{})
	var handed atomic.Int64
	o := newObserver(stage.Production(), "test", 100, func(what string) {
		switch what {
		case "hang":
			<-release
		case "panic":
			panic(what)
		case "exit":
			runtime.Goexit()
		}
		handed.Add(1)
	})
	for _, what := range []string{"ok", "panic", "ok", "exit", "ok", "exit", "panic", "ok"} {
		o.put(what)
	}
	eventually(t, "what is whole", func() bool { return handed.Load() == 4 && o.lost.Load() == 4 && o.queued.Load() == 0 })
	for range 300 {
		o.put("hang")
	}
	if n := o.lost.Load(); n != 204 {
		t.Errorf("%d are lost, want 204: 100 have room", n)
	}
	close(release)
	eventually(t, "the end of the hanging", func() bool { return handed.Load() == 104 && o.queued.Load() == 0 })
	o.put("ok")
	eventually(t, "what came afterwards", func() bool { return handed.Load() == 105 })
	ended := make(chan struct{})
	o.put("ok")
	o.close(func() { close(ended) })
	<-ended
	if n := handed.Load(); n != 106 {
		t.Errorf("%d were handed on, want all 106", n)
	}
	o.put("late")
	if n := o.lost.Load(); n != 205 {
		t.Errorf("%d are lost, want 205: one came too late", n)
	}
}

// stuck is a log handler, a span processor and whatever else blocks.
type stuck struct{ release chan struct{} }

func (stuck) Enabled(context.Context, slog.Level) bool          { return true }
func (s stuck) WithAttrs([]slog.Attr) slog.Handler              { return s }
func (s stuck) WithGroup(string) slog.Handler                   { return s }
func (s stuck) Handle(context.Context, slog.Record) error       { <-s.release; return nil }
func (s stuck) OnStart(context.Context, sdktrace.ReadWriteSpan) { <-s.release }
func (stuck) OnEnd(sdktrace.ReadOnlySpan)                       {}
func (stuck) Shutdown(context.Context) error                    { return nil }
func (stuck) ForceFlush(context.Context) error                  { return nil }
func providerOf(p sdktrace.SpanProcessor) *sdktrace.TracerProvider {
	return providerWith(p, tracing.IDs{})
}
func providerWith(p sdktrace.SpanProcessor, ids sdktrace.IDGenerator) *sdktrace.TracerProvider {
	return sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(p), sdktrace.WithIDGenerator(ids))
}

// TestStuckTakersHoldUpNobody asserts that a logger and a tracer that hang hold up
// neither who tells, nor each other, nor the end of the node for long.
func TestStuckTakersHoldUpNobody(t *testing.T) {
	hangs := stuck{make(chan struct{})}
	node, err := New(Config{
		Environment: stage.Production(), Node: 1, Logger: slog.New(hangs),
		Tracing: tracing.Config{Provider: providerOf(hangs), Sampler: tracing.NewRatioSampler(1)},
	})
	if err != nil {
		t.Fatal(err)
	}
	w := node.Group(1)
	for range 2 * linesMax {
		Noticed{Notice: &core.Notice{Kind: core.NoticeElected, Term: 1}}.Tell(w)
		Completed{Span: Proposing{Ctx: t.Context(), Bytes: 1}.Begin(w)}.Tell(w)
	}
	for _, kind := range metrics.Observations[:2] {
		if n := node.Dropped(kind); n < linesMax {
			t.Errorf("%d of the kind %s are lost, want at least %d", n, kind, linesMax)
		}
	}
	ended := make(chan struct{})
	node.Close(func() { close(ended) })
	select {
	case <-ended:
	case <-time.After(patience):
		t.Error("the node waits for who hangs")
	}
	close(hangs.release)
	eventually(t, "the queues to be empty", func() bool { return node.lines.queued.Load()+node.spans.queued.Load() == 0 })
}

// safeBuffer is written by an observer and read by a test.
type safeBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// TestLogger asserts that lines reach their handler with the node, the group and
// the ids of their span, that what it does not want is left out, and that all of it
// is there when the node has ended.
func TestLogger(t *testing.T) {
	var out safeBuffer
	node, err := New(Config{
		Environment: stage.Production(), Node: 7, Logger: slog.New(slog.NewTextHandler(&out, nil)),
		Tracing: tracing.Config{Provider: providerOf(sdktrace.NewSimpleSpanProcessor(nil)), Sampler: tracing.NewRatioSampler(1)},
	})
	if err != nil {
		t.Fatal(err)
	}
	w := node.Group(9)
	span := Reading{Ctx: t.Context()}.Begin(w)
	w.Logger().Warn("a warning", span.LogIDs("peer", 3)...)
	w.Logger().Debug("nothing for this handler")
	Noticed{Notice: &core.Notice{Kind: core.NoticeElectionStarted, Term: 4}}.Tell(w)
	ReadEnded{Span: span}.Tell(w)
	ended := make(chan struct{})
	node.Close(func() { close(ended) })
	<-ended
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 2 {
		t.Fatalf("the log is %q", lines)
	}
	for i, want := range [][]string{{"a warning", "node=7", "group=9", "peer=3", "trace_id=", "span_id="}, {"node=7", "group=9", "term=4", "trace_id="}} {
		for _, part := range want {
			if !strings.Contains(lines[i], part) {
				t.Errorf("line %d lacks %s: %s", i, part, lines[i])
			}
		}
	}
}

// TestProviderWithIDsOfItsOwn asserts that such a provider's spans are counted as
// lost, and that the log says once what to do.
func TestProviderWithIDsOfItsOwn(t *testing.T) {
	var out safeBuffer
	provider := sdktrace.NewTracerProvider()
	node, err := New(Config{
		Environment: stage.Production(), Node: 1, Logger: slog.New(slog.NewTextHandler(&out, nil)),
		Tracing: tracing.Config{Provider: provider, Sampler: tracing.NewRatioSampler(1)},
	})
	if err != nil {
		t.Fatal(err)
	}
	w := node.Group(1)
	for range 3 {
		Completed{Span: Proposing{Ctx: t.Context(), Bytes: 1}.Begin(w)}.Tell(w)
	}
	eventually(t, "the loss of all spans", func() bool { return node.Dropped(metrics.Observations[1]) == 6 })
	ended := make(chan struct{})
	node.Close(func() { close(ended) })
	<-ended
	if s := out.String(); strings.Count(s, "\n") != 1 || !strings.Contains(s, "WithIDGenerator(tracing.IDs{})") {
		t.Errorf("the log is %q", s)
	}
}

// TestMeasurementsAreWholeWhenRead asserts that a reader gets what was measured
// until then, though nobody is woken for a few measurements.
func TestMeasurementsAreWholeWhenRead(t *testing.T) {
	reader := sdk.NewManualReader()
	node, err := New(Config{Environment: newStill(), Node: 1, Meter: sdk.NewMeterProvider(sdk.WithReader(reader))})
	if err != nil {
		t.Fatal(err)
	}
	for range 10 {
		Wrote{Entries: 3}.Tell(node.Watch())
	}
	var all metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			if m.Name == "raft.log.batch.entries" {
				if p := m.Data.(metricdata.Histogram[int64]).DataPoints[0]; p.Count != 10 || p.Sum != 30 {
					t.Errorf("%d batches with %d entries", p.Count, p.Sum)
				}
				return
			}
		}
	}
	t.Error("the batches are not there")
}
