package simulation

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// rebuilt gives a simulation of one group other nodes, with empty directories.
func (s *sim) rebuilt(nodes int, volatile func() bool) {
	s.plan.groups, s.groups = 1, s.groups[:1]
	s.plan.nodes, s.plan.volatile = nodes, nil
	s.plan.changes, s.plan.founders = false, nodes
	for range nodes {
		s.plan.volatile = append(s.plan.volatile, volatile())
	}
	s.newNodes()
}

// longPromise is a cluster that once had a long election time-out, by mistake,
// and is then started again and again with a short one.
type longPromise struct {
	*sim
	rand        *rand.Rand
	long, short time.Duration
	lives       int
}

func newLongPromise(seed uint64) *longPromise {
	p := &longPromise{rand: rand.New(rand.NewPCG(seed, 13))}
	r := p.rand
	p.long = pick(r, 3_000*millisecond, 12_000*millisecond, time.Minute)
	p.short = pick(r, 100*millisecond, 300*millisecond)
	p.sim = newSim(seed, Options{Trace: traceWriter()})
	s := p.sim
	s.rebuilt(pick(r, 2, 3, 3), func() bool { return chance(r, 50) })
	s.plan.timeoutsVary, s.plan.slowDisks = false, 0
	s.plan.heartbeat, s.plan.hung = p.short/5, 2*p.long
	s.plan.group.HeartbeatInterval, s.plan.group.HungLimit = s.plan.heartbeat, s.plan.hung
	s.plan.write = span{10 * microsecond, 5 * millisecond}
	s.plan.netDelay = span{20 * microsecond, 2 * millisecond}
	return p
}

// live starts all nodes with an election time-out.
func (p *longPromise) live(election time.Duration) {
	p.sim.plan.election = election
	for _, n := range p.sim.nodes {
		n.start()
	}
	p.lives++
}

func (p *longPromise) passes(d time.Duration) {
	over := false
	p.sim.clock.after(d, nil, func() { over = true }) // with nobody alive nothing else happens
	p.sim.until(p.sim.clock.now.Add(d+1), func() bool { return over })
}

// crash ends all nodes, and lets a little time pass.
func (p *longPromise) crash() {
	for _, n := range p.sim.nodes {
		n.life.crash()
	}
	p.passes(span{0, p.short}.draw(p.rand))
}

// left is the longest promise that a disk knows of.
func (p *longPromise) left() time.Duration {
	var longest time.Duration
	for _, n := range p.sim.nodes {
		longest = max(longest, n.disk.promise)
	}
	return longest
}

// run says what went wrong.
func (p *longPromise) run() error {
	s := p.sim
	p.live(p.long)
	s.groups[0].bootstrap(s.nodes[s.lives.IntN(len(s.nodes))])
	if !s.until(s.clock.now.Add(20*p.long), s.serves) {
		return p.failed("the cluster is not formed: ")
	}
	p.passes(span{0, p.long}.draw(p.rand))
	p.crash()
	mistake, elections := s.clock.now, s.groups[0].check.elections
	if p.left() != p.long {
		return p.failed("the disks know of promises of %v, not %v: ", p.left(), p.long)
	}
	for before := p.left(); p.left() > p.short; before = p.left() {
		p.live(p.short)
		// A promise is lowered every two seconds, or sooner: a life may be shorter
		// than half of it.
		life := max(time.Duration(float64(before)*(0.15+0.75*p.rand.Float64())), 2500*millisecond)
		if before < 400*millisecond {
			life = before + 50*millisecond
		}
		p.passes(life)
		if most := before - life*9/10 + min(before/2, 2200*millisecond); p.left() > max(most, p.short) {
			return p.failed("a life of %v after a promise of %v leaves %v: ", life, before, p.left())
		}
		p.crash()
		if p.lives > 40 {
			return p.failed("after %d lives a promise of %v is left: ", p.lives, p.left())
		}
	}
	if s.groups[0].check.elections > elections && s.clock.now.Sub(mistake) < p.long*9/10 {
		return p.failed("somebody was elected within %v: ", s.clock.now.Sub(mistake))
	}
	p.live(p.short)
	if !s.until(s.clock.now.Add(30*p.short), s.serves) {
		return p.failed("nobody leads 30 short time-outs after the start: ")
	}
	return p.failed("")
}

func (p *longPromise) failed(format string, arguments ...any) error {
	switch {
	case p.sim.failure != nil:
		return p.sim.failure
	case format == "":
		return nil
	}
	return fmt.Errorf(format+"%s", append(arguments, p.sim.summary())...)
}

// TestLongPromiseComesDown: rule 13: an election time-out that was tried once
// does not lengthen every later start. The promise comes down with the quiet period
// that was served, over as many lives as that takes, and no vote is given before:
// that the checkers see.
func TestLongPromiseComesDown(t *testing.T) {
	seeds := uint64(40)
	if testing.Short() || raceEnabled {
		seeds = 5
	}
	lives := 0
	for seed := *firstFlag; seed < *firstFlag+seeds; seed++ {
		p := newLongPromise(seed)
		if err := p.run(); err != nil {
			t.Fatalf("promises %d, %v after %v: %v\nreplay: go test ./internal/simulation -run TestLongPromiseComesDown -args -first=%d -trace", seed, p.short, p.long, err, seed)
		}
		lives += p.lives
	}
	t.Logf("%d clusters, %.1f lives on average", seeds, float64(lives)/float64(seeds))
}
