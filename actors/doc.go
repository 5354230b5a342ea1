// Package actors runs core.Engine: everything that waits is an actor. Package
// stage is what they run on.
//
// A Node is what groups share: a log store with its log actor, a snapshot store,
// a network, budgets. A Group is one Raft group on the node: a core actor that
// runs the engine, an apply actor that owns the state machine, a replication
// actor for each follower while it leads, and short-lived actors that build,
// send and receive snapshots. Each actor's file opens with a card that says what
// it owns, receives, sends, waits on, what bounds it, and with what it dies.
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
