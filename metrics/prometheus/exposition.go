// Package prometheus shows the numbers of a node to Prometheus. It uses
// OpenTelemetry's exporter, and is a separate module, so that programs without
// it do not get its libraries:
//
//	numbers, err := prometheus.New(prometheus.Config{Node: 1, Groups: []troupe.GroupID{1}})
//	...
//	defer numbers.Close() // after the node
//	http.Handle("/metrics", numbers)
//	troupe.NodeConfig{ID: 1, Meter: numbers.Meter(), MeterGroupHistograms: true, ...}
//
// Every family of package metrics is shown from the start, with 0 if nothing
// has been recorded. The exporter alone shows a histogram only from its first
// value on, so that an alert on something that has never happened finds no
// series.
package prometheus

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	client "github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"
	exporter "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/metric"
	sdk "go.opentelemetry.io/otel/sdk/metric"

	"github.com/trouperaft/troupe/membership"
)

// Config says whose numbers they are.
type Config struct {
	// Node is the id of the node that takes Meter. Required.
	Node membership.NodeID
	// Groups are, on a node with troupe.NodeConfig.MeterGroupHistograms, the groups
	// whose histograms are shown from the start; a group that is not among them shows
	// a histogram from its first value on. Default: none, which is right for any other
	// node: a histogram then begins with series without a group, and is left as the
	// exporter shows it as soon as it has any value.
	Groups []membership.GroupID
	// Registry takes the node's numbers, and is shown whole, with what others
	// have registered there. It stays the caller's. Default: a new one, which has
	// what the Go runtime and the operating system say of the process too.
	Registry *client.Registry
}

// Exposition takes what instruments of OpenTelemetry record, and shows it. Its
// methods are safe for concurrent use.
type Exposition struct {
	provider *sdk.MeterProvider
	gatherer *completed
	handler  http.Handler
}

// New returns the exposition of a node. An error names what is wrong in the
// configuration, or why the registry refuses.
func New(config Config) (*Exposition, error) {
	if config.Node == 0 {
		return nil, errors.New("prometheus: Config.Node is 0: ids begin at 1")
	}
	registry := config.Registry
	if registry == nil {
		registry = client.NewRegistry()
		for _, c := range []client.Collector{collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{})} {
			if err := registry.Register(c); err != nil {
				return nil, fmt.Errorf("prometheus: %w", err)
			}
		}
	}
	reader, err := exporter.New(exporter.WithRegisterer(registry), exporter.WithoutScopeInfo(), exporter.WithoutTargetInfo())
	if err != nil {
		return nil, fmt.Errorf("prometheus: %w", err)
	}
	gatherer := newCompleted(registry, &config)
	return &Exposition{
		provider: sdk.NewMeterProvider(sdk.WithReader(reader)),
		gatherer: gatherer,
		handler:  promhttp.HandlerFor(gatherer, promhttp.HandlerOpts{}),
	}, nil
}

// Meter is for troupe.NodeConfig. Instruments that the application makes with it
// are shown too.
func (e *Exposition) Meter() metric.MeterProvider { return e.provider }

// ServeHTTP answers with all numbers, in the format that the request asks for.
func (e *Exposition) ServeHTTP(w http.ResponseWriter, r *http.Request) { e.handler.ServeHTTP(w, r) }

// Gather implements prometheus.Gatherer of the client library, for a handler of
// the caller's own.
func (e *Exposition) Gather() ([]*dto.MetricFamily, error) { return e.gatherer.Gather() }

// Close ends the exposition, after the node: what was recorded is shown no more.
func (e *Exposition) Close() error { return e.provider.Shutdown(context.Background()) }
