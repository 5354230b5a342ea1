package main

import (
	"testing"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

// TestRootAloneIsNotComplete: what a node exports of a read may come after the span of the
// program that asked for it.
func TestRootAloneIsNotComplete(t *testing.T) {
	own := tracetest.SpanStub{Name: operationRead}.Snapshot()
	read := tracetest.SpanStub{Name: "raft.read"}.Snapshot()
	for _, test := range []struct {
		ended    []sdktrace.ReadOnlySpan
		complete bool
	}{
		{[]sdktrace.ReadOnlySpan{own}, false},
		{[]sdktrace.ReadOnlySpan{own, read}, true},
	} {
		if got := new(tour).complete(&watched{ended: test.ended}); got != test.complete {
			t.Errorf("%d spans are complete: %t", len(test.ended), got)
		}
	}
}
