package simulation

import (
	"time"

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
	// formed: the group consists of all its members.
	formed bool
}

// newGroups makes the groups of the plan.
func (s *sim) newGroups() {
	for i := range s.plan.groups {
		g := &group{sim: s, id: membership.GroupID(i + 1)}
		g.check = newChecker(g)
		for range s.plan.clients {
			g.clients = append(g.clients, &client{group: g, number: len(g.clients) + 1})
		}
		s.groups = append(s.groups, g)
	}
}

// on returns the group's replica on a node, nil if the node is down.
func (g *group) on(n *node) *replica {
	if n.life == nil || n.life.dead {
		return nil
	}
	return n.life.replicas[g.id-1]
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

// bootstrap asks a node to form the group, until it is formed.
func (g *group) bootstrap() {
	s := g.sim
	members := s.members()
	first := s.nodes[s.lives.IntN(len(s.nodes))]
	var ask func()
	ask = func() {
		if g.formed {
			return
		}
		if r := g.on(first); r != nil && !r.stopping {
			r.raft.Bootstrap(members, s.plan.election, func(err error) {
				s.trace.add(traceClient, uint64(first.id), uint64(g.id), truth(err == nil))
				s.trace.say("bootstrap of group %d: %v", g.id, err)
			})
		}
		s.clock.after(3*s.plan.election, nil, ask)
	}
	s.clock.after(millisecond, nil, ask)
}

// serves reports whether the group is formed and led.
func (g *group) serves() bool { return g.formed && g.leader() != nil }

// converged reports whether no client waits, and all members have applied all
// that there is.
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
		if r == nil || r.stopping {
			return false
		}
		if n.emptied {
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

// emptiedKnow reports whether each emptied node says that its group does not
// know it, and holds nothing.
func (g *group) emptiedKnow() bool {
	for _, n := range g.sim.nodes {
		if r := g.on(n); n.emptied && (!r.raft.Status().UnknownToGroup || r.status.Last > 0) {
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
	if !s.until(s.clock.now.Add(s.plan.election), func() bool { return !r.raft.Status().UnknownToGroup }) {
		g.check.fail("identity: what nobody says any more is still believed", "%s", s.summary())
	}
	cancel()
}
