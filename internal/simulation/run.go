package simulation

import (
	"fmt"
	"io"
	"math/rand/v2"
	"time"

	"github.com/trouperaft/troupe/actors"
	"github.com/trouperaft/troupe/actors/stage"
	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
)

// Options of a run.
type Options struct {
	// Trace receives the history of the run as lines. nil: it is only hashed.
	Trace io.Writer
	// System may be shared by runs, one after the other. nil: a new one.
	System *stage.System
}

// Result is what came of a run.
type Result struct {
	Seed uint64
	// Failure is what a checker found, nil if all went well.
	Failure *Failure
	// Hash is the same whenever the seed is run.
	Hash uint64
	// Simulated is the virtual time of the run.
	Simulated time.Duration
	// Steps counts what the loop ran, Events the lines of the trace.
	Steps, Events uint64
	// Nodes is the size of the cluster.
	Nodes int
	// Faults, Elections, Lives and Snapshots count what happened.
	Faults, Elections, Lives, Snapshots, Restores int
	// Jobs are how often the application was called for a leader.
	Jobs int
	// Forged messages were sent by a stranger.
	Forged int
	// Hands is what an operator asked for, Transferred and ElectedByHand what of it
	// succeeded.
	Hands, Transferred, ElectedByHand int
	// Entries were applied, Writes acknowledged, and Reads served.
	Entries, Writes, Reads int
	// ReadsOf are the reads by their mode, and Local those that waited for nobody.
	ReadsOf [4]int
	Local   int
}

// Run runs the cluster that a seed describes.
func Run(seed uint64, options Options) Result { return newSim(seed, options).run(seed) }

// run runs the cluster of the plan.
func (s *sim) run(seed uint64) Result {
	s.jobs.draw()
	s.trace.say("seed %d: %+v", seed, s.plan)
	s.story()
	s.trace.add(traceVerdict, 0, s.steps)
	r := Result{
		Seed: seed, Failure: s.check.failure, Hash: s.trace.hash, Simulated: s.clock.now.Sub(0), Steps: s.steps, Events: s.trace.count, Nodes: len(s.nodes),
		Faults: s.faults.count, Elections: s.check.elections, Snapshots: s.check.snapshots, Restores: s.check.restores, Entries: len(s.check.history),
		Jobs: s.jobs.count, Forged: s.check.forged, Hands: s.operator.count, Transferred: s.operator.transferred, ElectedByHand: s.operator.elected,
	}
	for _, n := range s.nodes {
		r.Lives += n.count
	}
	for _, c := range s.clients {
		r.Writes += c.writesDone
		r.Reads += c.readsDone
		r.Local += c.local
		for mode, n := range c.readsOf {
			r.ReadsOf[mode] += n
		}
	}
	return r
}

func newSim(seed uint64, options Options) *sim {
	generator := func(concern uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, concern)) }
	s := &sim{plan: drawPlan(generator(1)), system: options.System}
	if s.system == nil {
		s.system = stage.NewSystem()
	}
	s.trace = trace{clock: &s.clock, lines: options.Trace}
	s.scheduling, s.delays, s.clientRand, s.lives = generator(2), generator(3), generator(4), generator(5)
	s.fabric = &fabric{sim: s, rand: generator(6)}
	s.check = newChecker(s)
	s.faults = newFaults(s, generator(7))
	s.operator = newOperator(s, generator(8))
	s.jobs = newJobs(s, generator(9))
	for i := range s.plan.nodes {
		n := &node{sim: s, id: core.NodeID(i + 1), diskSlow: 1, machineSlow: 1}
		n.disk = s.newDisk(n.id)
		s.nodes = append(s.nodes, n)
	}
	for i := range s.plan.clients {
		s.clients = append(s.clients, &client{sim: s, number: i + 1})
	}
	return s
}

// story is the run from its beginning to its end.
func (s *sim) story() {
	for _, n := range s.nodes {
		n.start()
	}
	for _, c := range s.clients {
		c.next()
	}
	if s.plan.faultsEarly {
		s.faults.later()
	}
	s.bootstrap()
	if !s.plan.faultsEarly {
		if !s.until(s.clock.now.Add(s.patience()), func() bool { return s.formed }) {
			s.check.fail("liveness: a cluster without faults is not formed", "%s", s.summary())
			return
		}
		s.faults.later()
	}
	s.operator.later()
	s.until(s.clock.now.Add(s.plan.faultsFor), func() bool { return false })
	s.faults.heal()
	s.operator.heals()
	if !s.until(s.clock.now.Add(s.patience()), s.serves) {
		s.check.fail("liveness: the healed cluster does not come to rest", "%s", s.summary())
		return
	}
	for _, c := range s.clients {
		c.stopped = true
	}
	if !s.until(s.clock.now.Add(s.patience()), s.converged) {
		s.check.fail("liveness: the healed cluster does not converge", "%s", s.summary())
		return
	}
	s.epilogue()
}

// patience is how long the healed cluster may take: some elections, and the
// time to bring everybody up by the narrowest window.
func (s *sim) patience() time.Duration {
	p := &s.plan
	entry := 3*p.netDelay.high + 2*p.write.high + p.read.high + p.apply.high + p.stalls.high
	chunks := 2 + (p.fillerBytes+machineStateBytes)/p.group.SnapshotChunkBytes
	return 60*p.election + time.Duration(len(s.check.history)+500+4*chunks)*entry
}

// bootstrap asks a node to form the cluster, until it is formed.
func (s *sim) bootstrap() {
	members := s.members()
	first := s.nodes[s.lives.IntN(len(s.nodes))]
	var ask func()
	ask = func() {
		if s.formed {
			return
		}
		if l := first.life; l != nil && !l.dead && !l.stopping {
			l.group.Bootstrap(members, s.plan.election, func(err error) {
				s.trace.add(traceClient, uint64(first.id), truth(err == nil))
				s.trace.say("bootstrap: %v", err)
			})
		}
		s.clock.after(3*s.plan.election, nil, ask)
	}
	s.clock.after(millisecond, nil, ask)
}

// members is the list that the cluster is formed with.
func (s *sim) members() []membership.Member {
	var members []membership.Member
	for _, n := range s.nodes {
		m := membership.Member{Identity: membership.Identity{ID: n.id}, Address: address(n.id)}
		if int(n.id) <= len(s.plan.priorities) { // a test may have other nodes than the plan
			m.Priority = s.plan.priorities[n.id-1]
		}
		members = append(members, m)
	}
	return members
}

// leader returns the life that leads and admits writes, nil if there is none or
// more than one believes so.
func (s *sim) leader() *life {
	var found *life
	for _, n := range s.nodes {
		if l := n.life; l != nil && !l.dead && l.status.Role == core.RoleLeader && l.status.Ready {
			if found != nil {
				return nil
			}
			found = l
		}
	}
	return found
}

// serves reports whether the cluster is formed and led.
func (s *sim) serves() bool { return s.formed && s.leader() != nil }

// converged reports whether no client waits, and all members have applied all
// that there is.
func (s *sim) converged() bool {
	for _, c := range s.clients {
		if c.open > 0 {
			return false
		}
	}
	leader := s.leader()
	if leader == nil || leader.status.Committed != leader.status.Last {
		return false
	}
	for _, n := range s.nodes {
		if n.life.dead || n.life.stopping {
			return false
		}
		if n.emptied {
			continue
		}
		if n.life.machine.state != leader.machine.state || n.life.machine.state.applied.Index != leader.status.Last || n.life.status.Flushed != leader.status.Last {
			return false
		}
	}
	return true
}

// epilogue writes and reads at every member of the healed cluster, and stops
// it.
func (s *sim) epilogue() {
	c := s.clients[0]
	waiting := 0
	for _, n := range s.nodes {
		if !n.emptied {
			waiting += 2
			s.insist(func(done func(*work)) { c.writes(n.life, false, done) }, func() { waiting-- })
			s.insist(func(done func(*work)) { c.reads(n.life, &actors.Read{}, 0, false, done) }, func() { waiting-- })
		}
	}
	if !s.until(s.clock.now.Add(s.patience()), func() bool { return waiting == 0 }) {
		s.check.fail("liveness: the healed cluster does not serve", "%s", s.summary())
		return
	}
	if !s.until(s.clock.now.Add(s.patience()), s.emptiedKnow) {
		s.check.fail("identity: an emptied node does not say that its group does not know it", "%s", s.summary())
	}
	if !s.until(s.clock.now.Add(s.patience()), s.emptiedKnown) {
		s.check.fail("identity: the leader does not tell that a member has lost its data", "%s", s.summary())
	}
	s.jobs.lives()
	s.silence()
	s.stopAll()
}

// insist tries an operation until it succeeds: a leader may still step
// down, and then a write that it had is lost or in doubt.
func (s *sim) insist(try func(done func(*work)), succeeded func()) {
	try(func(w *work) {
		if w.err == nil && !w.lost {
			succeeded()
			return
		}
		s.clock.after(s.plan.heartbeat, nil, func() { s.insist(try, succeeded) })
	})
}

// emptiedKnow reports whether each emptied node says that its group does not
// know it, and holds nothing.
func (s *sim) emptiedKnow() bool {
	for _, n := range s.nodes {
		if n.emptied && (!n.life.group.Status().UnknownToGroup || n.life.status.Last > 0) {
			return false
		}
	}
	return true
}

// emptiedKnown reports whether the leader tells of each emptied node that it has
// lost its data, and of nobody else.
func (s *sim) emptiedKnown() bool {
	leader := s.leader()
	if leader == nil {
		return false
	}
	st := leader.group.Status()
	for i := range st.Peers {
		if st.Peers[i].LostData != s.nodes[st.Peers[i].ID-1].emptied {
			return false
		}
	}
	return true
}

// silence lets an emptied node be alone. What it was told of its group was never
// proved, so that it passes when nothing more is heard for ten time-outs.
func (s *sim) silence() {
	for _, n := range s.nodes {
		if !n.emptied || s.check.failure != nil {
			continue
		}
		for _, m := range s.nodes {
			if m != n {
				s.fabric.block(m.id, n.id)
			}
		}
		s.until(s.clock.now.Add(12*s.plan.election), func() bool { return false })
		// Only an event makes it look at its clock again.
		cancel := n.life.group.Bootstrap(s.members(), time.Hour, func(err error) { s.trace.say("bootstrap: %v", err) })
		if !s.until(s.clock.now.Add(s.plan.election), func() bool { return !n.life.group.Status().UnknownToGroup }) {
			s.check.fail("identity: what nobody says any more is still believed", "%s", s.summary())
		}
		cancel()
		for _, m := range s.nodes {
			if m != n {
				s.fabric.unblock(m.id, n.id)
			}
		}
	}
}

// stopAll stops all nodes in order: everybody is answered.
func (s *sim) stopAll() {
	down := 0
	for _, n := range s.nodes {
		n.stop(func() { down++ })
	}
	if !s.until(s.clock.now.Add(s.patience()), func() bool { return down == len(s.nodes) }) {
		s.check.fail("stop: a node does not come to its end", "%d of %d did", down, len(s.nodes))
	}
}

// summary tells where every node stands.
func (s *sim) summary() string {
	text := fmt.Sprintf("formed %v, committed %d", s.formed, s.check.committed)
	for _, n := range s.nodes {
		l := n.life
		if l == nil || l.dead {
			text += fmt.Sprintf("\n\tn%d is down", n.id)
			continue
		}
		st := &l.status
		text += fmt.Sprintf("\n\t%v (emptied %v): %v of term %d, leader %d, ready %v, last %d flushed %d committed %d applied %d, snapshot %d purged %d, %s; machine %v; %d calls, %d works", l, n.emptied,
			st.Role, st.Term, st.Leader, st.Ready, st.Last, st.Flushed, st.Committed, st.Applied, st.SnapshotIndex, st.Purged, st.Configuration.Configuration.String(),
			l.machine.state.applied, len(l.calls), len(l.work))
		for _, p := range st.Peers {
			text += fmt.Sprintf("\n\t\tpeer %d match %d snapshot %v lost data %v", p.ID, p.Match, p.Snapshot, p.LostData)
		}
	}
	return text
}
