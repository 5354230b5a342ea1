package core

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// Errors that carry no data. None of them leaves a write in doubt.
var (
	// ErrOverloaded: there was no room for the request, and nothing happened.
	ErrOverloaded = errors.New("troupe: overloaded: too much in flight")
	// ErrStopped: the node or the group was stopped before the request began.
	ErrStopped = errors.New("troupe: stopped")
	// ErrTermChanged: the term that the request insisted on is over.
	ErrTermChanged = errors.New("troupe: the expected term is over")
	// ErrNotReady: this node leads, and the cluster is still being formed.
	ErrNotReady = errors.New("troupe: the cluster is still being formed")
	// ErrTransferring: the leader hands over to another node, and the request did not
	// want to wait for that.
	ErrTransferring = errors.New("troupe: the leadership is being transferred")
	// ErrNoCluster: this group belongs to no cluster yet: it waits for a bootstrap,
	// or for a leader that brings it in. Nothing happened.
	ErrNoCluster = errors.New("troupe: the group belongs to no cluster yet")
	// ErrNotNow is what a state machine's View returns, or wraps, where it has no view to
	// give at the moment: it is asked again. No snapshot was made. So it is where the time
	// or the configuration of what the machine holds is not known (rule 24).
	ErrNotNow = errors.New("troupe: not now: the state machine gives no view")
	// ErrCorrupt is wrapped by every error that says that stored data is
	// damaged. Nothing is repaired silently.
	ErrCorrupt = errors.New("troupe: stored data is damaged")
)

// Errors that answer a read of the log.
var (
	// ErrCompacted: the log no longer holds the entries.
	ErrCompacted = errors.New("core: the log no longer holds the entries")
	// ErrLogChanged: the log is not the one that the stream's leader wrote: it
	// was truncated or reset, or holds entries of a newer term (rules 9, 10).
	ErrLogChanged = errors.New("core: the log was changed by a newer leader")
)

// MayHaveHappened reports whether a request that failed with err may have been carried
// out all the same, now or later. It is true for errors that say so themselves, and
// false for nil and for errors of a request that never began. An error that has an
// answer speaks for what it wraps; of errors that were joined, one is enough.
func MayHaveHappened(err error) bool {
	switch e := err.(type) {
	case interface{ MayHaveHappened() bool }:
		return e.MayHaveHappened()
	case interface{ Unwrap() []error }:
		return slices.ContainsFunc(e.Unwrap(), MayHaveHappened)
	}
	wrapped := errors.Unwrap(err)
	return wrapped != nil && MayHaveHappened(wrapped)
}

// NotLeaderError: this node does not lead, and nothing happened. Leader is the
// node to ask, 0 if it is not known.
type NotLeaderError struct {
	Leader NodeID
	Term   Term
}

// Error implements error.
func (e *NotLeaderError) Error() string {
	if e.Leader == 0 {
		return fmt.Sprintf("troupe: no leader is known in term %d", e.Term)
	}
	return fmt.Sprintf("troupe: not the leader: node %d leads term %d", e.Leader, e.Term)
}

// UnknownOutcomeError: the write, or another request, was handed over, and it is not
// known what became of it; it may take effect now, later or never.
type UnknownOutcomeError struct{ Cause error }

// Error implements error.
func (e *UnknownOutcomeError) Error() string {
	return fmt.Sprintf("troupe: unknown outcome: %v", e.Cause)
}

// Unwrap returns the cause.
func (e *UnknownOutcomeError) Unwrap() error { return e.Cause }

// MayHaveHappened returns true.
func (e *UnknownOutcomeError) MayHaveHappened() bool { return true }

// LostError: the write was appended by a leader that lost its leadership, and
// another entry stands in its place. It certainly did not and will not happen.
type LostError struct{ LogID LogID }

// Error implements error.
func (e *LostError) Error() string {
	return fmt.Sprintf("troupe: lost: another leader's entry stands in the place of %v", e.LogID)
}

// FatalError: the group stopped because of Cause.
type FatalError struct{ Cause error }

// Error implements error.
func (e *FatalError) Error() string { return fmt.Sprintf("troupe: the group has failed: %v", e.Cause) }

// Unwrap returns the cause.
func (e *FatalError) Unwrap() error { return e.Cause }

// OtherClusterError: something of the cluster Want was asked for, and the group belongs to
// the cluster Have.
type OtherClusterError struct{ Want, Have ClusterID }

// Error implements error. It tells hashes of the ids, as they print.
func (e *OtherClusterError) Error() string {
	return fmt.Sprintf("troupe: the group belongs to cluster %v, and not to %v", e.Have, e.Want)
}

// CompactedError: the log no longer holds the entries that were asked for. It begins at
// First.
type CompactedError struct{ First Index }

// Error implements error.
func (e *CompactedError) Error() string {
	return fmt.Sprintf("troupe: the log does not reach so far back: it begins at %d", e.First)
}

// Is makes it an ErrCompacted.
func (e *CompactedError) Is(target error) bool { return target == ErrCompacted }

// PurgeError: the log cannot be purged up to UpTo, since the newest snapshot, or what a
// record says that the state machine keeps, contains the entries up to Snapshot only.
// Nothing happened.
type PurgeError struct{ UpTo, Snapshot Index }

// Error implements error.
func (e *PurgeError) Error() string {
	return fmt.Sprintf("troupe: the log cannot be purged up to %d: the newest snapshot or record ends at %d", e.UpTo, e.Snapshot)
}

// TooLargeError: a command is over a limit, and nothing happened. Sizes are
// in bytes.
type TooLargeError struct {
	Size, Max int
	// Limit says which limit it is.
	Limit SizeLimit
	// Node is the leader if the limit is its own, 0 if it is this node's.
	Node NodeID
}

// SizeLimit names a limit of a command's size.
type SizeLimit uint8

const (
	// LimitCommand: Config.CommandBytesMax.
	LimitCommand SizeLimit = iota
	// LimitMessage: the largest message that can be sent to the leader, less what the rest
	// of a message needs.
	LimitMessage
)

// String returns "Config.CommandBytesMax" or "the network's largest message".
func (l SizeLimit) String() string {
	return [...]string{"Config.CommandBytesMax", "the network's largest message"}[min(l, LimitMessage)]
}

// Error implements error.
func (e *TooLargeError) Error() string {
	text := fmt.Sprintf("troupe: a command of %d bytes, and %v allows at most %d", e.Size, e.Limit, e.Max)
	if e.Node != 0 {
		text += fmt.Sprintf(" on the leader, node %d", e.Node)
	}
	return text
}

// TooStaleError: the state of this node is older than the read allows, and could not
// be brought up to date in time.
type TooStaleError struct {
	// Age is how long ago the state is known to have been current, -1 if that is not
	// known.
	Age time.Duration
	// LagEntries, if not 0, is by how many entries the state machine is behind the
	// index of a read that does not allow that.
	LagEntries uint64
	// Cause is why the read has ended, nil for a lag.
	Cause error
}

// Error implements error.
func (e *TooStaleError) Error() string {
	text := "troupe: too stale: "
	switch {
	case e.LagEntries > 0:
		text += fmt.Sprintf("the state machine is %d entries behind", e.LagEntries)
	case e.Age < 0:
		text += "it is not known that the state was ever current"
	default:
		text += fmt.Sprintf("the state was current %v ago", e.Age)
	}
	if e.Cause != nil {
		text += ": " + e.Cause.Error()
	}
	return text
}

// Unwrap returns the cause.
func (e *TooStaleError) Unwrap() error { return e.Cause }

// BootstrapError: a bootstrap was refused, and nothing was written.
type BootstrapError struct {
	// Node is the member that stands in the way, 0 if none does.
	Node   NodeID
	Reason string
	// Cause is why Node could not be reached, nil if something else stands in the
	// way.
	Cause error
}

// Unwrap returns the cause.
func (e *BootstrapError) Unwrap() error { return e.Cause }

// Error implements error.
func (e *BootstrapError) Error() string {
	text := "troupe: bootstrap refused: " + e.Reason
	if e.Node != 0 {
		text = fmt.Sprintf("troupe: bootstrap refused: node %d %s", e.Node, e.Reason)
	}
	if e.Cause != nil {
		text += ": " + e.Cause.Error()
	}
	return text
}
