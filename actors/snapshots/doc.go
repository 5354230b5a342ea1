// Package snapshots builds, sends and receives the snapshots of a group.
//
// The core actor owns the [Jobs] of its group and says what is to be done. Each job
// is an actor that lives for it: one builds a snapshot out of a view of the state
// machine, one sends the newest snapshot to a peer, one takes in the leader's. What
// comes of a job goes back to the core as an event of the engine.
package snapshots
