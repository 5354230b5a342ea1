package simulation

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/trouperaft/troupe/actors"
	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
)

// node is one machine of the cluster: it keeps a disk over its lives.
type node struct {
	sim *sim
	id  core.NodeID
	// address is where it listens.
	address string
	disk    *disk
	life    *life // nil or dead while it is down
	// count is how many lives it had.
	count int
	// member is who it is to its groups. emptied: its directory was lost, so they
	// do not count it.
	member  membership.Identity
	emptied bool

	diskSlow, machineSlow   int
	diskHangs, machineHangs core.Instant
	// wallAhead is by how much the machine's wall clock is wrong.
	wallAhead time.Duration
	// restarting: an event will start it again.
	restarting bool
}

// newNodes makes the nodes of the plan, with empty directories.
func (s *sim) newNodes() {
	s.nodes = nil
	for i := range s.plan.nodes {
		n := &node{sim: s, id: core.NodeID(i + 1), address: address(core.NodeID(i + 1)), diskSlow: 1, machineSlow: 1}
		n.disk = s.newDisk(n.id)
		n.member = n.disk.identity
		s.nodes = append(s.nodes, n)
	}
}

// life is one process: from a start to a crash or a stop.
type life struct {
	sim         *sim
	node        *node
	disk        *disk
	number      int
	election    time.Duration // its election time-out
	environment *environment
	endpoint    *endpoint
	actors      *actors.Node
	replicas    []*replica // of the groups, in their order
	calls       []*call

	// ends: its groups hand over, and then it is stopped.
	dead, paused, ends, stopping bool
	held                         []func()
}

func (l *life) String() string {
	if l == nil {
		return "the cluster"
	}
	return fmt.Sprintf("n%d life %d", l.node.id, l.number)
}

func (l *life) identity() membership.Identity { return l.disk.identity }

// start begins a life of the node.
func (n *node) start() {
	s := n.sim
	n.restarting = false
	if n.life != nil && !n.life.dead {
		return
	}
	n.count++
	s.fabric.unsquat(n)
	n.disk.open()
	l := &life{sim: s, node: n, disk: n.disk, number: n.count, election: s.plan.timeout(s.lives)}
	n.life = l
	l.environment = &environment{
		life: l, start: s.clock.now, base: core.Instant(s.lives.Int64N(1 << 50)),
		rand: rand.New(rand.NewPCG(s.lives.Uint64(), s.lives.Uint64())),
	}
	if p := s.plan.driftPercent; p > 0 {
		l.environment.drift = int64(s.lives.IntN(20*p+1) - 10*p)
	}
	l.endpoint = &endpoint{fabric: s.fabric, life: l, address: n.address}
	for _, g := range s.groups {
		l.replicas = append(l.replicas, l.newReplica(g))
	}
	s.trace.add(traceLife, uint64(n.id), uint64(n.count), 1, uint64(n.disk.identity.Incarnation))
	if err := l.run(); err != nil {
		s.fail("start: a node does not start on what its disk holds", "%v: %v", l, err)
	}
}

func (l *life) run() (err error) {
	s := l.sim
	l.actors, err = actors.NewNode(actors.NodeConfig{
		ID: l.node.id, Store: l.disk, Snapshots: l.snapshotStore(), Network: l.endpoint, Environment: l.environment,
		InflightProposalsMax: s.plan.inflightProposals,
	})
	if err != nil {
		return err
	}
	for _, r := range l.replicas {
		if err := r.run(); err != nil {
			return err
		}
	}
	return nil
}

// observe looks, after whatever the life did, whether a job has to end, and whether a
// group has failed.
func (l *life) observe() {
	for _, r := range l.replicas {
		r.group.jobs.look(l)
	}
	if l.stopping {
		return
	}
	for _, r := range l.replicas {
		err := r.failed()
		switch {
		case err == nil:
			continue
		case l.disk.failing && errors.Is(err, errDiskFailed):
			l.lost()
		case l.refused(err):
		default:
			r.group.check.fail(ruleGroupFailed, "%v: %v", r, err)
		}
		return
	}
}

// lost ends a life whose disk has failed, when all its groups have ended. Whoever
// runs the node starts it again.
func (l *life) lost() {
	for _, r := range l.replicas {
		if !r.ended && r.failed() == nil {
			return
		}
	}
	l.sim.trace.add(traceLife, uint64(l.node.id), uint64(l.number), 2)
	l.answeredAll()
	l.crash()
	l.node.restartAfter(l.sim.plan.election)
}

// answeredAll checks that a life that has stopped has answered everybody.
func (l *life) answeredAll() {
	for _, r := range l.replicas {
		r.group.check.answeredAll(r)
	}
}

// crash ends the process in the middle of whatever it does.
func (l *life) crash() {
	if l.dead {
		return
	}
	s := l.sim
	s.trace.add(traceLife, uint64(l.node.id), uint64(l.number), 0)
	l.dead, l.held = true, nil
	for _, r := range l.replicas {
		if r.witness != nil {
			r.witness.crashes()
		}
		r.dies()
	}
	l.tear()
	s.fabric.leave(l.endpoint)
	for _, r := range l.replicas {
		s.trace.say("%v ends: hard state %+v, log %v to %v, snapshot %v", r, r.store.hard, r.store.purged, r.store.last(), r.store.newestSnapshot().LogID)
		for _, w := range r.work {
			w.abandoned()
		}
		r.work = nil
	}
}
