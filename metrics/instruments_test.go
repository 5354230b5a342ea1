package metrics

import (
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric/noop"
	sdk "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// collected returns what a reader sees, by name.
func collected(t *testing.T, reader sdk.Reader) map[string]metricdata.Metrics {
	t.Helper()
	var all metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	found := make(map[string]metricdata.Metrics)
	for _, scope := range all.ScopeMetrics {
		if scope.Scope.Name != Scope {
			t.Errorf("scope %q", scope.Scope.Name)
		}
		for _, m := range scope.Metrics {
			found[m.Name] = m
		}
	}
	return found
}

// TestInstruments uses each instrument once, and finds it as the table says.
func TestInstruments(t *testing.T) {
	reader := sdk.NewManualReader()
	in, err := New(sdk.NewMeterProvider(sdk.WithReader(reader)))
	if err != nil {
		t.Fatal(err)
	}
	set := attribute.NewSet(attribute.String(KeyNode, "1"))
	stop, err := in.Observe(func(o Observer) {
		for _, row := range Table() {
			if row.Kind != Histogram {
				o.Put(row.ID, 3e9, set)
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range Table() {
		if r := in.Recorder(row.ID, set); row.Kind == Histogram && row.Unit == seconds {
			r.Duration(time.Duration(row.Bounds[6] * 0.99e9))
			r.Duration(-time.Second)
		} else if row.Kind == Histogram {
			r.Count(3)
		}
	}
	found := collected(t, reader)
	for _, row := range Table() {
		m, ok := found[string(row.ID)]
		if !ok || m.Unit != row.Unit || m.Description != row.Description {
			t.Errorf("%s is %+v", row.ID, m)
			continue
		}
		value := func() float64 {
			switch data := m.Data.(type) {
			case metricdata.Histogram[float64]:
				p := data.DataPoints[0]
				if len(p.Bounds) != len(row.Bounds) || p.Count != 2 || p.BucketCounts[0] != 1 || p.BucketCounts[6] != 1 {
					t.Errorf("%s: %+v", row.ID, p)
				}
				return 3 // the sum was looked at by its buckets
			case metricdata.Histogram[int64]:
				p := data.DataPoints[0]
				if len(p.Bounds) != len(row.Bounds) {
					t.Errorf("%s: %+v", row.ID, p)
				}
				return float64(p.Sum)
			case metricdata.Sum[int64]:
				if !data.IsMonotonic || row.Kind != Counter {
					t.Errorf("%s: %+v", row.ID, data)
				}
				return float64(data.DataPoints[0].Value) / 1e9
			case metricdata.Gauge[int64]:
				return float64(data.DataPoints[0].Value) / 1e9
			case metricdata.Gauge[float64]:
				return data.DataPoints[0].Value
			}
			return -1
		}()
		if value != 3 {
			t.Errorf("%s: %v", row.ID, value)
		}
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if left := collected(t, reader); len(left[string(Table()[0].ID)].Name) == 0 || left["raft.term"].Name != "" {
		t.Errorf("after the end of the observation: %v", left)
	}
}

func TestWithoutProvider(t *testing.T) {
	if _, err := New(nil); err == nil {
		t.Error("no provider is a provider")
	}
	var off *Recorder
	off.Count(1)
	off.Duration(1)
	if _, err := New(noop.NewMeterProvider()); err != nil {
		t.Error(err)
	}
}
