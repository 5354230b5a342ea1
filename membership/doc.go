// Package membership says which members a cluster has and how many of them
// decide.
//
// It imports no other package of troupe. A [Configuration] is a value, and
// package core makes a new one for each change. To count votes or
// acknowledgements, ask the configuration. It applies the joint arithmetic
// (Raft dissertation, 4.3): while a change is under way, a decision needs a
// majority of the old voters and a majority of the new ones.
//
// A voter is an [Identity]: a node id together with the incarnation of its
// store. A node that lost its data comes back under the same id with another
// incarnation. Nothing that it says is counted until it has been added again.
package membership
