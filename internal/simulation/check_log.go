package simulation

import (
	"bytes"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/storage"
)

// Names of what is checked about logs.
const (
	ruleLogMatching     = "log matching: one LogID stands for two entries"
	ruleLogMatchingPast = "log matching: two logs agree on an entry and differ before it"
	ruleLost            = "durability: a committed entry was removed from a disk"
	ruleReset           = "snapshots: a log was reset to what is not committed (rule 24)"
	rulePurge           = "snapshots: entries were purged that neither a snapshot nor the machine holds"
	ruleAckDurable      = "replication: an answer left before what it says was durable (rule 3)"
)

// writing checks an operation against the disk before it is carried out.
func (c *checker) writing(d *store, o *storage.Operation) {
	if o.HardState != nil {
		c.hardState(d, o)
	}
	if r := o.Reset; r.Index != 0 {
		if id, ok := c.certainID(r.Index); r.Index > c.committed || ok && id != r {
			c.fail(ruleReset, "the log of %v to %v; committed is %d, %v there", d.identity, r, c.committed, id)
		}
		c.keepsCommitted(d, r.Index+1)
	}
	if o.TruncateFrom != 0 {
		c.keepsCommitted(d, o.TruncateFrom)
	}
	machine := min(d.record.Index, d.machine.applied.Index)
	if p := o.Purge.Index; p > max(d.purged.Index, d.newestSnapshot().Index, machine) {
		c.fail(rulePurge, "the log of %v up to %d, its newest snapshot is %v, its record %v and its machine on the disk %v", d.identity, p,
			d.newestSnapshot().LogID, d.record.LogID, d.machine.applied)
	}
}

// keepsCommitted fails if the entries of a disk from an index on hold one that
// is committed, and that either was counted there or has no quorum without it.
// A slow disk may have to write, in their order, the entries of an old leader and
// their truncation by the next one, while a third has committed those entries
// elsewhere: nobody has counted on this disk, and nothing is lost.
func (c *checker) keepsCommitted(d *store, from core.Index) {
	for i := max(from, d.purged.Index+1); i <= min(d.last().Index, c.committed); i++ {
		at, _ := d.at(i)
		if id, ok := c.certainID(i); ok && id == at && (c.counted(d, i) || !c.heldBesides(d, &c.committedBy, id)) {
			c.fail(ruleLost, "%v from the disk of %v", at, d.identity)
			return
		}
	}
}

// wrote sees the disk after an operation.
func (c *checker) wrote(d *store, o *storage.Operation) {
	t := &c.sim.trace
	t.add(traceDisk, uint64(d.identity.ID), uint64(d.hard.Term), uint64(d.hard.Vote.ID), uint64(d.purged.Index), uint64(d.last().Term), uint64(d.last().Index), uint64(d.commit))
	if t.on() {
		t.say("disk of %v: hard state %+v, log %v to %v; reset %v, truncated from %d, appended %d, purged %v", d.identity, d.hard, d.purged, d.last(), o.Reset, o.TruncateFrom, len(o.Append), o.Purge)
	}
}

// stored checks an entry that is being appended to a disk.
func (c *checker) stored(d *store, e *core.Entry) { c.entry(e, d.last()) }

// entry checks that an entry is what its LogID always stood for, and that what
// is before it is the same everywhere. By induction that is the Log Matching
// Property (Raft 5.3), and that no leader ever writes an index twice in a term.
func (c *checker) entry(e *core.Entry, before core.LogID) {
	content := contentOf(e)
	known, ok := c.entries[e.LogID]
	switch {
	case !ok:
		c.entries[e.LogID] = entryFacts{content, before, e.Time}
		c.timeGoesOn(e, before)
		c.changes(e, before)
		if !c.cluster.IsZero() && bytes.Contains(e.Data, c.cluster[:]) {
			c.fail(ruleInTheClear, "in the entry %v", e.LogID)
		}
	case known.content != content:
		c.fail(ruleLogMatching, "%v", e.LogID)
	case known.before != before:
		c.fail(ruleLogMatchingPast, "%v comes after %v and after %v", e.LogID, known.before, before)
	}
}

// sent checks a message that leaves a node.
func (c *checker) sent(r *replica, m core.Message) {
	if m.Head().Introduces {
		c.introduced(r, m)
	}
	c.group.jobs.sends(r, m)
	switch m := m.(type) {
	case *core.VoteRequest:
		c.asked(r, m)
	case *core.VoteResponse:
		c.voted(r, m)
	case *core.TimeoutNow:
		c.tells(r, m)
	case *core.Heartbeat:
		c.leads(m.Term, m.From)
	case *core.HeartbeatResponse:
		c.acknowledged(r, m.Term, m.Match)
		c.promised(r, m)
	case *core.AppendEntries:
		c.leads(m.Term, m.From)
		before := m.Prev
		for i := range m.Entries {
			c.entry(&m.Entries[i], before)
			before = m.Entries[i].LogID
		}
	case *core.AppendResponse:
		if m.Success {
			c.acknowledged(r, m.Term, m.Match)
		}
	case *core.IdentifyRequest:
		c.asks(m)
	case *core.IdentifyResponse:
		c.grants(r, m)
	}
}

// acknowledged checks that what an answer says is durable. An answer of a term
// that the disk has left behind counts nowhere any more.
func (c *checker) acknowledged(r *replica, term core.Term, match core.Index) {
	d := r.store
	key := vote{d.identity, term}
	c.matched[key] = max(c.matched[key], match)
	if match > 0 && (d.hard.Term < term || d.hard.Term == term && d.last().Index < match) {
		c.fail(ruleAckDurable, "%v has up to %d in term %d, its disk has term %d up to %v", r, match, term, d.hard.Term, d.last())
	}
}
