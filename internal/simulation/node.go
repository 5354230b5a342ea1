package simulation

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"

	"github.com/trouperaft/troupe/actors"
	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/storage"
)

// node is one machine of the cluster: it keeps a disk over its lives.
type node struct {
	sim  *sim
	id   core.NodeID
	disk *disk
	life *life // nil or dead while it is down
	// count is how many lives it had.
	count int
	// emptied: its directory was lost, so its group does not count it.
	emptied bool

	diskSlow, machineSlow   int
	diskHangs, machineHangs core.Instant
	// restarting: an event will start it again.
	restarting bool
}

// life is one process: from a start to a crash or a stop.
type life struct {
	sim         *sim
	node        *node
	disk        *disk
	number      int
	environment *environment
	endpoint    *endpoint
	actors      *actors.Node
	group       *actors.Group
	machine     *machine
	calls       []*call

	dead, paused, stopping bool
	held                   []func()
	status                 actors.Status
	work                   []*work    // of clients, that it has not answered yet
	requests               []*request // of the operator
}

func (l *life) String() string {
	if l == nil {
		return "the cluster"
	}
	return fmt.Sprintf("n%d life %d", l.node.id, l.number)
}

func (l *life) identity() membership.Identity { return l.disk.identity }

// newDisk makes an empty directory.
func (s *sim) newDisk(id core.NodeID) *disk {
	incarnation := membership.Incarnation(s.lives.Uint64() | 1)
	return &disk{identity: membership.Identity{ID: id, Incarnation: incarnation}, limits: s.plan.limits, check: s.check}
}

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
	l := &life{sim: s, node: n, disk: n.disk, number: n.count}
	n.life = l
	l.environment = &environment{
		life: l, start: s.clock.now, base: core.Instant(s.lives.Int64N(1 << 50)),
		rand: rand.New(rand.NewPCG(s.lives.Uint64(), s.lives.Uint64())),
	}
	if p := s.plan.driftPercent; p > 0 {
		l.environment.drift = int64(s.lives.IntN(20*p+1) - 10*p)
	}
	l.endpoint = &endpoint{fabric: s.fabric, life: l}
	l.machine = &machine{life: l}
	var machine storage.StateMachine = volatileMachine{machine: l.machine}
	if !s.plan.volatile[n.id-1] {
		l.machine.state = n.disk.machine
		machine = durableMachine{l.machine}
	}
	s.trace.add(traceLife, uint64(n.id), uint64(n.count), 1, uint64(n.disk.identity.Incarnation))
	s.trace.say("%v starts: hard state %+v, log %v to %v, snapshot %v, machine %v", l, n.disk.hard, n.disk.purged, n.disk.last(), n.disk.newestSnapshot().LogID, l.machine.state.applied)
	if err := l.run(machine); err != nil {
		s.check.fail("start: a node does not start on what its disk holds", "%v: %v", l, err)
	}
}

func (l *life) run(machine storage.StateMachine) (err error) {
	s := l.sim
	l.actors, err = actors.NewNode(actors.NodeConfig{
		ID: l.node.id, Store: l.disk, Snapshots: snapshotStore{l.disk}, Network: l.endpoint, Environment: l.environment,
		InflightProposalsMax: s.plan.inflightProposals, CheckInvariants: true,
	})
	if err != nil {
		return err
	}
	cfg := s.configured(l)
	cfg.StateMachine = machine
	l.group, err = l.actors.Start(context.Background(), cfg)
	if err != nil {
		return err
	}
	s.check.began(l)
	l.group.Watch(l.watched)
	l.group.Events(func(e actors.Event) {
		s.trace.add(traceStatus, uint64(l.node.id), uint64(e.Kind), uint64(e.Term), uint64(e.Peer.ID))
		s.trace.say("%v: notice %d term %d peer %v known %v index %d %s", l, e.Kind, e.Term, e.Peer, e.Known, e.Index, e.Text)
		s.check.noticed(l, &e.Notice)
	})
	l.watched(l.group.Status())
	return nil
}

// watched takes a new status.
func (l *life) watched(status actors.Status) {
	s := l.sim
	s.trace.add(traceStatus, uint64(l.node.id), uint64(status.Role), uint64(status.Term), uint64(status.Leader), uint64(status.Last), uint64(status.Committed),
		uint64(status.Applied), uint64(status.Flushed), uint64(status.Purged), uint64(status.SnapshotIndex), uint64(status.Configuration.Index))
	if s.trace.on() {
		s.trace.say("%v: %v of term %d, leader %d, last %d flushed %d committed %d applied %d, snapshot %d purged %d, %v: %v", l, status.Role, status.Term, status.Leader,
			status.Last, status.Flushed, status.Committed, status.Applied, status.SnapshotIndex, status.Purged, status.Configuration.LogID, status.Configuration.Configuration.String())
	}
	s.check.status(l, &l.status, &status)
	l.status = status
}

// observe looks, after whatever the life did, whether its group has failed.
func (l *life) observe() {
	l.sim.jobs.look(l)
	if l.group == nil || l.stopping {
		return
	}
	select {
	case <-l.group.Done():
	default:
		return
	}
	err := l.group.Err()
	if l.disk.failing && errors.Is(err, errDiskFailed) {
		// As it should be; whoever runs the node starts it again.
		l.sim.trace.add(traceLife, uint64(l.node.id), uint64(l.number), 2)
		l.sim.check.answeredAll(l)
		l.crash()
		l.node.restartAfter(l.sim.plan.election)
		return
	}
	l.sim.check.fail(ruleGroupFailed, "%v: %v", l, err)
}

// crash ends the process in the middle of whatever it does.
func (l *life) crash() {
	if l.dead {
		return
	}
	s := l.sim
	s.trace.add(traceLife, uint64(l.node.id), uint64(l.number), 0)
	l.dead, l.held = true, nil
	l.tear()
	s.fabric.leave(l.endpoint)
	s.trace.say("%v ends: hard state %+v, log %v to %v, snapshot %v", l, l.disk.hard, l.disk.purged, l.disk.last(), l.disk.newestSnapshot().LogID)
	s.check.ended(l)
	for _, w := range l.work {
		w.abandoned()
	}
	l.work = nil
}
