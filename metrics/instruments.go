package metrics

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// Scope is the name of the meter that the instruments belong to.
const Scope = "github.com/trouperaft/troupe"

// Instruments are the instruments of the table, made by one provider. Nodes with
// the same provider share them; raft.node tells their series apart.
type Instruments struct {
	meter      metric.Meter
	counts     map[ID]metric.Int64Histogram
	durations  map[ID]metric.Float64Histogram
	integers   map[ID]metric.Int64Observable
	floats     map[ID]metric.Float64Observable
	observable []metric.Observable
}

// New makes the instruments. It fails if the provider refuses one of them.
func New(provider metric.MeterProvider) (*Instruments, error) {
	if provider == nil {
		return nil, errors.New("metrics: no provider")
	}
	in := &Instruments{
		meter:  provider.Meter(Scope),
		counts: make(map[ID]metric.Int64Histogram), durations: make(map[ID]metric.Float64Histogram),
		integers: make(map[ID]metric.Int64Observable), floats: make(map[ID]metric.Float64Observable),
	}
	for _, row := range Table() {
		if err := in.make(&row); err != nil {
			return nil, fmt.Errorf("metrics: %s: %w", row.ID, err)
		}
	}
	return in, nil
}

func (in *Instruments) make(row *Row) (err error) {
	name, description, unit := string(row.ID), metric.WithDescription(row.Description), metric.WithUnit(row.Unit)
	switch {
	case row.Kind == Histogram && row.Unit == seconds:
		in.durations[row.ID], err = in.meter.Float64Histogram(name, description, unit, metric.WithExplicitBucketBoundaries(row.Bounds...))
	case row.Kind == Histogram:
		in.counts[row.ID], err = in.meter.Int64Histogram(name, description, unit, metric.WithExplicitBucketBoundaries(row.Bounds...))
	case row.Kind == Counter:
		in.integers[row.ID], err = in.meter.Int64ObservableCounter(name, description, unit)
		in.observable = append(in.observable, in.integers[row.ID])
	case row.Unit == seconds:
		in.floats[row.ID], err = in.meter.Float64ObservableGauge(name, description, unit)
		in.observable = append(in.observable, in.floats[row.ID])
	default:
		in.integers[row.ID], err = in.meter.Int64ObservableGauge(name, description, unit)
		in.observable = append(in.observable, in.integers[row.ID])
	}
	return err
}

// Recorder records into one histogram with one set of attributes, and allocates
// nothing. A nil Recorder records nothing. It is safe for concurrent use.
type Recorder struct {
	count    metric.Int64Histogram
	duration metric.Float64Histogram
	options  []metric.RecordOption
}

// Recorder returns a recorder for a histogram of the table.
func (in *Instruments) Recorder(id ID, attributes attribute.Set) *Recorder {
	return &Recorder{in.counts[id], in.durations[id], []metric.RecordOption{metric.WithAttributeSet(attributes)}}
}

// Count records a number of things or bytes.
func (r *Recorder) Count(n int) {
	if r != nil {
		r.count.Record(context.Background(), int64(n), r.options...)
	}
}

// Duration records a time; a negative one counts as none.
func (r *Recorder) Duration(d time.Duration) {
	if r != nil {
		r.duration.Record(context.Background(), max(d, 0).Seconds(), r.options...)
	}
}

// Observer takes the values of counters and gauges while a reader asks.
type Observer struct {
	in *Instruments
	o  metric.Observer
}

// Put takes a value of a counter or gauge: of those in seconds it is n
// nanoseconds.
func (o Observer) Put(id ID, n int64, attributes attribute.Set) {
	if float := o.in.floats[id]; float != nil {
		o.o.ObserveFloat64(float, time.Duration(n).Seconds(), metric.WithAttributeSet(attributes))
		return
	}
	o.o.ObserveInt64(o.in.integers[id], n, metric.WithAttributeSet(attributes))
}

// Observe calls f each time that a reader asks, until stop. A call may still be
// under way when stop returns. f must not block for long.
func (in *Instruments) Observe(f func(Observer)) (stop func() error, err error) {
	registration, err := in.meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		f(Observer{in, o})
		return nil
	}, in.observable...)
	if err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	return registration.Unregister, nil
}
