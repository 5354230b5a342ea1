// Package actors runs core.Engine: everything that waits is an actor.
//
// A Node is what groups share: a log store with its log actor, a snapshot store,
// a network, budgets. A Group is one Raft group on the node: a core actor that
// runs the engine, an apply actor that owns the state machine, a replication
// actor for each follower while it leads, and the jobs of its snapshots. Node and
// Group are no actors: they make them, wire them, and die with them. An actor knows
// neither. What it needs of others stands in one struct in its file, and each file
// opens with a card that says what the actor owns, receives, sends, waits on, what
// bounds it, and with what it dies.
//
// The rooms below, from the bottom: stage is what any actor runs on, and alone
// knows protoactor; admission bounds what is under way; memlog is the end of a log in
// memory; calls names the kinds of calls that block; observe makes spans, metrics and
// log lines of what actors tell; disk writes the log store; snapshots builds, sends and
// receives snapshots.
//
// The API is asynchronous: no call blocks but Node.Start and NewNode, which read
// the disk, and completions are called from actors and must not block. Package
// troupe turns it into calls with a context; the simulator drives it from one
// goroutine.
//
// What the actors do not decide themselves comes from a stage.Environment: clock,
// randomness, timers, turns, and how calls that block are carried out. In
// production it is real; in a simulation one goroutine runs the same actors in
// an order that a seed decides. So nothing here awaits a future, starts a timer
// of its own, draws a global random number, or lets the order of a map decide.
package actors
