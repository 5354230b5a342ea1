// Package membership says who is in a cluster and how many of them decide.
//
// It is the ground floor: it imports nothing of troupe. A [Configuration] is a
// value, and package core makes a new one for each change. Whoever counts votes
// or acknowledgements asks the configuration, which applies the joint arithmetic
// (Raft dissertation, 4.3): while a change is under way, a decision needs a
// majority of the old voters and a majority of the new ones.
//
// A voter is an [Identity]: a node id together with the incarnation of its
// store. A node that lost its data comes back under the same id with another
// incarnation, and nothing it says is counted until it was added again.
package membership
