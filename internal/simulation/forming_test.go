package simulation

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
)

var (
	formingsFlag     = flag.Int("formings", 0, "how many formings TestFormings runs; 0: 150, or 40 with -short or the race detector")
	firstFormingFlag = flag.Uint64("firstforming", 1, "the first of them")
)

// forming is one cluster that start scripts form: every node is told the same
// list, and told it again until it is in.
type forming struct {
	*sim
	rand    *rand.Rand
	list    []membership.Member
	within  time.Duration
	scripts []*script
	calm    core.Instant // from then on nothing goes wrong any more
	wiped   int
	slow    bool  // a disk takes 2.5 s for each write
	kinds   []int // of what goes wrong here
	late    bool  // one node is asked when grants have run out
}

// script is what starts a node and calls Bootstrap until it gets nil.
type script struct {
	forming *forming
	node    *node
	ask     time.Duration // the limit for a member that is not heard of
	pause   time.Duration // before it asks again
	// patience is after what time it cancels a call and makes another, 0: never.
	patience time.Duration
	// twice: it does not wait for the end of a call before it makes the next.
	twice bool
	open  int // calls of this life that have not ended
	in    bool
	wiped bool
	// unexpected is an error that no call may end with.
	unexpected error
}

func newForming(seed uint64) *forming {
	f := &forming{rand: rand.New(rand.NewPCG(seed, 99))}
	r := f.rand
	f.sim = newSim(seed, Options{Trace: traceWriter()})
	s := f.sim
	p := &s.plan
	s.rebuilt(pick(r, 1, 2, 3, 3, 3, 5, 5), func() bool { return chance(r, 50) })
	p.election = pick(r, 100*millisecond, 300*millisecond, 1000*millisecond)
	p.heartbeat = p.election / 10
	p.hung = 10 * p.election
	g := &p.group
	g.HeartbeatInterval, g.HungLimit = p.heartbeat, p.hung
	// These were drawn for another time-out, and for disks that are less slow.
	p.netDelay.high, p.read.high = min(p.netDelay.high, p.election/8), min(p.read.high, millisecond/2)
	p.slowDisks, p.timeoutsVary = 0, false
	f.within = pick(r, 0, 5*millisecond, 100*millisecond, 20_000*millisecond)
	p.write = span{10 * microsecond, 5 * millisecond}
	if chance(r, 25) {
		// Slow disks: of all, or of one.
		f.slow = true
		p.write = span{5 * millisecond, 5 * millisecond}
		all, one := chance(r, 50), s.nodes[r.IntN(p.nodes)]
		for _, n := range s.nodes {
			if all || n == one {
				n.diskSlow = 500
			}
		}
	}
	// As with faults, a random half of the kinds comes often.
	f.kinds = r.Perm(troubleKinds)[:troubleKinds/2]
	f.late = !f.slow && p.nodes > 1 && chance(r, 20)
	f.list = s.members()
	f.calm = s.clock.now.Add(time.Millisecond)
	return f
}

// run forms the cluster, and says what went wrong.
func (f *forming) run() error {
	s, r := f.sim, f.rand
	for _, n := range s.nodes {
		c := &script{
			forming: f, node: n, ask: pick(r, s.plan.election, 3_000*millisecond, 30_000*millisecond, time.Hour), twice: chance(r, 20),
			pause: pick(r, 10*millisecond, 300*millisecond, 3_000*millisecond),
		}
		switch {
		case f.late:
			c.ask = time.Hour
		case chance(r, 40):
			c.patience = pick(r, 500*millisecond, 5_000*millisecond, 12_000*millisecond)
		}
		f.scripts = append(f.scripts, c)
		s.clock.after(millisecond+span{0, f.within}.draw(r), nil, c.start)
	}
	switch {
	case f.late:
		f.calm = s.clock.now.Add(f.within + 60_000*millisecond)
		f.lateAnswers(s.nodes[r.IntN(len(s.nodes))])
	case chance(r, 70):
		f.calm = s.clock.now.Add(f.within + span{0, pick(r, 500*millisecond, 5_000*millisecond, 40_000*millisecond)}.draw(r))
		f.trouble(pick(r, 20*millisecond, 200*millisecond, 2_000*millisecond))
	}
	s.clock.after(f.calm.Sub(s.clock.now), nil, f.heal)
	limit := f.calm.Add(30 * time.Minute)
	formed := s.until(limit, f.formed)
	switch {
	case s.failure != nil:
		return s.failure
	case !formed:
		return fmt.Errorf("is not formed %v after all had healed: %s%s", limit.Sub(f.calm), s.summary(), f.waits())
	}
	for _, c := range f.scripts {
		if c.unexpected != nil {
			return fmt.Errorf("node %d is told: %w", c.node.id, c.unexpected)
		}
	}
	return nil
}

// start begins a life of the node, and with it the script, which asks on each
// start: what a call was told may have been lost with the last life.
func (c *script) start() {
	c.open, c.in = 0, false
	c.node.start()
	c.call(c.node.life)
}

// call asks once, and again after the end.
func (c *script) call(l *life) {
	if l.dead || c.in {
		return
	}
	s := c.forming.sim
	ended := false
	c.open++
	cancel := l.replicas[0].raft.Bootstrap(c.forming.list, c.ask, func(err error) {
		s.trace.say("%v: bootstrap ends with %v", l, err)
		if ended {
			s.fail("forming: a call ended twice", "%v", l)
		}
		ended = true
		c.open--
		c.ends(l, err)
	})
	if c.patience > 0 {
		patience := c.patience
		if c.forming.slow && s.clock.now >= c.forming.calm { // who waits for less than some writes gets nowhere
			patience = 30_000 * millisecond
		}
		s.clock.after(patience, l, func() {
			if !ended {
				cancel()
			}
		})
	}
	if c.twice && c.open < 3 {
		s.clock.after(c.pause, l, func() { c.call(l) })
	}
}

func (c *script) ends(l *life, err error) {
	s := c.forming.sim
	if err == nil {
		c.in = true
		return
	}
	var refused *core.BootstrapError
	switch {
	case errors.Is(err, core.ErrStopped) && c.patience > 0:
	case errors.As(err, &refused) && strings.HasPrefix(refused.Reason, "does not answer at"):
	case c.wiped && errors.As(err, &refused) && strings.Contains(refused.Reason, "lost"):
		// Not before who leads has exchanged it.
	default:
		c.unexpected = err
	}
	s.clock.after(c.pause, l, func() { c.call(l) })
}

// trouble lets things go wrong until it has to be calm.
func (f *forming) trouble(every time.Duration) {
	s, r := f.sim, f.rand
	s.clock.after(time.Duration(float64(every)*r.ExpFloat64()), nil, func() {
		if s.clock.now >= f.calm {
			return
		}
		f.oneTrouble(s.nodes[r.IntN(len(s.nodes))], s.nodes[r.IntN(len(s.nodes))])
		f.trouble(every)
	})
}

// lateAnswers lets what is asked of one node arrive about when the attempt runs out: it
// answers in another one, and before it hears of that.
func (f *forming) lateAnswers(n *node) {
	s, r := f.sim, f.rand
	for _, other := range s.nodes {
		if other != n {
			d := span{5_000 * millisecond, 25_000 * millisecond}.draw(r)
			s.fabric.slow[other.id][n.id] += d
			s.faults.duringFor(f.calm.Sub(s.clock.now), func() { s.fabric.slow[other.id][n.id] -= d })
		}
	}
}

// The kinds of trouble.
const (
	troubleCrash = iota
	troubleWipe
	troubleLoss
	troubleBlock
	troubleLate
	troubleDisk
	troubleKinds
)

func (f *forming) oneTrouble(n, other *node) {
	s, r := f.sim, f.rand
	lasts := span{0, pick(r, 50*millisecond, 1_000*millisecond, 12_000*millisecond)}.draw(r)
	switch f.kinds[r.IntN(len(f.kinds))] {
	case troubleCrash:
		f.crash(n, lasts)
	case troubleWipe:
		f.wipe(n, lasts)
	case troubleLoss:
		s.fabric.lose(n.id, other.id, 0)
	case troubleBlock:
		if n != other {
			s.fabric.block(n.id, other.id)
			s.faults.duringFor(lasts, func() { s.fabric.unblock(n.id, other.id) })
		}
	case troubleLate:
		// Answers come late: behind a release, or when the grant has run out.
		s.fabric.slow[n.id][other.id] += lasts
		s.faults.duringFor(lasts, func() { s.fabric.slow[n.id][other.id] -= lasts })
	case troubleDisk:
		n.diskHangs = s.clock.now.Add(lasts)
	}
}

func (f *forming) crash(n *node, lasts time.Duration) bool {
	if n.life == nil || n.life.dead {
		return false
	}
	n.life.crash()
	c := f.scripts[n.id-1]
	f.sim.clock.after(lasts, nil, func() {
		if n.life.dead {
			c.start()
		}
	})
	return true
}

// wipe empties the directory of a node that belongs to no cluster yet. Whoever
// loses more has to be replaced.
func (f *forming) wipe(n *node, lasts time.Duration) {
	s := f.sim
	if !n.disk.of(1).hard.Cluster.IsZero() || !f.crash(n, lasts) || !n.disk.of(1).hard.Cluster.IsZero() {
		return
	}
	n.disk = s.newDisk(n.id)
	n.member = n.disk.identity
	f.scripts[n.id-1].wiped = true
	f.wiped++
	s.trace.say("n%d is wiped, and is now %v", n.id, n.disk.identity)
}

func (f *forming) heal() {
	f.sim.trace.say("everything heals")
	for _, undo := range f.sim.faults.undo {
		undo()
	}
	for _, n := range f.sim.nodes {
		n.diskHangs = 0
	}
}

// formed reports whether all nodes make up one cluster, and nobody waits any
// more.
func (f *forming) formed() bool {
	s := f.sim
	if !s.formed() || s.clock.now < f.calm {
		return false
	}
	for i, n := range s.nodes {
		l := n.life
		if l == nil || l.dead || !f.scripts[i].in || f.scripts[i].open > 0 {
			return false
		}
		r := l.replicas[0]
		k := &r.status.Configuration.Configuration
		if r.status.Bootstrapping || r.status.Cluster != s.groups[0].check.cluster || len(k.Voters) != len(s.nodes) || !k.IsVoter(r.identity()) {
			return false
		}
	}
	return true
}

// waits is what the nodes wait for.
func (f *forming) waits() string {
	text := ""
	for i, n := range f.sim.nodes {
		if l := n.life; l != nil && !l.dead {
			text += fmt.Sprintf("\n\tn%d in %v, %d calls open, cluster %v, grant %+v, waits for %v", n.id, f.scripts[i].in, f.scripts[i].open, l.replicas[0].status.Cluster, n.disk.of(1).hard.Grant, l.replicas[0].raft.Status().WaitsFor)
		}
	}
	return text
}

// TestFormings forms clusters by start scripts that all begin at once, with all
// that can go wrong meanwhile. Each must end in one cluster, and every call with
// nil. That two are never begun the checkers see on the disks.
func TestFormings(t *testing.T) {
	count := *formingsFlag
	if count == 0 {
		count = 150
		if testing.Short() || raceEnabled {
			count = 40
		}
	}
	var (
		next   atomic.Int64
		failed atomic.Bool
		group  sync.WaitGroup
		lock   sync.Mutex
		wiped  int
		lives  int
		begun  = time.Now()
		took   time.Duration // in virtual time, after all had healed
		most   time.Duration
	)
	workers := runtime.GOMAXPROCS(0)
	if *traceFlag {
		workers = 1
	}
	for range min(workers, count) {
		group.Go(func() {
			for !failed.Load() {
				i := next.Add(1) - 1
				if i >= int64(count) {
					return
				}
				seed := *firstFormingFlag + uint64(i)
				f := newForming(seed)
				err := f.run()
				lock.Lock()
				d := max(f.clock.now.Sub(f.calm), 0)
				took, most = took+d, max(most, d)
				wiped += f.wiped
				for _, n := range f.nodes {
					lives += n.count
				}
				lock.Unlock()
				if err != nil {
					failed.Store(true)
					t.Errorf("forming %d of %d within %v: %v\nreplay: go test ./internal/simulation -run TestFormings -args -formings=1 -firstforming=%d -trace", seed, len(f.nodes), f.within, err, seed)
				}
			}
		})
	}
	group.Wait()
	t.Logf("%d formings in %v: %d lives, %d nodes wiped; formed %v after all had healed on average, %v at most", count, time.Since(begun).Round(time.Millisecond), lives, wiped, (took / time.Duration(count)).Round(time.Millisecond), most.Round(time.Millisecond))
	if !failed.Load() && count >= 40 && wiped == 0 {
		t.Error("the formings try nothing")
	}
}
