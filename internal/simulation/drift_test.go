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
	promises, id, now := e.life.sim.check.promises, e.life.identity(), e.life.sim.clock.now
	if p, ok := promises[id]; ok {
		p.until = now.Add(p.until.Sub(now) * time.Duration(1000+e.drift) / time.Duration(1000+drift))
		promises[id] = p
	}
	e.base, e.start, e.drift = core.Instant(e.Now()), e.life.sim.clock.now, drift
}

// calm is a cluster of three without faults, formed, whose clients have stopped.
func calm(t *testing.T, seed uint64, system *stage.System) *sim {
	t.Helper()
	s := newSim(seed, Options{Trace: traceWriter(), System: system})
	s.rebuilt(3, func() bool { return true })
	p := &s.plan
	p.driftPercent, p.stall, p.netDelay, p.write = 0, 0, span{20 * microsecond, millisecond}, span{10 * microsecond, millisecond}
	p.heartbeat = p.election / 10
	p.group.HeartbeatInterval = p.heartbeat
	for _, n := range s.nodes {
		n.start()
	}
	s.bootstrap()
	if !s.until(s.clock.now.Add(s.patience()), s.serves) {
		t.Fatalf("drift %d: the cluster is not formed: %v", seed, s.check.failure)
	}
	return s
}

// deposedReads cuts the leader off, and lets it be asked until somebody else has
// committed something and the leader knows of that. The leader's clock is so much too
// slow, and the others' so much too fast. It returns what the checkers found.
func deposedReads(t *testing.T, seed uint64, system *stage.System, drift int64, mode actors.ReadMode) *Failure {
	t.Helper()
	s := calm(t, seed, system)
	s.until(s.clock.now.Add(3*s.plan.election), func() bool { return false })
	deposed := s.leader()
	for _, n := range s.nodes {
		if n.life == deposed {
			n.life.environment.runs(-drift)
			continue
		}
		n.life.environment.runs(drift)
		s.fabric.block(n.id, deposed.node.id)
		s.fabric.block(deposed.node.id, n.id)
	}
	committed := s.check.committed
	var ask func()
	ask = func() {
		c := s.clients[0]
		c.open++
		c.reads(deposed, &actors.Read{Mode: mode, AtLeast: 1}, 0, true, func(*work) { c.over() })
		s.clock.after(s.plan.election/50, deposed, ask)
	}
	s.clients[0].stopped = true
	s.clock.after(0, deposed, ask)
	s.until(s.clock.now.Add(20*s.plan.election), func() bool {
		return s.check.committed > committed && deposed.status.Role != core.RoleLeader
	})
	if s.check.failure == nil && s.check.committed == committed {
		t.Errorf("drift %d: nobody took over: %s", seed, s.summary())
	}
	return s.check.failure
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
	for _, test := range []struct {
		name  string
		drift int64 // of either side, in thousandths
		mode  actors.ReadMode
		stale bool
	}{
		{"lease, within the bound", 50, actors.ReadLease, false},
		{"lease, beyond it", 500, actors.ReadLease, true},
		{"linearizable, beyond it", 500, actors.ReadLinearizable, false},
		{"up to an index, beyond it", 500, actors.ReadAtLeast, false},
	} {
		stale := 0
		for seed := *firstFlag; seed < *firstFlag+seeds; seed++ {
			switch f := deposedReads(t, seed, system, test.drift, test.mode); {
			case f == nil:
			case test.stale && f.Rule == ruleStaleLease:
				stale++
			default:
				t.Errorf("%s: drift %d: %v", test.name, seed, f)
			}
		}
		t.Logf("%s: %d of %d clusters had a stale read", test.name, stale, seeds)
		if test.stale && stale < int(seeds)/4 {
			t.Errorf("%s: the checker is blind", test.name)
		}
	}
}
