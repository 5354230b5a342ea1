// Package disk is the writing side of a node's log store.
//
// A store takes one write at a time, and three parts of a node have something to write.
// The [LogActor] writes the logs of all groups: whatever piled up during one sync is one
// batch of the next. The [Keeper] writes what a node keeps beside its logs: what was
// proved of peers, and that the store is an old copy. [Promises] records the lease
// promises, and holds the lock that keeps the writers apart.
//
// None of them knows a group's other actors. A group hands its writes over in order, and
// gets back one number: all writes up to this one are durable. Messages that wait for a
// write travel with it, and leave when it is durable. A failed write is the store's end,
// and that of all groups on it (rule 6).
package disk
