package metrics

// ID names an instrument: its place in the table.
type ID int

// The instruments; the table describes them.
const (
	ProposeDuration ID = iota + 1
	ProposeQueue
	LogAppend
	ReplicateDuration
	CommitDuration
	ApplyDuration
	ApplyCall
	LogSync
	ReadDuration
	SnapshotDuration
	InboxWait
	InboxDepth
	ProposeEntries
	ProposeSize
	LogEntries
	LogSize
	ReplicateEntries
	ReplicateSize
	ApplyEntries
	ApplySize
	SnapshotSize

	ProposalsAppended
	ProposalsForwarded
	ProposalsOverloads
	EntriesApplied
	LogAppended
	Reads
	Elections
	LeaderChanges
	Transfers
	Snapshots
	GroupFailures
	NetworkBytes
	NetworkMessages
	NetworkRefusals
	PeerRefusals
	ObservationsDropped

	Groups
	Role
	Contradiction
	Term
	LeaderMissing
	LeaderAge
	IndexLast
	IndexFlushed
	IndexCommitted
	IndexApplied
	IndexPurged
	IndexSnapshot
	LogGrowth
	LogTail
	PeerLagEntries
	PeerLagDuration
	PeerInflightMessages
	PeerInflightSize
	PeerAge
	ProposalsInflight
	ProposalsInflightSize
	ProposalsWaiting
	ReadsInflight

	idsEnd
)

// InboxSampling: one in so many calls of an actor is recorded in InboxWait and
// InboxDepth.
const InboxSampling = 16

const (
	ofBatch = "of the batch's oldest entry, once a batch"
	onRead  = "when a reader asks"
)

// table has a row for each ID, in their order.
var table = [idsEnd]Row{
	ProposeDuration: {Name: "raft.propose.duration", Kind: Histogram, Unit: seconds, Description: "Time from a proposal's being handed over to its answer, on the leader.",
		When: "when a batch was applied: of the oldest entry in it that this node proposed, once a batch", Attributes: []Attribute{group}, Bounds: durationBounds},
	ProposeQueue: {Name: "raft.propose.queue.duration", Kind: Histogram, Unit: seconds, Description: "Time from a proposal's being handed over to its being taken by the core.",
		When: "when the core took a burst with proposals that it appended: of the burst's oldest item", Attributes: []Attribute{group}, Bounds: durationBounds},
	LogAppend: {Name: "raft.log.append.duration", Kind: Histogram, Unit: seconds, Description: "Time from an entry's being appended to its being durable on this node.",
		When: "when the log store has written a group's entries: " + ofBatch, Attributes: []Attribute{group}, Bounds: durationBounds},
	ReplicateDuration: {Name: "raft.replicate.duration", Kind: Histogram, Unit: seconds, Description: "Time from entries' being sent to a peer to its saying that they are durable there.",
		When: "when a peer's match has moved: of the oldest message that it covers", Attributes: []Attribute{group, peer}, Bounds: durationBounds},
	CommitDuration: {Name: "raft.commit.duration", Kind: Histogram, Unit: seconds, Description: "Time from an entry's being appended to its being committed, on the leader.",
		When: "when the commit index has moved: " + ofBatch, Attributes: []Attribute{group}, Bounds: durationBounds},
	ApplyDuration: {Name: "raft.apply.duration", Kind: Histogram, Unit: seconds, Description: "Time from an entry's being known to be committed to its being applied.",
		When: "when a batch was applied: " + ofBatch, Attributes: []Attribute{group}, Bounds: durationBounds},
	ApplyCall: {Name: "raft.apply.call.duration", Kind: Histogram, Unit: seconds, Description: "Duration of the state machine's Apply.",
		When: "after each call", Attributes: []Attribute{group}, Bounds: durationBounds},
	LogSync: {Name: "raft.log.sync.duration", Kind: Histogram, Unit: seconds, Description: "Duration of the log store's Write, its sync included, for all groups together.",
		When: "after each call", Bounds: durationBounds},
	ReadDuration: {Name: "raft.read.duration", Kind: Histogram, Unit: seconds, Description: "Time from a read's being asked for to its index's being applied here.",
		When: "when reads that were asked for together are served: once for all", Attributes: []Attribute{group}, Bounds: durationBounds},
	SnapshotDuration: {Name: "raft.snapshot.duration", Kind: Histogram, Unit: seconds, Description: "Duration of the building, sending, receiving or installing of a snapshot.",
		When: "at the end of each that went well", Attributes: []Attribute{group, operation}, Bounds: longBounds},
	InboxWait: {Name: "raft.inbox.wait.duration", Kind: Histogram, Unit: seconds, Description: "Time from an actor's being called to its taking what is in its inbox.",
		When: "when an actor that was called takes its inbox, every 16th time; the log actor's is shared by all groups", Attributes: []Attribute{group, actor}, Bounds: durationBounds},
	InboxDepth: {Name: "raft.inbox.depth", Kind: Histogram, Unit: "{item}", Description: "Items and notices in an actor's inbox when the actor takes them all.",
		When: "when an actor that was called takes its inbox, every 16th time; the log actor's is shared by all groups", Attributes: []Attribute{group, actor}, Bounds: countBounds},
	ProposeEntries: {Name: "raft.propose.batch.entries", Kind: Histogram, Unit: "{entry}", Description: "Entries that a leader appended in one burst of its core.",
		When: "after each burst that appended any", Attributes: []Attribute{group}, Bounds: countBounds},
	ProposeSize: {Name: "raft.propose.batch.size", Kind: Histogram, Unit: bytes, Description: "Bytes of the entries that a leader appended in one burst of its core.",
		When: "after each burst that appended any", Attributes: []Attribute{group}, Bounds: sizeBounds},
	LogEntries: {Name: "raft.log.batch.entries", Kind: Histogram, Unit: "{entry}", Description: "Entries in one Write of the log store, of all groups together.",
		When: "after each call", Bounds: countBounds},
	LogSize: {Name: "raft.log.batch.size", Kind: Histogram, Unit: bytes, Description: "Bytes of the entries in one Write of the log store, of all groups together.",
		When: "after each call", Bounds: sizeBounds},
	ReplicateEntries: {Name: "raft.replicate.batch.entries", Kind: Histogram, Unit: "{entry}", Description: "Entries in one message to a peer.",
		When: "when a message with entries was sent", Attributes: []Attribute{group, peer}, Bounds: countBounds},
	ReplicateSize: {Name: "raft.replicate.batch.size", Kind: Histogram, Unit: bytes, Description: "Bytes of the entries in one message to a peer.",
		When: "when a message with entries was sent", Attributes: []Attribute{group, peer}, Bounds: sizeBounds},
	ApplyEntries: {Name: "raft.apply.batch.entries", Kind: Histogram, Unit: "{entry}", Description: "Entries in one call of the state machine's Apply.",
		When: "after each call", Attributes: []Attribute{group}, Bounds: countBounds},
	ApplySize: {Name: "raft.apply.batch.size", Kind: Histogram, Unit: bytes, Description: "Bytes of the entries in one call of the state machine's Apply.",
		When: "after each call", Attributes: []Attribute{group}, Bounds: sizeBounds},
	SnapshotSize: {Name: "raft.snapshot.size", Kind: Histogram, Unit: bytes, Description: "Size of a snapshot that was built, sent, received or installed.",
		When: "at the end of each that went well", Attributes: []Attribute{group, operation}, Bounds: snapshotBounds},

	ProposalsAppended: {Name: "raft.proposals.appended", Kind: Counter, Unit: "{entry}", Description: "Entries that this node appended as a leader; a leader's own blank and configuration entries count too.",
		When: onRead, Attributes: []Attribute{group}},
	ProposalsForwarded: {Name: "raft.proposals.forwarded", Kind: Counter, Unit: "{proposal}", Description: "Proposals that this node sent on to the leader, or that others sent to it.",
		When: onRead, Attributes: []Attribute{group, direction}},
	ProposalsOverloads: {Name: "raft.proposals.overloads", Kind: Counter, Unit: "{overload}", Description: "Proposals that found no room and were refused or had to wait, and times that the leader's log had none.",
		When: onRead, Attributes: []Attribute{group, {KeyOutcome, Overloads}}},
	EntriesApplied: {Name: "raft.entries.applied", Kind: Counter, Unit: "{entry}", Description: "Entries that the state machine has applied.",
		When: onRead, Attributes: []Attribute{group}},
	LogAppended: {Name: "raft.log.appended", Kind: Counter, Unit: bytes, Description: "Bytes of the entries appended to this node's log.",
		When: onRead, Attributes: []Attribute{group}},
	Reads: {Name: "raft.reads", Kind: Counter, Unit: "{read}", Description: "Linearizable reads by how they ended.",
		When: onRead, Attributes: []Attribute{group, {KeyOutcome, ReadOutcomes}}},
	Elections: {Name: "raft.elections", Kind: Counter, Unit: "{election}", Description: "Elections that this node began, by their reason and by how they ended.",
		When: onRead, Attributes: []Attribute{group, {KeyReason, ElectionReasons}, {KeyOutcome, ElectionOutcomes}}},
	LeaderChanges: {Name: "raft.leader.changes", Kind: Counter, Unit: "{change}", Description: "Leaders that this node has come to know, each of another node or term than the one before.",
		When: onRead, Attributes: []Attribute{group}},
	Transfers: {Name: "raft.transfers", Kind: Counter, Unit: "{transfer}", Description: "Transfers of leadership from this node to another, by hand or not, by how they ended.",
		When: onRead, Attributes: []Attribute{group, outcome}},
	Snapshots: {Name: "raft.snapshots", Kind: Counter, Unit: "{snapshot}", Description: "Snapshots that were built, sent, received or installed, or were to be.",
		When: onRead, Attributes: []Attribute{group, operation, outcome}},
	GroupFailures: {Name: "raft.group.failures", Kind: Counter, Unit: "{group}", Description: "Groups that have failed on this node and run no more.",
		When: onRead},
	NetworkBytes: {Name: "raft.network.transferred", Kind: Counter, Unit: bytes, Description: "Bytes of messages that the network has taken or delivered, a little more than on the wire.",
		When: onRead, Attributes: []Attribute{class, direction}},
	NetworkMessages: {Name: "raft.network.messages", Kind: Counter, Unit: "{message}", Description: "Messages that the network has taken or delivered.",
		When: onRead, Attributes: []Attribute{class, direction}},
	NetworkRefusals: {Name: "raft.network.refusals", Kind: Counter, Unit: "{message}", Description: "Messages that the network did not take: no connection, or a full window.",
		When: onRead, Attributes: []Attribute{class}},
	PeerRefusals: {Name: "raft.peer.send.refusals", Kind: Counter, Unit: "{message}", Description: "Messages to a member that the network did not take, on the leader; 0 for the node itself.",
		When: onRead, Attributes: []Attribute{group, peer}},
	ObservationsDropped: {Name: "raft.observations.dropped", Kind: Counter, Unit: "{observation}", Description: "Lines of the log, spans and measurements that were lost: what takes them was too slow, or failed.",
		When: onRead, Attributes: []Attribute{{KeyKind, Observations}}},

	Groups: {Name: "raft.groups", Kind: Gauge, Unit: "{group}", Description: "Groups that run on this node.", When: onRead},
	Role: {Name: "raft.role", Kind: Gauge, Unit: "{group}", Description: "1 for the role that this node has in the group, 0 for the others.",
		When: onRead, Attributes: []Attribute{group, {KeyRole, Roles}}},
	Contradiction: {Name: "raft.contradiction", Kind: Gauge, Unit: "{group}", Description: "1 if this node has heard of a member what no correct member can say, and so answers no reads; else 0.",
		When: onRead, Attributes: []Attribute{group}},
	Term: {Name: "raft.term", Kind: Gauge, Unit: "{term}", Description: "Term of the group as this node knows it.", When: onRead, Attributes: []Attribute{group}, Fold: FoldMax},
	LeaderMissing: {Name: "raft.leader.missing", Kind: Gauge, Unit: "{group}", Description: "1 while this node knows no leader of the group, else 0.",
		When: onRead, Attributes: []Attribute{group}},
	LeaderAge: {Name: "raft.leader.contact.age", Kind: Gauge, Unit: seconds, Description: "Time since this node last heard of its leader, since the group's start if never; 0 on the leader.",
		When: onRead, Attributes: []Attribute{group}, Fold: FoldMax},
	IndexLast:      {Name: "raft.index.last", Kind: Gauge, Unit: "{entry}", Description: "Index of the last entry of the log.", When: onRead, Attributes: []Attribute{group}},
	IndexFlushed:   {Name: "raft.index.flushed", Kind: Gauge, Unit: "{entry}", Description: "Index up to which the log is durable on this node.", When: onRead, Attributes: []Attribute{group}},
	IndexCommitted: {Name: "raft.index.committed", Kind: Gauge, Unit: "{entry}", Description: "Index up to which the log is known to be committed.", When: onRead, Attributes: []Attribute{group}},
	IndexApplied:   {Name: "raft.index.applied", Kind: Gauge, Unit: "{entry}", Description: "Index up to which the state machine has applied the log.", When: onRead, Attributes: []Attribute{group}},
	IndexPurged:    {Name: "raft.index.purged", Kind: Gauge, Unit: "{entry}", Description: "Index up to which the log was removed.", When: onRead, Attributes: []Attribute{group}},
	IndexSnapshot:  {Name: "raft.index.snapshot", Kind: Gauge, Unit: "{entry}", Description: "Index of the newest snapshot of this node.", When: onRead, Attributes: []Attribute{group}},
	LogGrowth: {Name: "raft.log.growth", Kind: Gauge, Unit: bytes, Description: "Bytes of the entries appended since the newest snapshot, or since the group's start.",
		When: onRead, Attributes: []Attribute{group}},
	LogTail: {Name: "raft.log.tail.size", Kind: Gauge, Unit: bytes, Description: "Bytes of the log's entries that are held in memory.",
		When: onRead, Attributes: []Attribute{group}},
	PeerLagEntries: {Name: "raft.peer.lag.entries", Kind: Gauge, Unit: "{entry}", Description: "Entries of this node's log that a member does not have durably: on the leader of every member, elsewhere of the node itself.",
		When: onRead, Attributes: []Attribute{group, peer}, Fold: FoldMax},
	PeerLagDuration: {Name: "raft.peer.lag.duration", Kind: Gauge, Unit: seconds, Description: "Time since the first of the entries that a member does not have durably was appended here; 0 if it has all.",
		When: onRead, Attributes: []Attribute{group, peer}, Fold: FoldMax},
	PeerInflightMessages: {Name: "raft.peer.inflight.messages", Kind: Gauge, Unit: "{message}", Description: "Messages with entries that were sent to a member and are not answered, on the leader.",
		When: onRead, Attributes: []Attribute{group, peer}},
	PeerInflightSize: {Name: "raft.peer.inflight.size", Kind: Gauge, Unit: bytes, Description: "Bytes of entries that were sent to a member and are not answered, on the leader.",
		When: onRead, Attributes: []Attribute{group, peer}},
	PeerAge: {Name: "raft.peer.contact.age", Kind: Gauge, Unit: seconds, Description: "Time since a member last answered a heartbeat, since the group's start if never, on the leader; 0 for the node itself.",
		When: onRead, Attributes: []Attribute{group, peer}, Fold: FoldMax},
	ProposalsInflight: {Name: "raft.proposals.inflight", Kind: Gauge, Unit: "{proposal}", Description: "Proposals that were admitted on this node and are not answered.",
		When: onRead, Attributes: []Attribute{group}},
	ProposalsInflightSize: {Name: "raft.proposals.inflight.size", Kind: Gauge, Unit: bytes, Description: "Bytes of the proposals that were admitted on this node and are not answered.",
		When: onRead, Attributes: []Attribute{group}},
	ProposalsWaiting: {Name: "raft.proposals.waiting", Kind: Gauge, Unit: "{proposal}", Description: "Proposals that wait for room to be admitted.",
		When: onRead, Attributes: []Attribute{group}},
	ReadsInflight: {Name: "raft.reads.inflight", Kind: Gauge, Unit: "{read}", Description: "Linearizable reads that are under way on this node.",
		When: onRead, Attributes: []Attribute{group}},
}
