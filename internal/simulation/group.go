package simulation

import (
	"time"

	"github.com/trouperaft/troupe/actors"
	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
)

// groupsMax is how many groups a cluster has at most, from 1 to groupsMax.
const groupsMax = 3

// group is one Raft group over all nodes: what an onlooker knows of it, and its
// clients.
type group struct {
	sim     *sim
	id      membership.GroupID
	check   *checker
	clients []*client
	// jobs are what the application runs while it leads.
	jobs *jobs
	// inherited: it was there before the run.
	inherited bool
	// formed: the group consists of all its members.
	formed bool
}

// newGroups makes the groups of the plan.
func (s *sim) newGroups() {
	leading := s.generator(10)
	for i := range s.plan.groups {
		g := &group{sim: s, id: membership.GroupID(i + 1)}
		g.check, g.jobs = newChecker(g), newJobs(g, leading)
		for range s.plan.clients {
			g.clients = append(g.clients, &client{group: g, number: len(g.clients) + 1})
		}
		s.groups = append(s.groups, g)
	}
}

// on returns the group's replica on a node, nil if the node is down, or the group
// does not run there.
func (g *group) on(n *node) *replica {
	if n.life == nil || n.life.dead {
		return nil
	}
	if r := n.life.replicas[g.id-1]; !r.leaving {
		return r
	}
	return nil
}

// leader returns the replica that leads and admits writes, nil if there is none or
// more than one believes so.
func (g *group) leader() *replica {
	var found *replica
	for _, n := range g.sim.nodes {
		if r := g.on(n); r != nil && r.leads() {
			if found != nil {
				return nil
			}
			found = r
		}
	}
	return found
}

// newestLeader returns who leads the highest term, nil if nobody leads.
func (g *group) newestLeader() *replica {
	var found *replica
	for _, n := range g.sim.nodes {
		if r := g.on(n); r != nil && r.status.Role == core.RoleLeader && (found == nil || r.status.Term > found.status.Term) {
			found = r
		}
	}
	return found
}

// begin lets the group begin: it is there, or nodes are asked to form it.
func (g *group) begin() {
	s := g.sim
	switch s.plan.beginnings[g.id-1] {
	case begunBefore:
	case begunByOne:
		g.bootstrap(s.nodes[s.lives.IntN(s.plan.founders)])
	case begunBySeveral:
		for _, n := range s.nodes[:s.plan.founders] {
			if chance(s.lives, 70) {
				g.bootstrap(n)
			}
		}
		g.bootstrap(s.nodes[0])
	}
}

// bootstrap asks a node to form the group, until it is formed.
func (g *group) bootstrap(n *node) {
	s := g.sim
	members := s.members()
	var ask func()
	ask = func() {
		if g.formed {
			return
		}
		if r := g.on(n); r != nil && !r.stopping {
			r.raft.Bootstrap(members, s.plan.election, func(err error) {
				s.trace.add(traceClient, uint64(n.id), uint64(g.id), truth(err == nil))
				s.trace.say("n%d: bootstrap of group %d: %v", n.id, g.id, err)
			})
		}
		s.clock.after(3*s.plan.election+span{0, s.plan.election}.draw(s.lives), nil, ask)
	}
	s.clock.after(span{0, 2 * millisecond}.draw(s.lives), nil, ask)
}

// isFormed reports whether what a leader says is a group that has what was asked
// for: nothing is on its way any more, and it is committed.
func (g *group) isFormed(st *actors.Status) bool {
	k := &st.Configuration.Configuration
	return !st.Bootstrapping && !k.Joint() && st.Committed >= st.Configuration.Index && (g.inherited || g.formed || len(k.Voters) == g.sim.plan.founders)
}

// counts reports whether a node is a member to the leader.
func (g *group) counts(leader *replica, n *node) bool {
	_, member := leader.status.Configuration.Configuration.Member(n.member)
	return member
}

// serves reports whether the group is formed and led.
func (g *group) serves() bool { return g.formed && g.leader() != nil }

// converged reports whether no client waits, all members have applied all that there
// is, and none is about to be stopped.
func (g *group) converged() bool {
	for _, c := range g.clients {
		if c.open > 0 {
			return false
		}
	}
	leader := g.leader()
	if leader == nil || leader.status.Committed != leader.status.Last {
		return false
	}
	for _, n := range g.sim.nodes {
		r := g.on(n)
		if r == nil || r.stopping || r.ends {
			return false
		}
		if n.emptied || !g.counts(leader, n) {
			continue
		}
		if r.machine.state != leader.machine.state || r.machine.state.applied.Index != leader.status.Last || r.status.Flushed != leader.status.Last {
			return false
		}
	}
	return true
}

// askDeposed lets a client read at whoever still believes to lead a term below
// the one in which something was just committed.
func (g *group) askDeposed(term core.Term) {
	s := g.sim
	for _, n := range s.nodes {
		r := g.on(n)
		if r == nil || r.stopping || r.paused || r.status.Role != core.RoleLeader || r.status.Term >= term || !chance(s.clientRand, 50) {
			continue
		}
		s.clock.after(0, r.life, func() { g.clients[0].asksNow(r) })
	}
}

// emptiedKnow reports whether each emptied member says that its group does not
// know it, and holds nothing.
func (g *group) emptiedKnow() bool {
	leader := g.leader()
	for _, n := range g.sim.nodes {
		if leader == nil || n.emptied && g.counts(leader, n) && !g.on(n).raft.Status().UnknownToGroup || n.emptied && g.on(n).status.Last > 0 {
			return false
		}
	}
	return true
}

// emptiedKnown reports whether the leader tells of each emptied node that it has
// lost its data, and of nobody else.
func (g *group) emptiedKnown() bool {
	leader := g.leader()
	if leader == nil {
		return false
	}
	st := leader.raft.Status()
	for i := range st.Peers {
		if st.Peers[i].LostData != g.sim.nodes[st.Peers[i].ID-1].emptied {
			return false
		}
	}
	return true
}

// silence lets an emptied node be alone. What it was told of its group was never
// proved, so that it passes when nothing more is heard for ten time-outs.
func (g *group) silence(n *node) {
	s := g.sim
	r := g.on(n)
	// Only an event makes it look at its clock again.
	cancel := r.raft.Bootstrap(s.members(), time.Hour, func(err error) { s.trace.say("bootstrap of group %d: %v", g.id, err) })
	if !s.until(s.clock.now.Add(s.plan.electionMax()), func() bool { return !r.raft.Status().UnknownToGroup }) {
		g.check.fail("identity: what nobody says any more is still believed", "%s", s.summary())
	}
	cancel()
}
