package actors

import (
	"github.com/trouperaft/troupe/actors/stage"
	"github.com/trouperaft/troupe/core"
)

// The kinds of calls that may block, as a stage.Environment is told of them.
const (
	// CallWrite writes a batch to the log store.
	CallWrite stage.Kind = iota + 1
	// CallRead reads entries from the log store.
	CallRead
	// CallApply applies entries to a state machine.
	CallApply
	// CallView takes a view of a state machine.
	CallView
	// CallRestore restores a state machine from a snapshot.
	CallRestore
	// CallSnapshotWrite writes to the snapshot store.
	CallSnapshotWrite
	// CallSnapshotRead reads from the snapshot store.
	CallSnapshotRead
	// CallKeep makes durable what a node keeps beside its groups.
	CallKeep
	// CallClose closes the network. A node that ends waits for it.
	CallClose
)

// CallName returns "write", "read", "apply", "view", "restore", "snapshot write",
// "snapshot read", "keep" or "close".
func CallName(kind stage.Kind) string {
	if kind < CallWrite || kind > CallClose {
		return "unknown call"
	}
	return [...]string{"write", "read", "apply", "view", "restore", "snapshot write", "snapshot read", "keep", "close"}[kind-1]
}

// instant reads the clock for the engine, whose instants the environment's are.
func instant(env stage.Environment) core.Instant { return core.Instant(env.Now()) }
