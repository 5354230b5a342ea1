// Package api holds the bodies that the key-value store's server and client
// exchange.
//
//	PUT    /kv/{key}           body: the value              200 Written
//	DELETE /kv/{key}                                        200 Written
//	POST   /kv/{key}/cas       body: Swap                   200 Swapped
//	GET    /kv/{key}           see below                    200 the value
//	POST   /cluster/init       body: Init                   200 Init
//	POST   /cluster/transfer   body: Transfer               200 Leadership
//	POST   /cluster/elect      the asked node campaigns     200 Leadership
//	GET    /node/elections     of the asked node            200 Elections
//	POST   /node/elections     body: Elections              200 Elections
//	POST   /cluster/snapshot   of the asked node            200 Snapshot
//	POST   /cluster/purge      body: Purge                  200 Purged
//	GET    /cluster/members    this node's view             200 Members
//	POST   /cluster/members    body: Change                 200 or 202 Members
//	POST   /cluster/members/cancel                          200 Members
//	POST   /cluster/join       body: Join                   200 or 202 Members
//	GET    /cluster/backup     ?local=true: without a leader 200 the file of a backup
//	GET    /status                                          200 Status
//	GET    /metrics                                         200 Prometheus' text
//	GET    /healthz            the group lives              200 Health
//	GET    /readyz             it knows a leader, may read, has caught up  200 Health
//
// The key is percent-encoded UTF-8, 1 to 512 bytes; a slash in it is %2F. A
// value is any bytes, up to 1 MiB, whatever the content type. HEAD is allowed
// wherever GET is.
//
// GET /kv/{key} takes these parameters:
//
//	read=linearizable   sees everything that was acknowledged before: the default
//	read=lease          the same, as long as clocks run within the bound on drift
//	read=stale          sees what this node has
//	max_staleness=D     of a stale read: sees everything that was acknowledged D
//	                    before; more than 0 and at most StalenessMax
//	min_index=N         sees the write whose answer had that index
//
// Each request takes ?timeout=D, with D as in "2s" or "300ms", more than 0 and
// at most TimeoutMax. Without it TimeoutDefault applies. Every answer other
// than 200 and 202 has an Error as its body, with the HTTP status of its code. There is
// one exception: for a path that exists under another method, the code is
// bad_request and the status is 405, with an Allow header.
//
// Whoever reaches the API is trusted: requests are not authenticated.
package api

import (
	"net/http"
	"time"
)

// The time that a request may take on the server.
const (
	TimeoutDefault = 5 * time.Second
	TimeoutMax     = 5 * time.Minute
)

// StalenessMax is how old a stale read with a bound may be at most.
const StalenessMax = 24 * time.Hour

// Written answers a write: the entry that holds it.
type Written struct {
	Term  uint64 `json:"term"`
	Index uint64 `json:"index"`
}

// Swap asks for a compare-and-swap. Both fields must be there; null is "no
// such key". Strings are compared as UTF-8 bytes.
type Swap struct {
	Old *string `json:"old"`
	New *string `json:"new"`
}

// Swapped answers a Swap.
type Swapped struct {
	Swapped bool `json:"swapped"`
	Written
}

// Init asks for a cluster to be formed. It may be sent to one member or to all of
// them, at once and again: with the same list one cluster comes of it, and each is
// answered with 200 when that is complete.
type Init struct {
	Members []InitMember `json:"members"`
}

// InitMember is a node and the raft address by which the others reach it. Priority
// says how much it is wanted as the leader, from 1 to 1000; 0 or absent is 100.
type InitMember struct {
	ID       uint64 `json:"id"`
	Address  string `json:"address"`
	Priority uint32 `json:"priority,omitempty"`
}

// Transfer asks for the leadership to be handed to a node; 0 or absent is the best.
type Transfer struct {
	To uint64 `json:"to"`
}

// Elections says whether the asked node neither campaigns nor is handed the leadership.
// In a request the field must be there. A restart ends a pause.
type Elections struct {
	Paused *bool `json:"paused"`
}

// Leadership says who leads, as far as the asked node knows: 0 if it has not heard of the
// new leader yet.
type Leadership struct {
	Leader uint64 `json:"leader"`
	Term   uint64 `json:"term"`
}

// Snapshot answers a request for one: the last entry that it contains, and its size.
type Snapshot struct {
	Term  uint64 `json:"term"`
	Index uint64 `json:"index"`
	Bytes uint64 `json:"bytes"`
}

// Purge asks for the asked node's log to be purged up to an index.
type Purge struct {
	UpTo uint64 `json:"up_to"`
}

// Purged answers a Purge: the first index that the log of the asked node holds.
type Purged struct {
	FirstIndex uint64 `json:"first_index"`
}

// Status is what a node says of itself. It is there before the node is part of
// a cluster and after its group has failed.
type Status struct {
	ID          uint64 `json:"id"`
	Incarnation string `json:"incarnation"`
	// Cluster is a hash of the cluster's id, by which two clusters can be told
	// apart: "none" before there is one. The id itself is a secret.
	Cluster string `json:"cluster"`
	// Role is none, follower, candidate, leader or learner. None is a node that
	// is part of no cluster yet, or that has lost its data.
	Role   string `json:"role"`
	Term   uint64 `json:"term"`
	Leader uint64 `json:"leader"`
	// NoLeader is, for people, what an election waits for, and why the last one failed:
	// absent while a leader is known.
	NoLeader string `json:"no_leader,omitempty"`
	// FirstIndex is the first index that the log holds, or will hold if it is empty.
	FirstIndex    uint64 `json:"first_index"`
	LastLogIndex  uint64 `json:"last_log_index"`
	CommitIndex   uint64 `json:"commit_index"`
	AppliedIndex  uint64 `json:"applied_index"`
	SnapshotIndex uint64 `json:"snapshot_index"`
	// RecordIndex is up to where the machine itself is durable, as the node has recorded it:
	// that takes the place of a snapshot.
	RecordIndex uint64 `json:"record_index,omitempty"`
	// LogBytes are the sizes of the entries that the log holds, and HeldBytes of those
	// that are kept for other nodes alone.
	LogBytes  uint64 `json:"log_bytes"`
	HeldBytes uint64 `json:"held_bytes"`
	// LetGo tells, for people, for whom the log was not kept any more last, and why.
	LetGo string `json:"let_go,omitempty"`
	// MachineVersion is that of the node's state machine, and MachineVersionMin the least
	// of all members, 0 while the leader does not know all.
	MachineVersion    uint64 `json:"machine_version,omitempty"`
	MachineVersionMin uint64 `json:"machine_version_min,omitempty"`
	// TooOld says, for people, from which entry on nothing is applied here, because it
	// needs a later version of the state machine.
	TooOld string `json:"too_old,omitempty"`
	// Priority is how much the node is wanted as the leader, 0 if it is no member.
	Priority uint32 `json:"priority"`
	// TransferringTo is whom this leader hands over to, 0 if to nobody.
	TransferringTo uint64 `json:"transferring_to"`
	// NeedsNewTerm: this leader has told another node to campaign, in vain, and will
	// win a new term soon.
	NeedsNewTerm bool `json:"needs_new_term,omitempty"`
	// Unfit is why the node is not to be handed the leadership; absent if it may be.
	Unfit string `json:"unfit,omitempty"`
	// ElectionsPaused: the node neither campaigns nor is handed the leadership. OthersPaused:
	// it leads, and that is so for every other voter, so that nobody would take over.
	ElectionsPaused bool `json:"elections_paused,omitempty"`
	OthersPaused    bool `json:"others_paused,omitempty"`
	// LacksMachine: the node's log is whole, and its state machine waits for a snapshot.
	LacksMachine bool `json:"lacks_machine,omitempty"`
	// Receiving is the snapshot that the node receives; absent if it receives none.
	Receiving *Receiving `json:"receiving,omitempty"`
	// Leaving is why this leader leaves office as soon as another node can lead: its
	// disk or its machine hangs. Absent if it stays.
	Leaving string `json:"leaving,omitempty"`
	// LeftOffice is why this node no longer leads LeftTerm, the last term that it led
	// since its start; absent if it has not left office.
	LeftOffice string `json:"left_office,omitempty"`
	LeftTerm   uint64 `json:"left_term,omitempty"`
	// LastContact is how many seconds ago the node heard of its leader, 0 on the
	// leader; absent if it never did.
	LastContact *float64 `json:"last_contact_seconds,omitempty"`
	// LeaseMillis is for how long the leader's lease still lasts, 0 without one. Then
	// NoLease says why, on the leader.
	LeaseMillis int64  `json:"lease_ms"`
	NoLease     string `json:"no_lease,omitempty"`
	// LastQuorumContact is how many seconds ago the leader sent the newest heartbeats
	// that a quorum has answered; absent on others, and if there are none.
	LastQuorumContact *float64 `json:"last_quorum_contact_seconds,omitempty"`
	Members           []Member `json:"members"`
	// Peers, on the leader, are the other members as it sees them.
	Peers []Peer `json:"peers,omitempty"`
	Joint bool   `json:"joint"`
	// Forming: the cluster was begun, and is not complete yet.
	Forming bool `json:"forming"`
	// WaitsFor says for whom the forming, or a change of the members, waits, and why: on the
	// leader, as far as it has told on the others, and on a node that was asked to form a
	// cluster, before one was begun.
	WaitsFor []Waiting `json:"waits_for,omitempty"`
	// Joining is what the node waits for that was started with --join; absent when it is
	// in.
	Joining string `json:"joining,omitempty"`
	// UnknownToGroup: the group knows this node as one that had other data. It
	// is not counted until it is added again.
	UnknownToGroup bool `json:"unknown_to_group"`
	// Removed: this node was removed from the group. It keeps its data, and answers no
	// reads but stale ones without a bound, and no writes. Absent if it was not.
	Removed bool `json:"removed,omitempty"`
	// Contradiction is what the node has heard that no correct member can say:
	// it answers no reads but stale ones without a bound until it is restarted. Absent
	// if there is none.
	Contradiction string `json:"contradiction,omitempty"`
	// Fatal is why the group has failed on this node, empty if it has not.
	Fatal string `json:"fatal,omitempty"`
}

// Waiting is a member that the forming of a cluster, or a change, waits for.
type Waiting struct {
	ID  uint64 `json:"id"`
	Why string `json:"why"`
}

// Receiving is how far a snapshot has come that a node receives.
type Receiving struct {
	From           uint64 `json:"from"`
	SnapshotIndex  uint64 `json:"snapshot_index"`
	Bytes          uint64 `json:"bytes"`
	TotalBytes     uint64 `json:"total_bytes"`
	BytesPerSecond uint64 `json:"bytes_per_second"`
	// Left is how many seconds the rest takes if it goes on so; absent while nothing
	// moves.
	Left *float64 `json:"left_seconds,omitempty"`
}

// SnapshotRate is how many bytes a second a node sends of snapshots, 0 for 16 MiB
// while there are writes, more of a large one, and no limit otherwise.
type SnapshotRate struct {
	BytesPerSecond *uint64 `json:"bytes_per_second"`
}

// Member is one node of the cluster. While a node that lost its data is being
// replaced, it may stand there twice.
type Member struct {
	ID       uint64 `json:"id"`
	Address  string `json:"address"`
	Kind     string `json:"kind"`
	Priority uint32 `json:"priority"`
}

// Peer is what the leader knows of another member.
type Peer struct {
	ID uint64 `json:"id"`
	// Mode is probe, replicate or snapshot.
	Mode       string `json:"mode"`
	MatchIndex uint64 `json:"match_index"`
	// LagEntries are behind the match, the first of them for LagSeconds.
	LagEntries       uint64  `json:"lag_entries"`
	LagSeconds       float64 `json:"lag_seconds"`
	InflightMessages int     `json:"inflight_messages"`
	InflightBytes    int     `json:"inflight_bytes"`
	// LastContact is how many seconds ago it answered last; absent if it never
	// did in this term.
	LastContact *float64 `json:"last_contact_seconds,omitempty"`
	SendErrors  uint64   `json:"send_errors"`
	// SnapshotBytes of SnapshotTotalBytes are there of a snapshot on its way.
	SnapshotBytes      uint64 `json:"snapshot_bytes,omitempty"`
	SnapshotTotalBytes uint64 `json:"snapshot_total_bytes,omitempty"`
	// SnapshotBytesPerSecond is how fast it goes, and SnapshotLeft how many seconds the
	// rest takes if it goes on so; absent while nothing moves.
	SnapshotBytesPerSecond uint64   `json:"snapshot_bytes_per_second,omitempty"`
	SnapshotLeft           *float64 `json:"snapshot_left_seconds,omitempty"`
	// LacksMachine: its log is whole, and its state machine waits for a snapshot.
	LacksMachine bool `json:"lacks_machine,omitempty"`
	// LostData: another incarnation answers in its place, or it no longer holds what
	// it had acknowledged; it is to be replaced.
	LostData bool `json:"lost_data,omitempty"`
	// Unfit is why it is not to be handed the leadership; absent if it may be.
	Unfit string `json:"unfit,omitempty"`
	// Oversized is an entry that is too large for any message to it, because a limit was
	// lowered; absent if there is none. It gets a snapshot in its place.
	Oversized uint64 `json:"oversized,omitempty"`
}

// Health answers a probe.
type Health struct {
	OK     bool   `json:"ok"`
	Leader uint64 `json:"leader"`
}

// Ready is the line that a server writes to its standard output when it serves.
type Ready struct {
	Ready bool   `json:"ready"`
	ID    uint64 `json:"id"`
	HTTP  string `json:"http"`
	Raft  string `json:"raft"`
}

// Code says what went wrong.
type Code string

// The codes.
const (
	BadRequest Code = "bad_request"
	NotFound   Code = "not_found"
	TooLarge   Code = "too_large"
	Overloaded Code = "overloaded"
	NoLeader   Code = "no_leader"
	// NoCluster: the node is part of no cluster yet, and nothing was done.
	NoCluster Code = "no_cluster"
	// Forming: time ran out before the cluster was complete. The error says for
	// whom it waits, and why.
	Forming Code = "forming"
	// Contradiction: the node answers no reads but stale ones without a bound, for what
	// it holds may not be what was acknowledged. Others may answer.
	Contradiction Code = "contradiction"
	// TooStale: the node's state is older than the read allows, and could not be brought
	// up to date in time. The error says what was waited for.
	TooStale       Code = "too_stale"
	UnknownOutcome Code = "unknown_outcome"
	Stopped        Code = "stopped"
	Timeout        Code = "timeout"
	// TransferFailed: the leadership was not handed over, as far as is known. The
	// reason is one of those of the README.
	TransferFailed Code = "transfer_failed"
	// ElectionFailed: the node was asked to campaign, and does not lead. It has a
	// reason too.
	ElectionFailed Code = "election_failed"
	// ChangeInProgress: another change of the members is under way, or it can not be given
	// up any more. The error names it and its age.
	ChangeInProgress Code = "change_in_progress"
	// NotCaughtUp: a node that was to come did not answer, or did not catch up, in time.
	// The change was given up.
	NotCaughtUp Code = "not_caught_up"
	// ConfigurationChanged: another configuration than that of expected_index is in force.
	ConfigurationChanged Code = "configuration_changed"
	// TermChanged: the term is not, or no longer, expected_term.
	TermChanged Code = "term_changed"
	// ChangeCancelled: somebody has given up the change while it was catching up.
	ChangeCancelled Code = "change_cancelled"
	// NoChange: no change is under way that could be given up.
	NoChange Code = "no_change"
	// Removed: the node was removed from the group, and nothing was done.
	Removed Code = "removed"
	// MachineTooOld: the state machine of the leader, or for a read this node's, is of too
	// old a version, and nothing was done.
	MachineTooOld Code = "machine_too_old"
	// NoSpace: the node's disk is too full for what was asked, and nothing was done.
	NoSpace Code = "no_space"
	// NotNow: the machine cannot make a snapshot at the moment. Ask again.
	NotNow Code = "not_now"
	// Internal is an error that the server has no other name for: its log says
	// more. No write ends like that.
	Internal Code = "internal"
)

// HTTPStatus is the status that goes with a code.
func (c Code) HTTPStatus() int {
	switch c {
	case BadRequest:
		return http.StatusBadRequest
	case NotFound:
		return http.StatusNotFound
	case TransferFailed, ElectionFailed, ChangeInProgress, NotCaughtUp, ConfigurationChanged, TermChanged, ChangeCancelled, NoChange, Removed:
		return http.StatusConflict
	case TooLarge:
		return http.StatusRequestEntityTooLarge
	case Overloaded:
		return http.StatusTooManyRequests
	case NoSpace:
		return http.StatusInsufficientStorage
	case NoLeader, NoCluster, Forming, Contradiction, TooStale, UnknownOutcome, Stopped, NotNow, MachineTooOld:
		return http.StatusServiceUnavailable
	case Timeout:
		return http.StatusGatewayTimeout
	}
	return http.StatusInternalServerError
}

// Error is the body of every answer that is not 200 or 202.
type Error struct {
	Code    Code   `json:"code"`
	Message string `json:"error"`
	// MayHaveHappened: what was asked for may have been carried out, or may be
	// yet. It is true with UnknownOutcome and Forming, may be true with
	// TransferFailed and ElectionFailed, and is false with every other code.
	MayHaveHappened bool `json:"may_have_happened"`
	// Leader is the node that leads as far as the asked one knows, or 0.
	Leader uint64 `json:"leader"`
	// Reason is a word for why, with TransferFailed and ElectionFailed, and with
	// BadRequest if the members cannot be changed like that.
	Reason string `json:"reason,omitempty"`
}

// Error implements error.
func (e *Error) Error() string { return string(e.Code) + ": " + e.Message }
