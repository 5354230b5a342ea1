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
	// Identity is what quorums count: a node with its data. It prints as
	// id/incarnation, the latter in hexadecimal.
	//
	//   - ID: the [NodeID];
	//   - Incarnation: that of its data, 0 while it is not known.
	Identity = membership.Identity
	// Member is a node of a cluster. [At] makes one.
	//
	//   - Identity: its ID, and its Incarnation;
	//   - Address: what the network dials to reach it;
	//   - Priority: how much it is wanted as the leader, from [PriorityLast] to
	//     [PriorityMax]. 0 is unset, and means [PriorityNormal];
	//   - Tags: carried for the application. Nothing in this version reads them;
	//   - Standby: this learner may take the place of a voter that is lost.
	Member = membership.Member
	// Configuration is the membership of a cluster at one entry of its log. Its
	// methods look members up: Member, Kind, IsVoter, Joint and others. It prints as
	// "voters 1 2 3, learner 4".
	//
	//   - Members: all members, voters and learners, as a list of [Member] that is
	//     sorted by identity;
	//   - Voters: the identities that vote, sorted. It is the incoming half while the
	//     configuration is joint;
	//   - Outgoing: the half that leaves, empty unless the configuration is joint;
	//   - Target: where the change leads that is under way, nil if none is;
	//   - Last: what became of the change that ended last;
	//   - Founding: the hash of the list that bootstrap was asked for. It stays when
	//     members change;
	//   - Recovered: how a survivor made this cluster of another, nil if none did
	//     ([Recover]).
	Configuration = membership.Configuration
	// ClusterID names a cluster: 128 random bits, made by bootstrap, which are a
	// secret and print as a hash.
	ClusterID = core.ClusterID
)

// Priorities of a member. A voter of a higher one is likelier to lead: it campaigns
// earlier, and a leader of a lower one hands over to it within a heartbeat, unless
// something stands against it.
const (
	// PriorityLast is the lowest. Such a voter campaigns only when nobody else has led
	// for several election time-outs, and leads only until another can.
	PriorityLast = membership.PriorityLast
	// PriorityNormal is what an unset priority means.
	PriorityNormal = membership.PriorityNormal
	// PriorityMax is the highest.
	PriorityMax = membership.PriorityMax
)

// Where things stand in the log: package core says more.
type (
	// Term is a Raft term. Terms begin at 1, and each has one leader at most.
	Term = core.Term
	// Index is a position in the log. The first entry has index 1.
	Index = core.Index
	// LogID names one entry. It prints as term.index.
	//
	//   - Term: the [Term] of the leader that appended it;
	//   - Index: its [Index] in the log.
	LogID = core.LogID
	// Role is what a node is doing for its group.
	Role = core.Role
	// SnapshotMeta describes a snapshot.
	//
	//   - LogID: the Term and the Index of the last entry that it contains;
	//   - Time: that entry's time, in nanoseconds since 1970 UTC;
	//   - Cluster: the [ClusterID] of the cluster that it belongs to;
	//   - Configuration: the one in force at LogID, with the LogID of its own entry;
	//   - Version: that of the state machine which wrote it, 0 if the machine tells none;
	//   - SizeBytes, Checksum: of the content, a CRC-32C.
	SnapshotMeta = core.SnapshotMeta
	// BackupMeta is what a backup says of itself.
	//
	//   - Group: the group;
	//   - LogID, Time: the last entry whose effects it holds, and that entry's time;
	//   - Configuration: the one in force there, with the LogID of its own entry;
	//   - Version: that of the state machine which wrote it, 0 if the machine tells none;
	//   - Cluster: the name of the cluster, as statuses show it;
	//   - HardTerm: the term of the member that gave the backup;
	//   - Node: that member;
	//   - Taken: when, by that member's clock;
	//   - SizeBytes, Checksum: of the content, a CRC-32C.
	BackupMeta = storage.BackupMeta
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
	// StateMachine is what the application replicates. Its methods are called one
	// at a time. Package storage has the contract of each:
	//
	//   - Applied: the LogID of the newest entry whose effect is durable;
	//   - Apply: applies entries, in the order of the log, and returns a value for
	//     each;
	//   - Restore: replaces the whole state by a snapshot's;
	//   - View: an unchanging view of the state, for a snapshot.
	StateMachine = storage.StateMachine
	// SnapshotView is an unchanging view of a state machine.
	//
	//   - Close: releases it, once;
	//   - WriteTo: writes it, in the format that Restore reads.
	SnapshotView = storage.SnapshotView
	// Volatile is embedded by state machines that keep nothing over a restart. It
	// has no fields. Its method Applied returns zero.
	Volatile = storage.Volatile
	// LogStore keeps hard states and logs.
	LogStore = storage.LogStore
	// SnapshotStore keeps snapshots.
	SnapshotStore = storage.SnapshotStore
	// Network carries messages between nodes.
	Network = network.Network
	// Entry is one entry of the log, as a state machine gets it. It must not be
	// changed.
	//
	//   - LogID: its Term, and its Index in the log;
	//   - Kind: what it holds, an [EntryKind]. Data is a command if it is
	//     [EntryCommand];
	//   - Time: the leader's wall clock when it was proposed, in nanoseconds since
	//     1970 UTC. It never decreases along the log, and a clock that jumps moves it by
	//     an hour at most in the life of a process: guide/embedding.md says what it promises;
	//   - Version: that of the state machine which the command needs, 0 if any takes it;
	//   - Data: the command, as it was proposed.
	Entry = core.Entry
	// EntryKind says what an entry holds.
	EntryKind = core.EntryKind
)

// The kinds of entries. A state machine carries out commands, and records the
// LogIDs of all entries.
const (
	EntryBlank         = core.EntryBlank
	EntryCommand       = core.EntryCommand
	EntryConfiguration = core.EntryConfiguration
)

// ParseClusterID reads what ClusterID.Secret returned: an id to pin a group to,
// by Config.Cluster.
func ParseClusterID(text string) (ClusterID, error) { return core.ParseClusterID(text) }

// Waiting names a member for which a bootstrap waits, and why. It prints as "node
// 3: why".
//
//   - Node: the member;
//   - Why: the reason, for people.
type Waiting = core.Waiting

// At is the member that [Raft.Bootstrap] takes: a node and the address by
// which the other nodes' networks reach it.
func At(id NodeID, address string) Member {
	return Member{Identity: Identity{ID: id}, Address: address}
}
