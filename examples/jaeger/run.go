package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// run is the whole program. It tells what it does on stdout.
func run(ctx context.Context, s settings, stdout, stderr io.Writer) (err error) {
	begin := time.Now()
	say := func(format string, arguments ...any) {
		fmt.Fprintf(stdout, "%6.2fs  %s\n", time.Since(begin).Seconds(), fmt.Sprintf(format, arguments...))
	}
	w := newWatcher()
	exporters, err := openExporters(ctx, &s, w, stderr)
	if err != nil {
		return usageError{err}
	}
	if err := dial(ctx, exporters[0].Endpoint()); err != nil {
		return errors.Join(err, closeExporters(exporters, dropLimit))
	}
	dir, err := os.MkdirTemp(s.dir, "troupe-jaeger-")
	if err != nil {
		return errors.Join(err, closeExporters(exporters, dropLimit))
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()

	c, err := openCluster(ctx, &s, dir, exporters)
	if err != nil {
		return errors.Join(err, closeExporters(exporters, closeLimit))
	}
	// What the nodes read at their start are the first spans.
	if err := confirm(ctx, exporters, s.answerLimit); err != nil {
		err = errors.Join(err, c.close())
		_ = closeExporters(exporters, dropLimit) // it would say the same again
		return err
	}
	say("spans go to %s; of the load are traced: %v", exporters[0].Endpoint(), exporters[0].Sampler)
	if name := os.Getenv("OTEL_SERVICE_NAME"); name != "" {
		say("OTEL_SERVICE_NAME is set: all nodes are the service %q, and raft.node tells them apart", name)
	}
	for _, n := range c.nodes {
		say("node %d listens on %s and keeps its data in %s", n.id, n.address, n.dir)
	}

	t := &tour{settings: s, cluster: c, watcher: w, say: say}
	err = t.walk(ctx)
	// Spans that are still open end with their node, and are exported then.
	err = errors.Join(err, c.close())
	return errors.Join(err, finish(exporters, say))
}
