package core

import (
	"slices"
	"time"

	"github.com/trouperaft/troupe/membership"
)

// EngineStatus is what an engine says of itself.
type EngineStatus struct {
	Role   Role
	Term   Term
	Leader NodeID
	// Ready: this node leads and admits proposals.
	Ready bool
	// Heard is when this node, as a follower or a learner, last heard of a
	// leader, on its own clock; 0 if it never did.
	Heard Instant
	// Lease is until when no other node can lead, on this node's clock (rule 12), on
	// the leader. Where it is 0, NoLease says why there is none, for people.
	Lease   Instant
	NoLease string
	// QuorumHeard is when the newest round was begun that a quorum has answered in
	// this term, on the leader; 0 if none was.
	QuorumHeard Instant
	// NoLeader says, while no leader is known, what this node's attempt at an
	// election waits for, and what the one before ended for; "" if it made none. It
	// is for people.
	NoLeader string

	Last, Committed, Applied, Flushed, Purged, SnapshotIndex Index
	// RecordIndex is what the newest record says that the state machine has made durable, 0
	// if there is none or a snapshot took its place.
	RecordIndex Index
	// LogBytes are the sizes of the entries that the log holds, and HeldBytes those of
	// the ones that are kept for others alone (Settings.HoldBytesMax).
	LogBytes, HeldBytes uint64
	// LetGo tells, for people, for whom the log was let go of last since the start, and
	// why; "" if that was never so.
	LetGo string

	// ElectionsPaused: this node's elections are paused (PauseElections). OthersPaused: this
	// node leads, and the elections of every other voter are: nobody takes over.
	ElectionsPaused, OthersPaused bool
	// Unfit is why this node is not to be handed the leadership, and what it tells the
	// leader.
	Unfit Unfit
	// LacksMachine: the state machine lacks what the log has purged, or what told of it is
	// lost, and waits for a snapshot of the leader's (rule 24).
	LacksMachine bool
	// Version is that of this node's state machine, and VersionMin the least of all
	// members, as far as the leader knows: 0 while it does not know all, or if one tells
	// none. TooOld, if Needs is not 0, is the entry for which this node's is too old.
	Version, VersionMin uint64
	TooOld              MachineTooOld
	// Leaving says why this leader leaves office as soon as another voter can lead, ""
	// if it stays (rule 16). LeftOffice says why this node led LeftTerm no longer, the
	// last that it led since its start; "" and 0 if it led none. Both are for people.
	Leaving    string
	LeftOffice string
	LeftTerm   Term
	// TransferringTo is whom this leader hands over to, 0 if to nobody.
	TransferringTo NodeID
	// NeedsNewTerm: this leader wins a new term soon. It has given up its lease for a
	// transfer that failed, and will have one again in that term; or what the application
	// ran in this term has ended early (RenewTerm).
	NeedsNewTerm bool

	// Configuration is the one in force.
	Configuration ConfigurationAt
	// Bootstrapping: the cluster is not yet what it was asked to be. Change is the
	// change of the members that is under way, a bootstrap's included. WaitsFor are the
	// members that keep it, and why: all on the node that was asked to bootstrap, and on
	// the leader; on the others the first ChangeToldWaitsMax that the leader has told of.
	Bootstrapping bool
	Change        ChangeStatus
	WaitsFor      []Waiting
	// Removed: this node was removed from the group, and campaigns no more. LeftOut: the
	// last configuration that it holds does not have it any more; whether that is
	// committed it may not know yet.
	Removed, LeftOut bool
	// UnknownToGroup: the group knows this node under another incarnation: its
	// data was lost, and it does not count.
	UnknownToGroup bool
	// Contradiction, if not nil, is what this node has heard that no correct
	// member can say: it answers no reads.
	Contradiction error
	Cluster       ClusterID
	// Peers are the other members, on the leader, in the order of their ids.
	Peers []PeerStatus
}

// ChangeState is how far a change of the members has come.
type ChangeState uint8

const (
	// ChangeIdle: none is under way.
	ChangeIdle ChangeState = iota
	// ChangeAsking: the leader asks the nodes that are to come who they are. Nothing was
	// appended. The others know it from its heartbeats.
	ChangeAsking
	// ChangeCatchingUp: newcomers catch up as learners. It can be given up.
	ChangeCatchingUp
	// ChangeJoint: the voters before and after the change decide together. It can only
	// be finished.
	ChangeJoint
)

// String returns "none", "asking", "catching up" or "joint".
func (s ChangeState) String() string { return [...]string{"none", "asking", "catching up", "joint"}[s] }

// ChangeStatus is what is known of the change of the members that is under way.
type ChangeStatus struct {
	State ChangeState
	// ID names it, 0 for a bootstrap.
	ID membership.ChangeID
	// Since is when it was asked for, on the wall clock of who did, in nanoseconds since
	// 1970 UTC; 0 if that is not known.
	Since int64
}

// StreamMode is what a stream is doing.
type StreamMode uint8

const (
	// StreamProbe: looking for where the logs agree, one message at a time.
	StreamProbe StreamMode = iota
	// StreamReplicate: sending ahead of the answers.
	StreamReplicate
	// StreamSnapshot: the peer needs a snapshot first.
	StreamSnapshot
)

// String returns "probe", "replicate" or "snapshot".
func (m StreamMode) String() string { return [...]string{"probe", "replicate", "snapshot"}[m] }

// PeerStatus is what a leader knows of another member.
type PeerStatus struct {
	Identity
	// Match is the last index that is known to be durable there and equal to
	// the leader's log.
	Match Index
	// Answered is when it last answered a heartbeat, on the leader's clock; 0
	// if it never did in this term.
	Answered Instant
	// Snapshot: a snapshot is on its way to it, or waits for its turn.
	Snapshot bool
	// LostData: another incarnation answers in its place, or it no longer holds
	// what it had acknowledged. It is to be replaced.
	LostData bool
	// Unfit is why it is not to be handed the leadership, as far as it said.
	Unfit Unfit
	// LacksMachine: its log is whole, and its state machine waits for a snapshot.
	LacksMachine bool
	// Version is that of its state machine, 0 if it tells none or has not answered yet.
	Version uint64
	// Oversized, if not 0, is an entry that it lacks and that is too large for any message
	// to it, for a limit of this node's network or of its own was lowered. It gets a
	// snapshot in its place as soon as the entry is committed and applied here.
	Oversized Index
	// CatchingUp: a change waits for it. It began at the match CatchUpFrom, at the
	// instant CatchUpSince, and last came nearer at CatchUpProgress, on the leader's
	// clock.
	CatchingUp                    bool
	CatchUpFrom                   Index
	CatchUpSince, CatchUpProgress Instant
	// CatchUpBytes are the sizes of the entries that it lacks, as far as the leader's log
	// holds them; 0 if no change waits for it.
	CatchUpBytes uint64

	// What follows is not the engine's to know: who runs the streams fills it
	// in when the status is asked for.

	// Mode is what the stream to it is doing.
	Mode StreamMode
	// LagEntries is how many of the leader's entries lie behind Match, and Lag
	// for how long the first of them has been in the leader's log: 0 if there
	// is none. It is never too short, and too long by a millisecond or an
	// eighth at most; what was there before the leadership counts from its
	// beginning.
	LagEntries uint64
	Lag        time.Duration
	// InflightMessages and InflightBytes are appends that were sent to it and
	// are not answered.
	InflightMessages, InflightBytes int
	// LastContact is how long ago it last answered a heartbeat, -1 if it never
	// did in this term.
	LastContact time.Duration
	// CatchUpAge is for how long a change has waited for it, and CatchUpIdle for how long
	// it has not come nearer; 0 if none waits.
	CatchUpAge, CatchUpIdle time.Duration
	// SendErrors counts the group's messages to it that the network did not
	// take since the group was started here: no connection, or a full window.
	SendErrors uint64
	// SnapshotBytes of SnapshotTotalBytes are there of the snapshot that is on
	// its way; both are 0 while it waits for its turn, or if there is none.
	// SnapshotBytesPerSecond is how fast it goes, and SnapshotLeft how long the rest
	// takes at that: -1 while nothing moves, or if there is none. SnapshotSparedBytes are not
	// sent, because the peer had them.
	SnapshotBytes, SnapshotTotalBytes, SnapshotBytesPerSecond uint64
	SnapshotLeft                                              time.Duration
	SnapshotSparedBytes                                       uint64
}

// Status returns the engine's state as a value that shares nothing with it.
func (e *Engine) Status() EngineStatus {
	var s EngineStatus
	e.StatusInto(&s)
	s.Configuration.Configuration = s.Configuration.Configuration.Clone()
	return s
}

// Clone returns a status that shares nothing with s.
func (s *EngineStatus) Clone() EngineStatus {
	c := *s
	c.Configuration.Configuration = s.Configuration.Configuration.Clone()
	c.WaitsFor, c.Peers = slices.Clone(s.WaitsFor), slices.Clone(s.Peers)
	return c
}

// StatusInto writes the engine's state over s, whose slices it uses again:
// nothing is allocated once they are large enough. The configuration is the
// engine's own, and only to be read: who hands s on clones it.
func (e *Engine) StatusInto(s *EngineStatus) {
	waitsFor, peers := s.WaitsFor[:0], s.Peers[:0]
	*s = EngineStatus{
		Role: e.role, Term: e.hard.Term, Leader: e.leader.ID, Ready: e.ready(), Heard: e.heard,
		Last: e.log.last.Index, Committed: e.commit, Applied: e.applied, Flushed: e.writes.flushed,
		Purged: e.log.purged.Index, SnapshotIndex: e.snapshots.newest.Index, RecordIndex: e.snapshots.recorded,
		LogBytes: e.sizes.Total(), HeldBytes: e.purging.held, LetGo: e.purging.lastLetGo,
		Configuration: *e.configs.latest(), Bootstrapping: e.configs.bootstrapping(e.commit),
		Cluster: e.hard.Cluster, Contradiction: e.contradiction,
		ElectionsPaused: e.election.paused, OthersPaused: e.role == RoleLeader && e.leaderState.othersPaused, NeedsNewTerm: e.renews(),
		Unfit: e.unfitNow(), LacksMachine: e.snapshots.lacks, Version: e.cfg.MachineVersion, VersionMin: e.versionMin(), TooOld: e.health.tooOld, LeftOffice: e.departed.why, LeftTerm: e.departed.term,
	}
	if e.role == RoleLeader && e.transfer.phase != transferNone {
		s.TransferringTo = e.transfer.to.ID
	}
	if e.leader.IsZero() {
		s.NoLeader = e.election.waits
	}
	if e.role == RoleLeader {
		s.Leaving = e.leaderState.leaving.why
		s.Lease, s.NoLease = e.leaseEnd(), e.whyNoLease()
		s.QuorumHeard = Instant(e.quorumOf(uint64(max(e.now, 0)), func(p *peer) uint64 { return uint64(max(p.roundSent, 0)) }))
	}
	if s.Change = e.changeStatus(); s.Change.State != ChangeIdle {
		if e.role == RoleLeader {
			waitsFor = e.changeWaits(waitsFor)
		} else {
			waitsFor = e.toldWaits(waitsFor, s.Change)
		}
	} else if e.forming.running {
		waitsFor = e.formingWaits(waitsFor)
	}
	s.Removed, s.LeftOut = e.isRemoved(), e.isLeftOut()
	if e.unknownToGroup() {
		_, member := e.configs.member(e.cfg.Self, e.commit)
		s.UnknownToGroup = !member
	}
	for _, p := range e.leaderState.peers {
		if p.removal.at != 0 {
			continue
		}
		now := PeerStatus{Identity: p.Identity, Match: p.match, Answered: p.answered, Snapshot: p.snapshot, LostData: p.lostData || p.denies, Unfit: p.unfit, LacksMachine: p.lacks, Version: p.version}
		if p.oversized > p.match {
			now.Oversized = p.oversized
		}
		if p.comes {
			now.CatchUpBytes = e.lackedBytes(p)
			now.CatchingUp, now.CatchUpFrom, now.CatchUpSince, now.CatchUpProgress = true, p.catchUp.from, p.catchUp.since, e.progressed(p)
		}
		peers = append(peers, now)
	}
	s.WaitsFor, s.Peers = waitsFor, peers
}

// Progress is the part of an engine's state that changes with every batch, and
// what it has counted since its start.
type Progress struct {
	Role   Role
	Term   Term
	Leader NodeID

	Last, Committed Index

	// AppendedBytes are the sizes of all entries appended, GrowthBytes of those behind
	// the newest snapshot.
	AppendedBytes, GrowthBytes uint64

	Elections ElectionCounts
	// Transfers are those of this node's leadership that have ended: that have
	// succeeded, and that have failed.
	Transfers [2]uint64
	// Departures are the leaderships that have ended, by why.
	Departures DepartureCounts
	// Changes are those of the members that have ended while this node led: complete,
	// and given up.
	Changes [2]uint64
	// ClockJumps are the times that NoticeClock told of.
	ClockJumps uint64
	// Autopilot are the decisions of the autopilot while this node led, and the cases in
	// which it told why it does nothing. AddressesWritten are the entries that told where
	// members are that have moved.
	Autopilot        [2]uint64
	AddressesWritten uint64
	// LetGo are those for whom the log was not kept any more, by why.
	LetGo LetGoCounts
}

// Last returns the id of the newest entry of the accepted log.
func (e *Engine) Last() LogID { return e.log.last }

// Progress returns the engine's.
func (e *Engine) Progress() Progress {
	return Progress{
		Role: e.role, Term: e.hard.Term, Leader: e.leader.ID,
		Last: e.log.last.Index, Committed: e.commit,
		AppendedBytes: e.snapshots.allBytes, GrowthBytes: e.sizes.Between(e.snapshots.base.Index, e.log.last.Index), Elections: e.election.counts, Transfers: e.handOver.counts,
		Departures: e.departed.counts, Changes: e.changes.counts, ClockJumps: e.times.jumps,
		Autopilot: e.leaderState.autopilot.counts, AddressesWritten: e.addresses.count,
		LetGo: e.purging.letGo,
	}
}

// Differs reports whether anything differs but the times at which others were
// heard of by a follower.
func (s *EngineStatus) Differs(o *EngineStatus) bool {
	return s.LacksMachine != o.LacksMachine || s.VersionMin != o.VersionMin || s.TooOld != o.TooOld || s.Role != o.Role || s.Term != o.Term || s.Leader != o.Leader || s.Ready != o.Ready ||
		s.Last != o.Last || s.Committed != o.Committed || s.Applied != o.Applied || s.Flushed != o.Flushed ||
		s.Purged != o.Purged || s.SnapshotIndex != o.SnapshotIndex || s.RecordIndex != o.RecordIndex || s.LogBytes != o.LogBytes || s.HeldBytes != o.HeldBytes || s.LetGo != o.LetGo || s.Cluster != o.Cluster ||
		s.Configuration.LogID != o.Configuration.LogID || s.Bootstrapping != o.Bootstrapping ||
		s.ElectionsPaused != o.ElectionsPaused || s.OthersPaused != o.OthersPaused || s.TransferringTo != o.TransferringTo || s.NeedsNewTerm != o.NeedsNewTerm ||
		s.Unfit != o.Unfit || s.Leaving != o.Leaving || s.LeftOffice != o.LeftOffice || s.LeftTerm != o.LeftTerm ||
		s.Change != o.Change || s.Removed != o.Removed || s.LeftOut != o.LeftOut || s.UnknownToGroup != o.UnknownToGroup || s.Contradiction != o.Contradiction || s.NoLeader != o.NoLeader || s.NoLease != o.NoLease || !slices.Equal(s.WaitsFor, o.WaitsFor) || !slices.Equal(s.Peers, o.Peers)
}
