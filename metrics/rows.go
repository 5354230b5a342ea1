package metrics

// ID names an instrument: it is its name in OpenTelemetry.
type ID string

// The instruments; the table describes them.
const (
	ProposeDuration   ID = "raft.propose.duration"
	ProposeQueue      ID = "raft.propose.queue.duration"
	LogAppend         ID = "raft.log.append.duration"
	ReplicateDuration ID = "raft.replicate.duration"
	CommitDuration    ID = "raft.commit.duration"
	ApplyDuration     ID = "raft.apply.duration"
	ApplyCall         ID = "raft.apply.call.duration"
	LogSync           ID = "raft.log.sync.duration"
	ReadDuration      ID = "raft.read.duration"
	SnapshotDuration  ID = "raft.snapshot.duration"
	InboxWait         ID = "raft.inbox.wait.duration"
	InboxDepth        ID = "raft.inbox.depth"
	ProposeEntries    ID = "raft.propose.batch.entries"
	ProposeSize       ID = "raft.propose.batch.size"
	LogEntries        ID = "raft.log.batch.entries"
	LogSize           ID = "raft.log.batch.size"
	ReplicateEntries  ID = "raft.replicate.batch.entries"
	ReplicateSize     ID = "raft.replicate.batch.size"
	ApplyEntries      ID = "raft.apply.batch.entries"
	ApplySize         ID = "raft.apply.batch.size"
	SnapshotSize      ID = "raft.snapshot.size"

	ProposalsAppended   ID = "raft.proposals.appended"
	ProposalsForwarded  ID = "raft.proposals.forwarded"
	ProposalsOverloads  ID = "raft.proposals.overloads"
	EntriesApplied      ID = "raft.entries.applied"
	LogAppended         ID = "raft.log.appended"
	Reads               ID = "raft.reads"
	ReadsLocal          ID = "raft.reads.local"
	Elections           ID = "raft.elections"
	LeaderChanges       ID = "raft.leader.changes"
	Departures          ID = "raft.leader.departures"
	Transfers           ID = "raft.transfers"
	Changes             ID = "raft.changes"
	ClockJumps          ID = "raft.clock.jumps"
	Autopilot           ID = "raft.autopilot.decisions"
	AddressesWritten    ID = "raft.addresses.written"
	LogLetGo            ID = "raft.log.releases"
	Snapshots           ID = "raft.snapshots"
	SnapshotSpared      ID = "raft.snapshot.spared"
	GroupFailures       ID = "raft.group.failures"
	NetworkBytes        ID = "raft.network.transferred"
	NetworkMessages     ID = "raft.network.messages"
	NetworkRefusals     ID = "raft.network.refusals"
	PeerRefusals        ID = "raft.peer.send.refusals"
	ObservationsDropped ID = "raft.observations.dropped"

	Groups                ID = "raft.groups"
	Role                  ID = "raft.role"
	Contradiction         ID = "raft.contradiction"
	Term                  ID = "raft.term"
	LeaderMissing         ID = "raft.leader.missing"
	LeaderLeaving         ID = "raft.leader.leaving"
	LeaderAge             ID = "raft.leader.contact.age"
	ElectionsPaused       ID = "raft.elections.paused"
	IndexLast             ID = "raft.index.last"
	IndexFlushed          ID = "raft.index.flushed"
	IndexCommitted        ID = "raft.index.committed"
	IndexApplied          ID = "raft.index.applied"
	IndexPurged           ID = "raft.index.purged"
	IndexSnapshot         ID = "raft.index.snapshot"
	IndexRecord           ID = "raft.index.record"
	LogGrowth             ID = "raft.log.growth"
	LogTail               ID = "raft.log.tail.size"
	LogKept               ID = "raft.log.size"
	LogHeld               ID = "raft.log.held.size"
	PeerLagEntries        ID = "raft.peer.lag.entries"
	PeerLagDuration       ID = "raft.peer.lag.duration"
	PeerInflightMessages  ID = "raft.peer.inflight.messages"
	PeerInflightSize      ID = "raft.peer.inflight.size"
	PeerAge               ID = "raft.peer.contact.age"
	PeerLostData          ID = "raft.peer.data.lost"
	ProposalsInflight     ID = "raft.proposals.inflight"
	ProposalsInflightSize ID = "raft.proposals.inflight.size"
	ProposalsWaiting      ID = "raft.proposals.waiting"
	ReadsInflight         ID = "raft.reads.inflight"
	LeaseRemaining        ID = "raft.lease.remaining"
	QuorumAge             ID = "raft.quorum.contact.age"
	LeadingRunning        ID = "raft.leading.running"
	LeadingOverdue        ID = "raft.leading.overdue.age"
)

// InboxSampling: one in so many calls of an actor is recorded in InboxWait and
// InboxDepth.
const InboxSampling = 16

const (
	ofBatch = "of the batch's oldest entry, once a batch"
	onRead  = "when a reader asks"
)

// table has a row for each ID.
var table = []Row{
	{ID: ProposeDuration, Kind: Histogram, Unit: seconds, Description: "Time from a proposal's being handed over to its answer, on the leader.",
		When: "when a batch was applied: of the oldest entry in it that this node proposed, once a batch", Attributes: []Attribute{group}, Bounds: durationBounds},
	{ID: ProposeQueue, Kind: Histogram, Unit: seconds, Description: "Time from a proposal's being handed over to its being taken by the core.",
		When: "when the core took a burst with proposals that it appended: of the burst's oldest item", Attributes: []Attribute{group}, Bounds: durationBounds},
	{ID: LogAppend, Kind: Histogram, Unit: seconds, Description: "Time from an entry's being appended to its being durable on this node.",
		When: "when the log store has written a group's entries: " + ofBatch, Attributes: []Attribute{group}, Bounds: durationBounds},
	{ID: ReplicateDuration, Kind: Histogram, Unit: seconds, Description: "Time from entries' being sent to a peer to its saying that they are durable there.",
		When: "when a peer's match has moved: of the oldest message that it covers", Attributes: []Attribute{group, peer}, Bounds: durationBounds},
	{ID: CommitDuration, Kind: Histogram, Unit: seconds, Description: "Time from an entry's being appended to its being committed, on the leader.",
		When: "when the commit index has moved: " + ofBatch, Attributes: []Attribute{group}, Bounds: durationBounds},
	{ID: ApplyDuration, Kind: Histogram, Unit: seconds, Description: "Time from an entry's being known to be committed to its being applied.",
		When: "when a batch was applied: " + ofBatch, Attributes: []Attribute{group}, Bounds: durationBounds},
	{ID: ApplyCall, Kind: Histogram, Unit: seconds, Description: "Duration of the state machine's Apply.",
		When: "after each call", Attributes: []Attribute{group}, Bounds: durationBounds},
	{ID: LogSync, Kind: Histogram, Unit: seconds, Description: "Duration of the log store's Write, its sync included, for all groups together.",
		When: "after each call", Bounds: durationBounds},
	{ID: ReadDuration, Kind: Histogram, Unit: seconds, Description: "Time from a read's being asked for to its index's being applied here.",
		When: "when reads that were asked for together are served: once for all", Attributes: []Attribute{group}, Bounds: durationBounds},
	{ID: SnapshotDuration, Kind: Histogram, Unit: seconds, Description: "Duration of the building, sending, receiving or installing of a snapshot, or of the writing of a record.",
		When: "at the end of each that went well", Attributes: []Attribute{group, operation}, Bounds: longBounds},
	{ID: InboxWait, Kind: Histogram, Unit: seconds, Description: "Time from an actor's being called to its taking what is in its inbox.",
		When: "when an actor that was called takes its inbox, every 16th time; the log actor's is shared by all groups", Attributes: []Attribute{group, actor}, Bounds: durationBounds},
	{ID: InboxDepth, Kind: Histogram, Unit: "{item}", Description: "Items and notices in an actor's inbox when the actor takes them all.",
		When: "when an actor that was called takes its inbox, every 16th time; the log actor's is shared by all groups", Attributes: []Attribute{group, actor}, Bounds: countBounds},
	{ID: ProposeEntries, Kind: Histogram, Unit: "{entry}", Description: "Entries that a leader appended in one burst of its core.",
		When: "after each burst that appended any", Attributes: []Attribute{group}, Bounds: countBounds},
	{ID: ProposeSize, Kind: Histogram, Unit: bytes, Description: "Bytes of the entries that a leader appended in one burst of its core.",
		When: "after each burst that appended any", Attributes: []Attribute{group}, Bounds: sizeBounds},
	{ID: LogEntries, Kind: Histogram, Unit: "{entry}", Description: "Entries in one Write of the log store, of all groups together.",
		When: "after each call", Bounds: countBounds},
	{ID: LogSize, Kind: Histogram, Unit: bytes, Description: "Bytes of the entries in one Write of the log store, of all groups together.",
		When: "after each call", Bounds: sizeBounds},
	{ID: ReplicateEntries, Kind: Histogram, Unit: "{entry}", Description: "Entries in one message to a peer.",
		When: "when a message with entries was sent", Attributes: []Attribute{group, peer}, Bounds: countBounds},
	{ID: ReplicateSize, Kind: Histogram, Unit: bytes, Description: "Bytes of the entries in one message to a peer.",
		When: "when a message with entries was sent", Attributes: []Attribute{group, peer}, Bounds: sizeBounds},
	{ID: ApplyEntries, Kind: Histogram, Unit: "{entry}", Description: "Entries in one call of the state machine's Apply.",
		When: "after each call", Attributes: []Attribute{group}, Bounds: countBounds},
	{ID: ApplySize, Kind: Histogram, Unit: bytes, Description: "Bytes of the entries in one call of the state machine's Apply.",
		When: "after each call", Attributes: []Attribute{group}, Bounds: sizeBounds},
	{ID: SnapshotSize, Kind: Histogram, Unit: bytes, Description: "Size of a snapshot that was built, sent, received or installed; 0 of a record.",
		When: "at the end of each that went well", Attributes: []Attribute{group, operation}, Bounds: snapshotBounds},

	{ID: ProposalsAppended, Kind: Counter, Unit: "{entry}", Description: "Entries that this node appended as a leader; a leader's own blank and configuration entries count too.",
		When: onRead, Attributes: []Attribute{group}},
	{ID: ProposalsForwarded, Kind: Counter, Unit: "{proposal}", Description: "Proposals that this node sent on to the leader, or that others sent to it.",
		When: onRead, Attributes: []Attribute{group, direction}},
	{ID: ProposalsOverloads, Kind: Counter, Unit: "{overload}", Description: "Proposals that found no room and were refused or had to wait, and times that the leader's log had none.",
		When: onRead, Attributes: []Attribute{group, {KeyOutcome, Overloads}}},
	{ID: EntriesApplied, Kind: Counter, Unit: "{entry}", Description: "Entries that the state machine has applied.",
		When: onRead, Attributes: []Attribute{group}},
	{ID: LogAppended, Kind: Counter, Unit: bytes, Description: "Bytes of the entries appended to this node's log.",
		When: onRead, Attributes: []Attribute{group}},
	{ID: Reads, Kind: Counter, Unit: "{read}", Description: "Reads by how they ended.",
		When: onRead, Attributes: []Attribute{group, {KeyOutcome, ReadOutcomes}}},
	{ID: ReadsLocal, Kind: Counter, Unit: "{read}", Description: "Reads that were answered at once, without a message: by the lease, or because the state was current enough.",
		When: onRead, Attributes: []Attribute{group, {KeyMode, LocalModes}}},
	{ID: Elections, Kind: Counter, Unit: "{election}", Description: "Elections that this node began, by their reason and by how they ended.",
		When: onRead, Attributes: []Attribute{group, {KeyReason, ElectionReasons}, {KeyOutcome, ElectionOutcomes}}},
	{ID: LeaderChanges, Kind: Counter, Unit: "{change}", Description: "Leaders that this node has come to know, each of another node or term than the one before.",
		When: onRead, Attributes: []Attribute{group}},
	{ID: Departures, Kind: Counter, Unit: "{leadership}", Description: "Leaderships of this node that have ended, by why: a higher term, a hand-over, no quorum, its disk, its state machine, entries that nobody accepted, its removal.",
		When: onRead, Attributes: []Attribute{group, {KeyReason, Departed}}},
	{ID: Transfers, Kind: Counter, Unit: "{transfer}", Description: "Transfers of leadership from this node to another, by hand or not, by how they ended.",
		When: onRead, Attributes: []Attribute{group, outcome}},
	{ID: Changes, Kind: Counter, Unit: "{change}", Description: "Changes of the members that have ended while this node led, by how: they are complete, or were given up.",
		When: onRead, Attributes: []Attribute{group, outcome}},
	{ID: ClockJumps, Kind: Counter, Unit: "{jump}", Description: "Times that this node's wall clock and the time of the group's entries came to differ by more than an hour while it led, or ceased to.",
		When: onRead, Attributes: []Attribute{group}},
	{ID: Autopilot, Kind: Counter, Unit: "{decision}", Description: "Decisions of the autopilot while this node led: done are changes of the members that it began, failed the cases in which it told why it does nothing.",
		When: onRead, Attributes: []Attribute{group, outcome}},
	{ID: AddressesWritten, Kind: Counter, Unit: "{entry}", Description: "Entries by which this node, as the leader, wrote into the configuration where members are that have moved.",
		When: onRead, Attributes: []Attribute{group}},
	{ID: LogLetGo, Kind: Counter, Unit: "{hold}", Description: "Times that the log was not kept any more for a member, or a reader, who needed it, by why: its group keeps too many bytes for others, it made no progress, all groups of the node keep too many, the disk is nearly full.",
		When: onRead, Attributes: []Attribute{group, {KeyReason, LetGo}}},
	{ID: Snapshots, Kind: Counter, Unit: "{snapshot}", Description: "Snapshots that were built, sent, received or installed, or were to be, and records.",
		When: onRead, Attributes: []Attribute{group, operation, outcome}},
	{ID: SnapshotSpared, Kind: Counter, Unit: bytes, Description: "Bytes of snapshots that this node did not send, because their receiver had those files.",
		When: onRead, Attributes: []Attribute{group}},
	{ID: GroupFailures, Kind: Counter, Unit: "{group}", Description: "Groups that have failed on this node and run no more.",
		When: onRead},
	{ID: NetworkBytes, Kind: Counter, Unit: bytes, Description: "Bytes of messages that the network has taken or delivered, a little more than on the wire.",
		When: onRead, Attributes: []Attribute{class, direction}},
	{ID: NetworkMessages, Kind: Counter, Unit: "{message}", Description: "Messages that the network has taken or delivered.",
		When: onRead, Attributes: []Attribute{class, direction}},
	{ID: NetworkRefusals, Kind: Counter, Unit: "{message}", Description: "Messages that the network did not take: no connection, or a full window.",
		When: onRead, Attributes: []Attribute{class}},
	{ID: PeerRefusals, Kind: Counter, Unit: "{message}", Description: "Messages to a member that the network did not take, on the leader; 0 for the node itself.",
		When: onRead, Attributes: []Attribute{group, peer}},
	{ID: ObservationsDropped, Kind: Counter, Unit: "{observation}", Description: "Lines of the log, spans and measurements that were lost: what takes them was too slow, or failed.",
		When: onRead, Attributes: []Attribute{{KeyKind, Observations}}},

	{ID: Groups, Kind: Gauge, Unit: "{group}", Description: "Groups that run on this node.", When: onRead},
	{ID: Role, Kind: Gauge, Unit: "{group}", Description: "1 for the role that this node has in the group, 0 for the others.",
		When: onRead, Attributes: []Attribute{group, {KeyRole, Roles}}},
	{ID: Contradiction, Kind: Gauge, Unit: "{group}", Description: "1 if this node has heard of a member what no correct member can say, and so answers no reads; else 0.",
		When: onRead, Attributes: []Attribute{group}},
	{ID: Term, Kind: Gauge, Unit: "{term}", Description: "Term of the group as this node knows it.", When: onRead, Attributes: []Attribute{group}, Fold: FoldMax},
	{ID: LeaderLeaving, Kind: Gauge, Unit: "{group}", Description: "1 while this node leads, is kept from that by its disk or its state machine, and waits for a voter that can lead in its place, else 0.",
		When: onRead, Attributes: []Attribute{group}},
	{ID: LeaderMissing, Kind: Gauge, Unit: "{group}", Description: "1 while this node knows no leader of the group, else 0.",
		When: onRead, Attributes: []Attribute{group}},
	{ID: LeaderAge, Kind: Gauge, Unit: seconds, Description: "Time since this node last heard of its leader, since the group's start if never; 0 on the leader.",
		When: onRead, Attributes: []Attribute{group}, Fold: FoldMax},
	{ID: ElectionsPaused, Kind: Gauge, Unit: "{group}", Description: "1 while the elections of this node are paused (Raft.PauseElections), else 0.",
		When: onRead, Attributes: []Attribute{group}},
	{ID: IndexLast, Kind: Gauge, Unit: "{entry}", Description: "Index of the last entry of the log.", When: onRead, Attributes: []Attribute{group}},
	{ID: IndexFlushed, Kind: Gauge, Unit: "{entry}", Description: "Index up to which the log is durable on this node.", When: onRead, Attributes: []Attribute{group}},
	{ID: IndexCommitted, Kind: Gauge, Unit: "{entry}", Description: "Index up to which the log is known to be committed.", When: onRead, Attributes: []Attribute{group}},
	{ID: IndexApplied, Kind: Gauge, Unit: "{entry}", Description: "Index up to which the state machine has applied the log.", When: onRead, Attributes: []Attribute{group}},
	{ID: IndexPurged, Kind: Gauge, Unit: "{entry}", Description: "Index up to which the log was removed.", When: onRead, Attributes: []Attribute{group}},
	{ID: IndexSnapshot, Kind: Gauge, Unit: "{entry}", Description: "Index of the newest snapshot of this node.", When: onRead, Attributes: []Attribute{group}},
	{ID: IndexRecord, Kind: Gauge, Unit: "{entry}", Description: "Index up to which a record says that the state machine of this node is durable.", When: onRead, Attributes: []Attribute{group}},
	{ID: LogGrowth, Kind: Gauge, Unit: bytes, Description: "Bytes of the entries appended since the newest snapshot or record, or since the group's start.",
		When: onRead, Attributes: []Attribute{group}},
	{ID: LogTail, Kind: Gauge, Unit: bytes, Description: "Bytes of the log's entries that are held in memory.",
		When: onRead, Attributes: []Attribute{group}},
	{ID: LogKept, Kind: Gauge, Unit: bytes, Description: "Bytes of the entries that the log holds, from its first index on.",
		When: onRead, Attributes: []Attribute{group}},
	{ID: LogHeld, Kind: Gauge, Unit: bytes, Description: "Bytes of the log's entries that are kept for other nodes alone: a snapshot is on its way to them, or they catch up.",
		When: onRead, Attributes: []Attribute{group}},
	{ID: PeerLagEntries, Kind: Gauge, Unit: "{entry}", Description: "Entries of this node's log that a member does not have durably: on the leader of every member, elsewhere of the node itself.",
		When: onRead, Attributes: []Attribute{group, peer}, Fold: FoldMax},
	{ID: PeerLagDuration, Kind: Gauge, Unit: seconds, Description: "Time since the first of the entries that a member does not have durably was appended here; 0 if it has all.",
		When: onRead, Attributes: []Attribute{group, peer}, Fold: FoldMax},
	{ID: PeerInflightMessages, Kind: Gauge, Unit: "{message}", Description: "Messages with entries that were sent to a member and are not answered, on the leader.",
		When: onRead, Attributes: []Attribute{group, peer}},
	{ID: PeerInflightSize, Kind: Gauge, Unit: bytes, Description: "Bytes of entries that were sent to a member and are not answered, on the leader.",
		When: onRead, Attributes: []Attribute{group, peer}},
	{ID: PeerAge, Kind: Gauge, Unit: seconds, Description: "Time since a member last answered a heartbeat, since the group's start if never, on the leader; 0 for the node itself.",
		When: onRead, Attributes: []Attribute{group, peer}, Fold: FoldMax},
	{ID: PeerLostData, Kind: Gauge, Unit: "{member}", Description: "1 if a member came back without its data, or lacks what it had acknowledged, and so is not counted: on the leader of every member, elsewhere of the node itself; else 0.",
		When: onRead, Attributes: []Attribute{group, peer}},
	{ID: ProposalsInflight, Kind: Gauge, Unit: "{proposal}", Description: "Proposals that were admitted on this node and are not answered.",
		When: onRead, Attributes: []Attribute{group}},
	{ID: ProposalsInflightSize, Kind: Gauge, Unit: bytes, Description: "Bytes of the proposals that were admitted on this node and are not answered.",
		When: onRead, Attributes: []Attribute{group}},
	{ID: ProposalsWaiting, Kind: Gauge, Unit: "{proposal}", Description: "Proposals that wait for room to be admitted.",
		When: onRead, Attributes: []Attribute{group}},
	{ID: ReadsInflight, Kind: Gauge, Unit: "{read}", Description: "Reads that wait on this node.",
		When: onRead, Attributes: []Attribute{group}},
	{ID: LeaseRemaining, Kind: Gauge, Unit: seconds, Description: "Time for which the lease of this node still lasts; 0 without one, and where it does not lead.",
		When: onRead, Attributes: []Attribute{group}, Fold: FoldMax},
	{ID: QuorumAge, Kind: Gauge, Unit: seconds, Description: "Time since the newest round of heartbeats began that a quorum has answered, since the group's start if none has, on the leader; 0 on others.",
		When: onRead, Attributes: []Attribute{group}, Fold: FoldMax},
	{ID: LeadingRunning, Kind: Gauge, Unit: "{group}", Description: "1 while Config.OnLeading runs on this node, else 0.",
		When: onRead, Attributes: []Attribute{group}},
	{ID: LeadingOverdue, Kind: Gauge, Unit: seconds, Description: "Time since the context of Config.OnLeading ended, while that has not returned; else 0.",
		When: onRead, Attributes: []Attribute{group}, Fold: FoldMax},
}
