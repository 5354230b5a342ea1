package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"time"
)

// measureAndPrint does one run.
func measureAndPrint(ctx context.Context, s settings, stdout, stderr io.Writer) error {
	r, err := measure(ctx, &s, stderr)
	if err != nil {
		return err
	}
	if err := json.NewEncoder(stdout).Encode(r); err != nil {
		return err
	}
	if !r.Replicated {
		return errors.New("some node did not apply all that was acknowledged")
	}
	return nil
}

// drainLimit is for how long a run waits at its end: for the clients' last
// answers, and for the nodes to apply what the leader has.
const (
	drainLimit      = 10 * time.Second
	earlyDrainLimit = time.Second // of a run that is stopped early
)

// measure opens a cluster, loads it, and closes it again. All its temporary
// files are gone afterwards, also when ctx ends early.
func measure(ctx context.Context, s *settings, stderr io.Writer) (r result, err error) {
	c, err := openCluster(ctx, s)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	l := newLoad(s, c, stderr)
	defer startHogs(s.hogs)()
	l.start()
	defer func() { err = errors.Join(err, l.stop(c)) }()

	terms := c.terms()
	if err := pause(ctx, s.warmup); err != nil {
		return r, err
	}
	var before, after reading
	runtime.ReadMemStats(&before.memory)
	profiles, err := startProfiles(s)
	if err != nil {
		return r, err
	}
	if l.schedule != nil {
		l.schedule.measure(s.measured)
	}
	before.take(l)
	l.phase.Store(measuring)
	if err = pause(ctx, s.measured); err == nil {
		err = l.measuresSomething(ctx, &before)
	}
	if err == nil {
		after.take(l)
		l.phase.Store(stopping)
	}
	if err = errors.Join(err, profiles.stop()); err != nil {
		return r, err
	}
	runtime.ReadMemStats(&after.memory)
	if err := errors.Join(profiles.writeAllocations(), l.stop(c)); err != nil {
		return r, err
	}
	r = l.result(&before, &after)
	r.Replicated = l.replicated(ctx, c)
	c.spans.flush(ctx)
	r.Spans = c.spans.result(c.settings.traceRatio)
	r.TermChanges = c.terms() - terms
	return r, nil
}

// pause waits, and returns an error if ctx ends first.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("stopped early: %w", ctx.Err())
	}
}

// measuresSomething waits, for as long as at the end, until a measured time in which a busy
// machine did next to nothing has something to tell: in a closed loop each client has had
// an operation under way as it began, and then one of each kind; an open loop has done one.
func (l *load) measuresSomething(ctx context.Context, before *reading) error {
	least := 3 * uint64(len(l.clients))
	if l.schedule != nil {
		least = uint64(min(1, l.settings.rate*l.settings.measured.Seconds()))
	}
	percent := l.settings.readPercent
	for limit := time.Now().Add(drainLimit); time.Now().Before(limit); {
		done, reads := l.done.Load()-before.done, l.reads.Load()-before.reads
		each := (percent == 0 || reads > 0) && (percent == 100 || reads < done)
		if done >= least && (each || l.schedule != nil) {
			return nil
		}
		if err := pause(ctx, time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

// reading is what stood on the meters at one end of the measured time.
type reading struct {
	done, reads uint64
	at          time.Time
	taken       usage
	memory      runtime.MemStats // read apart, since that stops the world
}

func (r *reading) take(l *load) {
	r.done, r.reads, r.at, r.taken = l.done.Load(), l.reads.Load(), time.Now(), takenSoFar()
}

// stop lets the clients finish what they have begun, and an open loop what was to
// begin, if that does not take too long; else it closes the cluster, which fails
// it. A load whose measured time is not over is stopped early. It may be called
// again.
func (l *load) stop(c *cluster) error {
	limit := drainLimit
	if l.phase.Swap(stopping) != stopping {
		limit = earlyDrainLimit
		l.abandon()
	}
	finished := make(chan struct{})
	go func() {
		l.running.Wait()
		close(finished)
	}()
	for range 2 {
		select {
		case <-finished:
			return nil
		case <-time.After(limit):
		}
		// What an overloaded open loop has not begun by now is not begun any more.
		l.abandon()
	}
	err := errors.Join(fmt.Errorf("some operations were not answered within %v", limit), c.close())
	<-finished
	return err
}

func (l *load) abandon() {
	if l.schedule != nil {
		l.schedule.abandoned.Store(true)
	}
}

func (l *load) result(before, after *reading) result {
	s := l.settings
	var all, writes, reads, lags distribution
	var unserved uint64
	for _, client := range l.clients {
		writes.merge(&client.writes)
		reads.merge(&client.reads)
		lags.merge(&client.lags)
		unserved += client.unserved
	}
	all.add(&writes)
	all.add(&reads)
	operations, seconds := after.done-before.done, after.at.Sub(before.at).Seconds()
	r := result{
		Peer: "troupe", Store: s.store, Mode: s.mode, Clients: s.clients, PayloadBytes: s.payloadBytes,
		Operations: operations, Seconds: seconds, PerSecond: float64(operations) / seconds,
		P50us: all.quantile(.5), P99us: all.quantile(.99), P999us: all.quantile(.999),
		Errors: l.errors.Load(),

		Nodes: s.nodes, Groups: s.groups, Batch: s.batch, SnapshotEntries: s.snapshotEntries, Hogs: s.hogs, SlowFollower: s.slowFollower,
		GCCycles: after.memory.NumGC - before.memory.NumGC, Go: runtime.Version(), CPUs: runtime.GOMAXPROCS(0),
	}
	if operations > 0 {
		each := 1 / float64(operations)
		r.Allocations = each * float64(after.memory.Mallocs-before.memory.Mallocs)
		r.Bytes = each * float64(after.memory.TotalAlloc-before.memory.TotalAlloc)
		r.CPUus = each * float64((after.taken.cpu - before.taken.cpu).Microseconds())
		r.WaitsPerOp = each * float64(after.taken.waits-before.taken.waits)
	}
	if s.readPercent > 0 {
		n := after.reads - before.reads
		r.Reads = &readResult{
			Mode: s.readMode().String(), At: s.readAt, Percent: s.readPercent, Operations: n, PerSecond: float64(n) / seconds,
			P50us: reads.quantile(.5), P99us: reads.quantile(.99), P999us: reads.quantile(.999),
			WriteP50us: writes.quantile(.5), WriteP99us: writes.quantile(.99), WriteP999us: writes.quantile(.999),
		}
	}
	if s.rate > 0 {
		r.Open = &openResult{Rate: s.rate, LagP50us: lags.quantile(.5), LagP99us: lags.quantile(.99), Unserved: unserved}
	}
	return r
}

// replicated waits until each node has applied as many commands as were
// acknowledged, and reports whether that came to pass.
func (l *load) replicated(ctx context.Context, c *cluster) bool {
	acknowledged := make([]uint64, len(c.groups))
	for _, client := range l.clients {
		acknowledged[client.group] += client.written
	}
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	limit := time.After(drainLimit)
	for {
		behind := false
		for i, g := range c.groups {
			behind = behind || g.applied() < acknowledged[i]
		}
		if !behind {
			return true
		}
		select {
		case <-again.C:
		case <-limit:
			return false
		case <-ctx.Done():
			return false
		}
	}
}
