// Package calls names the kinds of calls that actors make and that may block, as a
// stage.Environment is told of them: a simulation lets some last longer than others.
package calls

import "github.com/trouperaft/troupe/actors/stage"

// The kinds.
const (
	// Write writes a batch to the log store.
	Write stage.Kind = iota + 1
	// Read reads entries from the log store.
	Read
	// Apply applies entries to a state machine.
	Apply
	// View takes a view of a state machine.
	View
	// Restore restores a state machine from a snapshot.
	Restore
	// SnapshotWrite writes to the snapshot store.
	SnapshotWrite
	// SnapshotRead reads from the snapshot store.
	SnapshotRead
	// Keep makes durable what a node keeps beside its groups.
	Keep
	// Close closes the network, for which a node that ends waits, or what an actor
	// held of a store or a state machine.
	Close
	// Observe hands to a logger, a tracer or a meter what was observed.
	Observe
)

// Name returns "write", "read", "apply", "view", "restore", "snapshot write",
// "snapshot read", "keep", "close" or "observe".
func Name(kind stage.Kind) string {
	if kind < Write || kind > Observe {
		return "unknown call"
	}
	return [...]string{"write", "read", "apply", "view", "restore", "snapshot write", "snapshot read", "keep", "close", "observe"}[kind-1]
}
