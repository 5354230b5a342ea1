package simulation

import (
	"slices"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
)

// heritagePart is what one disk has.
type heritagePart struct {
	log  []core.Entry
	term core.Term
	vote membership.Identity
	// removed are the entries that a later leader's have replaced.
	removed []core.Entry
}

func (p *heritagePart) last() core.LogID {
	if n := len(p.log); n > 0 {
		return p.log[n-1].LogID
	}
	return core.LogID{}
}

// reign lets a node win the next term, if it would, append entries and replicate
// them to few.
func (h *heritage) reign() {
	n, granted := h.rand.IntN(len(h.parts)), make([]bool, len(h.parts))
	for i := range h.parts {
		granted[i] = i == n || chance(h.rand, 80)
	}
	if term := h.rule(n, granted); term > 0 {
		for i := range h.parts {
			if i != n && h.held[i] > 0 && chance(h.rand, 25) {
				h.replicate(&h.parts[n], i, term)
			}
		}
	}
}

// pendulum lets one node replicate entries to a minority, and another replace them
// at one of that. Who has the first ones may be elected again (Raft, figure 8).
func (h *heritage) pendulum() {
	order := h.rand.Perm(len(h.parts))
	first, second, between := order[0], order[1], order[2]
	granted := make([]bool, len(h.parts))
	for i := range granted {
		granted[i] = true
		h.held[i], h.parts[i].log = core.Index(len(h.log)), h.log
	}
	term := h.rule(first, granted)
	for _, n := range order[2 : 2+(len(order)-1)/2-1] {
		h.replicate(&h.parts[first], n, term)
	}
	h.replicate(&h.parts[second], between, h.rule(second, granted))
}

// rule lets a node win the next term with the votes that are granted, as far as the
// logs allow them, and append entries. It returns the term, 0 if it does not win.
func (h *heritage) rule(n int, granted []bool) core.Term {
	nodes, check := h.group.sim.nodes, h.group.check
	leader, self := &h.parts[n], nodes[n].disk.identity
	term := core.Term(0)
	votes := func(i int) bool { return granted[i] && h.held[i] > 0 && !leader.last().Less(h.parts[i].last()) }
	for i := range h.parts {
		term = max(term, h.parts[i].term+1)
	}
	c := h.latest(leader)
	won := c.CountVotes(func(id membership.Identity) (bool, bool) { return votes(int(id.ID) - 1), true })
	if won != membership.Won || h.held[n] == 0 || !c.IsVoter(self) {
		return 0
	}
	check.leaders[term] = self
	for i := range nodes {
		if votes(i) {
			h.parts[i].term, h.parts[i].vote = term, self
			check.casts(nodes[i].disk.identity, term, self)
		}
	}
	before := leader.last()
	leader.log = slices.Clip(leader.log)
	for range 1 + h.rand.IntN(3) {
		e := core.Entry{LogID: core.LogID{Term: term, Index: before.Index + 1}, Kind: core.EntryBlank, Time: wallStart + int64(before.Index) + 1}
		check.entry(&e, before)
		leader.log, before = append(leader.log, e), e.LogID
	}
	return term
}

// latest returns the configuration that a disk's log ends with.
func (h *heritage) latest(p *heritagePart) *membership.Configuration {
	i := core.Index(0)
	for int(i) < min(len(p.log), len(h.log)) && p.log[i].LogID == h.log[i].LogID {
		i++
	}
	return &h.inForce(max(i, 1)).Configuration
}

// replicate gives a node some of a leader's entries: all up to one that it lacks.
func (h *heritage) replicate(leader *heritagePart, to int, term core.Term) {
	p, same := &h.parts[to], 0
	for same < min(len(p.log), len(leader.log)) && p.log[same].LogID == leader.log[same].LogID {
		same++
	}
	if same == len(leader.log) || term == 0 {
		return
	}
	p.removed = append(p.removed, p.log[same:]...)
	p.log = slices.Clip(leader.log[:same+1+h.rand.IntN(len(leader.log)-same)])
	if p.term < term {
		p.term, p.vote = term, membership.Identity{}
	}
	h.group.check.matched[vote{h.group.sim.nodes[to].disk.identity, term}] = core.Index(len(p.log))
}
