package storage

import (
	"context"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
)

// Recorder is a SnapshotStore that can keep, in place of a snapshot, a small record of how
// far a state machine is that keeps its state over a restart. Then the log of such a
// machine is purged without a copy of its state being made; a snapshot is built only when
// somebody needs one. A store need not: then one is built each time.
type Recorder interface {
	SnapshotStore
	// Record makes durable that the state machine of a group holds everything up to
	// meta.LogID, and what meta says of that entry, in place of the record before. It is
	// small: SizeBytes and Checksum of meta are ignored. After an error the one or the other
	// is there. It is called as Create is.
	Record(ctx context.Context, group membership.GroupID, meta core.SnapshotMeta) error

	// Recorded returns the record, zero if there is none. If it is damaged the error wraps
	// core.ErrCorrupt, until there is another. RemoveBelow removes it as it does a snapshot.
	Recorded(ctx context.Context, group membership.GroupID) (core.SnapshotMeta, error)
}
