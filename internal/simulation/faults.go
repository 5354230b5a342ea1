package simulation

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/trouperaft/troupe/core"
)

// faultKind sorts faults.
type faultKind int

const (
	faultPartition faultKind = iota
	faultIsolateLeader
	faultOneWay
	faultLinks
	faultConnection
	faultDelay
	faultStall
	faultCrash
	faultCrashLeader
	faultCrashAll
	faultChurn
	faultStop
	faultPause
	faultDiskSlow
	faultDiskHangs
	faultDiskFails
	faultMachineHangs
	faultEmptied
	faultMove
	faultStranger
	faultSquatter
	faultKinds
)

var faultNames = [faultKinds]string{
	"partition", "leader isolated", "one way blocked", "links blocked", "connection lost", "delay", "stalled connection", "crash", "crash of the leader", "crash of all", "churn", "orderly stop",
	"pause", "slow disk", "hung disk", "failing disk", "hung state machine", "emptied directory",
	"move", "stranger", "squatter",
}

// faults lets things go wrong until they heal.
type faults struct {
	sim    *sim
	rand   *rand.Rand
	total  int
	healed bool
	undo   []func() // of the faults that last
	churn  int      // while it is not 0, leaders do not live long
	count  int
	left   []string // addresses that nobody uses any more

	stranger *stranger
}

func newFaults(s *sim, r *rand.Rand) *faults {
	f := &faults{sim: s, rand: r, stranger: newStranger(s, r)}
	for _, w := range s.plan.weights {
		f.total += w
	}
	return f
}

// later begins the next fault after a while.
func (f *faults) later() {
	if f.total == 0 {
		return
	}
	d := time.Duration(float64(f.sim.plan.faultEvery) * f.rand.ExpFloat64())
	f.sim.clock.after(d, nil, func() {
		if !f.healed {
			f.begin(f.draw())
			f.later()
		}
	})
}

func (f *faults) draw() faultKind {
	n := f.rand.IntN(f.total)
	for k, w := range f.sim.plan.weights {
		if n -= w; n < 0 {
			return faultKind(k)
		}
	}
	return 0
}

// lasts draws how long a fault lasts: from an instant to several elections.
func (f *faults) lasts() time.Duration {
	return time.Duration(f.rand.Int64N(int64(f.sim.plan.election) * int64(pick(f.rand, 1, 2, 6))))
}

// someone draws a node.
func (f *faults) someone() *node { return f.sim.nodes[f.rand.IntN(len(f.sim.nodes))] }

// leader returns who leads the highest term of a group, or anybody.
func (f *faults) leader() *node {
	found, term := f.someone(), core.Term(0)
	g := f.sim.groups[f.rand.IntN(len(f.sim.groups))]
	for _, n := range f.sim.nodes {
		if r := g.on(n); r != nil && r.status.Role == core.RoleLeader && r.status.Term > term {
			found, term = n, r.status.Term
		}
	}
	return found
}

func (f *faults) begin(k faultKind) {
	s := f.sim
	n := f.someone()
	if k == faultIsolateLeader || k == faultCrashLeader || f.rand.IntN(3) == 0 {
		n = f.leader()
	}
	f.count++
	s.trace.add(traceFault, uint64(n.id), uint64(k))
	s.trace.say("%s", faultNames[k])
	switch k {
	case faultPartition:
		f.partition(f.rand.Uint64(), false)
	case faultIsolateLeader:
		f.partition(1<<n.id, false)
	case faultOneWay:
		f.partition(pick(f.rand, 1<<n.id, f.rand.Uint64()), true)
	case faultLinks:
		f.links(n)
	case faultConnection:
		f.connection(n)
	case faultDelay:
		f.delay(n)
	case faultStall:
		f.stall(n)
	case faultCrash, faultCrashLeader:
		f.crash(n)
	case faultCrashAll:
		for _, n := range s.nodes {
			if len(s.nodes) < 5 || !chance(f.rand, 10) {
				f.crash(n)
			}
		}
	case faultChurn:
		f.churn++
		f.crash(f.leader())
		f.duringFor(4*f.lasts(), func() { f.churn-- })
	case faultStop:
		n.stop(func() { n.restartAfter(f.lasts()) })
	case faultPause:
		f.pause(pick(f.rand, n, f.leader()))
	case faultEmptied:
		f.empty(n)
	case faultMove:
		f.move(n)
	case faultStranger:
		if s.formed() { // before that, whoever comes first forms the cluster
			f.stranger.talks(s.clock.now.Add(2 * f.lasts()))
		}
	case faultSquatter:
		if s.formed() {
			f.crash(n)
			s.fabric.squat(n, chance(f.rand, 30))
		}
	default:
		f.device(k, n)
	}
}

// during keeps a fault for a while, or until everything heals.
func (f *faults) during(undo func()) { f.duringFor(f.lasts(), undo) }

func (f *faults) duringFor(d time.Duration, undo func()) {
	over := false
	once := func() {
		if !over {
			over = true
			f.sim.trace.add(traceFault, 0)
			undo()
		}
	}
	f.undo = append(f.undo, once)
	f.sim.clock.after(d, nil, once)
}

// partition blocks the ways between the nodes of a set of bits and the others,
// or only those out of the set.
func (f *faults) partition(set uint64, oneWay bool) {
	s := f.sim
	var ways [][2]core.NodeID
	for _, a := range s.nodes {
		for _, b := range s.nodes {
			if set>>a.id&1 == 1 && set>>b.id&1 == 0 {
				ways = append(ways, [2]core.NodeID{a.id, b.id})
				if !oneWay {
					ways = append(ways, [2]core.NodeID{b.id, a.id})
				} else if f.rand.IntN(8) == 0 {
					continue
				}
			}
		}
	}
	f.block(ways)
}

// links blocks a node's link to another, and perhaps some more: who cannot reach
// each other may both reach a third.
func (f *faults) links(n *node) {
	nodes := f.sim.nodes
	chosen := f.someone()
	more := chance(f.rand, 50)
	var ways [][2]core.NodeID
	for i, a := range nodes {
		for _, b := range nodes[:i] {
			if a == n && b == chosen || a == chosen && b == n || more && chance(f.rand, 25) {
				ways = append(ways, [2]core.NodeID{a.id, b.id}, [2]core.NodeID{b.id, a.id})
			}
		}
	}
	f.block(ways)
}

func (f *faults) block(ways [][2]core.NodeID) {
	fabric := f.sim.fabric
	for _, w := range ways {
		fabric.block(w[0], w[1])
	}
	f.sim.trace.say("blocked: %v", ways)
	f.during(func() {
		for _, w := range ways {
			fabric.unblock(w[0], w[1])
		}
	})
}

func (f *faults) connection(n *node) {
	class := core.Class(f.rand.IntN(core.Classes + 1))
	others := f.someone()
	for _, m := range f.sim.nodes {
		if m.id != n.id && (m == others || others == n) {
			f.sim.fabric.lose(n.id, m.id, class)
		}
	}
}

func (f *faults) stall(n *node) {
	class := core.Class(f.rand.IntN(core.Classes + 1))
	other := f.someone()
	ways := f.rand.IntN(3)
	for _, m := range f.sim.nodes {
		if m != n && (m == other || other == n) {
			f.duringFor(3*f.lasts(), f.sim.fabric.stall(n.id, m.id, class, ways != 1, ways != 2))
		}
	}
}

// delay slows all ways of a node, or one.
func (f *faults) delay(n *node) {
	s := f.sim
	d := time.Duration(f.rand.Int64N(int64(s.plan.election) * int64(pick(f.rand, 1, 1, 2, 5))))
	to := f.someone()
	change := func(d time.Duration) {
		for _, m := range s.nodes {
			if m == to || to == n {
				s.fabric.slow[n.id][m.id] += d
				s.fabric.slow[m.id][n.id] += d
			}
		}
	}
	change(d)
	f.during(func() { change(-d) })
}

func (f *faults) crash(n *node) {
	if n.life != nil {
		n.life.crash()
	}
	d := f.lasts()
	if chance(f.rand, 30) {
		d /= 50 // so soon that what it promised is still alive
	}
	n.restartAfter(d)
}

// elected ends a leader while its first entries are on their way, as long as
// there is churn: what it leaves behind are logs that differ (Raft, figure 8).
func (f *faults) elected(r *replica) {
	if f.churn == 0 {
		return
	}
	p := &f.sim.plan
	soon := time.Duration(f.rand.Int64N(int64(2 * (p.write.high + 3*p.netDelay.high))))
	f.sim.clock.after(soon, r.life, func() {
		if f.churn > 0 && !r.dead {
			f.sim.trace.say("churn")
			f.crash(r.node)
		}
	})
}

// pause stops a process, as a long collection of garbage or a busy machine
// does. Its clock goes on.
func (f *faults) pause(n *node) {
	l := n.life
	if l == nil || l.dead || l.paused {
		return
	}
	l.paused = true
	f.duringFor(2*f.lasts(), l.resume)
}

func (l *life) resume() {
	if l.dead || !l.paused {
		return
	}
	l.paused = false
	held := l.held
	l.held = nil
	if chance(l.sim.clientRand, 50) {
		// The process still believes what it believed before: the best moment
		// to ask it something.
		for _, r := range l.replicas {
			r.group.clients[0].asksNow(r)
		}
	}
	for _, run := range held {
		l.sim.clock.after(1, l, run)
	}
}

// device lets a disk or a state machine fail in one of its ways.
func (f *faults) device(k faultKind, n *node) {
	now := f.sim.clock.now
	switch k {
	case faultDiskSlow:
		n.diskSlow = pick(f.rand, 3, 20, 100)
		f.during(func() { n.diskSlow = 1 })
	case faultDiskHangs:
		n.diskHangs = now.Add(2 * f.lasts())
		f.during(func() { n.diskHangs = f.sim.clock.now })
	case faultMachineHangs:
		n.machineHangs = now.Add(2 * f.lasts())
		f.during(func() { n.machineHangs = f.sim.clock.now })
	case faultDiskFails:
		l := n.life
		if l == nil || l.dead || l.stopping {
			return
		}
		l.disk.failing = true
		f.during(func() {
			if !l.dead {
				f.crash(n)
			}
		})
	}
}

// empty replaces the directory of a node by a new one. A minority of each group's
// voters may lose its directory: more would be the end of the group, whatever it
// does. Who has not joined yet loses nothing.
func (f *faults) empty(n *node) {
	s := f.sim
	if !s.formed() {
		f.wipe(n)
		return
	}
	if n.emptied || !s.found(n) || !s.all(func(g *group) bool { return g.canLose(n) }) {
		return
	}
	if n.life != nil {
		n.life.crash()
	}
	n.emptied = true
	n.disk = s.newDisk(n.id)
	s.trace.say("n%d is emptied, and is now %v", n.id, n.disk.identity)
	n.restartAfter(f.lasts())
}

// wipe empties the directory of a node that belongs to no cluster yet.
func (f *faults) wipe(n *node) {
	s := f.sim
	joined := func(g *group) bool { return g.inherited || !n.disk.of(g.id).hard.Cluster.IsZero() }
	if slices.ContainsFunc(s.groups, joined) || n.life == nil {
		return
	}
	n.life.crash()
	if !slices.ContainsFunc(s.groups, joined) { // it may have joined with its last write
		n.disk = s.newDisk(n.id)
		n.member = n.disk.identity
		s.trace.say("n%d is wiped, and is now %v", n.id, n.disk.identity)
	}
	n.restartAfter(f.lasts())
}

// restartAfter starts the node again.
func (n *node) restartAfter(d time.Duration) {
	if n.restarting {
		return
	}
	n.restarting = true
	n.sim.clock.after(d, nil, func() {
		if n.restarting {
			n.start()
		}
	})
}

// stop stops the process in order. It must answer everybody.
func (n *node) stop(stopped func()) {
	l := n.life
	if l == nil || l.dead || l.stopping {
		return
	}
	s := n.sim
	l.stopping = true
	s.trace.add(traceLife, uint64(n.id), uint64(l.number), 3)
	once := false
	l.actors.Stop(func() {
		if once {
			s.fail("stop: its end was reported twice", "%v", l)
		}
		once = true
		for _, r := range l.replicas {
			if err := r.raft.Err(); err != nil && !l.disk.failing {
				s.fail(ruleGroupFailed, "%v: %v", r, err)
			}
		}
		// What Stop has called may still be in the actor that called it.
		s.clock.after(0, nil, func() {
			if l.dead {
				return
			}
			l.answeredAll()
			l.crash()
			stopped()
		})
	})
}

// heal ends all faults and starts all nodes.
func (f *faults) heal() {
	s := f.sim
	f.healed = true
	s.trace.add(traceFault, 0, uint64(faultKinds))
	s.trace.say("everything heals")
	for _, undo := range f.undo {
		undo()
	}
	for _, n := range s.nodes {
		n.diskSlow, n.machineSlow = 1, 1
		if n.life == nil || n.life.dead {
			n.start()
		}
	}
}
