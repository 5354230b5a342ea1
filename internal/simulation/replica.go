package simulation

import (
	"context"
	"errors"
	"fmt"

	"github.com/trouperaft/troupe/actors"
	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/storage"
)

// replica is one group on one life of a node.
type replica struct {
	*life
	group   *group
	store   *store
	raft    *actors.Group
	machine *machine
	witness *witness
	status  actors.Status
	// work is that of clients, and requests the operator's, that it has not answered
	// yet.
	work     []*work
	requests []*request
	// leaving: the group stops while its process goes on, and ended: it has.
	leaving, ended bool
	// removed: its group has told it that it is no member any more.
	removed bool
	// leftBehind: it was told that its group was recovered without it.
	leftBehind bool
	// again: it ran before in this process.
	again bool
}

// newReplica makes the replica of a group, which does not run yet.
func (l *life) newReplica(g *group) *replica {
	r := &replica{life: l, group: g, store: l.disk.of(g.id)}
	r.machine = &machine{replica: r}
	return r
}

// stop stops the group in order. It must answer everybody.
func (r *replica) stop(stopped func()) {
	s := r.sim
	r.leaving = true
	s.trace.add(traceLife, uint64(r.node.id), uint64(r.number), 4, uint64(r.group.id))
	s.trace.say("%v stops", r)
	r.raft.Stop(func(err error) {
		if r.ended {
			s.fail("stop: its end was reported twice", "%v", r)
		}
		r.ended = true
		if err != nil && !r.disk.failing {
			s.fail(ruleGroupFailed, "%v: %v", r, err)
		}
		// What Stop has called may still be in the actor that called it.
		s.clock.after(0, r.life, func() {
			r.group.check.answeredAll(r)
			stopped()
		})
	})
}

// startGroups starts the groups that have stopped while the process went on.
func (l *life) startGroups() {
	if l.stopping || l.disk.failing {
		return
	}
	for i, r := range l.replicas {
		if !r.ended {
			continue
		}
		r = l.newReplica(r.group)
		r.again = true
		l.replicas[i] = r
		if err := r.run(); err != nil {
			l.sim.fail("start: a group does not start on what its disk holds", "%v: %v", r, err)
		}
	}
}

// errNoCause is the end of a group that nobody has stopped and that names no cause.
var errNoCause = errors.New("simulation: a group has ended by itself")

func (r *replica) String() string {
	if len(r.sim.groups) == 1 {
		return r.life.String()
	}
	return fmt.Sprintf("%v group %d", r.life, r.group.id)
}

// run starts the group on a life whose node runs.
func (r *replica) run() error {
	s, n := r.sim, r.node
	var machine storage.StateMachine = volatileMachine{machine: r.machine}
	if !s.plan.volatile[n.id-1] {
		r.machine.state = r.store.machine
		machine = durableMachine{r.machine}
	}
	s.trace.say("%v starts: hard state %+v, log %v to %v, snapshot %v, record %v, machine %v", r, r.store.hard, r.store.purged, r.store.last(), r.store.newestSnapshot().LogID, r.store.record.LogID, r.machine.state.applied)
	cfg := s.plan.group
	r.witness = newWitness(r)
	cfg.Group, cfg.StateMachine, cfg.Witness = r.group.id, machine, r.witness
	cfg.OnLeading = r.group.jobs.onLeading(r)
	cfg.ElectionTimeout, cfg.HungLimit = r.election, max(cfg.HungLimit, r.election)
	raft, err := r.actors.Start(context.Background(), cfg)
	if err != nil {
		return err
	}
	r.raft = raft
	r.group.check.began(r)
	r.raft.Watch(r.watched)
	r.raft.Events(func(e actors.Event) {
		s.trace.add(traceStatus, uint64(n.id), uint64(r.group.id), uint64(e.Kind), uint64(e.Term), uint64(e.Peer.ID))
		s.trace.say("%v: notice %d term %d peer %v known %v index %d %s", r, e.Kind, e.Term, e.Peer, e.Known, e.Index, e.Text)
		r.group.check.noticed(r, &e.Notice)
	})
	r.watched(r.raft.Status())
	return nil
}

// watched takes a new status.
func (r *replica) watched(status actors.Status) {
	s := r.sim
	s.trace.add(traceStatus, uint64(r.node.id), uint64(r.group.id), uint64(status.Role), uint64(status.Term), uint64(status.Leader), uint64(status.Last), uint64(status.Committed),
		uint64(status.Applied), uint64(status.Flushed), uint64(status.Purged), uint64(status.SnapshotIndex), uint64(status.Configuration.Index))
	if s.trace.on() {
		s.trace.say("%v: %v of term %d, leader %d, last %d flushed %d committed %d applied %d, snapshot %d purged %d, %v: %v", r, status.Role, status.Term, status.Leader,
			status.Last, status.Flushed, status.Committed, status.Applied, status.SnapshotIndex, status.Purged, status.Configuration.LogID, status.Configuration.Configuration.String())
	}
	r.group.check.status(r, &r.status, &status)
	was := r.phase()
	r.status = status
	if s.plan.changes {
		s.changer.watches(r, was)
	}
}

// sent takes note of a message that leaves.
func (r *replica) sent(m core.Message) { r.group.check.sent(r, m) }

// failed returns why the group has ended by itself, nil if it has not.
func (r *replica) failed() error {
	if r.raft == nil || r.leaving && r.raft.Err() == nil {
		return nil
	}
	select {
	case <-r.raft.Done():
	default:
		return nil
	}
	if err := r.raft.Err(); err != nil {
		return err
	}
	return errNoCause
}

// summary tells where the replica stands.
func (r *replica) summary() string {
	st := &r.status
	text := fmt.Sprintf("%v (emptied %v): %v of term %d, leader %d, ready %v, last %d flushed %d committed %d applied %d, snapshot %d purged %d, %s; machine %v; %d calls, %d works", r, r.node.emptied,
		st.Role, st.Term, st.Leader, st.Ready, st.Last, st.Flushed, st.Committed, st.Applied, st.SnapshotIndex, st.Purged, st.Configuration.Configuration.String(),
		r.machine.state.applied, len(r.calls), len(r.work))
	for _, q := range r.requests {
		if !q.done {
			text += "\n\t\twaits for an answer: " + q.what
		}
	}
	for _, p := range st.Peers {
		text += fmt.Sprintf("\n\t\tpeer %d match %d snapshot %v lost data %v", p.ID, p.Match, p.Snapshot, p.LostData)
	}
	return text
}

// leads reports whether the replica leads and admits writes.
func (r *replica) leads() bool {
	return !r.dead && r.status.Role == core.RoleLeader && r.status.Ready
}
