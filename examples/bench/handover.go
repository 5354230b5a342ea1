package main

import (
	"cmp"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/trouperaft/troupe"
)

// Handover measures for how long writes are interrupted while the leadership is
// handed over under load.

// handoverSettings are the flags of bench handover.
type handoverSettings struct {
	settings
	rounds int
	window time.Duration
}

// handoverSnapshotEntries is after how many entries a snapshot is made. Without any the
// logs of some minutes in memory take all the memory that there is.
const handoverSnapshotEntries = 1_000_000

const handoverUsage = `Bench handover measures for how long writes are interrupted by a planned hand-over of
the leadership, and prints one line of JSON. Clients on all nodes write in a closed
loop. Each round hands over to the next node.

Flags of a hand-over:
`

func handoverFlags(s *handoverSettings) (flags *flag.FlagSet, window *float64) {
	flags = flag.NewFlagSet("bench handover", flag.ContinueOnError)
	flags.StringVar(&s.mode, "mode", "mem", "`mem`: messages stay in the process; disk: TCP on 127.0.0.1")
	flags.StringVar(&s.store, "store", "", "log store, `memory` or badger, whose writes are synced (default memory in mode mem, badger in mode disk)")
	flags.StringVar(&s.dir, "dir", "", "`directory` in which the data directory is made, and removed at the end (default the system's for temporary files)")
	flags.IntVar(&s.nodes, "nodes", 3, "voters: 3 or 5")
	flags.IntVar(&s.clients, "clients", 16, "clients at a time, on all nodes")
	flags.IntVar(&s.payloadBytes, "payload", 16, "`bytes` of a command, at least 8")
	flags.IntVar(&s.rounds, "rounds", 200, "hand-overs, and as many windows without one")
	window = flags.Float64("window", 1, "`seconds` for which each round is watched")
	return flags, window
}

func parseHandover(arguments []string, out io.Writer) (s handoverSettings, err error) {
	flags, window := handoverFlags(&s)
	if err := parse(flags, handoverUsage, arguments, out); err != nil {
		return s, err
	}
	switch {
	case s.nodes == 1:
		return s, misuse("-nodes 1: there is nobody to hand over to")
	case s.rounds < 1 || s.rounds > 1_000_000:
		return s, misuse("-rounds %d: not between 1 and 1000000", s.rounds)
	case !(*window >= 0.01 && *window <= 3600):
		return s, misuse("-window %v: not between 0.01 and 3600", *window)
	}
	s.window = time.Duration(*window * float64(time.Second))
	s.groups, s.batch, s.slowFollower, s.measured = 1, 1, 1, time.Second
	s.snapshotEntries = handoverSnapshotEntries
	s.read, s.readAt, s.staleness = "linearizable", "leader", time.Second // there are no reads
	return s, s.complete()
}

// handoverResult is the line of JSON.
type handoverResult struct {
	Mode         string  `json:"mode"`
	Store        string  `json:"store"`
	Nodes        int     `json:"nodes"`
	Clients      int     `json:"clients"`
	PayloadBytes int     `json:"payload"`
	Rounds       int     `json:"rounds"`
	P50ms        float64 `json:"p50_ms"`
	P99ms        float64 `json:"p99_ms"`
	MaxMs        float64 `json:"max_ms"`
	BaseP50ms    float64 `json:"base_p50_ms"`
	BaseP99ms    float64 `json:"base_p99_ms"`
	TransferP50  float64 `json:"transfer_p50_ms"`
	TransferP99  float64 `json:"transfer_p99_ms"`
	Errors       uint64  `json:"errors"`
	PerSecond    float64 `json:"ops_per_sec"`
}

func handoverCommand(ctx context.Context, arguments []string, stdout, stderr io.Writer) error {
	s, err := parseHandover(arguments, stderr)
	if err != nil {
		return err
	}
	r, err := measureHandovers(ctx, &s, stderr)
	if err != nil {
		return err
	}
	return tell(stdout, r, r.Errors, "some writes or hand-overs have failed")
}

// tell prints a result as its line of JSON. It fails if anything has that was measured.
func tell(stdout io.Writer, result any, failures uint64, failed string) error {
	if err := json.NewEncoder(stdout).Encode(result); err != nil {
		return err
	}
	if failures > 0 {
		return errors.New(failed)
	}
	return nil
}

func measureHandovers(ctx context.Context, s *handoverSettings, stderr io.Writer) (r handoverResult, err error) {
	c, err := openCluster(ctx, &s.settings)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	w := &writers{stderr: stderr, last: time.Now()}
	w.start(c)
	defer w.stop(c)
	if err := pause(ctx, s.window); err != nil { // the same load before that
		return r, err
	}
	var base, gaps, transfers []time.Duration
	for range s.rounds {
		gap, err := w.watch(ctx, s.window, nil)
		if err != nil {
			return r, err
		}
		base = append(base, gap)
	}
	g := c.groups[0]
	done, failed, begun := w.done(), w.errors(), time.Now()
	for range s.rounds {
		var took time.Duration
		gap, err := w.watch(ctx, s.window, func() error {
			from := g.rafts[g.leader]
			g.leader = (g.leader + 1) % len(g.rafts)
			begun := time.Now()
			err := from.TransferLeadership(ctx, troupe.NodeID(g.leader+1))
			took = time.Since(begun)
			return err
		})
		if err != nil {
			return r, err
		}
		gaps, transfers = append(gaps, gap), append(transfers, took)
		if err := g.findLeader(ctx); err != nil {
			return r, err
		}
	}
	r = handoverResult{
		Mode: s.mode, Store: s.store, Nodes: s.nodes, Clients: s.clients, PayloadBytes: s.payloadBytes, Rounds: s.rounds,
		Errors: w.errors() - failed, PerSecond: float64(w.done()-done) / time.Since(begun).Seconds(),
	}
	for _, list := range [][]time.Duration{gaps, base, transfers} {
		slices.Sort(list)
	}
	r.P50ms, r.P99ms, r.MaxMs = quantileMs(gaps, .5), quantileMs(gaps, .99), quantileMs(gaps, 1)
	r.BaseP50ms, r.BaseP99ms = quantileMs(base, .5), quantileMs(base, .99)
	r.TransferP50, r.TransferP99 = quantileMs(transfers, .5), quantileMs(transfers, .99)
	return r, nil
}

// quantileMs returns the duration, in milliseconds, below which the part q of a sorted
// list lies, the last for 1.
func quantileMs(sorted []time.Duration, q float64) float64 {
	i := min(int(q*float64(len(sorted))), len(sorted)-1)
	return float64(sorted[i].Microseconds()) / 1000
}

// writers are the clients. They watch the gaps between acknowledgements, over all of
// them.
type writers struct {
	stderr  io.Writer
	running sync.WaitGroup
	// at is where all of them write, nil if on all nodes.
	at *troupe.Raft
	// stretch is what takes the latencies of the writes that begin now, nil if nothing does.
	stretch atomic.Pointer[stretch]

	mu           sync.Mutex
	stopping     bool
	last         time.Time // of an acknowledgement, or of the beginning of a window
	longest      time.Duration
	acknowledged uint64
	failures     uint64
}

func (w *writers) start(c *cluster) {
	for i := range c.settings.clients {
		raft := cmp.Or(w.at, c.groups[0].rafts[i%len(c.nodes)])
		w.running.Go(func() {
			for n := uint32(0); ; n++ {
				command := make([]byte, c.settings.payloadBytes)
				binary.LittleEndian.PutUint64(command, uint64(i)<<32|uint64(n))
				in, begun := w.stretch.Load(), time.Now()
				_, err := raft.Propose(context.Background(), command, shared...)
				if w.acknowledge(err, in, begun) {
					return
				}
			}
		})
	}
}

// acknowledge notes an answer to a write of a stretch, and reports whether the clients are
// to end.
func (w *writers) acknowledge(err error, in *stretch, begun time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil {
		if !w.stopping {
			w.fail("propose", err)
		}
		return w.stopping || errors.Is(err, troupe.ErrStopped)
	}
	now := time.Now()
	if in != nil {
		in.latencies.add(now.Sub(begun))
	}
	w.longest = max(w.longest, now.Sub(w.last))
	w.last = now
	w.acknowledged++
	return w.stopping
}

// fail counts an error, and tells the first few. The lock is held.
func (w *writers) fail(what string, err error) {
	if w.failures++; w.failures < 4 {
		fmt.Fprintf(w.stderr, "%s: %v\n", what, err)
	}
}

// until returns the longest gap between acknowledgements while do is called.
func (w *writers) until(do func() error) (time.Duration, error) {
	w.mu.Lock()
	w.last, w.longest = time.Now(), 0
	w.mu.Unlock()
	err := do()
	w.mu.Lock()
	defer w.mu.Unlock()
	return max(w.longest, time.Since(w.last)), err
}

// watch returns the longest gap between acknowledgements within a window that begins
// with the call of do.
func (w *writers) watch(ctx context.Context, window time.Duration, do func() error) (time.Duration, error) {
	end := time.Now().Add(window)
	return w.until(func() error {
		if do != nil {
			if err := do(); err != nil {
				w.mu.Lock()
				w.fail("hand over", err)
				w.mu.Unlock()
			}
		}
		return pause(ctx, time.Until(end))
	})
}

// rate is how many writes a second are acknowledged for a time.
func (w *writers) rate(ctx context.Context, d time.Duration) (float64, error) {
	begun, done := time.Now(), w.done()
	if err := pause(ctx, d); err != nil {
		return 0, err
	}
	return float64(w.done()-done) / time.Since(begun).Seconds(), nil
}

func (w *writers) done() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.acknowledged
}

func (w *writers) errors() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.failures
}

// stop ends the clients: the cluster that is closed answers those that wait.
func (w *writers) stop(c *cluster) {
	w.mu.Lock()
	w.stopping = true
	w.mu.Unlock()
	_ = c.close() // its error is told by who opened it
	w.running.Wait()
}
