package simulation

import (
	"math/rand/v2"
	"time"
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
	faultGroupStops
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
	"partition", "leader isolated", "one way blocked", "links blocked", "connection lost", "delay", "stalled connection", "crash", "crash of the leader", "crash of all", "churn", "orderly stop", "a group stops",
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
	every := f.sim.plan.faultEvery
	if !f.sim.formed() && f.count < f.sim.plan.earlyFaults {
		every /= 8 // groups are formed within some round trips
	}
	d := time.Duration(float64(every) * f.rand.ExpFloat64())
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
	n := f.someone()
	if r := f.sim.groups[f.rand.IntN(len(f.sim.groups))].newestLeader(); r != nil {
		return r.node
	}
	return n
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
	case faultGroupStops:
		f.stopGroup(n)
	case faultPause:
		f.pause(pick(f.rand, n, f.leader()))
	case faultEmptied:
		f.empty(n)
	case faultMove:
		f.move(n)
	case faultStranger:
		if s.begun() { // before that, whoever comes first forms the cluster
			f.stranger.talks(s.clock.now.Add(2 * f.lasts()))
		}
	case faultSquatter:
		if s.begun() {
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
		n.diskSlow, n.machineSlow, n.wallAhead = 1, 1, 0
		if n.life == nil || n.life.dead {
			n.start()
		} else {
			n.life.startGroups()
		}
	}
}
