package simulation

import (
	"slices"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
)

// This file looks at how the members of a group change: at each configuration that is
// applied anywhere for the first time, and at each that a leader goes on to.

// turns takes note of a configuration that is applied for the first time.
func (c *checker) turns(is *core.ConfigurationAt) {
	if n := len(c.configurations); n > 0 && !c.inherits {
		was := &c.configurations[n-1]
		c.ends(&was.Configuration, &is.Configuration)
		c.comesAndGoes(was, is)
	}
	c.configurations = append(c.configurations, *is)
	c.sim.recovers((*group).mayBeLost)
}

// ends counts how a change has ended.
func (c *checker) ends(was, is *membership.Configuration) {
	if is.Last == was.Last || is.Last.ID == 0 {
		return
	}
	saw := func(x situation, met bool) {
		if met {
			c.sim.saw(x)
		}
	}
	c.changesDone++
	saw(changeCancelled, is.Last.Result == membership.ResultCancelled)
	saw(changeNotCaughtUp, is.Last.Result == membership.ResultNotCaughtUp)
	saw(changeYielded, is.Last.Result == membership.ResultYielded)
	saw(attributesBeside, was.Target != nil && is.Target != nil && !was.Target.Founding)
}

// comesAndGoes counts who comes back, and in whose place.
func (c *checker) comesAndGoes(was, is *core.ConfigurationAt) {
	for _, m := range is.Configuration.Members {
		if _, before := was.Configuration.Member(m.Identity); before {
			continue
		}
		term, left := c.departed[m.Identity]
		switch {
		case left && term == is.Term:
			c.sim.saw(readdedInTerm)
			c.sim.saw(removedReturns)
		case left:
			c.sim.saw(removedReturns)
		case len(was.Configuration.Incarnations(m.ID)) == 0 && c.leftUnder(m.ID):
			c.sim.saw(removedReturnsEmpty)
		}
	}
	for _, m := range was.Configuration.Members {
		if _, stays := is.Configuration.Member(m.Identity); stays {
			continue
		}
		c.departed[m.Identity] = is.Term
		if len(is.Configuration.Incarnations(m.ID)) > 0 {
			c.sim.saw(emptiedReplaced)
		}
	}
}

// leftUnder reports whether a node was removed before, under any incarnation.
func (c *checker) leftUnder(id core.NodeID) bool {
	for who := range c.departed {
		if who.ID == id {
			return true
		}
	}
	return false
}

// newest is the last configuration that was applied anywhere, nil before the first.
func (g *group) newest() *membership.Configuration {
	if n := len(g.check.configurations); n > 0 {
		return &g.check.configurations[n-1].Configuration
	}
	return nil
}

// lost reports whether a node is a member under an incarnation that it lost.
func (g *group) lost(n *node) bool {
	k := g.newest()
	return k != nil && n.lostIn(k.Incarnations(n.id))
}

// mayBeLost is the same of every configuration that decides, or may come to.
func (g *group) mayBeLost(n *node) bool {
	return slices.ContainsFunc(g.deciding(), func(k *membership.Configuration) bool {
		return n.lostIn(k.Incarnations(n.id)) ||
			k.Target != nil && slices.ContainsFunc(k.Target.Members, func(m membership.Member) bool { return m.ID == n.id && m.Identity != n.disk.identity })
	})
}

// lostIn reports whether one of a node's incarnations is not that of its directory.
func (n *node) lostIn(ids []membership.Identity) bool {
	return slices.ContainsFunc(ids, func(id membership.Identity) bool { return id != n.disk.identity })
}

// lost reports whether a node is to be replaced in a group.
func (s *sim) lost(n *node) bool {
	return slices.ContainsFunc(s.groups, func(g *group) bool { return g.lost(n) })
}

// recovers takes note of nodes that were replaced, or removed, wherever they had lost
// their data: they are what their disks say. A configuration that is not applied anywhere
// yet may have the lost incarnation still, or again: somebody may have asked to add the node
// before it was emptied once more.
func (s *sim) recovers(may func(*group, *node) bool) {
	for _, n := range s.nodes {
		if n.emptied && s.all(func(g *group) bool { return !may(g, n) }) {
			n.emptied, n.member = false, n.disk.identity
			s.trace.say("n%d is %v to all, and nothing else", n.id, n.member)
		}
	}
}

// deciding are the configurations that decide, or may come to: those of disks, and those
// that a life has appended and that are on their way to its disk.
func (g *group) deciding() []*membership.Configuration {
	list := g.check.alive()
	for _, n := range g.sim.nodes {
		if r := g.on(n); r != nil && r.status.Configuration.Index >= g.check.decided() {
			list = append(list, &r.status.Configuration.Configuration)
		}
	}
	return list
}

// survives reports whether each half that decides, or may come to, keeps a majority if a
// node loses its directory as well, and somebody is left who can be elected.
func (g *group) survives(n *node) bool {
	enough := func(half []membership.Identity) bool {
		lost := 0
		for _, id := range half {
			lost += int(truth(id.ID == n.id || g.sim.nodes[id.ID-1].disk.identity != id))
		}
		return lost <= (len(half)-1)/2 || len(half) == 0
	}
	for _, k := range g.deciding() {
		if !enough(k.Voters) || !enough(k.Outgoing) || k.Target != nil && !enough(k.Target.Voters) {
			return false
		}
	}
	return g.electable(n)
}

// electable reports whether somebody can be elected without a node: a voter of the last
// configuration of its log, while a majority of each half of that has no later log. That
// the halves keep majorities is not enough, in any Raft. Say that voter 5 holds a joint
// configuration that adds voter 3, which nobody else has, and that the leader of a later
// term, which does not know of it, has sent learner 3 entries of its own. If that leader is
// lost for good, 3 refuses its vote to 5, and is no candidate by its own log.
func (g *group) electable(without *node) bool {
	agrees := func(half []membership.Identity, last core.LogID) bool {
		votes := 0
		for _, id := range half {
			n := g.sim.nodes[id.ID-1]
			votes += int(truth(n != without && n.disk.identity == id && !last.Less(n.disk.of(g.id).last())))
		}
		return votes > len(half)/2
	}
	return slices.ContainsFunc(g.sim.nodes, func(n *node) bool {
		d := n.disk.of(g.id)
		f := g.check.configurationBefore(d.last())
		if n == without || f == nil || !f.Configuration.IsVoter(d.identity) {
			return false
		}
		return !slices.ContainsFunc(halves(&f.Configuration), func(half []membership.Identity) bool { return !agrees(half, d.last()) })
	})
}

// belongs reports whether a node is a member, or is to be one, by a configuration that
// may decide or come to.
func (g *group) belongs(n *node) bool {
	for _, k := range g.deciding() {
		if len(k.Incarnations(n.id)) > 0 || k.Target != nil && slices.ContainsFunc(k.Target.Members, func(m membership.Member) bool { return m.ID == n.id }) {
			return true
		}
	}
	return false
}

// underWay says how far the change has come of which a leader knows.
type underWay int

const (
	noChange underWay = iota
	catchesUp
	jointAppended
	jointCommitted
	newAppended
)

// phase returns how far the change has come on a leader.
func (r *replica) phase() underWay {
	st := &r.status
	k := &st.Configuration.Configuration
	committed := st.Configuration.Index <= st.Committed
	switch {
	case st.Role != core.RoleLeader || k.Target.IsFounding():
		return noChange
	case k.Joint() && committed:
		return jointCommitted
	case k.Joint():
		return jointAppended
	case k.Target != nil:
		return catchesUp
	case committed:
		return noChange
	}
	if f := r.group.check.seen[st.Configuration.LogID]; f != nil && f.before != nil && f.before.Configuration.Joint() {
		return newAppended
	}
	return noChange
}

// dies counts the end of a leader in the middle of a change.
func (r *replica) dies() {
	if at := r.phase(); at != noChange && !r.stopping && !r.leaving {
		r.sim.saw([...]situation{catchesUp: diesCatchingUp, jointAppended: diesJointAppended, jointCommitted: diesJointCommitted, newAppended: diesNewAppended}[at])
	}
}

// turned looks at a configuration that takes the place of another on one node.
func (w *witness) turned(before, after *core.ConfigurationAt) {
	was, is := before.Configuration.Target, after.Configuration.Target
	changing := func(t *membership.Target) bool { return t != nil && !t.Founding }
	w.sees(changeRolledBack, after.Index < before.Index && w.event != nil && (changing(was) || changing(is)))
	if w.after.Role != core.RoleLeader || w.before.Role != core.RoleLeader {
		return
	}
	w.sees(changeContinued, changing(was) && before.Term < after.Term && (changing(is) && is.ID == was.ID || after.Configuration.Last.ID == was.ID))
}

// ordered looks at an order that reaches the leader.
func (w *witness) ordered() {
	switch w.event.(type) {
	case *core.ChangeMembers, *core.ChangeRequest:
		w.sees(changeInTransfer, w.before.Role == core.RoleLeader && w.before.TransferringTo != 0)
	}
}

// sendsSnapshot looks at a snapshot that is to be sent.
func (w *witness) sendsSnapshot(c *core.SendSnapshot) {
	i := slices.IndexFunc(w.after.Peers, func(p core.PeerStatus) bool { return p.Identity == c.Peer.Identity })
	w.sees(newcomerBySnapshot, i >= 0 && w.after.Peers[i].CatchingUp && !w.after.Bootstrapping)
}

// leavesFirst reports whether a leader that is to be no voter any more hands over before
// it leads itself out.
func (w *witness) leavesFirst() bool {
	k := &w.before.Configuration.Configuration
	return k.Joint() && !slices.Contains(k.Voters, w.identity())
}
