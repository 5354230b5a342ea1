package core

import (
	"time"

	"github.com/trouperaft/troupe/membership"
)

// Class sorts messages onto connections, so that a heartbeat never queues
// behind data.
type Class uint8

const (
	// ClassControl carries elections, heartbeats, reads and identification.
	ClassControl Class = iota + 1
	// ClassBulk carries entries and forwarded proposals.
	ClassBulk
	// ClassSnapshot carries snapshots.
	ClassSnapshot
)

// Classes is how many classes there are.
const Classes = 3

// String returns "control", "bulk" or "snapshot".
func (c Class) String() string {
	switch c {
	case ClassControl:
		return "control"
	case ClassBulk:
		return "bulk"
	case ClassSnapshot:
		return "snapshot"
	}
	return "unknown class"
}

// Header begins every message.
type Header struct {
	Group GroupID
	// Cluster is the sender's cluster, zero if it belongs to none. A network
	// never tells it: of a message that arrives it is what the sender has proved
	// on the connection to know (rule 29), zero if it has proved nothing.
	Cluster ClusterID
	// Introduces: Cluster is told in the clear, and nothing proves it: the
	// message brings a learner into the cluster that has acknowledged nothing
	// yet, and so cannot know the id (rule 27). A network takes it away where the
	// sender has proved the id.
	Introduces bool
	From       Identity
	// To is for whom the message is. Incarnation 0 addresses whoever holds the
	// id: only Identify asks that way.
	To Identity
	// Term is the sender's term when it made the message.
	Term Term
}

// Message is the sealed set of what nodes say to each other. A message is
// immutable once it was sent. Every message that a node receives is an Event of
// its engine or of the actor that its comment names.
type Message interface {
	Event
	// Head returns the header.
	Head() *Header
	// Class says on which connection the message travels.
	Class() Class
	// Response reports whether the message answers one that came the other way;
	// a response goes back on the connection by which its request came.
	Response() bool
}

// Head returns h itself: messages embed their header.
func (h *Header) Head() *Header { return h }

// WithHeader returns a copy of m with another header: messages are immutable
// once they were sent. The copy shares entries and data with m.
func WithHeader(m Message, h Header) Message {
	var c Message
	switch m := m.(type) {
	case *VoteRequest:
		c = copied(m)
	case *VoteResponse:
		c = copied(m)
	case *Heartbeat:
		c = copied(m)
	case *HeartbeatResponse:
		c = copied(m)
	case *AppendEntries:
		c = copied(m)
	case *AppendResponse:
		c = copied(m)
	case *SnapshotChunk:
		c = copied(m)
	case *SnapshotResponse:
		c = copied(m)
	case *ReadIndexRequest:
		c = copied(m)
	case *ReadIndexResponse:
		c = copied(m)
	case *IdentifyRequest:
		c = copied(m)
	case *IdentifyResponse:
		c = copied(m)
	case *ProposeRequest:
		c = copied(m)
	case *ProposeResponse:
		c = copied(m)
	case *Refusal:
		c = copied(m)
	case *TimeoutNow:
		c = copied(m)
	case *TimeoutNowResponse:
		c = copied(m)
	case *TransferRequest:
		c = copied(m)
	case *TransferResponse:
		c = copied(m)
	case *ChangeRequest:
		c = copied(m)
	case *ChangeResponse:
		c = copied(m)
	case *Removed:
		c = copied(m)
	}
	*c.Head() = h
	return c
}

func copied[T any](m *T) *T {
	c := *m
	return &c
}

// VoteRequest asks for a vote (Raft 5.2), or with Pre whether one would be given
// (dissertation 9.6).
type VoteRequest struct {
	Header
	Pre bool
	// ElectionTerm is the term that the sender wants to lead: Header.Term in an
	// election, Header.Term+1 in a pre-vote.
	ElectionTerm Term
	// Campaign tells the sender's campaigns apart.
	Campaign uint64
	// Last is the last entry of the sender's accepted log.
	Last LogID
	// Transfer marks the one campaign that the leader of the term before ElectionTerm
	// asked for (TimeoutNow, rule 14).
	Transfer bool
	// Trace is the election's, zero if it is not traced.
	Trace TraceContext
}

// VoteResponse answers a VoteRequest. A refusal carries the refuser's term in
// its header.
type VoteResponse struct {
	Header
	Pre          bool
	ElectionTerm Term
	Campaign     uint64
	Granted      bool
	// WaitMillis is set if the refuser keeps a lease promise or its quiet
	// period: the milliseconds that are left of it. The refuser did not adopt
	// the term.
	WaitMillis uint32
}

// Heartbeat maintains a leader's authority and begins a round of confirmation: an
// answer to round n confirms that the sender still led when it began round n.
type Heartbeat struct {
	Header
	Round uint64
	// Stream is the id of the sender's stream to this peer.
	Stream uint64
	// Commit is the leader's commit index; it proves nothing about the
	// receiver's log.
	Commit Index
	// VersionMin is the least version of a member's state machine, 0 if the leader does
	// not know all.
	VersionMin uint64
	// Change is the change of the members that is under way, nil if there is none.
	Change *ChangeTold
}

// HeartbeatResponse answers a Heartbeat. It never waits for a disk.
type HeartbeatResponse struct {
	Header
	// Round is 0 in the answer to a heartbeat of a lower term.
	Round  uint64
	Stream uint64
	// PromiseMillis is the lease promise: the sender votes for nobody else for
	// that long, from its receipt of the heartbeat on.
	PromiseMillis uint32
	// Match is the last index that is durable here and proved equal to the
	// leader's log in this term, 0 if none is.
	Match Index
	// Applied is the sender's applied index.
	Applied Index
	// Accepted is the last index of the sender's accepted log that is proved equal
	// to the leader's in this term, durable or not; 0 if none is. At least Match.
	Accepted Index
	// Unfit is why the sender is not to be handed the leadership, Fit if it may be.
	Unfit Unfit
	// Lacks, if not 0, asks for a snapshot that is not below this index, the sender's
	// purge point or what its machine holds: its log is whole, and its machine lacks what
	// was purged, or what told of it is lost (rule 24).
	Lacks Index
	// Version is that of the sender's state machine, 0 if it tells none.
	Version uint64
}

// AppendEntries replicates entries (Raft 5.3).
type AppendEntries struct {
	Header
	Stream uint64
	Prev   LogID
	// Entries follow Prev without a hole. They may be none: a probe.
	Entries []Entry
	// Commit is the leader's commit index.
	Commit Index
	// CommitOnly: the message brings nothing but the commit index to a peer whose
	// log is known to agree. Only a refusal of it is answered.
	CommitOnly bool
	// Traces are of those entries whose writes are traced. The engine and the
	// log know nothing of them.
	Traces []EntryTrace
}

// AppendResponse answers an AppendEntries, and is what a follower sends when it
// has installed a snapshot. The replication actor of the stream consumes it.
type AppendResponse struct {
	Header
	Stream  uint64
	Success bool
	// Match, of a success: everything up to it is durable here and equal to the
	// leader's log.
	Match Index
	// Rejected, of a refusal: the Prev that was refused.
	Rejected LogID
	// Hint, of a refusal: the last entry at or below Rejected.Index whose term
	// is not above Rejected.Term; equal logs cannot reach beyond it.
	Hint LogID
}

// ReadIndexRequest asks the leader for a read index (dissertation 6.4).
type ReadIndexRequest struct {
	Header
	ID uint64
	// Lease: the leader may answer by its lease, without a round.
	Lease bool
	// Trace is that of a read behind it, zero if none is traced.
	Trace TraceContext
}

// ReadIndexResponse answers a ReadIndexRequest. Not OK: the asked node does not
// lead, and the asker tries again.
type ReadIndexResponse struct {
	Header
	ID    uint64
	OK    bool
	Index Index
}

// IdentifyRequest asks a node who it is, before a bootstrap, and for its grant
// (rules 19, 31).
type IdentifyRequest struct {
	Header
	ID uint64
	// Attempt, if not 0, asks for a grant of this attempt, or with Release says
	// that the attempt has ended and its grant is void.
	Attempt uint64
	Release bool
	// List is the founding list of the attempt; LengthMillis is for how long the
	// grant is to live, in milliseconds from its receipt.
	List         membership.Founding
	LengthMillis uint32
}

// IdentifyResponse answers with the header's From, and whether the group is
// empty there: no entry, no snapshot, no vote.
type IdentifyResponse struct {
	Header
	ID    uint64
	Empty bool
	Last  LogID
	// Attempt is the request's. Granted: the group grants it, durably.
	Attempt uint64
	Granted bool
	// GrantedTo, if not zero and not the asker, holds the grant of an attempt
	// that lives for another WaitMillis.
	GrantedTo  Identity
	WaitMillis uint32
	// SameList: the group belongs to a cluster that was founded with the
	// request's list, so that the asker will be brought in. Known, if not zero,
	// is another incarnation under which that cluster knows the asker: its data
	// was lost.
	SameList bool
	Known    Identity
}

// ProposeRequest forwards proposals to the leader. The core actor handles it.
type ProposeRequest struct {
	Header
	Proposals []ForwardedProposal
}

// ForwardedProposal is one proposal on its way to the leader.
type ForwardedProposal struct {
	// ID is the sender's; it comes back in the result.
	ID uint64
	// ExpectedTerm, if not 0, refuses the proposal in another term.
	ExpectedTerm Term
	Data         []byte
	// Version is that of the state machine which the command needs, 0 if any takes it.
	Version uint64
	// Trace is the proposal's, zero if it is not traced.
	Trace TraceContext
	// Refuse: without room at the leader it ends with ResultOverloaded. Else it waits
	// there for room, by turns with the leader's own.
	Refuse bool
}

// ProposeResponse answers forwarded proposals, in any order and grouping. The
// core actor handles it.
type ProposeResponse struct {
	Header
	Results []ForwardedResult
}

// ForwardedResult is what became of one forwarded proposal.
type ForwardedResult struct {
	ID   uint64
	Code ResultCode
	// LogID and Value are set if Code is ResultApplied.
	LogID LogID
	Value []byte
	// Error is the text of an error that no other field tells.
	Error string
	// LimitBytes and Limit are set if Code is ResultTooLarge.
	LimitBytes uint64
	Limit      SizeLimit
	// NeedsVersion is set if Code is ResultVersion, and LimitBytes is the version of the
	// leader's state machine then. It is short, so that results are: no machine has 2^32
	// versions.
	NeedsVersion uint32
}

// ResultCode says what became of a forwarded proposal.
type ResultCode uint8

const (
	// ResultApplied: it is committed and was applied by the leader.
	ResultApplied ResultCode = iota + 1
	// ResultNotLeader: nothing was appended; ask another node.
	ResultNotLeader
	// ResultOverloaded: nothing was appended for want of room.
	ResultOverloaded
	// ResultTermChanged: nothing was appended, the expected term is over.
	ResultTermChanged
	// ResultLost: it was appended, and certainly did not survive.
	ResultLost
	// ResultUnknown: it was appended, and nobody knows what became of it.
	ResultUnknown
	// ResultTooLarge: nothing was appended, the command is over the limit.
	ResultTooLarge
	// ResultStopped: nothing was appended, the node stops.
	ResultStopped
	// ResultVersion: nothing was appended, the leader's state machine is of too old a
	// version.
	ResultVersion
)

// TimeoutNow tells a voter to campaign at once (dissertation 3.10, rule 14). The
// leader of Header.Term sends it to one that has its whole log. Only a refusal is
// answered: who campaigns says so by its vote request.
type TimeoutNow struct {
	Header
	// Transfer tells the sender's transfers apart.
	Transfer uint64
	// ByHand: somebody asked for the transfer.
	ByHand bool
	// Trace is the transfer's, zero if it is not traced.
	Trace TraceContext
}

// TimeoutNowResponse says that the sender does not campaign on a TimeoutNow.
type TimeoutNowResponse struct {
	Header
	Transfer uint64
	// Unfit is why, Fit if it is not in the term of the TimeoutNow.
	Unfit Unfit
}

// TransferRequest asks the leader to hand over to a voter, 0 for the best.
type TransferRequest struct {
	Header
	ID     uint64
	Target NodeID
	// Trace is that of who asked, zero if it is not traced.
	Trace TraceContext
}

// TransferResponse answers a TransferRequest when the transfer has ended. It may
// come from a node that does not lead any more.
type TransferResponse struct {
	Header
	ID uint64
	// Reason is 0 if the transfer has succeeded: Leader leads LeaderTerm. Else it is
	// that of the asker's TransferError, and the rest its fields.
	Reason         TransferReason
	Target, Leader NodeID
	LeaderTerm     Term
	Sent           bool
	Text           string
}

// ChangeRequest passes what is asked for on to the leader.
type ChangeRequest struct {
	Header
	ID    uint64
	Order ChangeOrder
	// Trace is that of who asked, zero if it is not traced.
	Trace TraceContext
}

// ChangeResponse answers a ChangeRequest: when the change's first entry is appended,
// or when nothing is.
type ChangeResponse struct {
	Header
	ID uint64
	// Code says what became of the request, and which of the fields below count.
	Code ChangeCode
	// Change is the change that was begun or joined, or stands in the way, and At the
	// entry behind which its outcome will stand. Age is how much earlier it was asked for
	// than the order.
	Change membership.ChangeID
	At     LogID
	// Leader is whom to ask instead, 0 if it is not known.
	Leader NodeID
	// Steps are the configurations on the way, of ChangePlanned.
	Steps []membership.Configuration
	// What follows are fields of the errors.
	Reason      membership.ChangeReason
	Wrong       membership.Change
	Node        NodeID
	Lag         uint64
	Age         time.Duration
	LastContact time.Duration
	Joint       bool
	Index       Index
	Text        string
}

// ChangeCode says what became of a ChangeRequest.
type ChangeCode uint8

const (
	// ChangeAccepted: Change is under way, or was.
	ChangeAccepted ChangeCode = iota + 1
	// ChangeTaken: the leader finds out who the nodes are that are to come, and answers
	// again when it knows. Nothing was appended yet.
	ChangeTaken
	// ChangePlanned: nothing was appended, it was only asked what would be.
	ChangePlanned
	// ChangeUnneeded: the configuration is what was asked for.
	ChangeUnneeded
	// ChangeNotLeader: ask Leader.
	ChangeNotLeader
	// ChangeRefused: a *membership.ChangeError. The codes below are the errors of the
	// like names.
	ChangeRefused
	ChangeInProgress
	ChangeNotCaughtUp
	ChangeConfigurationChanged
	ChangeTermChanged
	ChangeOverloaded
	ChangeNotReady
	ChangeCancelled
	ChangeNone
	// ChangeYielded: somebody asked for another change by hand, and nothing of this one
	// was appended.
	ChangeYielded
)

// Removed tells a node that is no member of the group that it was removed (rule 22).
// At is the entry of a committed configuration that does not have it. Change is the change
// that has removed it, 0 if the sender's log does not tell of it any more.
type Removed struct {
	Header
	At     LogID
	Change membership.ChangeID
}

// Refusal tells a node that its message was refused, and why: it speaks for, or
// to, an incarnation that is not the one here, or its cluster is not this one any more.
type Refusal struct {
	Header
	Reason RefusalReason
	// Known is the incarnation that the refuser expected.
	Known Identity
}

// RefusalReason says why a message was refused.
type RefusalReason uint8

const (
	// RefusedIncarnation: the message was for another incarnation of this node,
	// Known is the one that is here.
	RefusedIncarnation RefusalReason = iota + 1
	// RefusedUnknownMember: the sender's incarnation is not the member that the
	// group knows under its id; Known is.
	RefusedUnknownMember
	// RefusedLeftBehind: the group was recovered without the sender's incarnation,
	// Known, and is another cluster now.
	RefusedLeftBehind
)

// Class returns ClassControl. Likewise below: each message states its class and
// direction next to the others, so that the table can be read at a glance.
func (*VoteRequest) Class() Class        { return ClassControl }
func (*VoteResponse) Class() Class       { return ClassControl }
func (*Heartbeat) Class() Class          { return ClassControl }
func (*HeartbeatResponse) Class() Class  { return ClassControl }
func (*AppendEntries) Class() Class      { return ClassBulk }
func (*AppendResponse) Class() Class     { return ClassBulk }
func (*SnapshotChunk) Class() Class      { return ClassSnapshot }
func (*SnapshotResponse) Class() Class   { return ClassSnapshot }
func (*ReadIndexRequest) Class() Class   { return ClassControl }
func (*ReadIndexResponse) Class() Class  { return ClassControl }
func (*IdentifyRequest) Class() Class    { return ClassControl }
func (*IdentifyResponse) Class() Class   { return ClassControl }
func (*ProposeRequest) Class() Class     { return ClassBulk }
func (*ProposeResponse) Class() Class    { return ClassBulk }
func (*Refusal) Class() Class            { return ClassControl }
func (*TimeoutNow) Class() Class         { return ClassControl }
func (*TimeoutNowResponse) Class() Class { return ClassControl }
func (*TransferRequest) Class() Class    { return ClassControl }
func (*TransferResponse) Class() Class   { return ClassControl }
func (*ChangeRequest) Class() Class      { return ClassControl }
func (*ChangeResponse) Class() Class     { return ClassControl }
func (*Removed) Class() Class            { return ClassControl }

func (*VoteRequest) Response() bool        { return false }
func (*VoteResponse) Response() bool       { return true }
func (*Heartbeat) Response() bool          { return false }
func (*HeartbeatResponse) Response() bool  { return true }
func (*AppendEntries) Response() bool      { return false }
func (*AppendResponse) Response() bool     { return true }
func (*SnapshotChunk) Response() bool      { return false }
func (*SnapshotResponse) Response() bool   { return true }
func (*ReadIndexRequest) Response() bool   { return false }
func (*ReadIndexResponse) Response() bool  { return true }
func (*IdentifyRequest) Response() bool    { return false }
func (*IdentifyResponse) Response() bool   { return true }
func (*ProposeRequest) Response() bool     { return false }
func (*ProposeResponse) Response() bool    { return true }
func (*Refusal) Response() bool            { return true }
func (*TimeoutNow) Response() bool         { return false }
func (*TimeoutNowResponse) Response() bool { return true }
func (*TransferRequest) Response() bool    { return false }
func (*TransferResponse) Response() bool   { return true }
func (*ChangeRequest) Response() bool      { return false }
func (*ChangeResponse) Response() bool     { return true }
func (*Removed) Response() bool            { return true }

func (*Header) isEvent() {}

var _ = []Message{
	&VoteRequest{}, &VoteResponse{}, &Heartbeat{}, &HeartbeatResponse{}, &AppendEntries{}, &AppendResponse{},
	&SnapshotChunk{}, &SnapshotResponse{}, &ReadIndexRequest{}, &ReadIndexResponse{}, &IdentifyRequest{},
	&IdentifyResponse{}, &ProposeRequest{}, &ProposeResponse{}, &Refusal{},
	&TimeoutNow{}, &TimeoutNowResponse{}, &TransferRequest{}, &TransferResponse{},
	&ChangeRequest{}, &ChangeResponse{}, &Removed{},
}
