package simulation

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
)

// This file is about the recovery of a group whose quorum is lost for good (rule 21): an
// operator makes a survivor the only voter of another cluster, offline, as troupe.Recover
// does. From then on the group has another checker, for which the history is what the
// survivor holds: all of that is committed, and nothing else.

// goesOnAlone recovers the group on the directory of a node that is down. renamed: the
// newest snapshot has got the new cluster's id as well, before which a crash may have come.
func (g *group) goesOnAlone(n *node, r *rand.Rand, renamed bool) (*core.Recovery, error) {
	d := n.disk.of(g.id)
	stored, err := n.disk.Load(context.Background(), g.id)
	if err != nil {
		return nil, err
	}
	var cluster core.ClusterID
	for i := range cluster {
		cluster[i] = byte(r.Uint64())
	}
	state := core.State{
		HardState: stored.HardState, Commit: stored.Commit, Purged: stored.Purged, Last: stored.Last, LastTime: stored.LastTime,
		Terms: stored.Terms, Configurations: stored.Configurations, Snapshot: d.newestSnapshot(),
	}
	p, err := core.PlanRecovery(state, n.disk.identity, n.address, cluster, stored.LastTime)
	if err != nil {
		return nil, err
	}
	if p.Alone {
		return nil, fmt.Errorf("node %v decides alone already", n.disk.identity)
	}
	g.check = g.check.recovered(d, p)
	d.hard = p.HardState
	if p.Reset.Index != 0 {
		d.purged, d.entries = p.Reset, nil
	}
	d.entries, d.commit = append(slices.Clone(d.entries), p.Entry), p.Entry.Index
	if renamed {
		d.rename(cluster)
	}
	g.sim.trace.say("n%d goes on alone, from %v on", n.id, p.Entry.LogID)
	return p, nil
}

// rename gives the newest snapshot the id of another cluster.
func (d *store) rename(cluster core.ClusterID) {
	newest := d.newestSnapshot().LogID
	d.snapshots = slices.Clone(d.snapshots)
	for i, f := range d.snapshots {
		if f.meta.LogID == newest {
			renamed := *f
			renamed.meta.Cluster = cluster
			d.snapshots[i] = &renamed
		}
	}
}

// recovered returns a checker of the cluster that a survivor makes of what it holds.
func (c *checker) recovered(d *store, p *core.Recovery) *checker {
	next := newChecker(c.group)
	next.cluster, next.stores = p.HardState.Cluster, []*store{d}
	next.votes, next.promises, next.leaders = maps.Clone(c.votes), maps.Clone(c.promises), maps.Clone(c.leaders)
	next.entries, next.seen, next.works = maps.Clone(c.entries), maps.Clone(c.seen), maps.Clone(c.works)
	next.admitted, next.departed = maps.Clone(c.admitted), maps.Clone(c.departed)
	kept := 0
	for i := core.Index(1); int(i) <= len(c.history) && i <= p.Last.Index; i++ {
		if at, held := d.at(i); held && at != c.history[i-1].id {
			break
		}
		kept = int(i)
	}
	next.history = slices.Clone(c.history[:kept])
	for _, at := range c.configurations {
		if int(at.Index) <= kept {
			next.configurations = append(next.configurations, at)
		}
	}
	for i := range d.entries {
		if e := &d.entries[i]; int(e.Index) > kept && p.Reset.Index == 0 {
			next.appears(e)
		}
	}
	e := &p.Entry
	next.entries[e.LogID] = entryFacts{contentOf(e), p.Last, e.Time}
	next.appears(e)
	by := &next.configurations[len(next.configurations)-1]
	next.seen[e.LogID] = &configurationFact{ConfigurationAt: *by}
	next.admitted[d.identity] = true
	next.votes[vote{d.identity, e.Term}], next.leaders[e.Term] = d.identity, d.identity
	next.committed, next.committedIn, next.committedBy = e.Index, e.Term, by.Configuration
	next.advances, next.moves = []advance{{e.Index, e.Term}}, []move{{c.sim.clock.now, e.Index}}
	return next
}

// appears takes an entry into the history that the recovery commits. Whoever was told that
// it never would be was told so by the cluster before.
func (c *checker) appears(e *core.Entry) {
	var s machineState
	if n := len(c.history); n > 0 {
		f := &c.history[n-1]
		s = machineState{f.id, f.chain, f.registers}
	}
	result := s.apply(e)
	f := fact{id: e.LogID, content: contentOf(e), chain: s.chain, registers: s.registers, result: result}
	switch e.Kind {
	case core.EntryConfiguration:
		if configuration, err := membership.Decode(e.Data); err == nil {
			c.configurations = append(c.configurations, core.ConfigurationAt{LogID: e.LogID, Configuration: configuration})
		}
	case core.EntryCommand:
		if w := c.works[decodeCommand(e.Data).id]; w != nil {
			f.work, w.index = w, e.Index
		}
	}
	c.history = append(c.history, f)
}
