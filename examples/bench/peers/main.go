// Peers does the work of the bench beside it with other Go Raft libraries: three
// nodes in one process, and clients on the leader that each wait until their
// command is committed and applied there. It prints one line of JSON.
//
//	go run . -peer hashicorp|etcd|dragonboat -mode mem|disk -clients 256 -payload 16 -seconds 5
//
// In mode mem the log is kept in memory and messages stay in the process; in
// mode disk every node syncs each batch of its log, and messages go over TCP on
// 127.0.0.1. README.md says how each library is set up. It runs on Linux.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

// options are what a run is told by its flags.
type options struct {
	peer, mode, store, dir     string
	clients, payload           int
	readPercent                int
	read                       string
	batch, inflight            int // hashicorp's
	hogs                       int
	warmup, measured           time.Duration
	cpuProfile, memProfilePath string
}

// peer is a library with the stores that it has in mode disk, the first one by
// default; none where there is no choice.
type peer struct {
	start  func(options) (cluster, error)
	stores []string
	// reads are its modes of reads, the first one by default; none if nobody has made
	// them here.
	reads []string
}

// peers are the libraries; the file of each adds it.
var peers = map[string]peer{}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := command(ctx, os.Args[1:])
	stop()
	var usage usageError
	switch {
	case errors.Is(err, flag.ErrHelp):
	case errors.As(err, &usage):
		fmt.Fprintf(os.Stderr, "peers: %v (-help lists the flags)\n", err)
		os.Exit(2)
	case err != nil:
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(1)
	}
}

// usageError is the caller's mistake.
type usageError struct{ error }

func parseOptions(arguments []string) (o options, err error) {
	flags := flag.NewFlagSet("peers", flag.ContinueOnError)
	flags.StringVar(&o.peer, "peer", "hashicorp", "`library`: hashicorp, etcd or dragonboat")
	flags.StringVar(&o.mode, "mode", "mem", "`mode`: mem or disk")
	flags.StringVar(&o.store, "store", "", "log `store` in mode disk; hashicorp: wal (default) or bolt; dragonboat: tan (default) or pebble")
	flags.StringVar(&o.dir, "dir", "", "`directory` in which the data directory is made, and removed at the end (default the system's for temporary files)")
	flags.IntVar(&o.clients, "clients", 256, "clients at a time, on the leader")
	flags.IntVar(&o.payload, "payload", 16, "`bytes` of a command, at least 8")
	flags.IntVar(&o.readPercent, "read-percent", 0, "percentage of the operations that are reads, 0 to 100")
	flags.StringVar(&o.read, "read", "linearizable", "`mode` of the reads: linearizable, or etcd's lease")
	flags.IntVar(&o.batch, "batch", 512, "hashicorp's MaxAppendEntries")
	flags.IntVar(&o.inflight, "inflight", 0, "hashicorp's MaxRPCsInFlight (0: its default)")
	flags.IntVar(&o.hogs, "hogs", 0, "goroutines that compute all the time beside the cluster")
	seconds := flags.Float64("seconds", 5, "`seconds` measured")
	warmup := flags.Float64("warmup", 1, "`seconds` of the same load before that")
	flags.StringVar(&o.cpuProfile, "cpuprofile", "", "`file` for a CPU profile of the measured time")
	flags.StringVar(&o.memProfilePath, "memprofile", "", "`file` for a profile of all allocations")
	if err := flags.Parse(arguments); errors.Is(err, flag.ErrHelp) {
		return o, err
	} else if err != nil {
		return o, usageError{err}
	}
	o.measured, o.warmup = time.Duration(*seconds*float64(time.Second)), time.Duration(*warmup*float64(time.Second))
	misuse := func(format string, arguments ...any) (options, error) {
		return o, usageError{fmt.Errorf(format, arguments...)}
	}
	p, known := peers[o.peer]
	switch {
	case flags.NArg() > 0:
		return misuse("unexpected argument %q", flags.Arg(0))
	case !known:
		return misuse("-peer %q: hashicorp, etcd or dragonboat", o.peer)
	case o.mode != "mem" && o.mode != "disk":
		return misuse("-mode %q: mem or disk", o.mode)
	case o.store != "" && o.mode == "mem":
		return misuse("-store: mode mem has no choice")
	case o.store != "" && !slices.Contains(p.stores, o.store):
		return misuse("-store %q: %s has no such store, only [%s]", o.store, o.peer, strings.Join(p.stores, " "))
	case o.payload < 8 || o.clients < 1 || o.batch < 1 || o.inflight < 0 || o.hogs < 0:
		return misuse("-payload, -clients, -batch, -inflight or -hogs is too small")
	case o.readPercent < 0 || o.readPercent > 100:
		return misuse("-read-percent %d: not between 0 and 100", o.readPercent)
	case o.readPercent > 0 && !slices.Contains(p.reads, o.read):
		return misuse("-read %q: %s has only [%s] here", o.read, o.peer, strings.Join(p.reads, " "))
	case o.measured <= 0 || o.warmup < 0:
		return misuse("-seconds must be more than 0, -warmup at least 0")
	}
	if o.store == "" && o.mode == "disk" && len(p.stores) > 0 {
		o.store = p.stores[0]
	}
	return o, nil
}

// command does one run. Its data is gone afterwards.
func command(ctx context.Context, arguments []string) (err error) {
	o, err := parseOptions(arguments)
	if err != nil {
		return err
	}
	if o.dir, err = os.MkdirTemp(o.dir, "troupe-peers-"); err != nil {
		return fmt.Errorf("-dir: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(o.dir)) }()
	r, err := measure(ctx, o)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(r)
}
