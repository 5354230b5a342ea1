package simulation

import (
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"slices"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
)

// heritage is what a group has that was there before the run: a log in which a
// change of membership was interrupted. Each disk holds a part of it, and some
// hold a snapshot. The change is what an operator may have asked for: any members
// may come, stay, leave or learn. Behind that, short reigns may have left logs that
// differ (Raft, figure 7).
type heritage struct {
	group *group
	rand  *rand.Rand
	// leader has written log, in heritageTerm the last part.
	leader membership.Identity
	log    []core.Entry
	// configurations are those in log, states the machine's after each entry.
	configurations []core.ConfigurationAt
	states         []machineState
	committed      core.Index
	// held is how many entries of log each node's disk has, parts are what they have.
	held  []core.Index
	parts []heritagePart
}

const heritageTerm core.Term = 2

// inherit gives the group what it had before.
func (g *group) inherit(r *rand.Rand) {
	h := &heritage{group: g, rand: r}
	g.inherited = true
	h.write()
	h.commit()
	h.spread()
	h.tell()
	h.begin()
	if len(h.configurations) == 1 && len(g.sim.nodes) >= 5 {
		h.pendulum()
	} else {
		for range r.IntN(g.sim.plan.reigns + 1) {
			h.reign()
		}
	}
	for i, n := range g.sim.nodes {
		if h.held[i] > 0 {
			h.fill(n.disk.of(g.id), &h.parts[i])
		}
		n.disk.startCounter, n.disk.promise = 1, g.sim.plan.electionMax()
	}
}

// write makes the log: a configuration, the joint one on the way to the next, and
// perhaps that.
func (h *heritage) write() {
	r, nodes := h.rand, h.group.sim.nodes
	c := membership.Configuration{Founding: membership.FoundingOf(h.group.sim.members())}
	for i, m := range h.group.sim.everyone() {
		m.Identity = nodes[i].disk.identity
		c.Members = append(c.Members, m)
	}
	c.Voters = h.some(c.Members)
	unchanged := chance(r, h.group.sim.plan.unchanged)
	if unchanged {
		c.Voters = c.Voters[:0]
		for _, m := range c.Members {
			c.Voters = append(c.Voters, m.Identity)
		}
	}
	h.leader = c.Voters[r.IntN(len(c.Voters))]
	h.configure(1, c)
	h.blanks(1)
	h.blanks(heritageTerm)
	if unchanged {
		return
	}
	c.Outgoing, c.Voters = c.Voters, h.some(c.Members)
	h.configure(heritageTerm, c)
	if chance(r, 30) {
		h.blanks(heritageTerm)
	}
	if chance(r, 20) {
		outgoing := c.Outgoing
		c.Outgoing = nil
		c.Members = slices.DeleteFunc(slices.Clone(c.Members), func(m membership.Member) bool {
			return slices.Contains(outgoing, m.Identity) && !c.IsVoter(m.Identity)
		})
		h.configure(heritageTerm, c)
		h.blanks(heritageTerm)
	}
}

// some draws some of the members, at least one.
func (h *heritage) some(members []membership.Member) []membership.Identity {
	order := h.rand.Perm(len(members))[:1+h.rand.IntN(len(members))]
	slices.Sort(order)
	var ids []membership.Identity
	for _, i := range order {
		ids = append(ids, members[i].Identity)
	}
	return ids
}

func (h *heritage) configure(term core.Term, c membership.Configuration) {
	if err := c.Validate(); err != nil {
		panic(fmt.Sprintf("simulation: a configuration that is none: %v", err))
	}
	e := h.append(term, core.EntryConfiguration, c.Encode())
	h.configurations = append(h.configurations, core.ConfigurationAt{LogID: e, Configuration: c})
}

func (h *heritage) blanks(term core.Term) {
	for range 1 + h.rand.IntN(3) {
		h.append(term, core.EntryBlank, nil)
	}
}

func (h *heritage) append(term core.Term, kind core.EntryKind, data []byte) core.LogID {
	i := core.Index(len(h.log) + 1)
	e := core.Entry{LogID: core.LogID{Term: term, Index: i}, Kind: kind, Time: wallStart + int64(i), Data: data}
	h.log = append(h.log, e)
	return e.LogID
}

// inForce returns the configuration at an index.
func (h *heritage) inForce(i core.Index) *core.ConfigurationAt {
	at := 0
	for at+1 < len(h.configurations) && h.configurations[at+1].Index <= i {
		at++
	}
	return &h.configurations[at]
}

// commit draws up to where the log is committed. A change begins and goes on only
// when what is before it is (rule 21).
func (h *heritage) commit() {
	last := core.Index(len(h.log))
	least := h.configurations[len(h.configurations)-1].Index - 1
	if chance(h.rand, 50) {
		least++
	}
	h.committed = min(max(least, 1)+core.Index(h.rand.IntN(3)), last)
	if chance(h.rand, 50) {
		h.committed = max(least, 1)
	}
	var s machineState
	for i := range h.log[:h.committed] {
		s.apply(&h.log[i])
		h.states = append(h.states, s)
	}
}

// spread draws how much each disk has: what was committed under a configuration is
// on a quorum of that, and whoever is to vote has what admitted it.
func (h *heritage) spread() {
	nodes := h.group.sim.nodes
	h.held = make([]core.Index, len(nodes))
	votes := func(id membership.Identity) bool {
		return slices.ContainsFunc(h.configurations, func(at core.ConfigurationAt) bool { return at.Configuration.IsVoter(id) })
	}
	for i, n := range nodes {
		h.held[i] = core.Index(h.rand.IntN(len(h.log) + 1))
		if votes(n.disk.identity) {
			h.held[i] = max(h.held[i], 1)
		}
	}
	for i := range h.configurations {
		at := &h.configurations[i]
		upTo := h.committed
		if i+1 < len(h.configurations) {
			upTo = min(upTo, h.configurations[i+1].Index-1)
		}
		if at.Index > upTo {
			break
		}
		has := func(id membership.Identity) uint64 { return uint64(h.held[id.ID-1]) }
		for at.Configuration.QuorumValue(has) < uint64(upTo) {
			if n := h.rand.IntN(len(nodes)); at.Configuration.IsVoter(nodes[n].disk.identity) {
				h.held[n] = max(h.held[n], upTo)
			}
		}
	}
}

// begin gives each disk its part: who votes in the first configuration has voted for
// the leader.
func (h *heritage) begin() {
	c, first := h.group.check, &h.configurations[0].Configuration
	h.parts = make([]heritagePart, len(h.held))
	for i, n := range h.group.sim.nodes {
		p, id := &h.parts[i], n.disk.identity
		if h.held[i] == 0 {
			continue
		}
		p.log, p.term = h.log[:h.held[i]], heritageTerm
		if first.IsVoter(id) {
			p.vote = h.leader
			c.casts(id, heritageTerm, h.leader)
		}
		if id != h.leader {
			c.matched[vote{id, heritageTerm}] = h.held[i]
		}
	}
}

// tell lets the checker know what an onlooker would have seen.
func (h *heritage) tell() {
	c := h.group.check
	c.inherits = true
	defer func() { c.inherits = false }()
	for i := range c.cluster {
		c.cluster[i] = byte(h.rand.Uint64())
	}
	c.leaders[1], c.leaders[heritageTerm] = h.leader, h.leader
	before := core.LogID{}
	for i := range h.log {
		e := &h.log[i]
		c.entry(e, before)
		before = e.LogID
		if e.Index > h.committed {
			continue
		}
		c.committed = e.Index
		c.history = append(c.history, fact{id: e.LogID, content: contentOf(e), chain: h.states[i].chain, registers: h.states[i].registers})
		if e.Kind == core.EntryConfiguration {
			c.brought(e)
		}
	}
	c.committedIn, c.committedBy = heritageTerm, h.inForce(h.committed).Configuration
	c.advances = append(c.advances, advance{h.committed, heritageTerm})
	c.moves = append(c.moves, move{c.sim.clock.now, h.committed})
}

// fill gives a disk its first entries.
func (h *heritage) fill(d *store, p *heritagePart) {
	r := h.rand
	d.entries = slices.Clone(p.log)
	d.remove(p.removed)
	d.hard = core.HardState{Term: p.term, Vote: p.vote, Cluster: h.group.check.cluster}
	known := min(h.committed, core.Index(len(p.log)))
	d.commit = core.Index(r.IntN(int(known) + 1))
	if chance(r, 60) {
		h.snapshot(d, h.snapshotAt(known))
		purged := core.Index(r.IntN(int(d.newestSnapshot().Index) + 1))
		if chance(r, 30) {
			purged = d.newestSnapshot().Index
		}
		if purged > 0 {
			d.purged = h.log[purged-1].LogID
			d.entries = d.entries[purged:]
		}
	} else if known < h.committed && chance(r, 30) {
		// It was installing it: the file was durable, and the log was not reset.
		h.snapshot(d, known+1+core.Index(r.IntN(int(h.committed-known))))
	}
	if applied := r.IntN(int(known) + 1); applied > 0 {
		d.machine = h.states[applied-1]
	}
}

// snapshotAt draws up to where a snapshot reaches: often to a joint configuration.
func (h *heritage) snapshotAt(known core.Index) core.Index {
	for i := range h.configurations {
		if at := &h.configurations[i]; at.Configuration.Joint() && at.Index <= known && chance(h.rand, 60) {
			return at.Index
		}
	}
	return 1 + core.Index(h.rand.IntN(int(known)))
}

// snapshot gives a disk a snapshot of the first entries.
func (h *heritage) snapshot(d *store, last core.Index) {
	s := h.states[last-1]
	content := append(s.encode(), s.filler(h.group.sim.plan.fillerBytes)...)
	e := &h.log[last-1]
	meta := core.SnapshotMeta{
		LogID: e.LogID, Time: e.Time, Cluster: d.hard.Cluster, Configuration: *h.inForce(last),
		SizeBytes: uint64(len(content)), Checksum: crc32.Checksum(content, castagnoli),
	}
	d.snapshots = append(d.snapshots, &snapshot{meta: meta, content: content})
	h.group.check.snapshotCommitted(d, meta, content)
}
