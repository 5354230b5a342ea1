package storage

import (
	"context"
	"errors"
	"fmt"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
)

// FoundSnapshot is a snapshot, or a record, that was found in a directory, good or not.
type FoundSnapshot struct {
	// Record: it is a record of what the state machine has made durable, and has no
	// content.
	Record bool
	// Meta is what it says of itself, as far as that could be read.
	Meta core.SnapshotMeta
	// Name is that of its file.
	Name string
	// Verified: its content was read, and is what was written.
	Verified bool
	// SetAside: a node has found it damaged, and keeps it under another name. Err says so.
	SetAside bool
	// Err is what is wrong with it, nil if nothing is known to be.
	Err error
}

// Damage is one thing that is wrong with what a node keeps.
type Damage struct {
	// Err says what, and wraps core.ErrCorrupt, or what the system answered.
	Err error
	// Advice says what can be done.
	Advice string
}

// What can be done about damage.
const (
	adviceReplace = "set the directory aside, give the node an empty one, and have it replace what it was in its cluster; " +
		"the only voter of a cluster is restored from a backup"
	adviceRecord = "the file can be moved elsewhere if the log shows a configuration of the members: the node writes another; else " +
		adviceReplace
	adviceSystem   = "this may be the disk, a right that lacks, or a later version of the program: mend that, and look again before anything is removed"
	adviceAside    = "start the node, if it has a leader or a machine that keeps its state: it gets a snapshot, or makes one; else restore a backup"
	adviceSnapshot = "the file can be moved elsewhere; the node builds another, or gets one from its leader"
)

// Inspection is what the stores of a node hold of one group.
type Inspection struct {
	Header Header
	Group  membership.GroupID
	// Log is what the log store holds, empty if Damage tells that it cannot be loaded.
	Log       State
	Snapshots []FoundSnapshot
	// Damage is empty if nothing is known to be wrong. A snapshot that was set aside is
	// damage only while no other one, and no record, reaches the log's first entry.
	Damage []Damage
}

// Inspect looks at what the stores of a node hold of a group, and changes nothing: log was
// opened for inspection, and snapshots were found by their store's own function. All
// entries of the log are read and their checksums compared. What is wrong is told in
// Inspection.Damage; an error is that of ctx.
func Inspect(ctx context.Context, log LogStore, group membership.GroupID, snapshots []FoundSnapshot) (Inspection, error) {
	i := Inspection{Header: log.Header(), Group: group, Snapshots: snapshots}
	state, err := log.Load(ctx, group)
	if ctx.Err() != nil {
		return i, ctx.Err()
	}
	if err != nil {
		i.Damage = append(i.Damage, LogDamage(err))
	}
	i.Log = state
	var newest core.SnapshotMeta
	reached := state.Purged.Index == 0
	for _, s := range snapshots {
		reached = reached || s.Err == nil && s.Meta.Index >= state.Purged.Index
	}
	for _, s := range snapshots {
		switch {
		case s.Err != nil && s.Record:
			i.Damage = append(i.Damage, damage(fmt.Errorf("the record %s: %w", s.Name, s.Err), adviceRecord))
		case s.SetAside && reached: // nothing needs it any more
		case s.SetAside:
			i.Damage = append(i.Damage, damage(fmt.Errorf("the snapshot %s: %w, and no other reaches the log, which begins after %v", s.Name, s.Err, state.Purged), adviceAside))
		case s.Err != nil:
			i.Damage = append(i.Damage, damage(fmt.Errorf("the snapshot %s: %w", s.Name, s.Err), adviceSnapshot))
		case s.Meta.Index > newest.Index:
			newest = s.Meta
		}
	}
	none := core.ClusterID{}
	if have := state.HardState.Cluster; newest.Cluster != none && have != none && newest.Cluster != have {
		i.Damage = append(i.Damage, Damage{
			Err:    fmt.Errorf("%w: the snapshot %v belongs to another cluster than the log", core.ErrCorrupt, newest.LogID),
			Advice: "the snapshots and the log are of two nodes, or one of them of a restored cluster: put together what belongs together",
		})
	}
	return i, nil
}

// LogDamage says what can be done about a log store that cannot be opened, or a log that
// cannot be loaded.
func LogDamage(err error) Damage { return damage(err, adviceReplace) }

// damage is what can be done about something that is damaged, or that the system does not
// give: that may be good.
func damage(err error, advice string) Damage {
	if !errors.Is(err, core.ErrCorrupt) {
		advice = adviceSystem
	}
	return Damage{Err: err, Advice: advice}
}
