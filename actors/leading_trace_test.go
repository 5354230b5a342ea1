package actors

import (
	"errors"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/trouperaft/troupe/actors/observe"
	"github.com/trouperaft/troupe/actors/stage"
	"github.com/trouperaft/troupe/tracing"
)

// TestRunThatTheEndForbidsEndsItsSpan: the group ends while a run is about to begin. It does
// not begin, and its trace says so.
func TestRunThatTheEndForbidsEndsItsSpan(t *testing.T) {
	recorder := tracetest.NewSpanRecorder()
	node, err := observe.New(observe.Config{
		Environment: stage.Production(), Node: 1,
		Tracing: tracing.Config{Provider: sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder), sdktrace.WithIDGenerator(tracing.IDs{}))},
	})
	if err != nil {
		t.Fatal(err)
	}
	r := newLeadingRig(t)
	r.watch = node.Group(1)
	r.stop(errors.New("the group ends"))
	if run := r.says(3, time.Second); run != nil {
		t.Fatal("a run has begun")
	}
	closed := make(chan struct{})
	node.Close(func() { close(closed) })
	await(t, closed, "what was observed to be handed on")
	ended := recorder.Ended()
	if len(ended) != 1 || ended[0].Name() != "raft.leading" || ended[0].Status().Description == "" {
		t.Errorf("the spans that have ended are %v", ended)
	}
}
