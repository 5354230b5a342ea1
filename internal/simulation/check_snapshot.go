package simulation

import (
	"bytes"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
)

// Names of what is checked about what entries and snapshots carry beside their
// content: nobody else tells a node that starts from a snapshot.
const (
	ruleTimeBack              = "entries: the time goes back"
	ruleRecord                = "snapshots: a record is ahead of what the machine has made durable (rule 8)"
	ruleSnapshotTime          = "snapshots: one has another time than its last entry"
	ruleSnapshotConfiguration = "snapshots: one has another configuration than was in force at its last entry"
)

// timeGoesOn checks that an entry that is seen first is not earlier than the one
// before it.
func (c *checker) timeGoesOn(e *core.Entry, before core.LogID) {
	if was, known := c.entries[before]; known && e.Time < was.time {
		c.fail(ruleTimeBack, "%v is of %d, and %v before it of %d", e.LogID, e.Time, before, was.time)
	}
}

// brought takes note of a configuration that is applied for the first time.
func (c *checker) brought(e *core.Entry) {
	configuration, err := membership.Decode(e.Data)
	if err != nil {
		c.fail(ruleSnapshotConfiguration, "%v cannot be read: %v", e.LogID, err)
	}
	c.turns(&core.ConfigurationAt{LogID: e.LogID, Configuration: configuration})
}

// recorded checks a record that is durable now.
func (c *checker) recorded(d *store, meta *core.SnapshotMeta) {
	c.sim.trace.add(traceDisk, uint64(d.identity.ID), uint64(meta.Term), uint64(meta.Index))
	c.sim.trace.say("disk of %v: record of %v, machine %v", d.identity, meta.LogID, d.machine.applied)
	if meta.Index > d.machine.applied.Index {
		c.fail(ruleRecord, "%v on the disk of %v, whose machine holds %v there", meta.LogID, d.identity, d.machine.applied)
	}
	c.describes(d.identity, meta)
}

// describes checks what a snapshot or a record that became visible says of its last entry, which
// was applied.
func (c *checker) describes(where membership.Identity, meta *core.SnapshotMeta) {
	if was, known := c.entries[meta.LogID]; known && meta.Time != was.time {
		c.fail(ruleSnapshotTime, "%v on the disk of %v says %d, the entry is of %d", meta.LogID, where, meta.Time, was.time)
	}
	var inForce core.ConfigurationAt
	for _, at := range c.configurations {
		if at.Index <= meta.Index {
			inForce = at
		}
	}
	if said := &meta.Configuration; said.LogID != inForce.LogID || !bytes.Equal(said.Configuration.Encode(), inForce.Configuration.Encode()) {
		c.fail(ruleSnapshotConfiguration, "%v on the disk of %v has that of %v, %s; it was that of %v, %s", meta.LogID, where,
			said.LogID, said.Configuration.String(), inForce.LogID, inForce.Configuration.String())
	}
}
