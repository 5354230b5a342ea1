package storage

import (
	"context"
	"time"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
)

// Header is what a store says of itself. It is fixed when the store is opened,
// but for the promise.
type Header struct {
	// Node is the node that the store belongs to.
	Node membership.NodeID
	// Incarnation was drawn when the store was made, and is never 0.
	Incarnation membership.Incarnation
	// StartCounter counts the openings of the store, from 1; it was raised and
	// made durable by this opening.
	StartCounter uint64
	// Promise is the longest promise not to vote that was ever recorded by
	// RaisePromise.
	Promise time.Duration
}

// LogStore keeps hard states and logs of many groups.
//
// One goroutine at a time writes (the log actor): Write and RaisePromise are
// never called concurrently with each other. Load, Read, Header and Limits may
// be called from any goroutine at any time.
//
// Opening is the implementation's own function: it takes the node id, refuses a
// store of another node by name, raises the start counter, and verifies what it
// can: contiguity, a checksum for each entry, and its watermark. Damage is an
// error that wraps core.ErrCorrupt; acknowledged entries are never dropped
// silently. What an implementation cannot detect stands in its doc.
type LogStore interface {
	// Header returns what was read when the store was opened.
	Header() Header

	// RaisePromise makes durable that promises of up to d may be given; Header
	// keeps what it said at opening. A shorter promise than a recorded one
	// changes nothing.
	RaisePromise(ctx context.Context, d time.Duration) error

	// Load returns what the store holds of a group, an empty State for a group
	// that it never saw. What it returns is durable (rule 8). It verifies the
	// group's log: a hole, a bad checksum, terms that decrease or an entry that
	// cannot be decoded is an error that wraps core.ErrCorrupt.
	Load(ctx context.Context, group membership.GroupID) (State, error)

	// Write carries out the operations in their order and returns when all are
	// durable. After a crash in the middle of it, an ordered prefix of the
	// operations, each whole, may have been carried out; an operation within
	// Limits is never torn. An error is final: the caller stops every group of the store and
	// never writes again. The batch belongs to the caller again after return;
	// the elements of Append and their data never change, and may be kept.
	Write(ctx context.Context, batch *Batch) error

	// Read returns consecutive entries from first on: all up to last, or fewer,
	// but at least one, if the sizes (Entry.Size) of all would exceed bytesMax.
	// It sees every Write that has returned. An entry that is purged or beyond
	// the end gives ErrNotFound, a hole or bad checksum an error that wraps
	// core.ErrCorrupt; it never returns a hole. The caller must not change what
	// it gets.
	Read(ctx context.Context, group membership.GroupID, first, last core.Index, bytesMax int) ([]core.Entry, error)

	// Limits bounds what one Write may carry; the log actor splits, the store
	// never does.
	Limits() Limits

	// Close releases the store, after the node that uses it has stopped. The
	// opener closes. It is an error to use the store afterwards.
	Close() error
}

// Limits of a store. All are positive.
type Limits struct {
	// EntryBytesMax is the largest data of one entry, in bytes.
	EntryBytesMax int
	// BatchBytesMax is the largest sum of the entries' sizes in one Batch;
	// one entry of EntryBytesMax always fits.
	BatchBytesMax int
	// BatchEntriesMax is the largest number of entries in one Batch.
	BatchEntriesMax int
}

// Batch is an ordered list of operations on any groups.
type Batch struct{ Operations []Operation }

// Operation changes one group. Its parts are carried out in the order of the
// fields, all or none.
type Operation struct {
	Group membership.GroupID
	// HardState, if not nil, replaces the group's.
	HardState *core.HardState
	// Reset, if its index is not 0, removes all entries; Reset is then both the
	// purged and the last id.
	Reset core.LogID
	// TruncateFrom, if not 0, removes the entries from that index on.
	TruncateFrom core.Index
	// Append follows the last entry without a hole; a gap is an error.
	Append []core.Entry
	// Purge, if its index is not 0, removes the entries up to it. It takes
	// effect for Load and Read when Write returns; the space may be reclaimed
	// later.
	Purge core.LogID
	// Commit, if not 0, is saved as the group's commit index.
	Commit core.Index
}

// State is what a store holds of a group.
type State struct {
	HardState core.HardState
	Commit    core.Index
	// Purged is the last purged entry; Last the last entry, or Purged if there
	// is none.
	Purged core.LogID
	Last   core.LogID
	// LastTime is the Time of the last entry, 0 if there is none.
	LastTime int64
	// Terms are the first LogIDs of the runs of equal term, in order.
	Terms []core.LogID
	// Configurations are the configuration entries, decoded, in order.
	Configurations []core.ConfigurationAt
}
