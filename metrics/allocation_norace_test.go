//go:build !race

package metrics

import (
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdk "go.opentelemetry.io/otel/sdk/metric"
)

func TestRecordingAllocatesNothing(t *testing.T) {
	in, err := New(sdk.NewMeterProvider(sdk.WithReader(sdk.NewManualReader())))
	if err != nil {
		t.Fatal(err)
	}
	set := attribute.NewSet(attribute.String(KeyNode, "1"), attribute.String(KeyGroup, "1"), attribute.String(KeyActor, "core"))
	count, duration := in.Recorder(InboxDepth, set), in.Recorder(InboxWait, set)
	record := func() {
		count.Count(7)
		duration.Duration(100 * time.Microsecond)
	}
	record()
	if n := testing.AllocsPerRun(1000, record); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkRecord(b *testing.B) {
	in, err := New(sdk.NewMeterProvider(sdk.WithReader(sdk.NewManualReader())))
	if err != nil {
		b.Fatal(err)
	}
	set := attribute.NewSet(attribute.String(KeyNode, "1"), attribute.String(KeyGroup, "1"), attribute.String(KeyActor, "core"))
	duration := in.Recorder(InboxWait, set)
	b.ReportAllocs()
	for b.Loop() {
		duration.Duration(100 * time.Microsecond)
	}
}
