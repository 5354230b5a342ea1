package storage

import (
	"errors"
	"fmt"

	"github.com/trouperaft/troupe/membership"
)

// ErrNotFound: the entry or snapshot asked for is not there (any more, or yet).
var ErrNotFound = errors.New("storage: not found")

// ErrClosed: the store was closed.
var ErrClosed = errors.New("storage: closed")

// ErrInspection: the store was opened for inspection only, and is not written.
var ErrInspection = errors.New("storage: opened for inspection only: nothing is written")

// WrongNodeError: a store was opened for another node than its own.
type WrongNodeError struct {
	Store string
	// Node is the one that asked, Owner the one that the store belongs to.
	Node, Owner membership.NodeID
}

// Error implements error.
func (e *WrongNodeError) Error() string {
	return fmt.Sprintf("storage: %s belongs to node %d and was opened for node %d", e.Store, e.Owner, e.Node)
}

// NoSpaceError: too little free space is left to write safely. Sizes are in
// bytes.
type NoSpaceError struct {
	Store     string
	Free, Min uint64
}

// Error implements error.
func (e *NoSpaceError) Error() string {
	return fmt.Sprintf("storage: %s has %d bytes left, and needs %d to write safely", e.Store, e.Free, e.Min)
}

// RefusedError: the store must not take part any more, see LogStore.Refuse.
type RefusedError struct {
	Store string
	// Reason is what Refuse was told.
	Reason string
}

// Error implements error. It says the way back.
func (e *RefusedError) Error() string {
	return fmt.Sprintf("storage: %s must not take part any more: %s. It can be opened for inspection only; "+
		"the way back is an empty directory, with which the node has to replace what it was in its clusters", e.Store, e.Reason)
}
