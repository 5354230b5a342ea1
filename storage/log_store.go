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
	// Promise is the promise not to vote that was recorded last by
	// RecordPromise.
	Promise time.Duration
	// Refused, if not empty, says why the store must not take part any more: it
	// is an old copy, as a peer has proved (Refuse). Such a store opens for
	// inspection only.
	Refused string
}

// Peer is what a node keeps of another node.
type Peer struct {
	membership.Identity
	// StartCounter and Nonce are of the newest life of it that was proved, see
	// package network.
	StartCounter, Nonce uint64
	// Address is where it was learned to be, empty if that is not known.
	Address string
}

// LogStore keeps hard states and logs of many groups.
//
// One goroutine at a time writes (the log actor): Write, RecordPromise and
// Refuse are never called concurrently with each other. Load, Read, Header,
// Limits, Peers and KeepPeer may be called from any goroutine at any time.
//
// Opening is the implementation's own function: it takes the node id, refuses a
// store of another node by name, raises the start counter, and verifies what it
// can: contiguity, a checksum for each entry, and its watermark. Damage is an
// error that wraps core.ErrCorrupt; acknowledged entries are never dropped
// silently. What an implementation cannot detect stands in its doc.
type LogStore interface {
	// Header returns what was read when the store was opened.
	Header() Header

	// RecordPromise makes durable that promises of up to d may be given, and no
	// longer ones any more (rule 13): d may be more or less than what is
	// recorded. Header keeps what it said at opening. After a crash in the middle
	// of it, the one or the other is recorded.
	RecordPromise(ctx context.Context, d time.Duration) error

	// Refuse makes durable that the store must not take part any more, and why:
	// from now on it opens for inspection only. The first reason stays.
	Refuse(ctx context.Context, reason string) error

	// Peers returns what is kept of other nodes, in the order of their
	// identities.
	Peers() []Peer

	// KeepPeer makes durable what is known of a node, in the place of what was
	// kept of the same identity. A start counter below the one that is kept is
	// an error, and changes nothing: what protects is never forgotten. A store
	// may keep as few as 1,024 peers and then forgets those that were kept the
	// longest time ago. It may be called while Write is under way.
	KeepPeer(ctx context.Context, p Peer) error

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
