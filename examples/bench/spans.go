package main

import (
	"context"
	"log/slog"
	"os"
	"time"

	"github.com/trouperaft/troupe"
	"github.com/trouperaft/troupe/tracing"
	"github.com/trouperaft/troupe/tracing/otlp"
)

// spans are the exporters of the nodes of a traced run: to a collector on
// loopback, unless OTEL_EXPORTER_OTLP_ENDPOINT names another.
type spans struct{ exporters []*otlp.Exporter }

// spansResult says what became of the spans.
type spansResult struct {
	Ratio   float64 `json:"ratio"`
	Dropped uint64  `json:"dropped"`
}

// node sets up a node's exporter. Without tracing it sets up nothing.
func (s *spans) node(ctx context.Context, id troupe.NodeID, ratio float64) (tracing.Config, error) {
	if ratio == 0 {
		return tracing.Config{}, nil
	}
	logger := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	e, err := otlp.Setup(ctx, otlp.Options{Node: id, Ratio: &ratio, Logger: logger})
	if err != nil {
		return tracing.Config{}, err
	}
	s.exporters = append(s.exporters, e)
	return e.Tracing(), nil
}

// result is nil for a run that was not traced.
func (s *spans) result(ratio float64) *spansResult {
	if len(s.exporters) == 0 {
		return nil
	}
	r := &spansResult{Ratio: ratio}
	for _, e := range s.exporters {
		r.Dropped += e.Dropped()
	}
	return r
}

// flushLimit is for how long the last spans may hold up the end of a run.
const flushLimit = 2 * time.Second

func (s *spans) flush(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, flushLimit)
	defer cancel()
	for _, e := range s.exporters {
		_ = e.Flush(ctx) // what could not be sent is counted
	}
}

func (s *spans) close() {
	ctx, cancel := context.WithTimeout(context.Background(), flushLimit)
	defer cancel()
	for _, e := range s.exporters {
		_ = e.Shutdown(ctx) // as above
	}
}
