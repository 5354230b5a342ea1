// Package otlp exports troupe's traces by OTLP, with OpenTelemetry's SDK, to
// Jaeger or any other collector.
//
//	exporter, err := otlp.Setup(ctx, otlp.Options{Node: 1})
//	...
//	defer exporter.Shutdown(ctx)
//	troupe.NodeConfig{ID: 1, Tracing: exporter.Tracing(), ...}
//
// It reads OpenTelemetry's standard environment variables, which
// guide/tracing.md lists. Each node is a separate service, so that a trace
// shows which node did what.
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
	// Ratio, if not nil, samples each write and read without a caller's span
	// with this probability, from 0 to 1. Default: OTEL_TRACES_SAMPLER, else at
	// most 10 new traces a second.
	Ratio *float64
	// MeterProvider gets the counter DroppedMetric. Default: none does.
	MeterProvider metric.MeterProvider
	// Logger is told at once when an attempt to reach the collector fails, with
	// the endpoint and the cause, and when spans arrive again: once for a time of
	// trouble, and at most once a minute. Default: nobody is.
	Logger *slog.Logger
}

// Exporter makes spans and sends them to a collector. Its methods are safe for
// concurrent use. One that the environment has turned off (OTEL_SDK_DISABLED, or
// OTEL_TRACES_EXPORTER=none) does nothing.
type Exporter struct {
	// TracerProvider is nil if tracing is turned off. An application may start
	// spans of its own with it, to be the callers of writes and reads: those
	// without a parent are sampled as OTEL_TRACES_SAMPLER says, all by default,
	// and take nothing from Sampler.
	TracerProvider *sdktrace.TracerProvider
	// Sampler is the one that was chosen for writes and reads without a caller's
	// span, nil if tracing is turned off.
	Sampler tracing.Sampler

	processor    *processor
	registration metric.Registration
}

// Setup connects to nobody yet: a collector that cannot be reached costs spans,
// which are counted, and never a write; Options.Logger, Flush and Shutdown tell
// why it cannot. An error names the option or the variable that is wrong.
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
	attempts := newAttempts(s.endpoint, options.Logger)
	client, err := s.exporter(ctx, attempts)
	if err != nil {
		return nil, fmt.Errorf("otlp: %s: %w", s.endpoint, err)
	}
	e := &Exporter{Sampler: s.sampler, processor: newProcessor(client, &s.batch, attempts)}
	e.TracerProvider = sdktrace.NewTracerProvider(
		sdktrace.WithResource(described),
		sdktrace.WithIDGenerator(tracing.IDs{}),
		sdktrace.WithSampler(headSampler{s.sampler, sdktrace.ParentBased(s.callers)}),
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

// Endpoint is the URL of the collector that was chosen, "" if tracing is turned
// off. With TLS it begins with https.
func (e *Exporter) Endpoint() string {
	if e.processor == nil {
		return ""
	}
	return e.processor.attempts.endpoint
}

// Exported counts the spans that the collector has taken since Setup.
func (e *Exporter) Exported() uint64 {
	if e.processor == nil {
		return 0
	}
	return e.processor.exported.Load()
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

// Flush sends what has ended up to now, and returns when that was tried: nil if
// the collector has taken it, else why the first batch of it is lost. When ctx
// ends first, the error wraps ctx.Err(), and says why the last attempt failed if
// one did; the spans are tried on. Every error names the endpoint.
func (e *Exporter) Flush(ctx context.Context) error {
	if e.processor == nil {
		return nil
	}
	return e.processor.ForceFlush(ctx)
}

// Shutdown sends what has ended, and ends: what could not be sent is counted, and
// what ends afterwards too. Over gRPC it tries each batch once, and so does not wait
// for a collector that is not there. One that does not answer holds it up for as long
// as ctx lasts, or an export may. Its errors are those of Flush. It is called when the
// node has stopped, so that nothing is missing. The second call does nothing.
func (e *Exporter) Shutdown(ctx context.Context) error {
	if e.TracerProvider == nil {
		return nil
	}
	// The provider calls nobody any more when ctx has ended.
	err := e.processor.Shutdown(ctx)
	if others := e.TracerProvider.Shutdown(ctx); err == nil {
		err = others
	}
	if e.registration != nil {
		err = errors.Join(err, e.registration.Unregister())
	}
	return err
}

// headSampler is the SDK's sampler. It carries out what troupe has decided. Spans
// of others follow their parent, and without one the sampler of callers: the
// limit of troupe's own is meant for what nobody has asked for.
type headSampler struct {
	own     tracing.Sampler
	callers sdktrace.Sampler
}

// ShouldSample implements sdktrace.Sampler.
func (s headSampler) ShouldSample(p sdktrace.SamplingParameters) sdktrace.SamplingResult {
	if tracing.Decided(p.ParentContext) {
		return sdktrace.AlwaysSample().ShouldSample(p)
	}
	return s.callers.ShouldSample(p)
}

// Description implements sdktrace.Sampler.
func (s headSampler) Description() string {
	return fmt.Sprintf("troupe: %v; others: %s", s.own, s.callers.Description())
}
