// Bench measures how fast a cluster commits and applies writes. It runs several
// nodes in one process, and clients on the leader. Each client waits until its
// command is committed and applied there. Bench prints one line of JSON.
//
//	go run ./examples/bench -mode mem|disk -clients 256 -payload 16 -seconds 5
//	go run ./examples/bench reads -mode mem|disk -clients 256
//	go run ./examples/bench sweep -peers examples/bench/peers
//	go run ./examples/bench handover -mode mem|disk -clients 16 -rounds 200
//	go run ./examples/bench transfer -bytes 1GiB
//	go run ./examples/bench catchup -bytes 1GiB
//	go run ./examples/bench build -bytes 1GiB
//
// In mode mem the log is kept in memory and messages stay in the process. In
// mode disk every node syncs each batch of its log, and messages go over TCP on
// 127.0.0.1. The module in peers does the same work with other libraries, so
// that they can be compared by turns. guide/bench.md says what the numbers
// mean.
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

// usageError is the caller's mistake, rather than the world's.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func misuse(format string, arguments ...any) error {
	return usageError{fmt.Errorf(format, arguments...)}
}

// command does what the arguments ask for, and returns the exit code. When ctx
// ends it stops early, cleans up and fails.
func command(ctx context.Context, arguments []string, stdout, stderr io.Writer) int {
	err := run(ctx, arguments, stdout, stderr)
	var usage usageError
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return exitOK
	case errors.As(err, &usage):
		fmt.Fprintf(stderr, "bench: %v (-help lists the flags)\n", err)
		return exitUsage
	}
	fmt.Fprintln(stderr, "bench:", err)
	return exitFailed
}

func run(ctx context.Context, arguments []string, stdout, stderr io.Writer) error {
	if len(arguments) > 0 && arguments[0] == "sweep" {
		return sweepCommand(ctx, arguments[1:], stdout, stderr)
	}
	if len(arguments) > 0 && arguments[0] == "reads" {
		return readsCommand(ctx, arguments[1:], stdout, stderr)
	}
	if len(arguments) > 0 && arguments[0] == "handover" {
		return handoverCommand(ctx, arguments[1:], stdout, stderr)
	}
	if len(arguments) > 0 && arguments[0] == "transfer" {
		return transferCommand(ctx, arguments[1:], stdout, stderr)
	}
	if len(arguments) > 0 && arguments[0] == "catchup" {
		return catchupCommand(ctx, arguments[1:], stdout, stderr)
	}
	if len(arguments) > 0 && arguments[0] == "build" {
		return buildCommand(ctx, arguments[1:], stdout, stderr)
	}
	s, err := parseSettings(arguments, stderr)
	if err != nil {
		return err
	}
	return measureAndPrint(ctx, s, stdout, stderr)
}
