package simulation

import (
	"fmt"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/storage"
)

// store is what one disk holds of one group: log, hard state, snapshots and the
// durable state machine.
type store struct {
	*disk
	group *group

	hard      core.HardState
	commit    core.Index
	purged    core.LogID
	entries   []core.Entry // from purged.Index+1 on
	snapshots []*snapshot
	// record is what a record says that the machine holds, which machine is.
	record  core.SnapshotMeta
	machine machineState
	// removed are the entries that a truncation has removed.
	removed map[core.LogID]bool
}

// node is whose disk it is.
func (d *store) node() *node { return d.sim.nodes[d.identity.ID-1] }

func (d *store) last() core.LogID {
	if n := len(d.entries); n > 0 {
		return d.entries[n-1].LogID
	}
	return d.purged
}

// at returns the LogID at an index, false if the log does not hold it.
func (d *store) at(i core.Index) (core.LogID, bool) {
	if i <= d.purged.Index || i > d.last().Index {
		return core.LogID{}, false
	}
	return d.entries[i-d.purged.Index-1].LogID, true
}

// covers reports whether a snapshot holds an index, whatever the log has there. The
// log may lack it, or have an old entry: a machine that follows the commit index
// builds a snapshot of what its log has not written yet, and the next start resets
// the log to it (rule 24).
func (d *store) covers(i core.Index) bool {
	return d.purged.Index >= i || d.newestSnapshot().Index >= i
}

// carryOut does one operation, whole.
func (d *store) carryOut(o *storage.Operation) error {
	check := d.group.check
	check.writing(d, o)
	if o.HardState != nil {
		d.hard = *o.HardState
	}
	if o.Reset.Index != 0 {
		d.purged, d.entries = o.Reset, nil
	}
	if from := o.TruncateFrom; from != 0 {
		if from <= d.purged.Index {
			return fmt.Errorf("truncated from %d, purged up to %v", from, d.purged)
		}
		if from <= d.last().Index {
			d.remove(d.entries[from-d.purged.Index-1:])
			d.entries = d.entries[:from-d.purged.Index-1]
		}
	}
	for i := range o.Append {
		if want := d.last().Index + 1; o.Append[i].Index != want {
			return fmt.Errorf("appended %v, where %d follows", o.Append[i].LogID, want)
		}
		check.stored(d, &o.Append[i])
		if d.removed[o.Append[i].LogID] {
			d.sim.saw(writtenAgain)
		}
		d.entries = append(d.entries, o.Append[i])
	}
	if o.Purge.Index > d.purged.Index {
		at, ok := d.at(o.Purge.Index)
		if !ok || at != o.Purge {
			return fmt.Errorf("purged up to %v, where the log has %v up to %v", o.Purge, at, d.last())
		}
		d.entries = append([]core.Entry(nil), d.entries[o.Purge.Index-d.purged.Index:]...)
		d.purged = o.Purge
	}
	d.commit = max(d.commit, o.Commit)
	check.wrote(d, o)
	return nil
}

// remove takes note of entries that are truncated.
func (d *store) remove(entries []core.Entry) {
	if d.removed == nil {
		d.removed = make(map[core.LogID]bool)
	}
	for i := range entries {
		d.removed[entries[i].LogID] = true
	}
}

// newestSnapshot returns what the newest snapshot says of itself, also if it is rotten.
func (d *store) newestSnapshot() core.SnapshotMeta {
	var newest core.SnapshotMeta
	for _, f := range d.snapshots {
		if f.meta.Index > newest.Index {
			newest = f.meta
		}
	}
	return newest
}
