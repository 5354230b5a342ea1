package tracing

import (
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/trouperaft/troupe/membership"
)

// Keys of attributes. Numbers are int64.
const (
	// NodeKey and GroupKey say who recorded the span, and for which group.
	NodeKey  = attribute.Key("raft.node")
	GroupKey = attribute.Key("raft.group")
	// PeerKey is the other node.
	PeerKey = attribute.Key("raft.peer")
	// TermKey and IndexKey name an entry of the log; TermKey alone a term.
	TermKey  = attribute.Key("raft.term")
	IndexKey = attribute.Key("raft.index")
	// CommandBytesKey is the size of a command.
	CommandBytesKey = attribute.Key("raft.command.bytes")
	// BatchEntriesKey and BatchBytesKey are the size of the batch that the
	// entry was part of. Bytes count each entry with its overhead.
	BatchEntriesKey = attribute.Key("raft.batch.entries")
	BatchBytesKey   = attribute.Key("raft.batch.bytes")
	// FirstIndexKey and LastIndexKey are the entries of a message.
	FirstIndexKey = attribute.Key("raft.first_index")
	LastIndexKey  = attribute.Key("raft.last_index")
	// OutcomeKey says in one word how it ended.
	OutcomeKey = attribute.Key("raft.outcome")
	// ModeKey says how current a read has to be.
	ModeKey = attribute.Key("raft.mode")
	// ReasonKey says in a few words why something was given up or refused, or why a
	// leader leaves.
	ReasonKey = attribute.Key("raft.reason")
	// MembersKey is how many members there are to be.
	MembersKey = attribute.Key("raft.members")
	// ChangesKey says, for people, how the members are to change, and ChangeKey is the
	// change's id.
	ChangesKey = attribute.Key("raft.changes")
	ChangeKey  = attribute.Key("raft.change.id")
	// ProgressKey says, for people, how far a newcomer has come, with rate and estimate.
	ProgressKey = attribute.Key("raft.catch_up.progress")
	// SnapshotBytesKey is the size of a snapshot.
	SnapshotBytesKey = attribute.Key("raft.snapshot.bytes")
	// ArrivedBytesKey is how much of it is there, and BytesPerSecondKey how fast it comes.
	ArrivedBytesKey   = attribute.Key("raft.snapshot.arrived")
	BytesPerSecondKey = attribute.Key("raft.snapshot.bytes_per_second")
	// SparedBytesKey is how much of it is not sent, because the peer has those files.
	SparedBytesKey = attribute.Key("raft.snapshot.spared")
	// GrantedKey says whether a vote was given.
	GrantedKey = attribute.Key("raft.vote.granted")
	// PreKey says whether that was a pre-vote.
	PreKey = attribute.Key("raft.vote.pre")
)

// Names of events.
const (
	// EventRoom: there was room for the proposal, it enters the core's inbox.
	EventRoom = "raft.room"
	// EventTaken: the core actor took it out of its inbox.
	EventTaken = "raft.taken"
	// EventCapped: there are too many sampled writes for stages of this one.
	EventCapped = "raft.capped"
	// EventSyncBegin and EventSyncEnd enclose the store's write and sync.
	EventSyncBegin = "raft.sync.begin"
	EventSyncEnd   = "raft.sync.end"
	// EventResent: the entry was sent once more.
	EventResent = "raft.resent"
	// EventRefused: the network did not take the message.
	EventRefused = "raft.refused"
	// EventAbandoned: nobody follows this up any more; ReasonKey says why. It is
	// a failure only of what was neither committed nor applied by then.
	EventAbandoned = "raft.abandoned"
	// EventAcknowledged: PeerKey, this node itself among them, has it durably.
	EventAcknowledged = "raft.acknowledged"
	// EventCampaign: the node asks for votes in TermKey.
	EventCampaign = "raft.campaign"
	// EventVote: PeerKey answered.
	EventVote = "raft.vote"
	// EventTold: the target has the whole log, and was told to campaign.
	EventTold = "raft.told"
	// EventContextEnded: the context of what runs while the node leads has ended;
	// ReasonKey says why.
	EventContextEnded = "raft.context.ended"
	// EventConfiguration: the configuration of the entry IndexKey is in force.
	EventConfiguration = "raft.configuration"
	// EventCatchUp: PeerKey, for which the change waits, has come another quarter of its
	// way nearer, up to IndexKey; ProgressKey says more.
	EventCatchUp = "raft.catch_up"
	// EventBegun: the cluster exists, and its members are brought in.
	EventBegun = "raft.begun"
	// EventPromise, EventLog, EventSnapshot, EventMachine: what was read.
	EventPromise  = "raft.recover.promise"
	EventLog      = "raft.recover.log"
	EventSnapshot = "raft.recover.snapshot"
	EventMachine  = "raft.recover.machine"
	// EventResumed: the receiver had a part of the snapshot already.
	EventResumed = "raft.resumed"
	// EventProgress: another quarter of the snapshot is there; ArrivedBytesKey and
	// BytesPerSecondKey say how much, and how fast it comes.
	EventProgress = "raft.snapshot.progress"
	// EventAgain: the read was asked for once more, the leader has changed.
	EventAgain = "raft.again"
	// EventConfirmed: PeerKey answered a heartbeat that was sent after the
	// leader had the read.
	EventConfirmed = "raft.confirmed"
)

// Outcomes.
const (
	OutcomeApplied   = "applied"
	OutcomeNever     = "never happens"
	OutcomeUnknown   = "unknown"
	OutcomeWritten   = "written"
	OutcomeUnwritten = "nothing to write"
	OutcomeWon       = "won"
	OutcomeLost      = "not won"
	OutcomeTimedOut  = "timed out"
	OutcomeNotLeader = "not the leader"
	OutcomeNoRoom    = "no room"
	OutcomeLeft      = "left"
	OutcomeStayed    = "stayed"
)

// SpanType is one row of the table of spans.
type SpanType struct {
	Name string
	Kind trace.SpanKind
	// Under are the spans that it can stand under; "" is the caller's span, or
	// none.
	Under []string
	// By is who records it.
	By string
	// Attributes may be missing from a span, and others do not occur.
	Attributes []attribute.Key
	Events     []string
}

// On are the two attributes of every span.
func On(node membership.NodeID, group membership.GroupID) []attribute.KeyValue {
	return []attribute.KeyValue{NodeKey.Int64(int64(node)), GroupKey.Int64(int64(group))}
}
