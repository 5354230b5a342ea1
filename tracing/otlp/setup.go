// Package otlp exports troupe's traces with OpenTelemetry's SDK, by OTLP, to
// Jaeger or any collector.
//
//	exporter, err := otlp.Setup(ctx, otlp.Options{Node: 1})
//	...
//	defer exporter.Shutdown(ctx)
//	troupe.NodeConfig{ID: 1, Tracing: exporter.Tracing(), ...}
//
// The standard variables of OpenTelemetry are heeded; guide/tracing.md lists
// them. Each node is a service of its own, so that a trace shows who did what.
package otlp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/tracing"
)

// DroppedMetric is the counter of spans that were lost.
const DroppedMetric = "raft.trace.dropped"

// Options are what the variables of the environment do not say. The zero value
// of a field leaves it to them, and to the default.
type Options struct {
	// Node is whose spans these are. Required.
	Node membership.NodeID
	// Endpoint is where the collector listens: HOST:PORT or http://HOST:PORT
	// without TLS, https://HOST:PORT with it. Default:
	// OTEL_EXPORTER_OTLP_TRACES_ENDPOINT, OTEL_EXPORTER_OTLP_ENDPOINT, else
	// 127.0.0.1, port 4317 for gRPC and 4318 for HTTP, without TLS.
	Endpoint string
	// Ratio, if not nil, samples each write and read with this probability,
	// from 0 to 1. Default: OTEL_TRACES_SAMPLER, else at most 10 new traces a
	// second.
	Ratio *float64
	// MeterProvider gets the counter DroppedMetric. Default: none does.
	MeterProvider metric.MeterProvider
	// Logger is told when spans begin to be lost. Default: nobody is.
	Logger *slog.Logger
}

// Exporter makes spans and sends them to a collector. Its methods are safe for
// concurrent use. One that the environment has turned off (OTEL_SDK_DISABLED, or
// OTEL_TRACES_EXPORTER=none) does nothing.
type Exporter struct {
	// TracerProvider is nil if tracing is turned off.
	TracerProvider *sdktrace.TracerProvider
	// Sampler is the one that was chosen, nil if tracing is turned off.
	Sampler tracing.Sampler

	processor    *processor
	registration metric.Registration
}

// Setup connects to nobody yet: a collector that cannot be reached costs spans,
// which are counted, and never a write. An error names the option or the
// variable that is wrong.
func Setup(ctx context.Context, options Options) (*Exporter, error) {
	if options.Node == 0 {
		return nil, errors.New("otlp: Options.Node is 0: ids begin at 1")
	}
	s, err := readSettings(&options)
	if err != nil || s.disabled {
		return &Exporter{}, err
	}
	described, err := describe(ctx, options.Node)
	if err != nil {
		return nil, err
	}
	client, err := s.exporter(ctx)
	if err != nil {
		return nil, fmt.Errorf("otlp: %w", err)
	}
	e := &Exporter{Sampler: s.sampler, processor: newProcessor(client, &s.batch, options.Logger)}
	e.TracerProvider = sdktrace.NewTracerProvider(
		sdktrace.WithResource(described),
		sdktrace.WithSampler(headSampler{s.sampler}),
		sdktrace.WithSpanProcessor(e.processor),
	)
	if err := e.count(options.MeterProvider); err != nil {
		return nil, errors.Join(fmt.Errorf("otlp: %w", err), e.Shutdown(ctx))
	}
	return e, nil
}

// describe is the resource of a node: OTEL_SERVICE_NAME and
// OTEL_RESOURCE_ATTRIBUTES stand above the defaults.
func describe(ctx context.Context, node membership.NodeID) (*resource.Resource, error) {
	id := strconv.FormatUint(uint64(node), 10)
	r, err := resource.New(ctx,
		resource.WithTelemetrySDK(),
		resource.WithAttributes(attribute.String("service.name", "troupe-node-"+id), attribute.String("service.instance.id", id)),
		resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("otlp: OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	return r, nil
}

// count shows the lost spans as a metric.
func (e *Exporter) count(provider metric.MeterProvider) error {
	if provider == nil {
		return nil
	}
	meter := provider.Meter(tracing.ScopeName)
	dropped, err := meter.Int64ObservableCounter(DroppedMetric, metric.WithUnit("{span}"),
		metric.WithDescription("Spans that were lost: no room while the collector was slow, or an export that failed."))
	if err != nil {
		return err
	}
	e.registration, err = meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		o.ObserveInt64(dropped, int64(e.Dropped()))
		return nil
	}, dropped)
	return err
}

// Tracing is what troupe.NodeConfig takes.
func (e *Exporter) Tracing() tracing.Config {
	if e.TracerProvider == nil {
		return tracing.Config{}
	}
	return tracing.Config{Provider: e.TracerProvider, Sampler: e.Sampler}
}

// Dropped counts the spans that were lost since Setup: those for which the queue
// had no room, and those of exports that failed. A batch that the collector took
// in part counts as a whole.
func (e *Exporter) Dropped() uint64 {
	if e.processor == nil {
		return 0
	}
	return e.processor.dropped.Load()
}

// Flush sends what has ended up to now, and returns when that was tried, or an
// error that wraps ctx.Err() when ctx ends first.
func (e *Exporter) Flush(ctx context.Context) error {
	if e.processor == nil {
		return nil
	}
	return e.processor.ForceFlush(ctx)
}

// Shutdown sends what has ended, for as long as ctx lasts, and ends: what could
// not be sent is counted, and what ends afterwards too. It is called when the
// node has stopped, so that nothing is missing. The second call does nothing.
func (e *Exporter) Shutdown(ctx context.Context) error {
	if e.TracerProvider == nil {
		return nil
	}
	err := e.TracerProvider.Shutdown(ctx)
	if e.registration != nil {
		err = errors.Join(err, e.registration.Unregister())
	}
	return err
}

// headSampler is the SDK's sampler. It carries out what troupe has decided, or
// the parent's decision. A span of somebody else without a parent draws from the
// same sampler.
type headSampler struct{ sampler tracing.Sampler }

// ShouldSample implements sdktrace.Sampler.
func (s headSampler) ShouldSample(p sdktrace.SamplingParameters) sdktrace.SamplingResult {
	if tracing.Decided(p.ParentContext) {
		return sdktrace.AlwaysSample().ShouldSample(p)
	}
	return sdktrace.ParentBased(rootSampler(s)).ShouldSample(p)
}

// Description implements sdktrace.Sampler.
func (s headSampler) Description() string { return fmt.Sprintf("troupe: %v", s.sampler) }

type rootSampler headSampler

func (s rootSampler) ShouldSample(p sdktrace.SamplingParameters) sdktrace.SamplingResult {
	if s.sampler.Sample() {
		return sdktrace.AlwaysSample().ShouldSample(p)
	}
	return sdktrace.NeverSample().ShouldSample(p)
}

func (s rootSampler) Description() string { return headSampler(s).Description() }
