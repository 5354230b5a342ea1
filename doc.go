// Package troupe lets a program replicate its state over several nodes with
// Raft.
//
// # The pieces
//
// A [Node] is a process's place in the cluster: an id, a log store, a snapshot
// store and a network, which all of its groups share. A [Raft] is the handle of
// one group on one node. The application brings a [StateMachine], which gets the
// same commands in the same order on every member.
//
//	node, err := troupe.NewNode(troupe.NodeConfig{ID: 1, Network: network, Log: store, Snapshots: snapshots})
//	raft, err := node.Start(ctx, troupe.Config{Group: 1, StateMachine: machine})
//
// [Start] does both for a program with one group. Each node of a new cluster is
// started so, with empty stores. Then one of them, or each of them, is told who they
// are:
//
//	err = raft.Bootstrap(ctx, troupe.At(1, "10.0.0.1:9001"), troupe.At(2, "10.0.0.2:9001"), troupe.At(3, "10.0.0.3:9001"))
//
// After a restart nothing has to be said again: the stores know.
//
// # Writing
//
// [Raft.Propose] returns when the command is committed, which takes a majority
// of the members, and was applied. It works on any member. Its error is one of
// two sorts, and [MayHaveHappened] tells which:
//
//   - Nothing happened, and nothing will: the caller may simply try again.
//   - It is not known what became of the command ([UnknownOutcomeError]): a
//     leader vanished with it, or the context ended while it was under way.
//     Trying again may do it twice. Give commands an id that the state machine
//     remembers, or make them such that a second time does no harm.
//
// The library itself tries again only where nothing can have happened.
//
// # Reading
//
// Reading is the application's own business, on its own state machine; what
// the library adds is the moment. [Raft.ReadIndex] returns when the machine of
// this node has applied everything that was acknowledged anywhere before the
// call: a read after it is linearizable. A read without it sees some past state.
// Apply runs meanwhile, so that machine needs a lock.
//
// # Choosing
//
// How many nodes: three go on without one of them, five without two; an even
// number gains nothing.
//
// Which store: storage/badger keeps what it acknowledges over a crash.
// storage/memory keeps nothing, and a node that lost its data is another
// incarnation to the others, which do not count it any more: it is for tests
// and for clusters that never restart a member.
//
// Which state machine: one that embeds [Volatile] keeps nothing over a restart
// and is rebuilt from the newest snapshot and the log. One that is durable
// itself records the LogID of what it applied together with it, and goes on from
// there; see the contract in package storage.
//
// Which time-outs: [Config] says how ElectionTimeout is chosen. A group is
// without a leader for one to two of it, and an election, after its leader died.
// Everything else has a default that fits.
//
// How large a command: a few kilobytes are ordinary, megabytes hold up the
// others on the same connection. Large values belong elsewhere, their names in
// the log.
//
// # Watching
//
// [Raft.Status] is a value; [Raft.Watch], [Raft.Wait] and [Raft.Events] tell
// what changes. [Raft.Done] and [Raft.Err] tell that the group has failed: a
// failed disk, an error of the state machine or a broken invariant stops it, and
// nothing is started again behind the application's back. The other members go
// on.
//
// # Stopping
//
// [Raft.Shutdown] and [Node.Shutdown] answer all that waits before they return.
// Stores are closed afterwards, by whoever opened them. A process that is killed
// instead loses nothing that was acknowledged.
package troupe
