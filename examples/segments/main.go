// Segments runs a cluster of three nodes in one process, whose state machine keeps its state
// in append-only files. While a node is away a few of a thousand files change. When it comes
// back it needs a snapshot, and is sent little more than what has changed, while the leader
// goes on to write, compact and remove files.
//
//	go run ./examples/segments [-segments N] [-dir DIR]
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"

	"github.com/trouperaft/troupe"
)

func main() {
	if err := command(os.Args[1:], os.Stdout); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "segments:", err)
		os.Exit(1)
	}
}

func command(arguments []string, out io.Writer) (err error) {
	flags := flag.NewFlagSet("segments", flag.ContinueOnError)
	segments := flags.Int("segments", 1000, "how many files the state machine has, at least 20")
	dir := flags.String("dir", "", "where the nodes keep their data, empty or absent at the start (default a temporary directory, removed at the end)")
	limit := flags.Duration("timeout", 5*time.Minute, "when to give up")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	if flags.NArg() > 0 || *segments < 20 {
		return fmt.Errorf("unexpected argument %q, or fewer than 20 segments", flags.Arg(0))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, *limit)
	defer cancel()
	if *dir == "" {
		if *dir, err = os.MkdirTemp("", "troupe-segments-"); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(*dir)) }()
	}
	_, err = run(ctx, out, *dir, *segments)
	return err
}

// report is what a run has seen.
type report struct {
	// segments are the leader's files when the snapshot was made; changed is how many have
	// come and gone since the follower went, and removed how many the leader removed while it
	// sent.
	segments, changed, removed int
	// bytes is the size of the snapshot, and sent how much of it was.
	bytes, sent int64
}

const (
	// segmentBytes is how long a file becomes, valueBytes a value: four are in a file.
	segmentBytes = 16 << 10
	valueBytes   = segmentBytes / 4
	perSegment   = 4
	// rewritten is how many files lose all that lives in them, so that as many are new.
	rewritten = 5
)

// values are those of a round of writing: no two are alike.
func values(round int) func(key int) []byte {
	return func(key int) []byte {
		return bytes.Repeat(fmt.Appendf(nil, "%07d-%07d/", key, round), valueBytes/16)
	}
}

// run is the whole story. It tells it on out.
func run(ctx context.Context, out io.Writer, dir string, segments int) (r report, err error) {
	begin := time.Now()
	say := func(format string, arguments ...any) {
		fmt.Fprintf(out, "%6.2fs  %s\n", time.Since(begin).Seconds(), fmt.Sprintf(format, arguments...))
	}
	c, err := openCluster(ctx, dir, segmentBytes)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	leader, err := c.leader(ctx)
	if err != nil {
		return r, err
	}
	follower := c.nodes[int(leader.id)%nodes]
	keys := (segments + 1) * perSegment
	if err := write(ctx, leader, 0, keys, values(1)); err != nil {
		return r, err
	}
	if _, err := follower.raft.ReadIndex(ctx, troupe.Linearizable); err != nil {
		return r, err
	}
	before, _ := follower.machine.figures()
	say("all nodes have %d files", before)

	if err := follower.kill(); err != nil {
		return r, err
	}
	if err := write(ctx, leader, 0, rewritten*perSegment, values(2)); err != nil {
		return r, err
	}
	// On both that are there: another may lead by then.
	var meta troupe.SnapshotMeta
	for _, n := range c.nodes {
		if n != follower {
			if _, err := n.raft.ReadIndex(ctx, troupe.Linearizable); err != nil {
				return r, err
			}
			if meta, err = n.raft.Snapshot(ctx); err != nil {
				return r, err
			}
		}
	}
	r.bytes = int64(meta.SizeBytes)
	var gone int
	r.segments, gone = leader.machine.figures()
	made := r.segments - before + gone
	r.changed = made + gone
	say("node %d is away: of its files %d are gone, and %d are new, in a snapshot of %d bytes", follower.id, gone, made, r.bytes)

	if err := follower.start(ctx); err != nil {
		return r, err
	}
	if err := writeUntilThere(ctx, leader, follower, meta.Index); err != nil {
		return r, err
	}
	_, removed := leader.machine.figures()
	r.removed = removed - gone
	for _, n := range c.nodes {
		r.sent += n.sent.Load()
	}
	say("node %d is back: %d bytes were sent, %.1f %% of the snapshot, while the leader removed %d files more", follower.id, r.sent, 100*float64(r.sent)/float64(r.bytes), r.removed)
	if err := compare(ctx, c, keys); err != nil {
		return r, err
	}
	fmt.Fprintln(out, "OK: all nodes have the same content")
	return r, nil
}

// writeUntilThere writes through the leader until the follower has the snapshot.
func writeUntilThere(ctx context.Context, leader, follower *node, index troupe.Index) error {
	there := make(chan error, 1)
	go func() {
		there <- follower.raft.Wait(ctx, func(s troupe.Status) bool { return s.Applied >= index })
	}()
	for round := 3; ; round++ {
		select {
		case err := <-there:
			return err
		default:
		}
		first := round * rewritten * perSegment
		if err := write(ctx, leader, first, first+perSegment, values(round)); err != nil {
			return err
		}
	}
}

// compare waits until all have applied all, and compares what they hold.
func compare(ctx context.Context, c *cluster, keys int) error {
	for _, n := range c.nodes {
		if _, err := n.raft.ReadIndex(ctx, troupe.Linearizable); err != nil {
			return fmt.Errorf("node %d does not catch up: %w", n.id, err)
		}
	}
	for key := range keys {
		want, _, err := c.nodes[0].machine.Get(keyName(key))
		if err != nil {
			return err
		}
		for _, n := range c.nodes[1:] {
			got, there, err := n.machine.Get(keyName(key))
			if err != nil {
				return err
			}
			if !there || !bytes.Equal(got, want) {
				return fmt.Errorf("node %d has another value of %s", n.id, keyName(key))
			}
		}
	}
	return nil
}
