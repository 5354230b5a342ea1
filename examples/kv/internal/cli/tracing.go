package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"

	"go.opentelemetry.io/otel/metric"

	"github.com/trouperaft/troupe"
	"github.com/trouperaft/troupe/tracing/otlp"
)

// traceSettings are the flags of serve for traces.
type traceSettings struct {
	endpoint string
	ratio    float64
	// ratioSet: the flag was given, 0 counts.
	ratioSet bool
}

// tracingVariables turn tracing on without a flag.
var tracingVariables = []string{"OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_TRACES_EXPORTER"}

func (s *traceSettings) on() bool {
	return s.endpoint != "" || slices.ContainsFunc(tracingVariables, func(name string) bool { return strings.TrimSpace(os.Getenv(name)) != "" })
}

func (s *traceSettings) complete() error {
	switch {
	case s.ratioSet && !(s.ratio >= 0 && s.ratio <= 1):
		return fmt.Errorf("--trace-ratio: %v is not from 0 to 1", s.ratio)
	case s.ratioSet && !s.on():
		return errors.New("--trace-ratio: nothing is traced without --otlp")
	}
	return nil
}

// setup connects to the collector. Without tracing the exporter does nothing.
func (s *traceSettings) setup(ctx context.Context, node uint64, meter metric.MeterProvider, logger *slog.Logger) (*otlp.Exporter, error) {
	if !s.on() {
		return &otlp.Exporter{}, nil
	}
	o := otlp.Options{Node: troupe.NodeID(node), Endpoint: s.endpoint, MeterProvider: meter, Logger: logger}
	if s.ratioSet {
		o.Ratio = &s.ratio
	}
	e, err := otlp.Setup(ctx, o)
	if err != nil {
		if s.endpoint != "" && strings.Contains(err.Error(), "Options.Endpoint") {
			return nil, fmt.Errorf("--otlp: %w", err)
		}
		return nil, err
	}
	if e.TracerProvider != nil {
		logger.Info("traces are exported", slog.String("sampler", fmt.Sprint(e.Sampler)))
	}
	return e, nil
}
