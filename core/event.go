package core

import (
	"time"

	"github.com/trouperaft/troupe/membership"
)

// Event is the sealed set of what an engine reacts to: the messages of other
// nodes, and the types of this file. The caller may reuse an event as soon as
// Step has returned, but never what a message or an entry points to.
type Event interface{ isEvent() }

// Propose asks the leader to append entries, of which Kind and Data are set.
// Step stamps and takes those that it admits; the caller must not touch them
// afterwards. Where nobody leads, or not this node, nothing is admitted.
type Propose struct {
	Entries []Entry
	// Time is the caller's wall clock in nanoseconds since 1970 UTC.
	Time int64
	// ExpectedTerm, if not 0, refuses the batch in any other term.
	ExpectedTerm Term

	// Admitted is set by Step: the first so many entries were appended, with
	// consecutive indexes from First on. Err says why the others were not:
	// *NotLeaderError, ErrNotReady, ErrOverloaded, ErrTermChanged. Of those
	// others nothing has happened.
	Admitted int
	First    LogID
	Err      error
}

// Bootstrap forms a new cluster out of members, of which id, address, priority
// and tags count: who they are they are asked (rules 19, 31). Cluster and Time,
// a wall clock in nanoseconds since 1970 UTC, are for the first entry, if it is
// this node that begins. A member that nothing is heard of for AskLimit ends it.
//
// Step sets Err if it is refused at once, or Done if the group belongs to a
// cluster of this list already. Else a BootstrapEnded command tells the
// outcome, also of what was under way already with the same list: it is joined.
// Whether the cluster is complete shows in the status.
type Bootstrap struct {
	Cluster  ClusterID
	Members  []membership.Member
	Time     int64
	AskLimit time.Duration

	Done bool
	Err  error
}

// BootstrapCancelled says that nobody waits for a bootstrap any more: it ends
// without a BootstrapEnded, unless the cluster was begun.
type BootstrapCancelled struct{}

// ReadRequest asks for a read index. It is answered by a ReadReady or a
// ReadFailed command with the same ID, at once or later. An ID is used once in
// the life of an engine.
type ReadRequest struct {
	ID uint64
	// Lease: the leader may answer by its lease while that lasts (rule 12). Where it
	// does not, the read joins a round as any other does.
	Lease bool
}

// ReadCancelled says that nobody waits for a ReadRequest any more, which is not answered
// then.
type ReadCancelled struct{ ID uint64 }

// Elect asks for a campaign of this node, now or when its own lease promise and
// quiet period end. An ElectEnded command with the same ID tells what came of it,
// at once or later. It is an error under a leader that lives. An ID is used once in
// the life of an engine.
type Elect struct{ ID uint64 }

// ElectCancelled says that whoever asked for an Elect waits no more: its ElectEnded
// comes at once, with Cause and whether the campaign goes on all the same. One that was
// not begun and that nobody else waits for is not begun.
type ElectCancelled struct {
	ID    uint64
	Cause error
}

// PauseElections says whether this node shall neither campaign nor be handed the
// leadership from now on. It still votes, and leads on if it leads. It is forgotten
// when the group stops.
type PauseElections struct{ Paused bool }

// TransferLeadership asks for the leadership to be handed to another voter, 0 for
// the best. On another node than the leader it is passed on to the leader. A
// TransferEnded command with the same ID tells what came of it, at once or later. An
// ID is used once in the life of an engine.
type TransferLeadership struct {
	ID uint64
	To NodeID
	// Not are nodes that are not the best, whatever they are. It is for whoever has
	// tried them, and is heeded on the leader only.
	Not []NodeID
	// ByHand: somebody wants it so. The automatic hand-over to a higher priority
	// rests for a while after it.
	ByHand bool
	// Own: only if this node leads. Otherwise it ends with a *NotLeaderError.
	Own bool
}

// TransferCancelled says that whoever asked for a TransferLeadership waits no more:
// its TransferEnded comes at once, with Cause and whether it may have happened. If
// nobody else waits for it and the target was not told yet, nothing is handed over.
type TransferCancelled struct {
	ID    uint64
	Cause error
}

// RenewTerm asks the leader of a term to win a new one: what the application ran in
// Term has ended, because the lease had run out, and the next run needs a term of its
// own. To who does not lead Term it is nothing.
type RenewTerm struct{ Term Term }

// ChangeOrder is what is asked for of the members, and under which conditions.
type ChangeOrder struct {
	// Order names the change and says what it does. Its Since is by the clock of who asks.
	membership.Order
	// ExpectedTerm and ExpectedIndex, if not 0, refuse it in any other term, and if the
	// configuration in force is that of another entry.
	ExpectedTerm  Term
	ExpectedIndex Index
	// DryRun: it is only asked what would be appended.
	DryRun bool
	// Cancel: the change that is under way is to be given up. Nothing but ExpectedTerm
	// counts beside it.
	Cancel bool
}

// ChangeMembers asks for a change of the members, or for one to be given up. On
// another node than the leader it is passed on, and on again where a leader leaves
// office before it has answered: the order's ID keeps it one change. A ChangeEnded
// command with the same ID tells what came of it, at once or later. An ID is used once
// in the life of an engine.
type ChangeMembers struct {
	ID    uint64
	Order ChangeOrder
	// NoWait: it ends when the change's first entry is appended.
	NoWait bool
	// Time is the caller's wall clock in nanoseconds since 1970 UTC.
	Time int64
}

// ChangeWaitEnded says that whoever asked for a ChangeMembers waits no more: its
// ChangeEnded comes at once. The change goes on.
type ChangeWaitEnded struct {
	ID    uint64
	Cause error
}

// TimerFired says that a timer came due. A firing whose generation is not that
// of the timer's last ArmTimer is ignored.
type TimerFired struct {
	Timer      Timer
	Generation uint64
}

// Flushed says that all writes of the group up to IOID are durable: a
// watermark (rule 1).
type Flushed struct{ IOID IOID }

// Applied says that the state machine has applied everything up to LogID.
type Applied struct{ LogID LogID }

// Matched says that a stream learned of its peer's durable match. A notice of
// another stream than the running one is ignored.
type Matched struct {
	Peer   Identity
	Stream uint64
	Match  Index
}

// SnapshotNeeded says that a stream's peer needs entries that the log no longer
// holds, or that no message takes. It is said when that is found, and again at each
// answer to a heartbeat until a snapshot was sent, also while one is on its way.
type SnapshotNeeded struct {
	Peer   Identity
	Stream uint64
	// Through, if not 0, is an entry that is too large for any message to the peer: the
	// snapshot must reach so far.
	Through Index
}

// LostData says that a stream's peer denies, under its incarnation, what it had
// acknowledged to the stream. A notice of another stream than the running one is
// ignored.
type LostData struct {
	Peer   Identity
	Stream uint64
}

// PeerProgress says how many bytes of a class have left to a node since the process
// began, whenever that has grown while a peer there lacks entries. It is optional:
// where nobody tells, only what peers accept shows that entries pass. Classes but ClassBulk and ClassSnapshot are
// ignored. Inflight is how many bytes of entries, of all groups, are on their way
// to the node and not answered, 0 if that is not known.
type PeerProgress struct {
	Node     NodeID
	Class    Class
	Bytes    uint64
	Inflight uint64
	// Shared: some of that belongs to other groups.
	Shared bool
}

// HigherTerm says that a stream's peer answered with a higher term (Raft 5.1).
type HigherTerm struct {
	From Identity
	Term Term
}

// SnapshotBuilt ends a BuildSnapshot command. Err is set if it failed, or wraps ErrNotNow
// if the machine gives no view now; the engine tries again later. Record: a record was
// made durable, and no snapshot.
type SnapshotBuilt struct {
	Meta   SnapshotMeta
	Record bool
	Err    error
}

// MakeSnapshot asks for a snapshot by hand; it joins one that is being made. A
// SnapshotMade command with the same ID answers it, at once or later.
type MakeSnapshot struct{ ID uint64 }

// SetSnapshotPolicy changes the policy, until the engine ends.
type SetSnapshotPolicy struct{ Policy SnapshotPolicy }

// SnapshotProgress says that the receiver of a snapshot has acknowledged more of it since
// this was said last. It is said at most once an election time-out.
type SnapshotProgress struct {
	Peer   Identity
	Stream uint64
}

// PurgeLog asks for the log to be purged up to UpTo, whatever the policy keeps; what is
// held for others stays as long as it is held. A PurgeEnded command with the same ID
// answers it, at once or when the purge is durable.
type PurgeLog struct {
	ID   uint64
	UpTo Index
}

// FollowLog says that somebody on this node follows the log, and has yet to be given
// Next and what comes behind: it is kept for him within the bounds. Next 0 says that he
// does so no more. An ID is used for one of them in the life of an engine.
type FollowLog struct {
	ID   uint64
	Next Index
}

// LetGoOfLog asks for less to be held for others, now: at most BytesMax, so that the
// slowest are let go of. Why says for whose sake. It changes no bound.
type LetGoOfLog struct {
	BytesMax uint64
	Why      LetGo
}

// SnapshotSent ends a SendSnapshot command. OK: the peer has the whole file. If not,
// Reason says what the peer has against it, or why it cannot be read; it is empty if the
// transfer broke. Rotten: it is not what was written; LogID is zero if nobody knows which.
// Gone: there was none any more when its turn came.
type SnapshotSent struct {
	Peer         Identity
	Stream       uint64
	LogID        LogID
	OK           bool
	Reason       string
	Rotten, Gone bool
}

// SnapshotReceived says that a snapshot arrived from the leader whole, verified
// and durable. Term and Stream are those of its chunks.
type SnapshotReceived struct {
	Meta   SnapshotMeta
	From   Identity
	Term   Term
	Stream uint64
}

// SnapshotInstalled ends an InstallSnapshot command: the state machine was
// restored.
type SnapshotInstalled struct{ LogID LogID }

// MachineTooOld says that the entry at Index is to be applied next, and that it needs a
// version of the state machine which this node's does not have: nothing is applied here
// any more.
type MachineTooOld struct {
	Index Index
	Needs uint64
}

// StoreBusy says since when the store's write under way has been, behind which those
// of all groups on it wait; Since is 0 if there is none that has been for long. It is
// optional: where nobody says it, only a group's own writes show that the disk hangs.
type StoreBusy struct{ Since Instant }

// PeerAddress says at which address this node has reached a peer, which proved itself
// there; a later one takes its place, and "" takes it away. It is optional: where nobody
// says it, no address is written into the configuration.
type PeerAddress struct {
	Peer    Identity
	Address string
}

// PeerDown says that the connection to a node broke, or cannot be made, and why.
type PeerDown struct {
	Node  NodeID
	Class Class
	Cause error
}

func (*Propose) isEvent()            {}
func (*Bootstrap) isEvent()          {}
func (*BootstrapCancelled) isEvent() {}
func (*ReadRequest) isEvent()        {}
func (*ReadCancelled) isEvent()      {}
func (*Elect) isEvent()              {}
func (*ElectCancelled) isEvent()     {}
func (*PauseElections) isEvent()     {}
func (*TransferLeadership) isEvent() {}
func (*TransferCancelled) isEvent()  {}
func (*RenewTerm) isEvent()          {}
func (*TimerFired) isEvent()         {}
func (*Flushed) isEvent()            {}
func (*Applied) isEvent()            {}
func (*Matched) isEvent()            {}
func (*SnapshotNeeded) isEvent()     {}
func (*HigherTerm) isEvent()         {}
func (*SnapshotBuilt) isEvent()      {}
func (*SnapshotSent) isEvent()       {}
func (*SnapshotProgress) isEvent()   {}
func (*MakeSnapshot) isEvent()       {}
func (*SetSnapshotPolicy) isEvent()  {}
func (*PurgeLog) isEvent()           {}
func (*FollowLog) isEvent()          {}
func (*LetGoOfLog) isEvent()         {}
func (*SnapshotReceived) isEvent()   {}
func (*SnapshotInstalled) isEvent()  {}
func (*PeerDown) isEvent()           {}
func (*PeerAddress) isEvent()        {}
func (*LostData) isEvent()           {}
func (*PeerProgress) isEvent()       {}
func (*StoreBusy) isEvent()          {}
func (*MachineTooOld) isEvent()      {}
func (*ChangeMembers) isEvent()      {}
func (*ChangeWaitEnded) isEvent()    {}

// Timer names a timer of the engine. There are no others.
type Timer uint8

const (
	// TimerElection: campaign, or try again.
	TimerElection Timer = iota + 1
	// TimerHeartbeat: the leader's next round.
	TimerHeartbeat
	// TimerForming: ask the members of a bootstrap again.
	TimerForming
	// TimerTransfer: a transfer of leadership takes too long, or the leader wants a new
	// term.
	TimerTransfer
	// TimerChange: ask the leader again for a change of the members.
	TimerChange
	// TimerSnapshot: build a snapshot again that could not be built.
	TimerSnapshot
	// TimerSnapshotInterval: a snapshot is due by time.
	TimerSnapshotInterval

	timersEnd
)

// Timers is how many timers there are.
const Timers = int(timersEnd) - 1

// String returns "election", "heartbeat", "forming", "transfer", "change", "snapshot" or
// "snapshot interval".
func (t Timer) String() string {
	return [...]string{"none", "election", "heartbeat", "forming", "transfer", "change", "snapshot", "snapshot interval"}[t]
}
