package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"time"

	"github.com/trouperaft/troupe"
)

// settings are what one run is told by its flags.
type settings struct {
	mode, store, dir string

	nodes, groups   int
	clients         int
	payloadBytes    int
	batch           int
	rate            float64 // operations a second, 0 for a closed loop
	readPercent     int
	read, readAt    string
	staleness       time.Duration
	warmup          time.Duration
	measured        time.Duration
	snapshotEntries uint64 // 0 for never
	traceRatio      float64
	hogs            int
	machineBytes    uint64 // of its snapshots, which hold nothing; 0 for the machine that counts
	slowFollower    int    // by how many times one follower is slower; 1 for as fast

	cpuProfile, memProfile, execTrace string
}

const usageText = `Bench measures how fast a cluster of nodes in one process commits and applies
writes, and prints one line of JSON.

    bench [flags]          one run
    bench reads [flags]    a run for each mode of reads, on the leader and on a follower
    bench sweep [flags]    many runs, a table and plots; see bench sweep -help
    bench handover [flags] how long a hand-over interrupts writes; see bench handover -help
    bench transfer [flags] how fast a snapshot moves; see bench transfer -help
    bench catchup [flags]  what is left of the writes beside one; see bench catchup -help
    bench build [flags]    what writes wait for beside a snapshot; see bench build -help

Flags of a run:
`

// runFlags are the flags of one run, which fill s in.
func runFlags(s *settings) (flags *flag.FlagSet, seconds, warmup *float64) {
	flags = flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.StringVar(&s.mode, "mode", "mem", "`mem`: messages stay in the process; disk: TCP on 127.0.0.1")
	flags.StringVar(&s.store, "store", "", "log store, `memory` or badger, whose writes are synced (default memory in mode mem, badger in mode disk)")
	flags.StringVar(&s.dir, "dir", "", "`directory` in which the data directory is made, and removed at the end (default the system's for temporary files)")
	flags.IntVar(&s.nodes, "nodes", 3, "voters: 1, 3 or 5")
	flags.IntVar(&s.groups, "groups", 1, "Raft groups on these nodes; clients and leaders are spread over them evenly")
	flags.IntVar(&s.clients, "clients", 256, "clients at a time, on the leader")
	flags.IntVar(&s.payloadBytes, "payload", 16, "`bytes` of a command, at least 8")
	flags.IntVar(&s.batch, "propose-batch", 1, "proposals that each client has under way at once; it waits for all of them before it begins the next")
	flags.Float64Var(&s.rate, "rate", 0, "open loop: operations a second, of all clients together, on a fixed schedule; latency counts from the time that the schedule says (default 0: a closed loop)")
	flags.IntVar(&s.readPercent, "read-percent", 0, "percentage of the operations that are reads, 0 to 100")
	flags.StringVar(&s.read, "read", "linearizable", "`mode` of the reads: linearizable, lease or stale")
	flags.StringVar(&s.readAt, "read-at", "leader", "`member` whose machine is read: leader or follower")
	flags.DurationVar(&s.staleness, "max-staleness", 100*time.Millisecond, "how `old` the state of a stale read may be")
	seconds = flags.Float64("seconds", 5, "`seconds` measured, and up to 10 more where too little was done in them to tell anything")
	warmup = flags.Float64("warmup", 1, "`seconds` of the same load before that")
	flags.Uint64Var(&s.snapshotEntries, "snapshots", 0, "a snapshot after so many `entries`; 0: none, as with the peers")
	flags.Float64Var(&s.traceRatio, "trace-ratio", 0, "part of the writes that is traced, 0 to 1, and exported to a collector on loopback or where OTEL_EXPORTER_OTLP_ENDPOINT says")
	flags.IntVar(&s.hogs, "hogs", 0, "goroutines that compute all the time beside the cluster")
	flags.IntVar(&s.slowFollower, "slow-follower", 1, "by how many `times` the disk and the state machine of one follower are slower than the others'")
	flags.StringVar(&s.cpuProfile, "cpuprofile", "", "`file` for a CPU profile of the measured time")
	flags.StringVar(&s.memProfile, "memprofile", "", "`file` for a profile of all allocations")
	flags.StringVar(&s.execTrace, "exectrace", "", "`file` for an execution trace of the measured time (go tool trace)")
	return flags, seconds, warmup
}

// parseSettings reads the flags of a run. Its error is a usageError, or
// flag.ErrHelp when the usage was asked for and has been written to out.
func parseSettings(arguments []string, out io.Writer) (settings, error) {
	var s settings
	flags, seconds, warmup := runFlags(&s)
	if err := parse(flags, usageText, arguments, out); err != nil {
		return s, err
	}
	for _, f := range []struct {
		name  string
		value float64
		to    *time.Duration
	}{{"seconds", *seconds, &s.measured}, {"warmup", *warmup, &s.warmup}} {
		if !(f.value >= 0 && f.value <= 86400) {
			return s, misuse("-%s %v: not between 0 and 86400", f.name, f.value)
		}
		*f.to = time.Duration(f.value * float64(time.Second))
	}
	return s, s.complete()
}

// parse lets flags read the arguments, none of which may be left over.
func parse(flags *flag.FlagSet, usage string, arguments []string, out io.Writer) error {
	flags.SetOutput(io.Discard) // errors are reported once, by the caller
	flags.Usage = func() {}
	err := flags.Parse(arguments)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(out, usage)
		flags.SetOutput(out)
		flags.PrintDefaults()
		return err
	case err != nil:
		return usageError{err}
	case flags.NArg() > 0:
		return misuse("unexpected argument %q", flags.Arg(0))
	}
	return nil
}

// readMode is the mode of the reads.
func (s *settings) readMode() troupe.ReadMode {
	switch s.read {
	case "lease":
		return troupe.Lease
	case "stale":
		return troupe.Stale(s.staleness)
	}
	return troupe.Linearizable
}

const (
	payloadBytesMin = 8 // a command begins with its client and number
	payloadBytesMax = 4 << 20
	clientsMax      = 1 << 16
	hogsMax         = 1 << 10
	slowMax         = 10_000
)

// complete fills in what follows from other settings, and checks all of them.
func (s *settings) complete() error {
	if s.store == "" {
		s.store = map[string]string{"mem": "memory", "disk": "badger"}[s.mode]
	}
	switch {
	case s.mode != "mem" && s.mode != "disk":
		return misuse("-mode %q: mem or disk", s.mode)
	case s.store != "memory" && s.store != "badger":
		return misuse("-store %q: memory or badger", s.store)
	case s.nodes != 1 && s.nodes != 3 && s.nodes != 5:
		return misuse("-nodes %d: 1, 3 or 5", s.nodes)
	case s.groups < 1 || s.groups > 10_000:
		return misuse("-groups %d: not between 1 and 10000", s.groups)
	case s.clients < 1 || s.clients > clientsMax:
		return misuse("-clients %d: not between 1 and %d", s.clients, clientsMax)
	case s.clients < s.groups:
		return misuse("-clients %d: fewer than -groups %d, so that some group had no client", s.clients, s.groups)
	case s.payloadBytes < payloadBytesMin || s.payloadBytes > payloadBytesMax:
		return misuse("-payload %d: not between %d and %d", s.payloadBytes, payloadBytesMin, payloadBytesMax)
	case s.batch < 1 || s.batch > clientsMax/s.clients:
		return misuse("-propose-batch %d: not between 1 and %d for %d clients", s.batch, clientsMax/s.clients, s.clients)
	case !(s.rate >= 0 && s.rate <= 1e9):
		return misuse("-rate %v: not between 0 and 1e9", s.rate)
	case s.rate > 0 && s.batch > 1:
		return misuse("-rate and -propose-batch: an open loop begins each operation at its own time")
	case s.readPercent < 0 || s.readPercent > 100:
		return misuse("-read-percent %d: not between 0 and 100", s.readPercent)
	case s.readPercent > 0 && s.batch > 1:
		return misuse("-read-percent and -propose-batch: a batch has writes only")
	case s.read != "linearizable" && s.read != "lease" && s.read != "stale":
		return misuse("-read %q: linearizable, lease or stale", s.read)
	case s.readAt != "leader" && s.readAt != "follower":
		return misuse("-read-at %q: leader or follower", s.readAt)
	case s.readAt == "follower" && s.nodes == 1:
		return misuse("-read-at follower: one node has none")
	case s.staleness <= 0 || s.staleness > 24*time.Hour:
		return misuse("-max-staleness %v: not between 0 and 24h", s.staleness)
	case s.measured <= 0:
		return misuse("-seconds: must be more than 0")
	case !(s.traceRatio >= 0 && s.traceRatio <= 1):
		return misuse("-trace-ratio %v: not between 0 and 1", s.traceRatio)
	case s.hogs < 0 || s.hogs > hogsMax:
		return misuse("-hogs %d: not between 0 and %d", s.hogs, hogsMax)
	case s.slowFollower < 1 || s.slowFollower > slowMax:
		return misuse("-slow-follower %d: not between 1 and %d", s.slowFollower, slowMax)
	case s.slowFollower > 1 && (s.nodes == 1 || s.groups > 1):
		return misuse("-slow-follower: needs three nodes or five, and one group, so that one node follows in all of them")
	case s.slowFollower > 1 && s.readAt == "follower" && s.readPercent > 0:
		return misuse("-slow-follower and -read-at follower: some clients would read nothing but its slowness")
	case s.snapshotEntries == troupe.Never:
		return misuse("-snapshots %d: 0 stands for never", s.snapshotEntries)
	}
	return nil
}
