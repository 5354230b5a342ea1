package storage

import (
	"context"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
)

// Resuming is a SnapshotStore that keeps what has arrived of a snapshot over a restart. A
// store need not: then a transfer that a restart interrupts begins anew.
type Resuming interface {
	SnapshotStore
	// Resume begins a snapshot that arrives in pieces, aside like that of Create, or goes
	// on with one that was begun before: have is how many bytes of its content are there
	// already. meta is the sender's, its SizeBytes and Checksum included.
	//
	// Only what is of the same group, LogID, size, checksum, time and configuration is
	// gone on with (rule 25), and only as far as it was durable, was read again and is
	// what was written. It is kept for a bounded time, which the implementation's doc says;
	// what there is of other unfinished snapshots of the group is removed.
	//
	// Before anything is written it asks whether there is room for what is missing: if not,
	// the error is a *NoSpaceError.
	//
	// The writer is a SuspendableWriter, unless meta is malformed or another writer of the
	// same snapshot is open, which are errors. It is called as Create is.
	Resume(ctx context.Context, group membership.GroupID, meta core.SnapshotMeta) (w SnapshotWriter, have uint64, err error)
}

// SuspendableWriter is a SnapshotWriter that can be let go of without an end: exactly one
// of Commit, Abort and Suspend ends it.
type SuspendableWriter interface {
	SnapshotWriter
	// Suspend makes durable what was written, and keeps it for a later Resume.
	Suspend() error
}
