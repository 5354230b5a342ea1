package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/trouperaft/troupe"

	"github.com/trouperaft/troupe/tracing/otlp"
)

// exporter is where the spans of one node go. It outlives the node's restart.
type exporter struct {
	*otlp.Exporter
	// tracer makes the spans of the program itself, around what it shows.
	tracer trace.Tracer
}

// openExporters makes one for each node.
func openExporters(ctx context.Context, s *settings, w *watcher, stderr io.Writer) ([]*exporter, error) {
	logger := slog.New(slog.NewTextHandler(stderr, nil))
	var all []*exporter
	for i := range nodes {
		id := troupe.NodeID(i + 1)
		sent, err := otlp.Setup(ctx, otlp.Options{Node: id, Ratio: s.ratio, Logger: logger.With(slog.Uint64("node", uint64(id)))})
		if err == nil && sent.TracerProvider == nil {
			err = errors.New("OTEL_SDK_DISABLED or OTEL_TRACES_EXPORTER turns tracing off, so that there is nothing to show")
		}
		if err != nil {
			return nil, errors.Join(err, closeExporters(all, dropLimit))
		}
		e := &exporter{Exporter: sent, tracer: sent.TracerProvider.Tracer("example")}
		e.TracerProvider.RegisterSpanProcessor(nodeSpans{w})
		all = append(all, e)
	}
	return all, nil
}

// closeExporters sends what waits, for as long as limit lasts.
func closeExporters(all []*exporter, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	failures := make([]error, len(all))
	var closing sync.WaitGroup
	for i, e := range all {
		closing.Go(func() { failures[i] = e.Shutdown(ctx) })
	}
	closing.Wait()
	return errors.Join(failures...)
}

const howToStart = `
Start Jaeger, in a container
    docker run --rm -p 127.0.0.1:4317:4317 -p 127.0.0.1:16686:16686 cr.jaegertracing.io/jaegertracing/jaeger:2.15.0
or as a program
    jaeger --config examples/jaeger/jaeger.yaml
or say in OTEL_EXPORTER_OTLP_ENDPOINT where another collector listens. examples/jaeger/README.md says more.`

// collectorError: nobody took the first spans.
type collectorError struct {
	endpoint string
	cause    error
}

func (e *collectorError) Error() string {
	return fmt.Sprintf("no collector takes spans at %s: %v%s", e.endpoint, e.cause, howToStart)
}

func (e *collectorError) Unwrap() error { return e.cause }

// dial fails at once if nobody listens on this machine. An export would be tried
// again for many seconds before it failed. To other machines a proxy may be
// the way.
func dial(ctx context.Context, endpoint string) error {
	address := endpoint
	if u, err := url.Parse(address); err == nil && u.Host != "" {
		address = u.Host
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil || host != "localhost" && !net.ParseIP(host).IsLoopback() {
		return nil
	}
	dialer := net.Dialer{Timeout: time.Second}
	connection, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return &collectorError{endpoint, err}
	}
	return connection.Close()
}

// confirm sends the first spans of all nodes, and fails unless they were taken
// within limit.
func confirm(ctx context.Context, all []*exporter, limit time.Duration) error {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("the first spans were not taken within %v", limit))
	defer cancel()
	for _, e := range all {
		if err := e.Flush(ctx); err != nil {
			return &collectorError{e.Endpoint(), cmp.Or(context.Cause(ctx), err)}
		}
		if e.Dropped() > 0 {
			return &collectorError{e.Endpoint(), errors.New("the first spans were refused, see above")}
		}
	}
	return nil
}

// For how long the end may take: with spans that still wait, and with none that
// anybody would take.
const (
	closeLimit = 5 * time.Second
	dropLimit  = 50 * time.Millisecond
)

// finish exports what is left, and says for each node what became of its spans.
// It fails if some are lost.
func finish(all []*exporter, say func(format string, arguments ...any)) error {
	failed := closeExporters(all, closeLimit)
	var lost uint64
	for i, e := range all {
		dropped := e.Dropped()
		say("node %d: %d spans exported, %d dropped", i+1, e.Exported(), dropped)
		lost += dropped
	}
	if lost > 0 {
		return fmt.Errorf("%d spans are lost, so that traces have gaps: the collector at %s did not take them", lost, all[0].Endpoint())
	}
	return failed
}
