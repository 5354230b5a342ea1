package simulation

import (
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/trouperaft/troupe/actors"
	"github.com/trouperaft/troupe/actors/stage"
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
	// Nodes is the size of the cluster, and Groups how many it has.
	Nodes, Groups int
	// Faults, Elections, Lives and Snapshots count what happened.
	Faults, Elections, Lives, Snapshots, Restores int
	// Jobs are how often the application was called for a leader.
	Jobs int
	// Forged messages were sent by a stranger.
	Forged int
	// Hands is what an operator asked for, Transferred and ElectedByHand what of it
	// succeeded.
	Hands, Transferred, ElectedByHand int
	// Asked are the changes of the members that were asked for, and Changed those that
	// have ended.
	Asked, Changed int
	// Entries were applied, Writes acknowledged, and Reads served.
	Entries, Writes, Reads int
	// ReadsOf are the reads by their mode, and Local those that waited for nobody.
	ReadsOf [4]int
	Local   int
	// Situations counts the situations that were met.
	Situations [situations]int
}

// Run runs the cluster that a seed describes.
func Run(seed uint64, options Options) Result { return newSim(seed, options).run(seed) }

// run runs the cluster of the plan.
func (s *sim) run(seed uint64) Result {
	for _, g := range s.groups {
		g.jobs.draw()
	}
	s.trace.say("seed %d: %+v", seed, s.plan)
	s.story()
	s.trace.add(traceVerdict, 0, s.steps)
	r := Result{
		Seed: seed, Failure: s.failure, Hash: s.trace.hash, Simulated: s.clock.now.Sub(0), Steps: s.steps, Events: s.trace.count, Nodes: len(s.nodes),
		Groups: len(s.groups), Faults: s.faults.count, Forged: s.faults.stranger.forged, Situations: s.seen,
		Asked: s.changer.count, Hands: s.operator.count, Transferred: s.operator.transferred, ElectedByHand: s.operator.elected,
	}
	for _, n := range s.nodes {
		r.Lives += n.count
	}
	for _, g := range s.groups {
		c := g.check
		r.Elections, r.Snapshots, r.Restores, r.Entries = r.Elections+c.elections, r.Snapshots+c.snapshots, r.Restores+c.restores, r.Entries+len(c.history)
		r.Jobs += g.jobs.count
		r.Changed += c.changesDone
		for _, c := range g.clients {
			r.Writes += c.writesDone
			r.Reads += c.readsDone
			r.Local += c.local
			for mode, n := range c.readsOf {
				r.ReadsOf[mode] += n
			}
		}
	}
	return r
}

func newSim(seed uint64, options Options) *sim {
	s := &sim{seed: seed, system: options.System}
	s.plan = planOf(seed)
	if s.system == nil {
		s.system = stage.NewSystem()
	}
	s.trace = trace{clock: &s.clock, lines: options.Trace}
	s.scheduling, s.delays, s.clientRand, s.lives = s.generator(2), s.generator(3), s.generator(4), s.generator(5)
	s.fabric = &fabric{sim: s, rand: s.generator(6)}
	s.newGroups()
	s.faults = newFaults(s, s.generator(7))
	s.operator = newOperator(s, s.generator(9))
	s.changer = newChanger(s, s.generator(11))
	s.upkeep = newUpkeep(s, s.generator(14))
	s.instant.draw = s.generator(16)
	if d := s.instant.draw; d.IntN(2) == 0 {
		s.instant.percent = 1 + d.IntN(100)
	}
	s.newNodes()
	return s
}

// generator draws for one concern.
func (s *sim) generator(concern uint64) *rand.Rand { return generator(s.seed, concern) }

func generator(seed, concern uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, concern)) }

// planOf is what a seed draws before a run begins.
func planOf(seed uint64) plan { return drawPlan(generator(seed, 1)) }

// story is the run from its beginning to its end.
func (s *sim) story() {
	past := s.generator(8)
	for i, g := range s.groups {
		if s.plan.beginnings[i] == begunBefore {
			g.inherit(past)
		}
	}
	for _, n := range s.nodes {
		n.start()
	}
	for _, g := range s.groups {
		for _, c := range g.clients {
			c.next()
		}
	}
	if s.plan.faultsEarly {
		s.faults.later()
	}
	for _, g := range s.groups {
		g.begin()
	}
	s.operator.pausesIncoming()
	if !s.plan.faultsEarly {
		if !s.until(s.clock.now.Add(s.patience()), s.formed) {
			s.fail("liveness: a cluster without faults is not formed", "%s", s.summary())
			return
		}
		s.faults.later()
	}
	s.operator.later()
	s.changer.later()
	s.upkeep.later()
	s.jumpClocks(s.generator(12))
	s.until(s.clock.now.Add(s.plan.faultsFor), func() bool { return false })
	s.faults.heal()
	s.operator.heals()
	if !s.changer.heals() {
		return
	}
	if !s.until(s.clock.now.Add(s.patience()), s.serves) {
		s.fail("liveness: the healed cluster does not come to rest", "%s", s.summary())
		return
	}
	s.restClients()
	if !s.until(s.clock.now.Add(s.patience()), s.converged) {
		s.fail("liveness: the healed cluster does not converge", "%s", s.summary())
		return
	}
	s.epilogue()
}

// tired reports whether so many steps were done, from now on, that clients have written long
// enough.
func (s *sim) tired() func() bool {
	begun := s.steps
	return func() bool { return s.steps-begun > stepsMax/4 }
}

// restClients lets the clients do no more.
func (s *sim) restClients() {
	for _, g := range s.groups {
		for _, c := range g.clients {
			c.stopped = true
		}
	}
}

// patience is how long the healed cluster may take: some elections, and the time to
// bring everybody up by the narrowest window. A group that is not formed yet may have
// to wait until grants run out whose release was lost.
func (s *sim) patience() time.Duration {
	p := &s.plan
	write, entry := p.writeMax(), p.entryMax()
	chunks := 2 + (p.fillerBytes+machineStateBytes)/p.group.SnapshotChunkBytes
	entries := 0
	for _, g := range s.groups {
		entries += len(g.check.history) + 500 + 4*chunks
	}
	grants := time.Duration(0)
	if !s.formed() {
		grants = 5 * time.Minute
	}
	return 60*p.electionMax() + 100*write + time.Duration(entries)*entry + grants
}

// writeMax is how long a write may take.
func (p *plan) writeMax() time.Duration { return max(p.write.high, p.slowWrite.high) }

// entryMax is how long one entry may take, from its proposal to the machines.
func (p *plan) entryMax() time.Duration {
	return 3*p.netDelay.high + 2*p.writeMax() + p.read.high + p.apply.high + p.stalls.high
}

// members is the list that the cluster is formed with.
func (s *sim) members() []membership.Member { return s.everyone()[:s.plan.founders] }

// everyone lists all nodes.
func (s *sim) everyone() []membership.Member {
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

// all reports whether something is so of every group.
func (s *sim) all(is func(*group) bool) bool {
	return !slices.ContainsFunc(s.groups, func(g *group) bool { return !is(g) })
}

// begun reports whether nobody can be taken for a member by a group that is being
// formed.
func (s *sim) begun() bool { return s.all(func(g *group) bool { return g.formed || g.inherited }) }

func (s *sim) formed() bool    { return s.all(func(g *group) bool { return g.formed }) }
func (s *sim) serves() bool    { return s.all((*group).serves) }
func (s *sim) converged() bool { return s.all((*group).converged) }

// epilogue writes and reads at every member of the healed cluster, and stops
// it.
func (s *sim) epilogue() {
	waiting := 0
	for _, g := range s.groups {
		c, leader := g.clients[0], g.leader()
		for _, n := range s.nodes {
			if r := g.on(n); !n.emptied && g.counts(leader, n) {
				waiting += 2
				s.insist(func(done func(*work)) { c.writes(r, false, done) }, func() { waiting-- })
				s.insist(func(done func(*work)) { c.reads(r, &actors.Read{}, 0, false, done) }, func() { waiting-- })
			}
		}
	}
	if !s.until(s.clock.now.Add(s.patience()), func() bool { return waiting == 0 }) {
		s.fail("liveness: the healed cluster does not serve", "%s", s.summary())
		return
	}
	if !s.until(s.clock.now.Add(s.patience()), func() bool { return s.all((*group).emptiedKnow) }) {
		s.fail("identity: an emptied node does not say that its group does not know it", "%s", s.summary())
	}
	if !s.until(s.clock.now.Add(s.patience()), func() bool { return s.all((*group).emptiedKnown) }) {
		s.fail("identity: the leader does not tell that a member has lost its data", "%s", s.summary())
	}
	for _, g := range s.groups {
		g.jobs.lives()
	}
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

// silence lets each emptied node be alone.
func (s *sim) silence() {
	for _, n := range s.nodes {
		if !n.emptied || s.failure != nil {
			continue
		}
		for _, m := range s.nodes {
			if m != n {
				s.fabric.block(m.id, n.id)
			}
		}
		s.until(s.clock.now.Add(12*s.plan.electionMax()), func() bool { return false })
		for _, g := range s.groups {
			g.silence(n)
		}
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
		s.fail("stop: a node does not come to its end", "%d of %d did", down, len(s.nodes))
	}
}

// summary tells where every node stands.
func (s *sim) summary() string {
	text := ""
	for _, g := range s.groups {
		text += fmt.Sprintf("group %d: formed %v, committed %d", g.id, g.formed, g.check.committed)
		for _, n := range s.nodes {
			if r := g.on(n); r != nil {
				text += "\n\t" + r.summary()
			} else {
				text += fmt.Sprintf("\n\tn%d is down", n.id)
			}
		}
		text += "\n"
	}
	return text
}
