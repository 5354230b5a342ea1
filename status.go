package troupe

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/trouperaft/troupe/actors"
	"github.com/trouperaft/troupe/core"
)

// Status is the state of a group at one moment, as this node knows it. It is a value
// that shares nothing with the group or with any other status.
type Status struct {
	// Group is the group, and Self this node with its incarnation.
	Group GroupID
	Self  Identity

	// Role is what this node is doing for the group, in Term.
	Role Role
	Term Term
	// Leader is the node that leads Term, 0 while none is known. Then NoLeader says,
	// for people, what this node's attempt at an election waits for, and why the
	// attempt before it ended. It is "" if this node made no attempt.
	Leader   NodeID
	NoLeader string
	// Ready: this node leads and admits proposals. It does not while it hands over.
	Ready bool
	// Priority is this node's, a number from PriorityLast to PriorityMax; 0 if it is no
	// member of the configuration in force.
	Priority uint32
	// TransferringTo is whom this leader hands over to, 0 if to nobody.
	TransferringTo NodeID
	// NeedsNewTerm: this leader wins a new term soon. Either it has told another node to
	// campaign, and leads on since that came to nothing: it answers no read alone before.
	// Or [Config.OnLeading] was ended by a lease that ran out, and is called again then.
	NeedsNewTerm bool
	// Unfit is why this node is not to be handed the leadership. It is what the leader
	// is told.
	Unfit Unfit
	// LacksMachine: this node's log is whole, and its state machine lacks what the log has
	// purged, because a snapshot or the machine's data was lost; or the machine is whole, and
	// what told its time and the members is lost. The node waits for a snapshot of the
	// leader's; until then nothing is applied here.
	LacksMachine bool
	// Version is that of this node's state machine, 0 if it tells none (storage.Versioned).
	// VersionMin is the least of all members, as the leader has told: 0 while it does not
	// know all. TooOld, if TooOld.Needs is not 0, is the first entry for which this node's
	// machine is too old: nothing is applied from there on.
	Version, VersionMin uint64
	TooOld              MachineTooOld
	// Leaving says, for people, why this node, as the leader, leaves office as soon as
	// another voter can lead: its disk or its state machine hangs. "" if it stays.
	Leaving string
	// LeftOffice says, for people, why this node no longer leads LeftTerm, the last term
	// that it led since its group was started. They are "" and 0 if it has not left
	// office.
	LeftOffice string
	LeftTerm   Term
	// LeadingTerm is the term for which Config.OnLeading was called on this node and has
	// not returned, 0 if it does not run. LeadingOverdue is how long ago its context ended,
	// 0 while that lives. It is not called for a later term before it has returned.
	LeadingTerm    Term
	LeadingOverdue time.Duration
	// ElectionsPaused: this node neither campaigns nor is handed the leadership.
	// OthersPaused: this node leads, and that is so for every other voter: nobody takes
	// over if it fails.
	ElectionsPaused, OthersPaused bool
	// LastContact is how long ago this node last heard of its leader: 0 on the
	// leader itself, -1 if it never did.
	LastContact time.Duration
	// LastQuorumContact is how long ago this node, as the leader, sent the newest
	// heartbeats that a quorum has answered. It is -1 on other nodes, and if there are
	// none in this term.
	LastQuorumContact time.Duration
	// Lease is for how long this node, as the leader, may still answer [Lease] reads by
	// itself, and no other node can be elected. While it is 0 on the leader, NoLease
	// says why, for people, and those reads take a round of heartbeats.
	Lease   time.Duration
	NoLease string

	// Last is the index of the newest entry of this node's log, Committed the
	// newest that it knows to be committed, Applied the newest that its state
	// machine has applied, and Flushed the newest that is durable here.
	Last, Committed, Applied, Flushed Index
	// Purged is the newest index that is no longer in the log, and SnapshotIndex
	// the last that this node's newest snapshot contains.
	Purged, SnapshotIndex Index
	// RecordIndex is what the newest record says that the state machine has made durable: a
	// machine that keeps its state needs no snapshot for its log to be purged. It is 0 if
	// there is none, or a snapshot of another node took its place.
	RecordIndex Index
	// FirstIndex is the first index that the log holds, or will hold if it is empty.
	// LogBytes are the sizes of the entries that it holds, and HeldBytes of those that are
	// kept for other nodes alone (see [Config.HoldBytesMax]): both within 4 KiB, or the
	// 256th part of the whole.
	FirstIndex          Index
	LogBytes, HeldBytes uint64
	// LetGo tells, for people, for whom the log was not kept any more last, and why; "" if
	// that never was since the group was started.
	LetGo string

	// Cluster is the id of the cluster, which prints as a hash; zero with RoleNone.
	Cluster ClusterID
	// Configuration has the members in force, and ConfigurationAt is the entry that
	// brought it.
	Configuration   Configuration
	ConfigurationAt LogID
	// Bootstrapping: the cluster does not yet consist of the members that it was
	// asked for. WaitsFor are the members for which it waits, and why. It is set on
	// a node that was asked to form a cluster and has not begun it, on the leader, and on the
	// others as far as the leader's last heartbeat told: the first 16.
	Bootstrapping bool
	WaitsFor      []Waiting
	// Change is the change of the members that is under way, a bootstrap's included.
	// While there is one, WaitsFor names the members that keep it.
	Change ChangeStatus
	// Joining says, for people, what [Raft.Join] waits for on this node; "" while it does
	// not run. It changes without a word of Watch.
	Joining string
	// Removed: this node was removed from the group. It campaigns no more, and keeps its
	// data. It takes no writes, and answers no reads but those for which what it has is
	// enough: [AtLeast] an index that it has applied, and [Stale] while it is as young.
	Removed bool
	// LeftOut: this node was a member, and the last configuration in its log does not have
	// it any more. If that is committed the node is Removed as soon as it hears of it.
	LeftOut bool
	// UnknownToGroup: the group knows this node under another incarnation, because
	// the node's data was lost. The node is not counted.
	UnknownToGroup bool
	// Contradiction, if not nil, is what this node has heard that no correct member
	// can say. The node answers no reads.
	Contradiction error

	// InflightProposals and InflightBytes count the proposals that were admitted on
	// this node and are not answered. WaitingProposals counts those that wait for
	// room to be admitted.
	InflightProposals, InflightBytes, WaitingProposals int

	// Peers are the other members, on the leader, in the order of their ids.
	Peers []PeerStatus

	// Receiving is how far the snapshot has come that this node receives; its TotalBytes
	// are 0 if it receives none.
	Receiving SnapshotProgress

	// Err is why the group has failed on this node, nil if it has not.
	Err error
	// Stopped: the group no longer runs on this node.
	Stopped bool
}

// PeerStatus is what a leader knows of another member.
type PeerStatus struct {
	// Identity is the ID of the member, and its Incarnation.
	Identity
	// Match is the last index that is known to be durable there and equal to the
	// leader's log.
	Match Index
	// LagEntries is how many of the leader's entries come after Match. Lag is for how
	// long the first of them has been in the leader's log, 0 if there is none. Lag is
	// never too short, and too long by a millisecond or an eighth at most. Entries
	// from before this leader count from its election.
	LagEntries uint64
	Lag        time.Duration
	// Mode is what the stream of entries to it is doing. InflightMessages and
	// InflightBytes are appends that were sent to it and are not answered.
	Mode                            StreamMode
	InflightMessages, InflightBytes int
	// LastContact is how long ago it last answered a heartbeat, -1 if it never did
	// in this term.
	LastContact time.Duration
	// SendErrors counts the group's messages to it that the network did not take
	// since the group was started here: no connection, or a full window.
	SendErrors uint64
	// LostData: another incarnation answers in its place, or it no longer holds what
	// it had acknowledged. It has to be replaced.
	LostData bool
	// Unfit is why the member is not to be handed the leadership, as far as it said.
	Unfit Unfit
	// LacksMachine: the member's log is whole, and its state machine waits for a snapshot.
	LacksMachine bool
	// Version is that of the member's state machine, 0 if it tells none or has not answered
	// this leader yet.
	Version uint64
	// Oversized, if not 0, is an entry that it lacks and that is too large for any message
	// to it, because a limit of this node's network or of its own was lowered. It gets a
	// snapshot in its place, as soon as the entry is committed and applied here.
	Oversized Index
	// CatchingUp: a change of the members waits for it to catch up, since CatchUpAge ago,
	// when Match was CatchUpFrom. CatchUpIdle ago it last came nearer.
	CatchingUp              bool
	CatchUpFrom             Index
	CatchUpAge, CatchUpIdle time.Duration
	// CatchUpBytes are the sizes of the entries that it lacks, as far as the leader's log
	// holds them. What the log has purged comes in a snapshot.
	CatchUpBytes uint64
	// CatchUpPercent is how much it has, 0 to 100, of the entries that it lacked or that
	// have come since. CatchUpRate is how many a second have come so far. CatchUpLeft is
	// how long the rest takes at that rate, or the rest of the snapshot that is on its way:
	// -1 if nothing has come yet. All are 0 if it does not catch up.
	CatchUpPercent, CatchUpRate float64
	CatchUpLeft                 time.Duration
	// Snapshot: a snapshot is on its way to the member, or waits for its turn.
	// SnapshotBytes of SnapshotTotalBytes have arrived. Both are 0 while the snapshot
	// waits, or if there is none.
	Snapshot                          bool
	SnapshotBytes, SnapshotTotalBytes uint64
	// SnapshotBytesPerSecond is how fast it has gone of late. SnapshotLeft is how long the
	// rest takes if it goes on so, -1 if nothing moves.
	SnapshotBytesPerSecond uint64
	SnapshotLeft           time.Duration
	// SnapshotSparedBytes of SnapshotTotalBytes are not sent, because the member has those
	// files of the snapshot: see storage.FileStore.
	SnapshotSparedBytes uint64
}

// SnapshotProgress is how far the snapshot has come that a node receives.
type SnapshotProgress struct {
	// Snapshot is the last entry that it contains, and From who sends it.
	Snapshot LogID
	From     Identity
	// Bytes of TotalBytes are here. They come at BytesPerSecond of late. Left is how long
	// the rest takes if it goes on so, -1 if nothing moves.
	Bytes, TotalBytes, BytesPerSecond uint64
	Left                              time.Duration
	// SparedBytes of TotalBytes do not come, because this node has them.
	SparedBytes uint64
}

// String writes the peer and its state in one line.
func (p PeerStatus) String() string {
	return fmt.Sprintf("%v: %v, match %d, %d entries and %v behind, %d messages and %d bytes in flight, last contact %v, %d send errors, snapshot %d of %d bytes",
		p.Identity, p.Mode, p.Match, p.LagEntries, p.Lag, p.InflightMessages, p.InflightBytes, p.LastContact, p.SendErrors, p.SnapshotBytes, p.SnapshotTotalBytes)
}

// StreamMode is what a stream to a peer is doing.
type StreamMode = core.StreamMode

// Modes of a stream: it looks for the point up to which the logs agree, it sends
// without waiting for answers, or its peer needs a snapshot first.
const (
	StreamProbe     = core.StreamProbe
	StreamReplicate = core.StreamReplicate
	StreamSnapshot  = core.StreamSnapshot
)

// ChangeStatus is what is known of the change of the members that is under way.
//
//   - State: how far it has come, a ChangeState such as [ChangeCatchingUp];
//   - ID: its name, 0 for a bootstrap;
//   - Since: when it was asked for, on the wall clock of who did, in nanoseconds since
//     1970 UTC; 0 if that is not known.
type ChangeStatus = core.ChangeStatus

// ChangeState is how far a change of the members has come. It prints as a few words.
type ChangeState = core.ChangeState

// How far a change of the members has come: there is none; the leader asks the nodes that
// are to come who they are; they catch up as learners, and the change can be given up; or
// the voters before and after it decide together, and it can only be finished.
const (
	ChangeIdle       = core.ChangeIdle
	ChangeAsking     = core.ChangeAsking
	ChangeCatchingUp = core.ChangeCatchingUp
	ChangeJoint      = core.ChangeJoint
)

// Unfit is why a voter is not to be handed the leadership. It prints as a few words.
type Unfit = core.Unfit

// Why a voter is not to be handed the leadership: nothing is known against it; its
// elections are paused; it installs a snapshot; its disk hangs, its state machine has
// finished nothing for HungLimit, or it has to catch up with what it left office for;
// it is well again, and has left office for its disk,
// its machine or its links not long ago; its state machine is of too old a version for an
// entry that it is to apply.
const (
	Fit             = core.Fit
	UnfitPaused     = core.UnfitPaused
	UnfitInstalling = core.UnfitInstalling
	UnfitSick       = core.UnfitSick
	UnfitStandsBack = core.UnfitStandsBack
	UnfitVersion    = core.UnfitVersion
)

// MachineTooOld is an entry for which a state machine is too old.
//
//   - Index: the entry's;
//   - Needs: the version that it needs, 0 if there is no such entry.
type MachineTooOld = core.MachineTooOld

// priorityOf is the priority of a member, 0 if it is none.
func priorityOf(c *Configuration, id Identity) uint32 {
	m, member := c.Member(id)
	if !member {
		return 0
	}
	return m.Rank()
}

// statusOf makes a value of the caller's own of what a group says of itself,
// which may be others' too.
func statusOf(s actors.Status) Status {
	return Status{
		Group: s.Group, Self: s.Self,
		Role: s.Role, Term: s.Term, Leader: s.Leader, NoLeader: s.NoLeader, Ready: s.Ready, LastContact: s.LastContact,
		Priority: priorityOf(&s.Configuration.Configuration, s.Self), TransferringTo: s.TransferringTo, NeedsNewTerm: s.NeedsNewTerm,
		Unfit: s.Unfit, LacksMachine: s.LacksMachine, Version: s.Version, VersionMin: s.VersionMin, TooOld: s.TooOld, Leaving: s.Leaving, LeftOffice: s.LeftOffice, LeftTerm: s.LeftTerm,
		LeadingTerm: s.LeadingTerm, LeadingOverdue: s.LeadingOverdue,
		ElectionsPaused: s.ElectionsPaused, OthersPaused: s.OthersPaused,
		LastQuorumContact: s.LastQuorumContact, Lease: s.LeaseLeft, NoLease: s.NoLease,
		Last: s.Last, Committed: s.Committed, Applied: s.Applied, Flushed: s.Flushed, Purged: s.Purged, SnapshotIndex: s.SnapshotIndex, RecordIndex: s.RecordIndex,
		FirstIndex: s.Purged + 1, LogBytes: s.LogBytes, HeldBytes: s.HeldBytes, LetGo: s.LetGo,
		Cluster: s.Cluster, Configuration: s.Configuration.Configuration.Clone(), ConfigurationAt: s.Configuration.LogID,
		Bootstrapping: s.Bootstrapping, WaitsFor: slices.Clone(s.WaitsFor), Change: s.Change, Removed: s.Removed, LeftOut: s.LeftOut, UnknownToGroup: s.UnknownToGroup, Contradiction: s.Contradiction,
		InflightProposals: s.InflightProposals, InflightBytes: s.InflightBytes, WaitingProposals: s.WaitingProposals,
		Receiving: SnapshotProgress{
			Snapshot: s.Receiving.Snapshot, From: s.Receiving.Peer, Bytes: s.Receiving.Bytes, TotalBytes: s.Receiving.TotalBytes,
			BytesPerSecond: s.Receiving.BytesPerSecond, Left: s.Receiving.Left, SparedBytes: s.Receiving.SparedBytes,
		},
		Peers: peersOf(s.Peers), Err: s.Err, Stopped: s.Stopped,
	}
}

func peersOf(peers []core.PeerStatus) []PeerStatus {
	if len(peers) == 0 {
		return nil
	}
	own := make([]PeerStatus, len(peers))
	for i := range peers {
		p := &peers[i]
		own[i] = PeerStatus{
			Identity: p.Identity, Match: p.Match, LagEntries: p.LagEntries, Lag: p.Lag,
			Mode: p.Mode, InflightMessages: p.InflightMessages, InflightBytes: p.InflightBytes,
			LastContact: p.LastContact, SendErrors: p.SendErrors, LostData: p.LostData, Unfit: p.Unfit, LacksMachine: p.LacksMachine, Version: p.Version, Oversized: p.Oversized,
			CatchingUp: p.CatchingUp, CatchUpFrom: p.CatchUpFrom, CatchUpAge: p.CatchUpAge, CatchUpIdle: p.CatchUpIdle, CatchUpBytes: p.CatchUpBytes,
			Snapshot: p.Snapshot, SnapshotBytes: p.SnapshotBytes, SnapshotTotalBytes: p.SnapshotTotalBytes,
			SnapshotBytesPerSecond: p.SnapshotBytesPerSecond, SnapshotLeft: p.SnapshotLeft, SnapshotSparedBytes: p.SnapshotSparedBytes,
		}
		own[i].estimate()
	}
	return own
}

// estimate says how far a member has come that catches up, and how long it will take.
func (p *PeerStatus) estimate() {
	if !p.CatchingUp {
		return
	}
	var done float64
	if p.Match > p.CatchUpFrom {
		done = float64(p.Match - p.CatchUpFrom)
	}
	p.CatchUpPercent = 100
	if p.LagEntries > 0 {
		p.CatchUpPercent = 100 * done / (done + float64(p.LagEntries))
	}
	if seconds := p.CatchUpAge.Seconds(); seconds > 0 {
		p.CatchUpRate = done / seconds
	}
	switch {
	case p.SnapshotTotalBytes > 0:
		p.CatchUpLeft = p.SnapshotLeft
	case p.LagEntries == 0:
	case p.CatchUpRate == 0:
		p.CatchUpLeft = -1
	default:
		p.CatchUpLeft = time.Duration(min(float64(p.LagEntries)/p.CatchUpRate*float64(time.Second), math.MaxInt64/2))
	}
}
