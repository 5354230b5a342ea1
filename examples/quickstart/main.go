// Quickstart runs a cluster of three nodes in one process, each with its own
// database on disk and its own TCP port. It writes, kills the leader, and goes on
// writing with the next one. Then it restarts the killed node from its disk, and
// checks that all three nodes hold every acknowledged write.
//
//	go run ./examples/quickstart [-writes N] [-dir DIR]
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
	"time"
)

func main() {
	if err := command(os.Args[1:]); err != nil && !errors.Is(err, flag.ErrHelp) {
		out := newTeller(os.Stderr)
		fmt.Fprintln(out, "quickstart:", err)
		out.close(time.Second)
		os.Exit(1)
	}
}

func command(arguments []string) error {
	flags := flag.NewFlagSet("quickstart", flag.ContinueOnError)
	writes := flags.Int("writes", 1000, "how many commands to write before the leader is killed, and again after it")
	dir := flags.String("dir", "", "where the nodes keep their data, empty or absent at the start (default a temporary directory, removed at the end)")
	limit := flags.Duration("timeout", 2*time.Minute, "when to give up")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, *limit)
	defer cancel()
	// Whoever reads the story may go away, or read no more: the story goes on. By itself
	// the signal of a broken pipe would end the process.
	signal.Ignore(syscall.SIGPIPE)
	out := newTeller(os.Stdout)
	defer out.close(time.Second)
	return inDirectory(*dir, func(dir string) error { return run(ctx, out, dir, *writes) })
}

// inDirectory calls f with dir, or with a temporary directory that is removed
// afterwards.
func inDirectory(dir string, f func(dir string) error) (err error) {
	if dir != "" {
		return f(dir)
	}
	dir, err = os.MkdirTemp("", "troupe-quickstart-")
	if err != nil {
		return err
	}
	defer func() {
		if removed := os.RemoveAll(dir); err == nil {
			err = removed
		}
	}()
	return f(dir)
}

// run is the whole story. It tells it on out.
func run(ctx context.Context, out io.Writer, dir string, writes int) (err error) {
	if writes < 1 {
		return fmt.Errorf("-writes %d: at least 1", writes)
	}
	begin := time.Now()
	say := func(format string, arguments ...any) {
		fmt.Fprintf(out, "%6.2fs  %s\n", time.Since(begin).Seconds(), fmt.Sprintf(format, arguments...))
	}
	c, err := openCluster(ctx, dir)
	if err != nil {
		return err
	}
	defer func() {
		if closed := c.close(); err == nil {
			err = closed
		}
	}()
	for _, n := range c.nodes {
		say("node %d listens on %s and keeps its data in %s", n.id, n.address, n.dir)
	}
	if err := c.bootstrap(ctx); err != nil {
		return fmt.Errorf("bootstrap: %w", err)
	}
	leader, err := c.leader(ctx)
	if err != nil {
		return err
	}
	say("the cluster is formed, and node %d leads term %d", leader.id, leader.raft.Status().Term)

	w := &writer{cluster: c}
	took, err := w.write(ctx, writes)
	if err != nil {
		return err
	}
	say("%d writes acknowledged in %v", writes, took.Round(time.Millisecond))

	killed := time.Now()
	if err := leader.kill(); err != nil {
		return err
	}
	say("node %d is killed, and hands over to nobody", leader.id)
	if _, err := w.write(ctx, 1); err != nil {
		return err
	}
	outage := time.Since(killed)
	successor, err := c.leader(ctx)
	if err != nil {
		return err
	}
	say("node %d leads term %d: writes were unavailable for %v", successor.id, successor.raft.Status().Term, outage.Round(time.Millisecond))

	took, err = w.write(ctx, writes-1)
	if err != nil {
		return err
	}
	say("%d more writes acknowledged, the last %d of them in %v", writes, writes-1, took.Round(time.Millisecond))

	if err := leader.start(ctx); err != nil {
		return fmt.Errorf("restart of node %d: %w", leader.id, err)
	}
	say("node %d is back, with what its disk holds", leader.id)
	if err := c.compare(ctx, w.acknowledged); err != nil {
		return err
	}
	say("all nodes have the same content")
	if err := c.close(); err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "OK: %d writes acknowledged, %d present on all %d nodes\n", len(w.acknowledged), len(w.acknowledged), len(c.nodes))
	return err
}
