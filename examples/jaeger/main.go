// Jaeger shows what troupe's traces look like. It runs a cluster of three nodes
// in one process, each with its own database on disk, its own TCP port and its
// own exporter of spans, under a light load. It writes, reads, lets a snapshot
// be made, kills the leader and starts it again. For each of these it prints
// which trace shows it, with a link to Jaeger's UI.
//
//	go run ./examples/jaeger [-seconds S] [-rate R] [-trace-ratio P] [-ui URL]
//
// Spans are sent by OTLP to OTEL_EXPORTER_OTLP_ENDPOINT, by default
// 127.0.0.1:4317. README.md says how to start a Jaeger that listens there.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// What the process exits with.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := command(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// command does what the arguments ask for, and returns the exit code. When ctx
// ends it stops early, cleans up and fails.
func command(ctx context.Context, arguments []string, stdout, stderr io.Writer) int {
	s, err := parseSettings(arguments, stderr)
	if err == nil {
		err = run(ctx, s, stdout, stderr)
	}
	var usage usageError
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return exitOK
	case errors.As(err, &usage):
		fmt.Fprintf(stderr, "jaeger: %v (-help lists the flags)\n", err)
		return exitUsage
	case ctx.Err() != nil:
		fmt.Fprintln(stderr, "jaeger: interrupted; what had ended by then was exported")
		return exitFailed
	}
	fmt.Fprintln(stderr, "jaeger:", err)
	return exitFailed
}
