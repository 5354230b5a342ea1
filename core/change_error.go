package core

import (
	"errors"
	"fmt"
	"time"

	"github.com/trouperaft/troupe/membership"
)

// Errors of changes of the members that carry no data. Nothing was appended.
var (
	// ErrRemoved: this node is no member of the group any more. Its data is as it was.
	ErrRemoved = errors.New("troupe: this node was removed from the group")
	// ErrNotRemoved: this node is a member of the group, or does not know that its removal
	// is committed. What it has voted for and acknowledged counts, and must stay.
	ErrNotRemoved = errors.New("troupe: this node is not known to be removed from the group")
	// ErrNoChange: there is no change that could be given up.
	ErrNoChange = errors.New("troupe: no change of the members is under way")
)

// ChangeInProgressError: another change of the members is under way, and nothing was
// appended for this one; or that change can not be given up any more.
type ChangeInProgressError struct {
	// Change is the one under way.
	Change membership.ChangeID
	// What says what it does, for people.
	What string
	// Age is for how long it has been under way, by the leader's wall clock.
	Age time.Duration
	// Joint: it has caught up, and both halves of the configuration decide now. It
	// can only be finished.
	Joint bool
}

// Error implements error.
func (e *ChangeInProgressError) Error() string {
	state := "catching up"
	if e.Joint {
		state = "joint, and can only be finished"
	}
	return fmt.Sprintf("troupe: a change of the members is under way for %v: %v, %s: %s", e.Age.Round(time.Millisecond), e.Change, e.What, state)
}

// NotCaughtUpError: a node that was to come did not answer, or did not catch up, in
// time. The change was given up before any voter came or went.
type NotCaughtUpError struct {
	// Change is the one that was given up.
	Change membership.ChangeID
	Node   NodeID
	// Lag is how many entries the node lacks. If it is not known who the node is, it
	// lacks everything.
	Lag uint64
	// LastContact is how long ago the node last answered, -1 if it never did.
	LastContact time.Duration
	// Text says more, for people; it may be empty.
	Text string
}

// Error implements error.
func (e *NotCaughtUpError) Error() string {
	heard := "has never answered"
	if e.LastContact >= 0 {
		heard = fmt.Sprintf("answered %v ago", e.LastContact.Round(time.Millisecond))
	}
	text := fmt.Sprintf("troupe: the change of the members %v was given up: node %d has not caught up: %d entries behind, %s", e.Change, e.Node, e.Lag, heard)
	if e.Text != "" {
		text += ": " + e.Text
	}
	return text
}

// ConfigurationChangedError: the configuration that the request insisted on is not the
// one in force. Nothing was appended.
type ConfigurationChangedError struct {
	// Expected is the index that the request named, Index that of the configuration in
	// force.
	Expected, Index Index
}

// Error implements error.
func (e *ConfigurationChangedError) Error() string {
	return fmt.Sprintf("troupe: the configuration in force is that of entry %d, not of %d", e.Index, e.Expected)
}

// ChangeCancelledError: the change was given up while it was catching up.
type ChangeCancelledError struct {
	Change membership.ChangeID
	// Yielded: another change took its place. Otherwise somebody cancelled it.
	Yielded bool
}

// Error implements error.
func (e *ChangeCancelledError) Error() string {
	if e.Yielded {
		return fmt.Sprintf("troupe: the change of the members %v was given up for another one", e.Change)
	}
	return fmt.Sprintf("troupe: the change of the members %v was cancelled", e.Change)
}
