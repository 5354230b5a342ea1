package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/trouperaft/troupe"
)

// Catchup measures what is left of the rate of writes while a new node catches up by a
// snapshot.

// besideSettings are the flags of what goes on beside writes, with a snapshot of a size.
type besideSettings struct {
	settings
	rounds    int
	baseAtMin time.Duration // of a stretch with nothing beside the writes
}

const (
	besideCommandMax = 16 << 10
	besideCacheBytes = 1 << 20
)

func besideFlags(s *besideSettings, name, rounds string) (flags *flag.FlagSet, bytes *string) {
	flags = flag.NewFlagSet(name, flag.ContinueOnError)
	bytes = flags.String("bytes", "1GiB", "`size` of the snapshot, with or without KiB, MiB or GiB")
	flags.IntVar(&s.clients, "clients", 16, "clients at a time, on the leader")
	flags.IntVar(&s.payloadBytes, "payload", 16, "`bytes` of a command, at least 8")
	flags.IntVar(&s.rounds, "rounds", 3, rounds)
	flags.StringVar(&s.dir, "dir", "", "`directory` in which the data directory is made, and removed at the end (default the system's for temporary files)")
	return flags, bytes
}

// complete reads the size, checks all settings and fills in those that have no flag.
func (s *besideSettings) complete(bytes string) (err error) {
	if s.machineBytes, err = parseBytes(bytes); err != nil {
		return misuse("-bytes %q: %v", bytes, err)
	}
	switch {
	case s.machineBytes < 1<<10 || s.machineBytes > 1<<40:
		return misuse("-bytes %s: not between 1KiB and 1024GiB", bytes)
	case s.rounds < 1 || s.rounds > 100:
		return misuse("-rounds %d: not between 1 and 100", s.rounds)
	case s.payloadBytes > besideCommandMax:
		return misuse("-payload %d: more than %d", s.payloadBytes, besideCommandMax)
	}
	s.mode, s.nodes, s.groups, s.batch, s.slowFollower, s.measured = "disk", 3, 1, 1, 1, time.Second
	s.read, s.readAt, s.staleness = "linearizable", "leader", time.Second // there are no reads
	s.baseAtMin = time.Second
	return s.settings.complete()
}

// catchupSettings are the flags of bench catchup.
type catchupSettings struct {
	besideSettings
	rate uint64
}

const catchupUsage = `Bench catchup measures what is left of the rate of writes while a new learner catches up
by a snapshot, and prints one line of JSON. Clients on the leader write in a closed loop to
three voters, over TCP on 127.0.0.1 and with synced logs. By turns, for the same time,
nobody catches up, and a new node does: from the call that adds it until it has all.

Flags of a catch-up:
`

func catchupFlags(s *catchupSettings) (flags *flag.FlagSet, bytes, rate *string) {
	flags, bytes = besideFlags(&s.besideSettings, "bench catchup", "new nodes, one after the other; medians are printed")
	rate = flags.String("snapshot-rate", "0", "how many `bytes` of snapshots the leader sends a second, with or without KiB, MiB or GiB; 0 for what the library does by itself")
	return flags, bytes, rate
}

func parseCatchup(arguments []string, out io.Writer) (s catchupSettings, err error) {
	flags, bytes, rate := catchupFlags(&s)
	if err := parse(flags, catchupUsage, arguments, out); err != nil {
		return s, err
	}
	if s.rate, err = parseBytes(*rate); err != nil {
		return s, misuse("-snapshot-rate %q: %v", *rate, err)
	}
	return s, s.complete(*bytes)
}

// catchupResult is the line of JSON.
type catchupResult struct {
	Bytes        uint64  `json:"bytes"`
	SnapshotRate uint64  `json:"snapshot_rate"`
	Clients      int     `json:"clients"`
	PayloadBytes int     `json:"payload"`
	Rounds       int     `json:"rounds"`
	BaseRate     float64 `json:"base_ops_per_sec"`
	Rate         float64 `json:"ops_per_sec"`
	Ratio        float64 `json:"ratio"`
	RatioLeast   float64 `json:"ratio_least"`
	Seconds      float64 `json:"seconds"`
	MiBPerSec    float64 `json:"mib_per_sec"`
	LongestMs    float64 `json:"longest_pause_ms"`
	Errors       uint64  `json:"errors"`
}

func catchupCommand(ctx context.Context, arguments []string, stdout, stderr io.Writer) error {
	s, err := parseCatchup(arguments, stderr)
	if err != nil {
		return err
	}
	r, err := measureCatchups(ctx, &s, stderr)
	if err != nil {
		return err
	}
	return tell(stdout, r, r.Errors, "some writes have failed")
}

// catchupRound is what one newcomer has cost.
type catchupRound struct {
	rate, after float64
	took, gap   time.Duration
}

func measureCatchups(ctx context.Context, s *catchupSettings, stderr io.Writer) (r catchupResult, err error) {
	c, err := openCluster(ctx, &s.settings)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	leader := c.groups[0].rafts[c.groups[0].leader]
	if s.rate > 0 {
		leader.Node().SetSnapshotRate(s.rate)
	}
	w := &writers{stderr: stderr, last: time.Now(), at: leader}
	w.start(c)
	defer w.stop(c)
	if err := pause(ctx, s.baseAtMin); err != nil { // the same load before that
		return r, err
	}
	if err := leader.Wait(ctx, func(s troupe.Status) bool { return s.LogBytes > 2*besideCacheBytes }); err != nil {
		return r, err
	}
	meta, err := leader.Snapshot(ctx)
	if err != nil {
		return r, fmt.Errorf("the snapshot: %w", err)
	}
	if _, err := leader.Purge(ctx, meta.Index); err != nil {
		return r, fmt.Errorf("the purge: %w", err)
	}
	before, err := w.rate(ctx, 5*s.baseAtMin)
	if err != nil {
		return r, err
	}
	bases := []float64{before}
	var rates, ratios, seconds []float64
	for range s.rounds {
		one, err := catchUp(ctx, s, c, w, leader)
		if err != nil {
			return r, fmt.Errorf("the catch-up: %w", err)
		}
		// What else the machine does comes and goes: it is held against the time before and
		// that after it.
		bases, rates, ratios = append(bases, one.after), append(rates, one.rate), append(ratios, 2*one.rate/(before+one.after))
		before = one.after
		seconds = append(seconds, one.took.Seconds())
		r.LongestMs = max(r.LongestMs, float64(one.gap.Microseconds())/1000)
	}
	for _, list := range [][]float64{bases, rates, ratios, seconds} {
		slices.Sort(list)
	}
	r = catchupResult{
		Bytes: s.machineBytes, SnapshotRate: s.rate, Clients: s.clients, PayloadBytes: s.payloadBytes, Rounds: s.rounds,
		BaseRate: median(bases), Rate: median(rates), Ratio: median(ratios), RatioLeast: ratios[0], Seconds: median(seconds),
		LongestMs: r.LongestMs, Errors: w.errors(),
	}
	r.MiBPerSec = float64(s.machineBytes) / (1 << 20) / r.Seconds
	return r, nil
}

// catchUp lets a new node come, and measures the writes until it has all, and then for as
// long without it.
func catchUp(ctx context.Context, s *catchupSettings, c *cluster, w *writers, leader *troupe.Raft) (r catchupRound, err error) {
	raft, err := c.newcomer(ctx)
	if err != nil {
		return r, err
	}
	id := raft.Status().Self
	var with uint64
	r.gap, err = w.until(func() error {
		begun, done := time.Now(), w.done()
		if _, err := leader.ChangeMembers(ctx, []troupe.Change{troupe.AddLearner(id.ID, raft.Node().Address())}); err != nil {
			return err
		}
		wants := leader.Status().Committed
		if err := raft.Wait(ctx, func(s troupe.Status) bool { return s.Applied >= wants }); err != nil {
			return err
		}
		r.took, with = time.Since(begun), w.done()-done
		return nil
	})
	if err != nil {
		return r, err
	}
	r.rate = float64(with) / r.took.Seconds()
	if _, err := leader.ChangeMembers(ctx, []troupe.Change{troupe.Remove(id.ID)}); err != nil {
		return r, err
	}
	raft.Kill()
	r.after, err = w.rate(ctx, max(r.took, s.baseAtMin))
	return r, err
}

// newcomer starts one more node, with nothing.
func (c *cluster) newcomer(ctx context.Context) (*troupe.Raft, error) {
	if err := c.openNode(ctx, troupe.NodeID(len(c.nodes)+1)); err != nil {
		return nil, err
	}
	return c.nodes[len(c.nodes)-1].Start(ctx, troupe.Config{
		Group: 1, StateMachine: &filled{bytes: c.settings.machineBytes}, SnapshotEntries: troupe.Never, SnapshotLogBytes: troupe.Never,
	})
}
