package actors

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/trouperaft/troupe/core"
)

// Environment is everything that the actors do not decide themselves. All
// methods are safe for concurrent use. Production returns the real one.
type Environment interface {
	// Now reads the node's monotonic clock. It counts the time for which the
	// machine was suspended and is never before the last reading.
	Now() core.Instant
	// WallTime is nanoseconds since 1970 UTC. It may jump.
	WallTime() int64
	// Rand draws a random number.
	Rand() uint64
	// Secret fills b from a cryptographic generator.
	Secret(b []byte)
	// AfterFunc calls f once, on any goroutine, d from now. f does not block.
	AfterFunc(d time.Duration, f func()) Timer
	// System is the actor system that all actors are spawned in.
	System() *actor.ActorSystem
	// Dispatcher returns what an actor that is being spawned will run on. Actors
	// may share one.
	Dispatcher() actor.Dispatcher
	// Do carries out a call that may block, then done. In production both run in
	// place, on the calling actor's goroutine. A simulation returns at once and
	// runs both later, at one virtual instant, or never if the node has crashed;
	// until done, the actor starts no other call. Neither function panics.
	Do(kind CallKind, call func(), done func())
	// Yield lets others run, once, before the core actor takes an inbox that
	// proposals alone rang for: blocking clients then form a batch.
	Yield()
}

// Timer is a timer of an Environment.
type Timer interface {
	// Reset lets the timer fire once, d from now, and no longer at the time set
	// before. A firing that is already under way cannot be taken back.
	Reset(d time.Duration)
	// Stop prevents a firing that is not yet under way.
	Stop()
}

// CallKind sorts the calls that may block.
type CallKind uint8

const (
	// CallWrite writes a batch to the log store.
	CallWrite CallKind = iota + 1
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

// String returns "write", "read", "apply", "view", "restore", "snapshot write",
// "snapshot read", "keep" or "close".
func (k CallKind) String() string {
	if k < CallWrite || k > CallClose {
		return "unknown call"
	}
	return [...]string{"write", "read", "apply", "view", "restore", "snapshot write", "snapshot read", "keep", "close"}[k-1]
}
