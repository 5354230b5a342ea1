package core

import (
	"fmt"
	"time"

	"github.com/trouperaft/troupe/membership"
)

// Term is a Raft term (Raft 5.1). Terms begin at 1; 0 is before any.
type Term uint64

// Index is a position in the log. The first entry has index 1; 0 is before it.
type Index uint64

// LogID names one entry: two logs that both hold a LogID are equal up to it
// (the Log Matching Property, Raft 5.3).
type LogID struct {
	Term  Term
	Index Index
}

// Less orders LogIDs as logs are compared in an election (Raft 5.4.1): by the
// term, then by the index.
func (l LogID) Less(o LogID) bool {
	return l.Term < o.Term || l.Term == o.Term && l.Index < o.Index
}

// String writes term.index.
func (l LogID) String() string { return fmt.Sprintf("%d.%d", l.Term, l.Index) }

// Instant is a reading of a node's monotonic clock in nanoseconds. Instants of
// different nodes, or of two lives of one node, have nothing to do with each
// other. The clock must go on counting while the machine is suspended.
type Instant int64

// Add returns i+d.
func (i Instant) Add(d time.Duration) Instant { return i + Instant(d) }

// Sub returns i-o.
func (i Instant) Sub(o Instant) time.Duration { return time.Duration(i - o) }

// EntryKind says what an entry holds.
type EntryKind uint8

const (
	// EntryBlank holds nothing: the first entry of each leader (Raft 8).
	EntryBlank EntryKind = iota + 1
	// EntryCommand holds a command of the state machine.
	EntryCommand
	// EntryConfiguration holds an encoded membership.Configuration.
	EntryConfiguration
)

// String returns "blank", "command" or "configuration".
func (k EntryKind) String() string {
	switch k {
	case EntryBlank:
		return "blank"
	case EntryCommand:
		return "command"
	case EntryConfiguration:
		return "configuration"
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// Entry is one entry of the log. Entries and their Data are immutable as soon
// as they were proposed: logs, streams and the wire share them.
type Entry struct {
	LogID
	Kind EntryKind
	// Time is the leader's wall clock when the entry was proposed, in
	// nanoseconds since 1970 UTC. It never decreases along the log.
	Time int64
	// Version is that of the state machine which the command needs, 0 if any takes it.
	Version uint64
	Data    []byte
}

// EntryOverheadBytes is what an entry counts beside its data wherever entries
// are bounded in bytes.
const EntryOverheadBytes = 48

// Size is what the entry counts where entries are bounded in bytes.
func (e *Entry) Size() int { return len(e.Data) + EntryOverheadBytes }

// SizeOf sums the sizes of entries.
func SizeOf(entries []Entry) int {
	n := 0
	for i := range entries {
		n += entries[i].Size()
	}
	return n
}

// Fitting returns the first entries that, beside bytes which are taken already,
// fit into bytesMax, and the bytes taken then. One entry always fits where
// nothing is taken.
func Fitting(entries []Entry, bytesMax, bytes int) ([]Entry, int) {
	n := 0
	for n < len(entries) {
		size := entries[n].Size()
		if bytes > 0 && bytes+size > bytesMax {
			break
		}
		bytes += size
		n++
	}
	return entries[:n:n], bytes
}

// HardState is what a group saves before it answers (Raft, figure 2). Vote is
// the identity that got this node's vote in Term, zero if none did. Grant
// is the leave to begin a cluster that an empty group gave last, zero if none.
// Removed is the committed configuration by which this node was removed last, zero if
// it never was (rule 22). By a later configuration it may be a member again.
type HardState struct {
	Term    Term
	Vote    membership.Identity
	Cluster ClusterID
	Grant   Grant
	Removed LogID
}

// Grant is the leave of an empty group to begin one cluster with it (rule 31).
// It stands for one attempt of one beginner, and for nothing else.
type Grant struct {
	// To is who may begin, Attempt the fresh number of its attempt.
	To      membership.Identity
	Attempt uint64
	// List is the founding list of the attempt.
	List membership.Founding
	// LengthMillis is for how long the grant lives, in milliseconds from its
	// receipt, or from the start of the group that read it from its disk.
	LengthMillis uint32
}

// IsZero reports whether there is no grant.
func (g Grant) IsZero() bool { return g == Grant{} }

// ConfigurationAt is a configuration with the entry that brought it.
type ConfigurationAt struct {
	LogID
	Configuration membership.Configuration
}

// SnapshotMeta describes a snapshot.
type SnapshotMeta struct {
	// LogID is the last entry that the snapshot contains.
	LogID
	// Time is that entry's time.
	Time int64
	// Cluster is the cluster that the snapshot belongs to. A network never tells
	// it: of a chunk that arrives it is the header's.
	Cluster ClusterID
	// Configuration is the one in force at LogID.
	Configuration ConfigurationAt
	// Version is that of the state machine which wrote the content: none below it reads
	// that. 0 if the machine tells none.
	Version uint64
	// SizeBytes and Checksum (CRC-32C) describe the content.
	SizeBytes uint64
	Checksum  uint32
}

// IOID counts one group's writes since the group was started, from 1.
type IOID uint64

// These names of package membership are spelled often enough to be aliased here.
type (
	// NodeID is membership.NodeID.
	NodeID = membership.NodeID
	// GroupID is membership.GroupID.
	GroupID = membership.GroupID
	// Identity is membership.Identity.
	Identity = membership.Identity
)

// Role is what a node is doing for its group.
type Role uint8

const (
	// RoleFollower follows a leader or waits for one.
	RoleFollower Role = iota + 1
	// RolePreCandidate asks whether an election could be won (dissertation 9.6).
	RolePreCandidate
	// RoleCandidate asks for votes (Raft 5.2).
	RoleCandidate
	// RoleLeader leads.
	RoleLeader
	// RoleLearner follows and does not vote.
	RoleLearner
	// RoleNone: the group belongs to no cluster yet. It waits for a bootstrap, or
	// for a leader that brings it in.
	RoleNone
)

// active reports whether a node in this role leads or wants to.
func (r Role) active() bool { return r == RolePreCandidate || r == RoleCandidate || r == RoleLeader }

// String returns "follower", "pre-candidate", "candidate", "leader", "learner"
// or "none".
func (r Role) String() string {
	switch r {
	case RoleFollower:
		return "follower"
	case RolePreCandidate:
		return "pre-candidate"
	case RoleCandidate:
		return "candidate"
	case RoleLeader:
		return "leader"
	case RoleLearner:
		return "learner"
	case RoleNone:
		return "none"
	}
	return fmt.Sprintf("role %d", uint8(r))
}
