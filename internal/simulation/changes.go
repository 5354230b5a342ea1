package simulation

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/trouperaft/troupe/actors"
	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
)

// changer changes the members, as people and their scripts do: they add nodes and remove
// them, some of which come back with what they had or with an empty directory, and
// replace those that have lost their data. Not all that they ask for makes sense.
type changer struct {
	sim  *sim
	rand *rand.Rand
	// last is what was asked for last: somebody may ask for the same again.
	last  []membership.Change
	count int
}

func newChanger(s *sim, r *rand.Rand) *changer { return &changer{sim: s, rand: r} }

// drawChanges lets some clusters change their members. The others stay as they begin.
func (p *plan) drawChanges(r *rand.Rand) {
	p.founders = p.nodes
	if p.changes = chance(r, 40); !p.changes {
		return
	}
	p.atLeast(r, pick(r, 3, 4, 5))
	for len(p.priorities) < p.nodes {
		p.priorities = append(p.priorities, 0)
	}
	p.founders = 1 + r.IntN(p.nodes)
	p.changesEvery = p.election * time.Duration(pick(r, 1, 2, 4)) / 2
	p.phaseFaults = pick(r, 0, 10, 30)
	if chance(r, 50) && p.weights[faultEmptied] == 0 {
		p.weights[faultEmptied] = 1
	}
	if chance(r, 25) {
		// Hardly anything but changes, each of which is interrupted.
		p.changesEvery, p.phaseFaults = p.election/4, 40
		p.only(faultIsolateLeader, faultCrashLeader, faultPause, faultEmptied)
		p.faultEvery = 2 * p.election
	}
	// Room for the largest configuration.
	p.limits.EntryBytesMax = max(p.limits.EntryBytesMax, 8000)
	p.limits.BatchBytesMax = max(p.limits.BatchBytesMax, 8048)
}

// later lets somebody ask for a change after a while, again and again until everything
// heals.
func (o *changer) later() {
	s := o.sim
	if !s.plan.changes {
		return
	}
	s.clock.after(span{0, 2 * s.plan.changesEvery}.draw(o.rand), nil, func() {
		if !s.faults.healed {
			o.acts()
			o.later()
		}
	})
}

func (o *changer) acts() {
	s := o.sim
	g := s.groups[o.rand.IntN(len(s.groups))]
	r := g.on(s.nodes[o.rand.IntN(len(s.nodes))])
	if leader := g.newestLeader(); leader != nil && chance(o.rand, 50) {
		r = leader
	}
	if chance(o.rand, 10) {
		o.loses(s.nodes[o.rand.IntN(len(s.nodes))], span{0, 2 * s.plan.election}.draw(o.rand))
	}
	if g.formed && g.newest() != nil && r != nil && !r.stopping {
		o.orders(r, o.draw(g, r), chance(o.rand, 12))
	}
}

// draw makes an order.
func (o *changer) draw(g *group, r *replica) core.ChangeOrder {
	p := &o.sim.plan
	order := core.ChangeOrder{Cancel: chance(o.rand, 8), DryRun: chance(o.rand, 5)}
	order.CatchUpLimit = p.election * time.Duration(pick(o.rand, 2, 5, 20))
	order.KeepAdded, order.Automatic = chance(o.rand, 15), chance(o.rand, 15)
	if chance(o.rand, 10) {
		order.ExpectedIndex = r.status.Configuration.Index + core.Index(o.rand.IntN(2))
	}
	if chance(o.rand, 5) {
		order.ExpectedTerm = r.status.Term + core.Term(o.rand.IntN(2))
	}
	if len(o.last) > 0 && chance(o.rand, 10) {
		order.Changes = o.last
		return order
	}
	for range pick(o.rand, 1, 1, 1, 2, 3) {
		order.Changes = append(order.Changes, o.change(g, r))
	}
	o.last = order.Changes
	return order
}

// change draws what is to be done to a node, which is the leader in one case of four.
func (o *changer) change(g *group, r *replica) membership.Change {
	s, k := o.sim, g.newest()
	n := s.nodes[o.rand.IntN(len(s.nodes))]
	if leader := g.newestLeader(); leader != nil && chance(o.rand, 25) {
		n = leader.node
	}
	m := membership.Change{ID: n.id, Op: membership.Op(1 + o.rand.IntN(int(membership.OpSetVoters))), KeepAsLearner: chance(o.rand, 30), Force: chance(o.rand, 10)}
	ids := k.Incarnations(n.id)
	switch {
	case chance(o.rand, 15): // it need not make sense
	case g.lost(n):
		m.Op = pick(o.rand, membership.OpReplace, membership.OpReplace, membership.OpRemove)
	case len(ids) == 0:
		m.Op = pick(o.rand, membership.OpAdd, membership.OpAdd, membership.OpAddLearner)
	case k.IsVoter(ids[0]):
		m.Op = pick(o.rand, membership.OpRemove, membership.OpRemove, membership.OpDemote, membership.OpSetVoters, membership.OpSetTags, membership.OpSetAddress)
	default:
		m.Op = pick(o.rand, membership.OpRemove, membership.OpPromote, membership.OpPromote, membership.OpSetPriority, membership.OpAdd)
	}
	switch m.Op {
	case membership.OpAdd, membership.OpAddLearner, membership.OpSetAddress:
		m.Address = n.address
	case membership.OpSetVoters:
		m.ID = 0
		for _, member := range k.Members {
			if chance(o.rand, 60) && !slices.Contains(m.Voters, member.ID) {
				m.Voters = append(m.Voters, member.ID)
			}
		}
	case membership.OpSetPriority:
		m.Priority = pick(o.rand, uint32(0), membership.PriorityLast, 50, 200)
	case membership.OpSetTags:
		m.Tags = map[string]string{"zone": fmt.Sprint(o.rand.IntN(3))}
	}
	return m
}

// orders asks a replica for a change. Some who ask do not wait for its end.
func (o *changer) orders(r *replica, order core.ChangeOrder, noWait bool) {
	s := o.sim
	what := fmt.Sprintf("to change the members: %v, limit %v, expected %d in term %d", order.Changes, order.CatchUpLimit, order.ExpectedIndex, order.ExpectedTerm)
	if order.Cancel {
		what = "to cancel the change of the members"
	}
	q := s.operator.asks(r, "%s, no wait %v, dry run %v, automatic %v, kept %v", what, noWait, order.DryRun, order.Automatic, order.KeepAdded)
	q.changes = true
	o.count++
	leave := r.raft.ChangeMembers(order, noWait, actors.ChangeTrace{}, func(outcome actors.ChangeOutcome, err error) {
		if q.ends(err) {
			r.group.check.changed(r, &order, &outcome, err)
		}
	})
	if chance(o.rand, 20) {
		s.clock.after(span{0, 4 * s.plan.election}.draw(o.rand), r.life, func() { leave(context.Canceled) })
	}
}

// loses empties the directory of a node: at once if no group has anything to do with it,
// so that it may come back with a clean one; else when it has been down for so long that
// no leader counts on it any more, if all that may decide then can do without it.
func (o *changer) loses(n *node, down time.Duration) {
	s := o.sim
	if !s.formed() || n.emptied || n.life == nil || n.restarting || !s.found(n) {
		return
	}
	stranger := func() bool { return s.all(func(g *group) bool { return !g.belongs(n) }) }
	mayLose := func() bool { return s.all(func(g *group) bool { return g.survives(n) }) }
	if !stranger() && !mayLose() {
		return
	}
	n.life.crash()
	n.restarting = true // nobody else starts it
	if !stranger() {
		down = max(down, 4*s.plan.electionMax())
	}
	life := n.life
	s.clock.after(down, nil, func() {
		if !n.restarting || n.life != life {
			return
		}
		switch {
		case stranger():
			n.disk = s.newDisk(n.id)
			n.member = n.disk.identity
			s.trace.say("n%d begins with a clean directory, and is now %v", n.id, n.disk.identity)
		case down >= 4*s.plan.electionMax() && mayLose():
			n.emptied = true
			n.disk = s.newDisk(n.id)
			s.trace.say("n%d is emptied, and is now %v", n.id, n.disk.identity)
		}
		n.start()
	})
}

// watches lets something happen to a leader whose change has just gone on: that is when
// it matters most who goes on with it.
func (o *changer) watches(r *replica, was underWay) {
	s := o.sim
	is := r.phase()
	if is == was || was == noChange && is == noChange || s.faults == nil || s.faults.healed || !chance(o.rand, s.plan.phaseFaults) {
		return
	}
	soon := span{0, 3*s.plan.netDelay.high + s.plan.write.high}.draw(o.rand)
	if chance(o.rand, 40) {
		soon = 0 // nothing of it has left
	}
	s.clock.after(soon, r.life, func() {
		if s.faults.healed || r.stopping {
			return
		}
		s.trace.say("a change has gone on: n%d", r.node.id)
		switch o.rand.IntN(4) {
		case 0:
			s.faults.partition(1<<r.node.id, false)
		case 1:
			s.faults.pause(r.node)
		default:
			s.faults.crash(r.node)
		}
	})
}

// rests reports whether no change is under way, and nobody is left to be replaced.
func (o *changer) rests() bool { return o.idle() && !slices.ContainsFunc(o.sim.nodes, o.sim.lost) }

// idle reports whether no change is under way, none that was asked for may still begin, and
// what the last one has made is known.
func (o *changer) idle() bool {
	return o.ended() && !slices.ContainsFunc(o.sim.groups, func(g *group) bool { return g.asked(g.leader()) })
}

// ended is idle but for who waits for an answer.
func (o *changer) ended() bool {
	return o.sim.all(func(g *group) bool {
		leader := g.leader()
		if leader == nil || leader != g.newestLeader() {
			return false
		}
		st := leader.raft.Status()
		return st.Change.State == core.ChangeIdle && st.Configuration.Index <= st.Committed && st.Configuration.Index <= g.check.decided()
	})
}

// asked reports whether somebody waits for a member's answer to an order. It may be waiting
// for its turn behind another one, so that a leader without a change is not the end of it.
// Who asks a node that is no member, or has lost what made it one, has no leader who could
// answer.
func (g *group) asked(leader *replica) bool {
	return slices.ContainsFunc(g.sim.nodes, func(n *node) bool {
		r := g.on(n)
		return r != nil && !n.emptied && g.counts(leader, n) && slices.ContainsFunc(r.requests, func(q *request) bool { return q.changes && !q.done })
	})
}

// repairs replaces the nodes that have lost their data, until there are none.
func (o *changer) repairs() {
	s := o.sim
	if o.rests() || s.failure != nil {
		return
	}
	for _, g := range s.groups {
		leader := g.leader()
		if leader == nil || leader.status.Change.State != core.ChangeIdle {
			continue
		}
		if i := slices.IndexFunc(s.nodes, g.lost); i >= 0 {
			order := core.ChangeOrder{}
			order.CatchUpLimit = 20 * s.plan.electionMax()
			c := append(g.moved(s.nodes[i]), membership.Change{Op: membership.OpReplace, ID: s.nodes[i].id, Address: s.nodes[i].address})
			// One may go to where another was: they are carried out in their order.
			o.rand.Shuffle(len(c), func(i, j int) { c[i], c[j] = c[j], c[i] })
			order.Changes = c
			o.orders(leader, order, true)
		}
	}
	s.clock.after(s.plan.electionMax(), nil, o.repairs)
}

// moved says where the members are that are not at their addresses: one of them may have
// left its own to whoever is to be replaced. Who has taken that of another who is lost has to
// wait until he is replaced, too.
func (g *group) moved(replaced *node) (changes []membership.Change) {
	k := g.newest()
	if k == nil {
		return nil
	}
	for _, m := range k.Members {
		n := g.sim.nodes[m.ID-1]
		taken := slices.ContainsFunc(k.Members, func(o membership.Member) bool {
			other := g.sim.nodes[o.ID-1]
			return o.Address == n.address && other != replaced && g.lost(other)
		})
		if m.Identity == n.disk.identity && m.Address != n.address && !taken {
			changes = append(changes, membership.Change{Op: membership.OpSetAddress, ID: m.ID, Address: n.address})
		}
	}
	return changes
}

// patience is how long changes may take.
func (o *changer) patience() time.Duration {
	s := o.sim
	// The entries of a change stand behind those of clients, who go on.
	behind := time.Duration(3*len(s.groups)*s.plan.group.InflightProposalsMax) * s.plan.entryMax()
	return s.patience() + 40*s.plan.electionMax() + behind
}

// heals waits for the end of every change, and has what was lost replaced.
func (o *changer) heals() bool {
	s := o.sim
	if !s.plan.changes {
		return true
	}
	// Clients may write faster than a node takes the log, with the narrowest windows or the
	// slowest disk. What it was asked for it answers when it has that; each attempt to replace a
	// node is given up, rightly, and late if each round takes many times the one before. Then
	// the people wait for the night.
	if tired := s.tired(); !s.until(s.clock.now.Add(o.patience()), func() bool { return o.idle() || tired() }) && o.ended() || tired() {
		s.restClients()
	}
	if !s.until(s.clock.now.Add(o.patience()), o.idle) {
		s.fail(ruleChangeEnds, "%s", s.summary())
		return false
	}
	o.repairs()
	if tired := s.tired(); !s.until(s.clock.now.Add(o.patience()), func() bool { return o.rests() || tired() }) || tired() {
		s.restClients()
	}
	if !s.until(s.clock.now.Add(o.patience()), o.rests) {
		s.fail(ruleChangeEnds, "what was lost is not replaced: %s", s.summary())
	}
	s.recovers((*group).lost) // nothing else can come to decide any more
	return s.failure == nil
}
