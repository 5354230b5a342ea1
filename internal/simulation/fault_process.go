package simulation

import (
	"fmt"
	"slices"
	"time"
)

// This file lets processes and their machines fail: they crash, stop, stand still,
// move, and lose disks.

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
// there is churn: what it leaves behind are logs that differ (Raft, figure 8). It
// crashes, or is cut off and may come back with all that it has on its way.
func (f *faults) elected(r *replica) {
	if f.churn == 0 {
		return
	}
	s := f.sim
	// A connection is made in two delays, and an entry arrives with the third.
	soon := time.Duration(f.rand.Int64N(int64(5 * s.plan.netDelay.high)))
	s.clock.after(soon, r.life, func() {
		switch {
		case f.churn == 0 || r.dead:
		case chance(f.rand, 50):
			s.trace.say("churn: n%d crashes", r.node.id)
			f.crash(r.node)
		default:
			s.trace.say("churn: n%d is cut off", r.node.id)
			f.partition(1<<r.node.id, false)
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
	if s.plan.changes {
		s.changer.loses(n, f.lasts())
		return
	}
	if n.emptied || !s.found(n) || !s.all(func(g *group) bool { return g.survives(n) }) ||
		slices.ContainsFunc(s.nodes, func(o *node) bool { return !o.disk.knowsMembers() }) { // it campaigns no more
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

// stopGroup stops one group of a process that goes on, and starts it again.
func (f *faults) stopGroup(n *node) {
	l := n.life
	if l == nil || l.dead || l.stopping || l.disk.failing {
		return
	}
	r := l.replicas[f.rand.IntN(len(l.replicas))]
	if r.leaving {
		return
	}
	r.stop(func() { f.sim.clock.after(f.lasts()/4, l, l.startGroups) })
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

// move lets a node come back at another address: a new one, or one that another
// has left. One node at a time is looked for: two would never find each other. A node
// that has heard of nobody stays: it could not tell anybody where it went.
func (f *faults) move(n *node) {
	s := f.sim
	if !s.formed() || n.emptied || !n.disk.knowsAnybody() || n.disk.saysRemoved() || s.plan.changes && !s.all(func(g *group) bool { return g.belongs(n) }) ||
		slices.ContainsFunc(s.nodes, func(n *node) bool { return !s.found(n) }) {
		return
	}
	to := fmt.Sprintf("%s-%d", address(n.id), f.count)
	if i := len(f.left); i > 0 && chance(f.rand, 50) {
		to = f.left[i-1]
		f.left = f.left[:i-1]
	}
	f.left = append(f.left, n.address)
	n.address = to
	if !n.disk.knowsMembers() {
		s.saw(lostMoves)
	}
	s.trace.say("n%d moves to %s", n.id, to)
	f.crash(n)
}
