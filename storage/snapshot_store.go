package storage

import (
	"context"
	"io"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
)

// SnapshotStore keeps the snapshots of many groups. It is called by short-lived
// actors, several at a time for different groups, and never for the same
// snapshot at once, but for readers.
type SnapshotStore interface {
	// Create begins a snapshot aside: it is invisible until it is committed. Then it takes
	// the place of one with the same id, if there is one. SizeBytes and Checksum of meta are
	// ignored.
	Create(ctx context.Context, group membership.GroupID, meta core.SnapshotMeta) (SnapshotWriter, error)

	// Newest returns the good snapshot with the highest index, zero if there is
	// none. A damaged one is passed over and reported by the implementation's
	// logger; if only damaged ones are there the error wraps core.ErrCorrupt.
	Newest(ctx context.Context, group membership.GroupID) (core.SnapshotMeta, error)

	// Open opens a snapshot for reading: ErrNotFound if it is not there. It can
	// be read to its end even if it is removed meanwhile.
	Open(ctx context.Context, group membership.GroupID, id core.LogID) (SnapshotReader, error)

	// RemoveBelow removes the snapshots, and the record, of the group with a lower index, and
	// what crashes left unfinished. It removes all that it can: an error says what
	// is left. The caller tells it, calls again when there is a newer snapshot, and
	// does nothing else about it.
	RemoveBelow(ctx context.Context, group membership.GroupID, index core.Index) error
}

// SnapshotWriter writes one snapshot. Exactly one of Commit and Abort ends it.
type SnapshotWriter interface {
	io.Writer
	// Commit makes the snapshot durable and visible, and returns its meta with
	// size and checksum. If want is not zero, the size and checksum must be
	// want's, else nothing is committed and the error wraps core.ErrCorrupt.
	Commit(want core.SnapshotMeta) (core.SnapshotMeta, error)
	// Abort removes what was written.
	Abort() error
}

// PiecewiseWriter is a SnapshotWriter that makes durable what was written so far when it is
// asked to. While entries are written a snapshot is built in small pieces, each of which is
// synced at once: what the disk has to write for it the syncs of the log wait for. A writer
// need not be one: then it syncs as it sees fit.
type PiecewiseWriter interface {
	SnapshotWriter
	// Sync makes durable what was written so far. The snapshot stays invisible.
	Sync() error
}

// SnapshotReader reads a snapshot's content. Reading to the end verifies the
// checksum: damage is an error that wraps core.ErrCorrupt.
//
// It may be an io.Seeker as well. Then a transfer that goes on reads only what is missing;
// who has moved it does not have the checksum verified.
type SnapshotReader interface {
	io.ReadCloser
	Meta() core.SnapshotMeta
}
