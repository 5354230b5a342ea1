package storage

import (
	"context"
	"time"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
)

// Bounds of what a store keeps beside its groups.
const (
	// PeersMin is how many peers every store keeps; it may keep more.
	PeersMin = 1024
	// PeerAddressBytesMax is the length of the longest address of a peer.
	PeerAddressBytesMax = 1024
	// RefusalBytesMin is how much of a reason every store keeps.
	RefusalBytesMin = 1024
)

// Header is what a store said of itself when it was opened. It does not change
// while the store is open.
type Header struct {
	// Node is the node that the store belongs to.
	Node membership.NodeID
	// Incarnation was drawn when the store was made, and is never 0.
	Incarnation membership.Incarnation
	// StartCounter counts the openings of the store, from 1; it was raised and
	// made durable by this opening, unless it is for inspection only.
	StartCounter uint64
	// Promise is the longest lease promise (rule 12), as RecordPromise recorded
	// it last before this opening, 0 if it never did.
	Promise time.Duration
	// Refused, if not empty, says why the store must not take part any more: it
	// is an old copy, as a peer has proved (Refuse). Only who has opened it for
	// inspection sees it.
	Refused string
}

// Peer is what a node keeps of another node, once it was proved (rule 29).
type Peer struct {
	// Neither part of the identity is 0.
	membership.Identity
	// StartCounter and Nonce are of the newest life of it that was proved, see
	// package network.
	StartCounter, Nonce uint64
	// Address is where it was learned to be, empty if that is not known. It has
	// at most PeerAddressBytesMax bytes.
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
// silently. It comes from opening, or where a store can tell that some groups alone
// have lost something, from every Load and Read of these. What the system refuses, a
// file that is in use or that the disk cannot read, is no damage. What an
// implementation cannot detect stands in its doc. A store that
// was refused (Refuse) is not opened but with *RefusedError, and the attempt
// raises no start counter: else the copy of a directory would pass the original
// after some restarts (rule 17).
//
// An implementation can also open a store, refused or not, for inspection only:
// nothing that it holds is changed, the start counter included, and Write,
// RecordPromise, Refuse and KeepPeer fail with ErrInspection.
type LogStore interface {
	// Header returns what was read when the store was opened, with the start
	// counter that this opening has raised.
	Header() Header

	// RecordPromise makes durable that lease promises of up to d, which is not
	// negative, may be alive, and no longer ones: d may be more or less than what
	// is recorded, and takes its place (rule 13). After a crash in the middle of
	// it the one or the other is recorded, and an error leaves open which.
	RecordPromise(ctx context.Context, d time.Duration) error

	// Refuse makes durable that the store must not take part any more, and why:
	// from its return on Write and RecordPromise fail with *RefusedError, and so
	// does every later opening but those for inspection. Nothing takes it back. A
	// second reason changes nothing and is no error; an empty one is an error. A
	// store may keep as little of a reason as the characters that fit into
	// RefusalBytesMin bytes. After an error the store may be refused or not.
	Refuse(ctx context.Context, reason string) error

	// Peers returns what is kept of other nodes, in the order of their
	// identities. The slice belongs to the caller. It waits for no disk.
	Peers() []Peer

	// KeepPeer makes durable what is known of a node, in the place of all that
	// was kept of the same identity. A start counter below the one that is kept
	// is an error, and so is the same one with another nonce: what protects is
	// not taken back (rule 17). An error, a full disk among them, changes nothing
	// and is not final.
	//
	// A store may keep as few as PeersMin peers and then forgets those that were
	// kept the longest time ago; to keep one again as it is makes it the newest,
	// and need not write. An operator may remove the peers of a store as a whole,
	// in the way that the implementation says; they are never lost in part.
	//
	// It may be called while Write is under way, and does not wait for it.
	KeepPeer(ctx context.Context, p Peer) error

	// Load returns what the store holds of a group at one moment, an empty State
	// for a group that it never saw. What it returns is durable (rule 8), and
	// later writes do not change it. It verifies the group's log: a hole, a bad
	// checksum, terms that decrease or an entry that cannot be decoded is an error
	// that wraps core.ErrCorrupt.
	Load(ctx context.Context, group membership.GroupID) (State, error)

	// Write carries out the operations in their order and returns when all are
	// durable. After a crash in the middle of it, and after an error, an ordered
	// prefix of the operations, each whole, may have been carried out; an
	// operation within Limits is never torn. Load and Read never show a part of
	// it, and what they have shown is there after the next opening. An error is
	// final: the caller stops every group of the store and never writes again, and
	// Load and Read may fail from then on. The batch belongs to the caller again
	// after return; the elements of Append and their data never change, and may be
	// kept.
	Write(ctx context.Context, batch *Batch) error

	// Read returns consecutive entries from first on: all up to last, or if the
	// sizes (Entry.Size) of all would exceed bytesMax, as many as fit, but at
	// least one. They are of one moment, and it sees every Write that has
	// returned. An entry that is purged or beyond the end gives ErrNotFound, a
	// hole or bad checksum an error that wraps core.ErrCorrupt; it never returns a
	// hole. The caller must not change what it gets, and the store does not
	// change it either, whatever happens later.
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
	// Sizes are those of the entries: LogSizes.Append takes them as they are read. With
	// them the log's bytes are known over a restart.
	Sizes core.LogSizes
	// Configurations are the configuration entries, decoded, in order.
	Configurations []core.ConfigurationAt
}
