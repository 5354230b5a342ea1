package core

import (
	"fmt"
	"strings"

	"github.com/trouperaft/troupe/membership"
)

// Command is the sealed set of what an engine wants done. Commands are carried
// out in their order. A command is valid until the next Step with the same
// Output; what it points to (entries, messages, configurations) is immutable
// and may be kept.
type Command interface{ isCommand() }

// Write is one write of the group's ordered stream of writes. Its parts are
// carried out in the order of the fields, and it is durable as a whole before
// anything in Then is sent. IOIDs count up by one.
type Write struct {
	IOID IOID
	// Submitted is when the engine decided on it.
	Submitted Instant
	// HardState, if SaveHardState is set, replaces the saved one.
	SaveHardState bool
	HardState     HardState
	// Reset, if its index is not 0, empties the log: Reset becomes both its
	// last and its purged id.
	Reset LogID
	// TruncateFrom, if not 0, removes all entries from that index on.
	TruncateFrom Index
	// Append follows the last entry without a hole.
	Append []Entry
	// Purge, if its index is not 0, removes all entries up to it; the store may
	// take its time over the space.
	Purge LogID
	// Commit is a commit index that the store may save with the rest, 0 if not
	// known. It is a hint that shortens a restart.
	Commit Index
	// Then are the answers that depend on this write (rule 3). The log actor
	// sends them when the write is durable.
	Then []Message
}

// Empty reports whether the write changes nothing and only carries answers.
func (w *Write) Empty() bool {
	return !w.SaveHardState && w.Reset.Index == 0 && w.TruncateFrom == 0 && len(w.Append) == 0 && w.Purge.Index == 0
}

// Send sends a message, now. If it cannot be sent it is dropped.
type Send struct{ Message Message }

// StartStream begins replication to a peer, which package stream is about.
type StartStream struct {
	Peer membership.Member
	// Stream is the id of the stream. No two of one term have the same.
	Stream uint64
	Term   Term
	// Terms are the term runs of the leader's log at its election, from the
	// oldest entry that the log holds: the first LogID of each run, the last
	// run being the leader's own term.
	Terms []LogID
	// Purged is the last entry that the log no longer holds.
	Purged LogID
	// Last is the leader's last entry.
	Last Index
	// Introduces: the peer is to be told the cluster's id until it has
	// acknowledged something (rule 27).
	Introduces bool
}

// Floor returns the last entry of the leader's log, as it was when the stream began,
// at or below bound.Index whose term is not above bound.Term: a log that holds bound
// cannot agree with it beyond that. Below the purged entry nothing is known and it
// returns zero.
func (c *StartStream) Floor(bound LogID) LogID {
	log := termRuns{purged: c.Purged, last: LogID{c.Purged.Term, max(c.Last, c.Purged.Index)}, runs: c.Terms}
	// The term of the last entry before the leader's own, or its own entry if a run of
	// its term is known.
	for _, run := range c.Terms {
		if run.Index <= log.last.Index {
			log.last.Term = run.Term
		} else {
			log.last = run
		}
	}
	return log.floor(bound)
}

// StopStream ends replication to a peer.
type StopStream struct {
	Peer   Identity
	Stream uint64
}

// Replicate tells all streams that the log reaches to Last and is committed up
// to Commit.
type Replicate struct {
	Last   Index
	Commit Index
}

// PeerAlive tells the stream of a peer what a heartbeat's answer said. Sent is
// when the answered round was begun.
type PeerAlive struct {
	Peer   Identity
	Stream uint64
	Match  Index
	Sent   Instant
}

// Apply lets the state machine apply everything up to UpTo.
type Apply struct{ UpTo Index }

// ArmTimer sets or replaces a timer.
type ArmTimer struct {
	Timer      Timer
	At         Instant
	Generation uint64
}

// CancelTimer ends a timer.
type CancelTimer struct{ Timer Timer }

// BuildSnapshot asks for a snapshot of what is applied: SnapshotBuilt ends it.
//
// Record: a record is enough, of what the machine has made durable (rule 8), if that is
// above the index Above. Else a snapshot is built all the same. The snapshots below
// Unneeded may be removed with the record.
type BuildSnapshot struct {
	Record          bool
	Above, Unneeded Index
}

// SendSnapshot asks for a snapshot to be sent: SnapshotSent ends it.
type SendSnapshot struct {
	Peer   membership.Member
	Stream uint64
	Term   Term
	// Introduces: the peer is to be told the cluster's id (rule 27).
	Introduces bool
	// Resume, if not zero, is the snapshot of which the peer has a part, and with which
	// the log goes on: a newer one does not take its place (rule 25). If it is not there
	// any more the newest is sent.
	Resume LogID
}

// ReceiveChunk hands an accepted chunk to the snapshot receiver, which answers
// it and at the end reports SnapshotReceived.
type ReceiveChunk struct{ Chunk *SnapshotChunk }

// InstallSnapshot asks for the state machine to be restored from the stored
// snapshot with this LogID, and older snapshots to be removed afterwards:
// SnapshotInstalled ends it. No Apply is carried out in between.
type InstallSnapshot struct{ Meta SnapshotMeta }

// SnapshotMade answers a MakeSnapshot. Meta is that of this node's newest snapshot. Err
// says why there is none: ErrNotNow, ErrNoCluster, or why it could not be built.
type SnapshotMade struct {
	ID   uint64
	Meta SnapshotMeta
	Err  error
}

// PurgeEnded answers a PurgeLog. First is the first index that the log holds then, or
// would hold if it is empty; it is at most the one asked for where the log is held for
// others. Err is nil or a *PurgeError.
type PurgeEnded struct {
	ID    uint64
	First Index
	Err   error
}

// ReadReady answers a ReadRequest: the read may be served from a state machine
// that has applied Index.
type ReadReady struct {
	ID    uint64
	Index Index
}

// ReadFailed answers a ReadRequest that has to be asked again, with a new ID:
// the leader is not known, or changed; or that is refused, if Err is set.
type ReadFailed struct {
	ID  uint64
	Err error
}

// ElectEnded answers an Elect. Err is nil if this node leads Term, else an
// *ElectError.
type ElectEnded struct {
	ID   uint64
	Term Term
	Err  error
}

// TransferEnded answers a TransferLeadership. Err is nil if Leader has committed an
// entry of Term, which it leads; else a *TransferError or a *NotLeaderError.
type TransferEnded struct {
	ID     uint64
	Leader NodeID
	Term   Term
	Err    error
}

// ChangeEnded answers a ChangeMembers.
type ChangeEnded struct {
	ID uint64
	// Change is the one that was begun or joined, 0 if none was. If it goes on, Since is
	// when it was asked for, as in its ChangeStatus.
	Change membership.ChangeID
	Since  int64
	// GoesOn: nobody waits for it any more, and it goes on. Otherwise it has come to
	// its end, or it failed, and Err says why: one of the errors of change_error.go, a
	// *membership.ChangeError, a *NotLeaderError, ErrTermChanged, ErrOverloaded,
	// ErrNotReady, or an *UnknownOutcomeError.
	GoesOn bool
	Err    error
	// At is the configuration that it ended with, or the one in force if it goes on or
	// has changed nothing.
	At ConfigurationAt
	// Steps are the configurations that were only asked for.
	Steps []membership.Configuration
}

// BreakConnection breaks a connection whose peer answers on others only
// (rule 16).
type BreakConnection struct {
	Node  NodeID
	Class Class
}

// Changed says that the role, the term or the known leader changed, or whether
// proposals are admitted (Ready).
type Changed struct {
	Role   Role
	Term   Term
	Leader NodeID
	Ready  bool
	// LeaderIdentity is who Leader is: while it is replaced, two incarnations of a node
	// are members. Removed: this node was removed from the group.
	LeaderIdentity Identity
	Removed        bool
}

// DialMembers lets requests reach the members of a bootstrap.
type DialMembers struct {
	Members []membership.Member
	// Kept: this is only where they once were. Where somebody says better, that counts.
	Kept bool
}

// BootstrapEnded ends what a Bootstrap event began. Err is nil if the group now
// belongs to a cluster that was founded with the list, whoever began it; else a
// *BootstrapError, and nothing was begun here.
type BootstrapEnded struct{ Err error }

// ConfigurationChanged says that another configuration is in force: a later
// entry's, or an earlier one's after a truncation.
type ConfigurationChanged struct{ At ConfigurationAt }

// Notice is something worth telling the operator. It is rare and never
// repeated within a short time. Most are the engine's; those of snapshots,
// configurations, of what runs while this node leads, and of the group's end are given
// by who runs it.
type Notice struct {
	Kind NoticeKind
	// Peer is the other node, if there is one.
	Peer Identity
	// Known is what was expected, of the kinds that say so.
	Known Identity
	Term  Term
	Index Index
	Text  string
}

// NoticeKind sorts notices.
type NoticeKind uint8

const (
	// NoticeElectionStarted: this node asks for votes in Term.
	NoticeElectionStarted NoticeKind = iota + 1
	// NoticeElected: this node leads Term.
	NoticeElected
	// NoticeSteppedDown: this node led Term and does no more; Text says why.
	NoticeSteppedDown
	// NoticeNewLeader: this node follows Peer in Term.
	NoticeNewLeader
	// NoticeLostData: Peer answers, and is not the incarnation Known that the
	// group has as a member: its data was lost. It is not counted. Or Peer is
	// Known, and denies what it had acknowledged, up to Index.
	NoticeLostData
	// NoticeUnknownToGroup: the group Peer speaks for knows this node as
	// another incarnation, Known.
	NoticeUnknownToGroup
	// NoticeOtherCluster: Peer speaks to this group and does not prove to know its
	// cluster: it belongs to another one, or to none.
	NoticeOtherCluster
	// NoticeConnectionBroken: the bulk connection to Peer was broken because
	// its heartbeats are answered and its entries are not.
	NoticeConnectionBroken
	// NoticeBootstrapped: the cluster consists of the members it was asked for.
	NoticeBootstrapped
	// NoticeContradiction: Peer said what no correct peer can say; Text tells
	// what. It was not heeded.
	NoticeContradiction
	// NoticeTermAhead: Peer is in Term, so far above this cluster's that its leader
	// does not heed it (rule 32).
	NoticeTermAhead
	// NoticeConfigurationChanged: the entry Index of Term brought another
	// configuration into force, or a truncation that of an earlier one; Text
	// writes it out.
	NoticeConfigurationChanged
	// NoticeSnapshotBuilt: this node has made a snapshot up to Index.
	NoticeSnapshotBuilt
	// NoticeSnapshotSent: Peer has the snapshot up to Index.
	NoticeSnapshotSent
	// NoticeSnapshotInstalled: this node's state machine was replaced by the
	// snapshot up to Index.
	NoticeSnapshotInstalled
	// NoticeSnapshotProgress: a quarter more of the snapshot up to Index is there, that is
	// sent to Peer or received from it. Text has bytes, rate and estimate.
	NoticeSnapshotProgress
	// NoticeSnapshotFailed: a snapshot could not be made, or its transfer to
	// Peer has ended early and will be tried again; Text says why where it is
	// known.
	NoticeSnapshotFailed
	// NoticeTransferStarted: this node, which leads Term, begins to hand over to Peer.
	// Text says why if nobody has asked for it.
	NoticeTransferStarted
	// NoticeTransferred: the leadership that this node had in Term is handed over to
	// Peer.
	NoticeTransferred
	// NoticeTransferFailed: this node led Term, and its hand-over to Peer has failed;
	// Text says why.
	NoticeTransferFailed
	// NoticeCannotWork: this node leads Term, and its disk or its state machine keeps it
	// from that; Text says what. It hands over as soon as a voter that may lead
	// answers. NoticeWorksAgain: it does so no more, for it is well again.
	NoticeCannotWork
	NoticeWorksAgain
	// NoticeElectionsPaused: the elections of every other voter of the group that this
	// node leads are paused: nobody takes over if it fails.
	NoticeElectionsPaused
	// NoticeChangeStarted: this node, which leads Term, has begun the change of the
	// members that Text tells, at Index.
	NoticeChangeStarted
	// NoticeCatchUpProgress: Peer, for whom a change waits that this node leads in Term,
	// has come another quarter of its way nearer, and has everything up to Index. Text has
	// the rate, what is to go, and an estimate.
	NoticeCatchUpProgress
	// NoticeChangeEnded: the change of the members that Text tells is complete, at Index.
	NoticeChangeEnded
	// NoticeChangeGivenUp: the change of the members that Text tells was given up, at
	// Index.
	NoticeChangeGivenUp
	// NoticeAddressesWritten: this node, which leads Term, has written into the
	// configuration, at Index, where members are that have moved; Text names them.
	NoticeAddressesWritten
	// NoticeAutopilotActs: this node, which leads Term, changes the members by itself
	// because of Peer; Text says what, and why. NoticeAutopilotRefuses: it does not,
	// although something is the matter with Peer; Text says why not.
	NoticeAutopilotActs
	NoticeAutopilotRefuses
	// NoticeRemoved: this node is no member of the group any more: the committed
	// configuration of the entry Index of Term does not have it.
	NoticeRemoved
	// NoticeLeftBehind: Peer, a member of this node's cluster, says that its group was
	// recovered without this node (PlanRecovery). It has not proved it.
	NoticeLeftBehind
	// NoticeEntryTooLarge: Peer lacks the entry Index, and no message to it takes that, for
	// a limit was lowered. It gets a snapshot in its place when the entry is committed.
	NoticeEntryTooLarge
	// NoticeClock: this node leads Term, and its wall clock and the time of the group's
	// entries differ by more than an hour, or have just ceased to; Text says how.
	NoticeClock
	// NoticeFailed: the group has failed on this node and ends; Text is the cause.
	NoticeFailed
	// NoticeLeadingStarted: what the application runs while this node leads was called
	// for Term.
	NoticeLeadingStarted
	// NoticeLeadingEnded: it has returned; Text says what had ended its context, or how it
	// ended otherwise.
	NoticeLeadingEnded
	// NoticeLeadingOverdue: its context ended a while ago, and it has not returned; Text
	// says more.
	NoticeLeadingOverdue
	// NoticeLogLetGo: the log is not kept for Peer any more, which has it up to Index or
	// is being sent a snapshot of that: it will need a newer snapshot. Text says why.
	// Without a Peer it is not kept for somebody who follows it on this node.
	NoticeLogLetGo
	// NoticeVersion: the state machine of Peer, which may be this node, is of too old a
	// version for what is at Index: an entry that it is to apply, or a snapshot that it
	// needs. Text says which versions.
	NoticeVersion
	// NoticeRecorded: this node has recorded that its state machine holds everything up to
	// Index, which takes the place of a snapshot.
	NoticeRecorded

	noticeKindsEnd
)

var noticeNames = [noticeKindsEnd]string{
	NoticeElectionStarted:      "election started",
	NoticeElected:              "elected",
	NoticeSteppedDown:          "stepped down",
	NoticeNewLeader:            "new leader",
	NoticeLostData:             "a member has lost its data",
	NoticeUnknownToGroup:       "this node is unknown to the group",
	NoticeOtherCluster:         "a stranger to the cluster",
	NoticeConnectionBroken:     "connection broken",
	NoticeBootstrapped:         "cluster complete",
	NoticeContradiction:        "a contradiction",
	NoticeTermAhead:            "a term out of reach",
	NoticeConfigurationChanged: "configuration changed",
	NoticeSnapshotBuilt:        "snapshot built",
	NoticeSnapshotSent:         "snapshot sent",
	NoticeSnapshotInstalled:    "snapshot installed",
	NoticeSnapshotProgress:     "snapshot progresses",
	NoticeSnapshotFailed:       "snapshot failed",
	NoticeTransferStarted:      "transfer started",
	NoticeTransferred:          "leadership transferred",
	NoticeTransferFailed:       "transfer failed",
	NoticeCannotWork:           "a leader that cannot work",
	NoticeWorksAgain:           "a leader that works again",
	NoticeElectionsPaused:      "elections are paused everywhere",
	NoticeChangeStarted:        "change of the members started",
	NoticeCatchUpProgress:      "catch-up progresses",
	NoticeChangeEnded:          "change of the members ended",
	NoticeChangeGivenUp:        "change of the members given up",
	NoticeAddressesWritten:     "addresses written",
	NoticeAutopilotActs:        "the autopilot acts",
	NoticeAutopilotRefuses:     "the autopilot refuses",
	NoticeRemoved:              "this node was removed",
	NoticeLeftBehind:           "recovered without this node",
	NoticeEntryTooLarge:        "an entry too large to send",
	NoticeClock:                "a wall clock that jumped",
	NoticeFailed:               "the group has failed",
	NoticeLeadingStarted:       "OnLeading started",
	NoticeLeadingEnded:         "OnLeading ended",
	NoticeLeadingOverdue:       "OnLeading does not return",
	NoticeLogLetGo:             "the log is not kept any more",
	NoticeVersion:              "a state machine is of too old a version",
	NoticeRecorded:             "machine recorded",
}

// String returns a few words: "election started", "elected" and so on.
func (k NoticeKind) String() string {
	if k == 0 || k >= noticeKindsEnd {
		return "unknown notice"
	}
	return noticeNames[k]
}

// String writes the kind and the fields that say something.
func (n Notice) String() string {
	var b strings.Builder
	b.WriteString(n.Kind.String())
	add := func(says bool, name string, value any) {
		if says {
			fmt.Fprintf(&b, ", %s %v", name, value)
		}
	}
	add(n.Term != 0, "term", n.Term)
	add(!n.Peer.IsZero(), "peer", n.Peer)
	add(!n.Known.IsZero(), "known", n.Known)
	add(n.Index != 0, "index", n.Index)
	if n.Text != "" {
		b.WriteString(": " + n.Text)
	}
	return b.String()
}

func (*Write) isCommand()                {}
func (*Send) isCommand()                 {}
func (*StartStream) isCommand()          {}
func (*StopStream) isCommand()           {}
func (*Replicate) isCommand()            {}
func (*PeerAlive) isCommand()            {}
func (*Apply) isCommand()                {}
func (*ArmTimer) isCommand()             {}
func (*CancelTimer) isCommand()          {}
func (*BuildSnapshot) isCommand()        {}
func (*SendSnapshot) isCommand()         {}
func (*ReceiveChunk) isCommand()         {}
func (*InstallSnapshot) isCommand()      {}
func (*PurgeEnded) isCommand()           {}
func (*SnapshotMade) isCommand()         {}
func (*ReadReady) isCommand()            {}
func (*ReadFailed) isCommand()           {}
func (*ElectEnded) isCommand()           {}
func (*TransferEnded) isCommand()        {}
func (*ChangeEnded) isCommand()          {}
func (*BreakConnection) isCommand()      {}
func (*Changed) isCommand()              {}
func (*DialMembers) isCommand()          {}
func (*BootstrapEnded) isCommand()       {}
func (*ConfigurationChanged) isCommand() {}
func (*Notice) isCommand()               {}
