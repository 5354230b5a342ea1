package simulation

import (
	"testing"
	"time"

	"github.com/trouperaft/troupe/actors"
	"github.com/trouperaft/troupe/actors/stage"
	"github.com/trouperaft/troupe/core"
)

// runs lets the node's clock run by so many parts in a thousand too fast from now on.
// What the node has promised ends by that clock too.
func (e *environment) runs(drift int64) {
	promises, id, now := e.life.sim.groups[0].check.promises, e.life.identity(), e.life.sim.clock.now
	left := time.Duration(0)
	p, ok := promises[id]
	if ok {
		left = p.until(e.life).Sub(now) * time.Duration(1000+e.drift) / time.Duration(1000+drift)
	}
	e.base, e.start, e.drift = core.Instant(e.Now()), now, drift
	if ok {
		p.given, p.length = now, left*1000/time.Duration(1000-drift) // what e.real makes left of
		promises[id] = p
	}
}

// calm is a cluster of three without faults, formed, whose clients have stopped.
func calm(t *testing.T, seed uint64, system *stage.System, bound float64, prepare ...func(*sim)) *sim {
	t.Helper()
	s := newSim(seed, Options{Trace: traceWriter(), System: system})
	for _, p := range prepare {
		p(s)
	}
	s.rebuilt(3, func() bool { return true })
	p := &s.plan
	p.driftPercent, p.stall, p.netDelay, p.write = 0, 0, span{20 * microsecond, millisecond}, span{10 * microsecond, millisecond}
	p.slowDisks, p.timeoutsVary, p.beginnings[0] = 0, false, begunByOne
	p.heartbeat = p.election / 10
	p.group.HeartbeatInterval, p.group.ClockDriftMax = p.heartbeat, bound
	for _, n := range s.nodes {
		n.start()
	}
	s.groups[0].begin()
	if !s.until(s.clock.now.Add(s.patience()), s.serves) {
		t.Fatalf("drift %d: the cluster is not formed: %v", seed, s.failure)
	}
	return s
}

// deposing is how a leader is deposed that is asked until it knows of that.
type deposing struct {
	name string
	// bound is that on drift.
	bound float64
	// drift is by how many thousandths the leader's clock is too slow, and the others'
	// too fast.
	drift int64
	// slow is for how many tenths of an election time-out answers to the leader are on
	// their way. Then they still come when it is cut off.
	slow time.Duration
	mode actors.ReadMode
	// stale: some reads are.
	stale bool
}

// run cuts the leader off, and lets it be asked until somebody else has committed
// something. It returns what the checkers found.
func (d *deposing) run(t *testing.T, seed uint64, system *stage.System) *Failure {
	t.Helper()
	s := calm(t, seed, system, d.bound)
	g := s.groups[0]
	deposed := g.leader()
	for _, n := range s.nodes {
		s.fabric.slow[n.id][deposed.node.id] += d.slow * s.plan.election / 10
	}
	s.until(s.clock.now.Add(3*s.plan.election), func() bool { return false })
	if g.leader() != deposed {
		return nil // it went by itself
	}
	for _, n := range s.nodes {
		if n.life == deposed.life {
			n.life.environment.runs(-d.drift)
			continue
		}
		n.life.environment.runs(d.drift)
		s.fabric.block(deposed.node.id, n.id)
		if d.slow == 0 {
			s.fabric.block(n.id, deposed.node.id)
		}
	}
	committed := g.check.committed
	var ask func()
	ask = func() {
		c := g.clients[0]
		c.open++
		c.reads(deposed, &actors.Read{Mode: d.mode, AtLeast: 1}, 0, true, func(*work) { c.over() })
		s.clock.after(s.plan.election/50, deposed.life, ask)
	}
	g.clients[0].stopped = true
	s.clock.after(0, deposed.life, ask)
	s.until(s.clock.now.Add(20*s.plan.election), func() bool {
		return g.check.committed > committed && deposed.status.Role != core.RoleLeader
	})
	if s.failure == nil && g.check.committed == committed {
		t.Errorf("%s: drift %d: nobody took over: %s", d.name, seed, s.summary())
	}
	return s.failure
}

// TestDriftBeyondTheBound: rule 12: where clocks differ by more than the bound, a
// leader that was deposed may answer lease reads that are stale, and the checker sees
// it. Within the bound it does not, and linearizable reads never do.
func TestDriftBeyondTheBound(t *testing.T) {
	seeds := uint64(40)
	if testing.Short() || raceEnabled {
		seeds = 10
	}
	system := stage.NewSystem()
	for _, d := range []deposing{
		{name: "lease, within the bound", bound: 0.1, drift: 50, mode: actors.ReadLease},
		{name: "lease, within a wide bound", bound: 0.41, drift: 250, mode: actors.ReadLease},
		{name: "lease, within the bound, slow answers", bound: 0.1, drift: 50, slow: 6, mode: actors.ReadLease},
		{name: "lease, beyond the bound", bound: 0.1, drift: 500, mode: actors.ReadLease, stale: true},
		{name: "linearizable, beyond the bound", bound: 0.1, drift: 500, mode: actors.ReadLinearizable},
		{name: "up to an index, beyond the bound", bound: 0.1, drift: 500, mode: actors.ReadAtLeast},
	} {
		stale := 0
		for seed := *firstFlag; seed < *firstFlag+seeds; seed++ {
			switch f := d.run(t, seed, system); {
			case f == nil:
			case d.stale && f.Rule == ruleStaleLease:
				stale++
			default:
				t.Errorf("%s: drift %d: %v\nreplay: go test ./internal/simulation -run TestDriftBeyondTheBound -args -first=%d -trace", d.name, seed, f, seed)
			}
		}
		t.Logf("%s: %d of %d clusters had a stale read", d.name, stale, seeds)
		if d.stale && stale < int(seeds)/4 {
			t.Errorf("%s: the checker is blind", d.name)
		}
	}
}
