package troupe_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/trouperaft/troupe"
	"github.com/trouperaft/troupe/metrics"
	"github.com/trouperaft/troupe/network/inproc"
	"github.com/trouperaft/troupe/storage/memory"
)

// seriesOf counts the series that a reader shows of a group, and of all.
func seriesOf(t *testing.T, reader metric.Reader, group string) (own, all int) {
	t.Helper()
	var shown metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &shown); err != nil {
		t.Fatal(err)
	}
	for _, scope := range shown.ScopeMetrics {
		for _, m := range scope.Metrics {
			for _, set := range setsOf(m.Data) {
				all++
				if value, ok := set.Value(metrics.KeyGroup); ok && value.AsString() == group {
					own++
				}
			}
		}
	}
	return own, all
}

// setsOf are the attributes of each series of an instrument.
func setsOf(data metricdata.Aggregation) (sets []attribute.Set) {
	switch data := data.(type) {
	case metricdata.Gauge[int64]:
		for _, p := range data.DataPoints {
			sets = append(sets, p.Attributes)
		}
	case metricdata.Gauge[float64]:
		for _, p := range data.DataPoints {
			sets = append(sets, p.Attributes)
		}
	case metricdata.Sum[int64]:
		for _, p := range data.DataPoints {
			sets = append(sets, p.Attributes)
		}
	case metricdata.Histogram[int64]:
		for _, p := range data.DataPoints {
			sets = append(sets, p.Attributes)
		}
	case metricdata.Histogram[float64]:
		for _, p := range data.DataPoints {
			sets = append(sets, p.Attributes)
		}
	}
	return sets
}

// TestSeriesGoWithTheirGroup: what a group has counted goes with it when it stops, so that a
// node on which groups come and go shows as many series as it has groups. The guide says how
// many a group has.
func TestSeriesGoWithTheirGroup(t *testing.T) {
	reader := metric.NewManualReader()
	node, err := troupe.NewNode(troupe.NodeConfig{
		ID: 1, Network: inproc.NewHub().Network("one"), Log: memory.New(1), Snapshots: memory.NewSnapshots(),
		Meter: metric.NewMeterProvider(metric.WithReader(reader)),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(node.Kill)
	shared := 0
	for group := troupe.GroupID(1); group <= 20; group++ {
		raft, err := node.Start(t.Context(), troupe.Config{Group: group, StateMachine: &ledger{}, ElectionTimeout: 50 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		if err := raft.Bootstrap(within(t, 20*time.Second), troupe.At(1, "one")); err != nil {
			t.Fatal(err)
		}
		if group == 1 {
			own, all := seriesOf(t, reader, "1")
			shared = all - own
			guide, err := os.ReadFile("guide/metrics.md")
			if err != nil {
				t.Fatal(err)
			}
			if says := fmt.Sprintf("Each group has %d series of counters and gauges on a node", own); !strings.Contains(string(guide), says) {
				t.Errorf("the guide does not say: %s", says)
			}
		}
		raft.Kill()
		<-raft.Done()
	}
	for group := 1; group <= 20; group++ {
		if own, _ := seriesOf(t, reader, fmt.Sprint(group)); own > 0 {
			t.Errorf("group %d has stopped, and has %d series", group, own)
		}
	}
	// A histogram that had recorded nothing before may be there now.
	if _, all := seriesOf(t, reader, ""); all > shared+12 {
		t.Errorf("%d series are left, and %d were not of the first group", all, shared)
	}
}
