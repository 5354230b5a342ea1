package simulation

import (
	"testing"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
)

// five is a group of the voters 2, 4 and 5 and the learners 1 and 3. Voter 5 alone holds a
// joint configuration in which all five vote.
func five(t *testing.T) *group {
	t.Helper()
	s := newSim(1, Options{})
	s.rebuilt(5, func() bool { return true })
	g := s.groups[0]
	id := func(n int) membership.Identity { return s.nodes[n-1].disk.identity }
	first := membership.Configuration{Members: s.everyone(), Voters: []membership.Identity{id(2), id(4), id(5)}}
	for i := range first.Members {
		first.Members[i].Identity = id(i + 1)
	}
	joint := first
	joint.Voters, joint.Outgoing = []membership.Identity{id(1), id(2), id(3), id(4), id(5)}, first.Voters
	for _, at := range []core.ConfigurationAt{
		{LogID: core.LogID{Term: 1, Index: 1}, Configuration: first},
		{LogID: core.LogID{Term: 2, Index: 3}, Configuration: joint},
	} {
		g.check.seen[at.LogID] = &configurationFact{ConfigurationAt: at}
	}
	g.holds(5, 1, 2, 2)
	return g
}

// holds gives a node a log with entries of these terms.
func (g *group) holds(n int, terms ...core.Term) {
	d := g.sim.nodes[n-1].disk.of(g.id)
	d.entries = nil
	var before core.LogID
	for i, term := range terms {
		at := core.LogID{Term: term, Index: core.Index(i + 1)}
		d.entries = append(d.entries, core.Entry{LogID: at})
		g.check.entries[at] = entryFacts{before: before}
		before = at
	}
}

// TestSomebodyIsElectable: if voter 2 goes for good, the majorities of both halves are
// left. Whether they elect anybody depends on who has what.
func TestSomebodyIsElectable(t *testing.T) {
	for name, test := range map[string]struct {
		learners, four []core.Term
		want           bool
	}{
		"the joint configuration is the last that any has": {[]core.Term{1}, []core.Term{1}, true},
		"the incoming voters have entries of a later term": {[]core.Term{1, 3}, []core.Term{1}, false},
		"so has a voter of the configuration before":       {[]core.Term{1, 3}, []core.Term{1, 3}, true},
		"that voter has them, and the incoming have not":   {[]core.Term{1}, []core.Term{1, 3}, true},
	} {
		t.Run(name, func(t *testing.T) {
			g := five(t)
			g.holds(2, 1, 3)
			g.holds(1, test.learners...)
			g.holds(3, test.learners...)
			g.holds(4, test.four...)
			if got := g.electable(g.sim.nodes[1]); got != test.want {
				t.Errorf("electable: %v", got)
			}
			if !g.electable(g.sim.nodes[0]) {
				t.Error("with voter 2 somebody is")
			}
		})
	}
}

// TestPendingConfigurationKeepsTheLost: a node is not recovered while a configuration that is
// applied nowhere yet has the incarnation that it lost.
func TestPendingConfigurationKeepsTheLost(t *testing.T) {
	g := five(t)
	s, n := g.sim, g.sim.nodes[0]
	lost := n.disk.identity
	applied := g.check.seen[core.LogID{Term: 1, Index: 1}].ConfigurationAt
	applied.Configuration.Members = applied.Configuration.Members[1:]
	g.check.configurations = append(g.check.configurations, applied)
	n.disk, n.emptied = s.newDisk(n.id), true
	if g.lost(n) {
		t.Fatalf("%v is a member", lost)
	}
	if s.recovers((*group).mayBeLost); !n.emptied {
		t.Error("the joint configuration has the lost incarnation")
	}
	delete(g.check.seen, core.LogID{Term: 2, Index: 3})
	g.check.seen[applied.LogID].ConfigurationAt = applied
	if s.recovers((*group).mayBeLost); n.emptied || n.member != n.disk.identity {
		t.Errorf("nothing has it any more, and emptied is %v, and %v is a member", n.emptied, n.member)
	}
}
