package simulation

import (
	"time"

	"github.com/trouperaft/troupe/core"
)

// This file lets links and connections fail.

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
	class := f.class()
	others := f.someone()
	for _, m := range f.sim.nodes {
		if m.id != n.id && (m == others || others == n) {
			f.sim.fabric.lose(n.id, m.id, class)
		}
	}
}

// class draws a class of connections, 0 for all of them.
func (f *faults) class() core.Class {
	if p := f.sim.plan.faultClass; p != 0 && chance(f.rand, 70) {
		return p
	}
	return core.Class(f.rand.IntN(core.Classes + 1))
}

func (f *faults) stall(n *node) {
	class := f.class()
	other := f.someone()
	ways := f.rand.IntN(3)
	if chance(f.rand, 30) {
		other = n // all of its connections
	}
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
