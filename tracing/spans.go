package tracing

import (
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
)

type (
	under      = []string
	attributes = []attribute.Key
	events     = []string
)

const (
	byProposer = "the node that was asked"
	byLeader   = "the leader"
	byPeer     = "the peer"
	byAny      = "any node"
)

// The spans of a write.
var (
	// Propose is a write, from Propose to its result.
	Propose = &SpanType{"raft.propose", trace.SpanKindInternal, under{""}, byProposer,
		attributes{NodeKey, GroupKey, CommandBytesKey, TermKey, IndexKey, OutcomeKey}, events{EventCapped}}
	// ProposeForwarded is a write that another node passed on.
	ProposeForwarded = &SpanType{"raft.propose", trace.SpanKindServer, under{"raft.forward"}, byLeader,
		attributes{NodeKey, GroupKey, PeerKey, CommandBytesKey, TermKey, IndexKey, OutcomeKey}, events{EventCapped}}
	// Queue is the wait for room, for the core actor and for a leader.
	Queue = &SpanType{"raft.queue", trace.SpanKindInternal, under{"raft.propose"}, byProposer,
		attributes{NodeKey, GroupKey, BatchEntriesKey}, events{EventRoom, EventTaken, EventRefused}}
	// Forward is a write's way to one leader and back, from the first attempt to
	// send it on.
	Forward = &SpanType{"raft.forward", trace.SpanKindClient, under{"raft.propose"}, byProposer,
		attributes{NodeKey, GroupKey, PeerKey, BatchEntriesKey, OutcomeKey}, events{EventRefused, EventAbandoned}}
	// LogAppend is the entry's way to the disk of one node.
	LogAppend = &SpanType{"raft.log.append", trace.SpanKindInternal, under{"raft.propose", "raft.append"}, byAny,
		attributes{NodeKey, GroupKey, BatchEntriesKey, BatchBytesKey}, events{EventSyncBegin, EventSyncEnd, EventAbandoned}}
	// Replicate is the entry's way to one peer, until the leader knows that the
	// peer has it durably.
	Replicate = &SpanType{"raft.replicate", trace.SpanKindClient, under{"raft.propose", "raft.append"}, byLeader,
		attributes{NodeKey, GroupKey, PeerKey, FirstIndexKey, LastIndexKey, BatchEntriesKey}, events{EventRefused, EventResent, EventCapped, EventAbandoned}}
	// Append is what the peer does with the entry.
	Append = &SpanType{"raft.append", trace.SpanKindServer, under{"raft.replicate"}, byPeer,
		attributes{NodeKey, GroupKey, PeerKey, TermKey, IndexKey, BatchEntriesKey, OutcomeKey}, events{EventAbandoned}}
	// Commit is the wait for a quorum.
	Commit = &SpanType{"raft.commit", trace.SpanKindInternal, under{"raft.propose"}, byLeader,
		attributes{NodeKey, GroupKey}, events{EventAcknowledged, EventAbandoned}}
	// Apply is the state machine's work on the batch that holds the entry.
	Apply = &SpanType{"raft.apply", trace.SpanKindInternal, under{"raft.propose"}, byLeader,
		attributes{NodeKey, GroupKey, BatchEntriesKey}, nil}
)

// The spans of everything else.
var (
	// Read is a read's way to its index.
	Read = &SpanType{"raft.read", trace.SpanKindInternal, under{""}, byProposer,
		attributes{NodeKey, GroupKey, ModeKey, IndexKey}, nil}
	// ReadConfirm is the wait for the leader to be sure that it leads.
	ReadConfirm = &SpanType{"raft.read.confirm", trace.SpanKindInternal, under{"raft.read"}, byProposer,
		attributes{NodeKey, GroupKey, IndexKey}, events{EventAgain, EventConfirmed}}
	// ReadIndex is the leader's part of a read that another node was asked for.
	ReadIndex = &SpanType{"raft.read.index", trace.SpanKindServer, under{"raft.read.confirm"}, byLeader,
		attributes{NodeKey, GroupKey, PeerKey, IndexKey, OutcomeKey}, events{EventConfirmed, EventAbandoned}}
	// ReadApplyWait is the wait for the state machine of this node.
	ReadApplyWait = &SpanType{"raft.read.apply_wait", trace.SpanKindInternal, under{"raft.read"}, byProposer,
		attributes{NodeKey, GroupKey, IndexKey}, nil}
	// Election is one attempt to become the leader, pre-vote and vote.
	Election = &SpanType{"raft.election", trace.SpanKindInternal, under{"", "raft.transfer.lead"}, "the candidate",
		attributes{NodeKey, GroupKey, TermKey, OutcomeKey}, events{EventCampaign, EventVote}}
	// Vote is what a voter makes of a request, until its answer leaves.
	Vote = &SpanType{"raft.vote", trace.SpanKindServer, under{"raft.election"}, "the voter",
		attributes{NodeKey, GroupKey, PeerKey, TermKey, PreKey, GrantedKey, ReasonKey}, events{EventAbandoned}}
	// Transfer is a transfer of leadership, from the question to the new leader.
	Transfer = &SpanType{"raft.transfer", trace.SpanKindInternal, under{""}, byProposer,
		attributes{NodeKey, GroupKey, PeerKey, TermKey}, nil}
	// TransferLead is the leader's part of it, and all of one that the leader begins by
	// itself.
	TransferLead = &SpanType{"raft.transfer.lead", trace.SpanKindInternal, under{"raft.transfer", ""}, byLeader,
		attributes{NodeKey, GroupKey, PeerKey, TermKey, ReasonKey}, events{EventTold}}
	// StepDown is a leader's way out of office, from when it was found that it cannot
	// work, if that is why.
	StepDown = &SpanType{"raft.step_down", trace.SpanKindInternal, under{""}, byLeader,
		attributes{NodeKey, GroupKey, TermKey, ReasonKey, OutcomeKey}, events{EventAbandoned}}
	// Leading is what the application runs while the node leads, from the call to the
	// return of its function.
	Leading = &SpanType{"raft.leading", trace.SpanKindInternal, under{""}, byLeader,
		attributes{NodeKey, GroupKey, TermKey}, events{EventContextEnded}}
	// Change is a change of the members, from the question to the last configuration.
	Change = &SpanType{"raft.change", trace.SpanKindInternal, under{""}, byProposer,
		attributes{NodeKey, GroupKey, ChangesKey, ChangeKey, IndexKey}, nil}
	// ChangeLead is a leader's part of it, from the first configuration to the last.
	ChangeLead = &SpanType{"raft.change.lead", trace.SpanKindInternal, under{"raft.change", ""}, byLeader,
		attributes{NodeKey, GroupKey, TermKey, IndexKey, ChangesKey}, events{EventConfiguration, EventCatchUp, EventAbandoned}}
	// SnapshotBuild is the writing of a snapshot.
	SnapshotBuild = &SpanType{"raft.snapshot.build", trace.SpanKindInternal, under{""}, byAny,
		attributes{NodeKey, GroupKey, TermKey, IndexKey, SnapshotBytesKey}, nil}
	// Backup is the writing of the state for somebody outside.
	Backup = &SpanType{"raft.backup", trace.SpanKindInternal, under{""}, byAny,
		attributes{NodeKey, GroupKey, TermKey, IndexKey, SnapshotBytesKey}, nil}
	// SnapshotSend is a transfer to one peer.
	SnapshotSend = &SpanType{"raft.snapshot.send", trace.SpanKindClient, under{""}, byLeader,
		attributes{NodeKey, GroupKey, PeerKey, TermKey, IndexKey, SnapshotBytesKey, SparedBytesKey}, events{EventResumed, EventProgress}}
	// SnapshotReceive is the transfer as the peer sees it.
	SnapshotReceive = &SpanType{"raft.snapshot.receive", trace.SpanKindServer, under{"raft.snapshot.send"}, byPeer,
		attributes{NodeKey, GroupKey, PeerKey, TermKey, IndexKey, SnapshotBytesKey}, events{EventProgress}}
	// SnapshotInstall is the restoring of the state machine.
	SnapshotInstall = &SpanType{"raft.snapshot.install", trace.SpanKindInternal, under{"raft.snapshot.receive", ""}, byPeer,
		attributes{NodeKey, GroupKey, TermKey, IndexKey, SnapshotBytesKey}, nil}
	// Bootstrap is the forming of a cluster, until it is complete.
	Bootstrap = &SpanType{"raft.bootstrap", trace.SpanKindInternal, under{""}, byProposer,
		attributes{NodeKey, GroupKey, MembersKey}, events{EventBegun}}
	// Recover is the reading of what is stored, when a group is started.
	Recover = &SpanType{"raft.recover", trace.SpanKindInternal, under{""}, byAny,
		attributes{NodeKey, GroupKey, TermKey, IndexKey}, events{EventPromise, EventLog, EventSnapshot, EventMachine}}
)

// EventAttributes are the attributes of an event, none for most.
func EventAttributes(event string) []attribute.Key {
	switch event {
	case EventAbandoned, EventContextEnded:
		return attributes{ReasonKey}
	case EventAcknowledged, EventConfirmed:
		return attributes{PeerKey}
	case EventConfiguration:
		return attributes{IndexKey}
	case EventCatchUp:
		return attributes{PeerKey, IndexKey, ProgressKey}
	case EventCampaign:
		return attributes{TermKey}
	case EventVote:
		return attributes{PeerKey, GrantedKey, PreKey}
	case EventProgress:
		return attributes{ArrivedBytesKey, BytesPerSecondKey}
	}
	return nil
}

// Spans is the table: every span that troupe records. A span that failed has
// the status Error, with the error as its description.
func Spans() []*SpanType {
	return []*SpanType{
		Propose, ProposeForwarded, Queue, Forward, LogAppend, Replicate, Append, Commit, Apply,
		Read, ReadConfirm, ReadIndex, ReadApplyWait,
		Election, Vote, Transfer, TransferLead, StepDown, Leading, Change, ChangeLead, SnapshotBuild, Backup, SnapshotSend, SnapshotReceive, SnapshotInstall,
		Bootstrap, Recover,
	}
}
