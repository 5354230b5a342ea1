package troupe

import (
	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/network"
	"github.com/trouperaft/troupe/storage"
)

// Who is in a cluster: package membership says more.
type (
	// NodeID names a node for as long as the cluster lives. Ids begin at 1.
	NodeID = membership.NodeID
	// GroupID names one Raft group on the nodes that host it. Ids begin at 1.
	GroupID = membership.GroupID
	// Incarnation names the store of a node: a random number that was made
	// together with its data directory.
	Incarnation = membership.Incarnation
	// Identity is what quorums count: a node with its data.
	Identity = membership.Identity
	// Member is a node of a cluster, with its address.
	Member = membership.Member
	// Configuration is the membership of a cluster at one entry of its log.
	Configuration = membership.Configuration
	// ClusterID names a cluster: 128 random bits, made by bootstrap, which are a
	// secret and print as a hash.
	ClusterID = core.ClusterID
)

// Where things stand in the log: package core says more.
type (
	// Term is a Raft term. Terms begin at 1, and each has one leader at most.
	Term = core.Term
	// Index is a position in the log. The first entry has index 1.
	Index = core.Index
	// LogID names one entry by its term and index.
	LogID = core.LogID
	// Role is what a node is doing for its group.
	Role = core.Role
	// SnapshotMeta describes a snapshot.
	SnapshotMeta = core.SnapshotMeta
)

// The roles.
const (
	RoleFollower     = core.RoleFollower
	RolePreCandidate = core.RolePreCandidate
	RoleCandidate    = core.RoleCandidate
	RoleLeader       = core.RoleLeader
	RoleLearner      = core.RoleLearner
	// RoleNone: the group belongs to no cluster yet.
	RoleNone = core.RoleNone
)

// What an application plugs in: packages storage and network hold the
// contracts and say who calls what.
type (
	// StateMachine is what the application replicates.
	StateMachine = storage.StateMachine
	// SnapshotView is an unchanging view of a state machine.
	SnapshotView = storage.SnapshotView
	// Volatile is embedded by state machines that keep nothing over a restart.
	Volatile = storage.Volatile
	// LogStore keeps hard states and logs.
	LogStore = storage.LogStore
	// SnapshotStore keeps snapshots.
	SnapshotStore = storage.SnapshotStore
	// Network carries messages between nodes.
	Network = network.Network
	// Entry is one entry of the log, as a state machine gets it.
	Entry = core.Entry
	// EntryKind says what an entry holds.
	EntryKind = core.EntryKind
)

// The kinds of entries. A state machine acts on commands and notes the LogIDs
// of all.
const (
	EntryBlank         = core.EntryBlank
	EntryCommand       = core.EntryCommand
	EntryConfiguration = core.EntryConfiguration
)

// ParseClusterID reads what ClusterID.Secret returned: an id to pin a group to,
// by Config.Cluster.
func ParseClusterID(text string) (ClusterID, error) { return core.ParseClusterID(text) }

// Waiting says for whom a bootstrap waits, and why.
type Waiting = core.Waiting

// At is the member that [Raft.Bootstrap] takes: a node and the address by
// which the other nodes' networks reach it.
func At(id NodeID, address string) Member {
	return Member{Identity: Identity{ID: id}, Address: address}
}
