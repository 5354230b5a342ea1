// Package exposition shows a node's numbers in Prometheus' format.
package exposition

import (
	"context"
	"fmt"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	exporter "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/metric"
	sdk "go.opentelemetry.io/otel/sdk/metric"
)

// Exposition takes what instruments of OpenTelemetry record, and shows it
// together with what the Go runtime says of the process.
type Exposition struct {
	provider *sdk.MeterProvider
	handler  http.Handler
}

// New returns an exposition for a node of one group.
func New(node, group uint64) (*Exposition, error) {
	registry := prometheus.NewRegistry()
	reader, err := exporter.New(exporter.WithRegisterer(registry), exporter.WithoutScopeInfo(), exporter.WithoutTargetInfo())
	if err != nil {
		return nil, fmt.Errorf("exposition: %w", err)
	}
	for _, c := range []prometheus.Collector{collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{})} {
		if err := registry.Register(c); err != nil {
			return nil, fmt.Errorf("exposition: %w", err)
		}
	}
	complete := newCompleted(registry, node, group)
	return &Exposition{
		provider: sdk.NewMeterProvider(sdk.WithReader(reader)),
		handler:  promhttp.HandlerFor(complete, promhttp.HandlerOpts{}),
	}, nil
}

// Meter is for troupe.NodeConfig.
func (e *Exposition) Meter() metric.MeterProvider { return e.provider }

// ServeHTTP answers with all numbers.
func (e *Exposition) ServeHTTP(w http.ResponseWriter, r *http.Request) { e.handler.ServeHTTP(w, r) }

// Close ends the exposition, after the node.
func (e *Exposition) Close() error { return e.provider.Shutdown(context.Background()) }
