// Package troupe lets a program replicate its state over several nodes with
// Raft.
//
// # The pieces
//
// A [Node] is a process's place in the cluster: an id, a log store, a snapshot
// store and a network, which all of its groups share. A [Raft] is the handle of
// one group on one node. The application brings a [StateMachine]. On every
// member it gets the same commands in the same order.
//
//	node, err := troupe.NewNode(troupe.NodeConfig{ID: 1, Network: network, Log: store, Snapshots: snapshots})
//	raft, err := node.Start(ctx, troupe.Config{Group: 1, StateMachine: machine})
//
// [Start] does both for a program with one group. Start each node of a new
// cluster like this, with empty stores. Then tell one of them, or each of them,
// who the members are:
//
//	err = raft.Bootstrap(ctx, troupe.At(1, "10.0.0.1:9001"), troupe.At(2, "10.0.0.2:9001"), troupe.At(3, "10.0.0.3:9001"))
//
// This is not needed again after a restart, because the stores keep it.
//
// # Writing
//
// [Raft.Propose] returns when a majority of the members has the command, so
// that it is committed, and a state machine has applied it. It works on any
// member. Its error is of one of two sorts, and [MayHaveHappened] tells which:
//
//   - Nothing happened, and nothing will. The caller may simply try again.
//   - The outcome is not known ([UnknownOutcomeError]): a leader vanished with
//     the command, or the context ended while it was under way. To try again
//     may carry the command out twice. Give commands an id that the state
//     machine remembers, or write them so that a second time does no harm.
//
// The library itself tries again only where nothing can have happened.
//
// # Reading
//
// The application reads its own state machine. The library tells it when it may
// read. [Raft.ReadIndex] returns when the machine of this node has applied
// everything that was acknowledged anywhere before the call: a read after it is
// linearizable. A read without it sees some past state. Apply may run at the
// same time as a read, so the machine needs a lock.
//
// # Choosing
//
// How many nodes? Three go on without one of them, five without two. An even
// number gains nothing.
//
// Which store? storage/badger keeps what it acknowledges over a crash.
// storage/memory keeps nothing. It is for tests, and for clusters that never
// restart a member: a node that lost its data comes back under another
// incarnation, and the others no longer count it.
//
// Which state machine? One that embeds [Volatile] keeps nothing over a restart,
// and is rebuilt from the newest snapshot and the log. A durable one records
// the LogID of the last entry that it applied, together with the effects, and
// goes on from there. Package storage has the contract.
//
// Which time-outs? [Config] says how to choose ElectionTimeout. After its
// leader has died, a group has no leader for one to two election time-outs and
// the time of an election. Everything else has a default that fits.
//
// How large a command? A few kilobytes are ordinary. Megabytes hold up the
// others on the same connection: store large values elsewhere, and put their
// names into the log.
//
// # Watching
//
// [Raft.Status] returns a value. [Raft.Watch], [Raft.Wait] and [Raft.Events]
// tell what changes. A failed disk, an error of the state machine or a broken
// invariant stops the group. [Raft.Done] and [Raft.Err] tell it, and nothing is
// restarted without the application's knowledge. The other members go on.
//
// # Leading
//
// A job that is to run on exactly one node runs where the leader is:
// [Config.OnLeading] is called there, with a context that ends when another node may be
// elected, and with the term as a fencing token. [LeadingFunc] says what is promised.
// [Raft.Leader] tells who leads, and [Raft.TransferLeadership] moves it.
//
// # Stopping
//
// [Raft.Shutdown] and [Node.Shutdown] hand over what this node leads, answer every
// waiting call, and wait for the job of the leader, before they return. Whoever opened
// the stores closes them afterwards. A process that is killed instead loses nothing that
// was acknowledged.
package troupe
