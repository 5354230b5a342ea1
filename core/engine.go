package core

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/trouperaft/troupe/membership"
)

// Engine is the protocol of one group on one node: a deterministic function from
// events to commands. It has no goroutine, clock, logger or I/O, and is not safe
// for concurrent use: one actor owns it.
type Engine struct {
	cfg  Config
	rand *rand.Rand
	now  Instant
	out  *Output

	hard HardState
	// hardDirty: hard differs from what was last put into a Write.
	hardDirty bool
	role      Role
	// leader is the leader of the term as far as known, zero if not. heard is
	// when a leader was heard of last, 0 if never.
	leader Identity
	heard  Instant
	// termLeader is who was heard to lead the term, also after this node let go
	// of it: a term has one leader (Raft 5.2).
	termLeader Identity

	log     termRuns
	sizes   LogSizes
	times   entryTimes
	writes  writeTracker
	commit  Index
	applied Index
	// proved is the last index that an append of this term proved equal to the
	// leader's log (rule 4); on the leader it is not used.
	proved Index

	configs configurations
	// unknownAt is when somebody last addressed another incarnation of this
	// node, 0 if nobody did.
	unknownAt Instant
	// adoptedAt is when this group took the id of its cluster from a leader, 0 if
	// it did not in this life.
	adoptedAt Instant
	// jumped is when a term was last raised by all that one message may (rule 32).
	jumped Instant

	grants  grants
	forming forming
	// wasMember: an entry of the log, or a snapshot, had this node as a member that
	// configs do not tell of any more.
	wasMember bool
	// kept are the nodes to which this one shows itself while it knows of no members.
	kept []membership.Member
	// contradiction is what was heard that cannot be, nil if nothing was.
	contradiction error

	election    election
	promise     promise
	standing    standing
	leaderState leaderState
	transfer    transfer
	handOver    handOver
	health      health
	departed    departed
	reads       reads
	changes     changesAsked
	endedOrders []endedOrder
	// versionSaid is the least version of a member's machine, as the leader said last.
	versionSaid uint64
	addresses   addresses
	snapshots   snapshots
	purging     purging

	electionTimer  deadline
	heartbeatTimer deadline
	transferTimer  deadline

	// issued is what the last commands of each kind said, so that the same is
	// not issued twice.
	issued struct {
		changed Changed
		apply   Index
		last    Index
		commit  Index
		known   bool
	}
	noticed []Notice
}

// NewEngine returns an engine for what is stored. It fails with an error that
// wraps ErrCorrupt if the parts of state contradict each other (rule 24).
func NewEngine(cfg Config, state State, now Instant) (*Engine, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	state.takeFormerSnapshot()
	if err := state.check(); err != nil {
		return nil, err
	}
	e := &Engine{
		cfg:  cfg,
		rand: rand.New(rand.NewPCG(cfg.Seed, uint64(cfg.Self.Incarnation))),
		now:  now,
		hard: state.HardState,
		role: RoleNone,
	}
	e.recallGrant()
	if !e.hard.Grant.IsZero() && state.Last.Index == 0 {
		// Rule 31: the file of a snapshot was whole, and the group had not followed
		// who sent it when it granted another. It is sent again if it still counts.
		state.Snapshot = SnapshotMeta{}
	}
	e.log = termRuns{purged: state.Purged, last: state.Last, runs: slices.Clone(state.Terms)}
	e.sizes = state.sizes()
	e.times.start(max(state.LastTime, state.Snapshot.Time, state.Record.Time), &cfg, now)
	e.writes.flushed, e.writes.flushedTerm = state.Last.Index, state.HardState.Term
	e.applied = state.Applied.Index
	e.issued.apply = e.applied
	e.snapshots.start(&state, cfg.Volatile)
	if err := e.checkVersion(&state); err != nil {
		return nil, err
	}
	e.configs.start(&state)
	if err := e.checkAlone(&state); err != nil {
		return nil, err
	}
	e.wasMember = slices.ContainsFunc(state.Configurations, e.has)
	e.takeStanding()
	// Rule 8. What was purged was committed.
	e.commit = max(state.Commit, state.Applied.Index, state.Purged.Index)
	if e.snapshots.based {
		e.commit = max(e.commit, e.snapshots.base.Index)
	}
	if e.snapshots.resetAtStart {
		e.commit = min(e.commit, e.snapshots.newest.Index)
	} else {
		e.commit = min(e.commit, e.log.last.Index)
	}
	e.startLost(&state)
	e.promise.quietPeriodEnd = now.Add(cfg.QuietPeriod)
	e.health.ledUntil = now
	e.election.campaign = e.rand.Uint64() >> 1
	e.reads.nextWireID = e.rand.Uint64() >> 1
	e.transfer.nextWireID = e.rand.Uint64() >> 1
	e.transfer.number, e.changes.nextWireID = e.transfer.nextWireID, e.transfer.nextWireID
	e.election.votes = make(map[Identity]bool)
	return e, nil
}

// Start begins the engine's life. It is called once, before the first Step.
func (e *Engine) Start(now Instant, out *Output) {
	e.now, e.out = now, out
	e.restoreAtStart()
	e.setSnapshotInterval()
	e.tellConfiguration()
	e.noteRemoved()
	e.role = e.idleRole()
	if e.votesAlone() {
		// Nobody else could vote or was promised anything: no need to wait.
		e.electionTimer.at = now
		e.election.reason = ElectionAtStart
		e.campaignOrWait()
	} else {
		e.resetElectionTimer()
	}
	e.finish()
}

// Step carries out one event and adds what it wants done to out. now must not
// be before the last one. A panic means that an invariant is broken: the group
// must stop.
func (e *Engine) Step(now Instant, event Event, out *Output) {
	e.now, e.out = max(now, e.now), out
	switch ev := event.(type) {
	case *Propose:
		e.onPropose(ev)
	case *Flushed:
		e.onFlushed(ev.IOID)
	case *Matched:
		e.onMatched(ev)
	case *Applied:
		e.onApplied(ev)
	case *TimerFired:
		e.onTimer(ev)
	case *ReadRequest:
		e.onRead(heldRead{ev.ID, ev.Lease})
	case *ReadCancelled:
		e.reads.forget(ev.ID)
	case *Elect:
		e.onElect(ev)
	case *ElectCancelled:
		e.onElectCancelled(ev)
	case *PauseElections:
		e.onPauseElections(ev)
	case *TransferLeadership:
		e.onTransferLeadership(ev)
	case *TransferCancelled:
		e.onTransferCancelled(ev)
	case *RenewTerm:
		e.onRenewTerm(ev)
	case *ChangeMembers:
		e.onChangeMembers(ev)
	case *ChangeWaitEnded:
		e.onChangeWaitEnded(ev)
	case *LostData:
		e.onLostData(ev)
	case *PeerProgress:
		e.onPeerProgress(ev)
	case *PeerAddress:
		e.onPeerAddress(ev)
	case *MachineTooOld:
		e.onMachineTooOld(ev)
	case *StoreBusy:
		e.health.storeBusy = ev.Since
	case *HigherTerm:
		e.onHigherTerm(ev.From, ev.Term)
	case *Bootstrap:
		e.onBootstrap(ev)
	case *BootstrapCancelled:
		e.onBootstrapCancelled()
	case *SnapshotNeeded:
		e.onSnapshotNeeded(ev)
	case *SnapshotBuilt:
		e.onSnapshotBuilt(ev)
	case *MakeSnapshot:
		e.onMakeSnapshot(ev)
	case *SetSnapshotPolicy:
		e.onSetSnapshotPolicy(ev)
	case *SnapshotProgress:
		e.onSnapshotProgress(ev)
	case *SnapshotSent:
		e.onSnapshotSent(ev)
	case *SnapshotReceived:
		e.onSnapshotReceived(ev)
	case *SnapshotInstalled:
		e.onSnapshotInstalled(ev)
	case *PurgeLog:
		e.onPurgeLog(ev)
	case *FollowLog:
		e.onFollowLog(ev)
	case *LetGoOfLog:
		e.onLetGoOfLog(ev)
	case *PeerDown:
		e.onPeerDown(ev)
	case Message:
		e.receive(ev)
	default:
		panic(fmt.Sprintf("core: unknown event %T", event))
	}
	e.finish()
}

// finish tells, once for a step, what the step changed.
func (e *Engine) finish() {
	e.followTransfer()
	e.continueChange()
	e.followChanges()
	e.beginRoundForReads()
	e.reviewHolds()
	if e.hardDirty {
		e.submit(e.newWrite())
	}
	if e.role == RoleLeader && (e.issued.last != e.log.last.Index || e.issued.commit != e.commit) {
		e.issued.last, e.issued.commit = e.log.last.Index, e.commit
		c := e.out.replicates.next()
		c.Last, c.Commit = e.log.last.Index, e.commit
		e.out.add(c)
	}
	if target := e.applyTarget(); target > e.issued.apply && e.snapshots.installing == nil && !e.snapshots.lacks {
		if e.applied >= e.issued.apply {
			e.health.machineSince = e.now
		}
		e.issued.apply = target
		c := e.out.applies.next()
		c.UpTo = target
		e.out.add(c)
	}
	changed := Changed{Role: e.role, Term: e.hard.Term, Leader: e.leader.ID, Ready: e.ready(), LeaderIdentity: e.leader, Removed: e.isRemoved()}
	if changed != e.issued.changed || !e.issued.known {
		e.issued.changed, e.issued.known = changed, true
		c := changed
		e.out.add(&c)
	}
}

// applyTarget is how far the state machine may go. Rule 8: a machine that keeps
// its state over a restart stays behind the local flush.
func (e *Engine) applyTarget() Index {
	if e.cfg.Volatile {
		return e.commit
	}
	return min(e.commit, e.writes.flushed)
}

// newWrite begins a write; submit ends it.
func (e *Engine) newWrite() *Write { return e.out.writes.next() }

// submit gives a write its number and adds it to the output. The log must
// already be in the state after the write.
func (e *Engine) submit(w *Write) IOID {
	if e.hardDirty {
		w.SaveHardState, w.HardState = true, e.hard
		e.hardDirty = false
	}
	if !w.Empty() {
		w.Commit = min(e.commit, e.log.last.Index)
	}
	w.IOID, w.Submitted = e.writes.submit(e.now, e.log.last.Index, e.hard.Term), e.now
	e.out.add(w)
	return w.IOID
}

// answer sends the answer to a leader when the accepted log up to its match and
// the term are durable: now, or behind the writes that are under way (rule 3).
// What rides in one of them already does not ride in another, however often the
// leader asks while a disk hangs.
func (e *Engine) answer(r *AppendResponse) {
	switch {
	case e.hardDirty:
	case e.writes.durable(r.Match, e.hard.Term):
		e.out.send(r)
		return
	case e.writes.promised(r):
		return
	}
	w := e.newWrite()
	w.Then = append(w.Then, r)
	e.submit(w)
	e.writes.carries(r)
}

// onFlushed takes a watermark of durable writes.
func (e *Engine) onFlushed(n IOID) {
	e.writes.flush(e.now, n)
	if e.election.ownVote != 0 && e.election.ownVote <= n && e.role == RoleCandidate {
		e.beginCounting()
	}
	if e.role == RoleLeader {
		e.advanceCommit()
	}
	e.installWhenReset(n)
	e.grantFlushed(n)
	e.purgesFlushed(n)
}

// WaitsForFlush reports whether the next notice that a write is durable may
// change more than a number, so that it must not be held back until the next
// event of another kind. It may be asked after a step.
func (e *Engine) WaitsForFlush() bool {
	switch {
	case len(e.writes.pending) == 0:
		return false
	case e.election.ownVote != 0 || e.grants.write != 0 || len(e.purging.asked) > 0 || e.forming.running || e.snapshots.installing != nil || e.WaitsForMatches():
		return true
	case !e.cfg.Volatile && e.commit > e.writes.flushed: // rule 8
		return true
	}
	return e.role == RoleLeader && e.quorumIndex(e.log.last.Index) > e.commit
}

// WaitsForMatches reports whether a peer's match may change more than a number,
// though everything up to it is committed: a transfer waits for its target, or the
// configuration is on its way to another one.
func (e *Engine) WaitsForMatches() bool {
	return e.transfer.phase == transferCatchingUp || e.changing()
}

// changing reports whether the configuration is on its way to another one, which
// every step of a peer may bring on.
func (e *Engine) changing() bool {
	at := e.configs.latest()
	return at.Index > e.commit || at.Configuration.Joint() || at.Configuration.Target != nil
}

// receive checks who speaks and hands the message on.
func (e *Engine) receive(m Message) {
	h := m.Head()
	if h.Group != e.cfg.Group || h.To.ID != e.cfg.Self.ID || h.From.ID == 0 || h.From.ID == e.cfg.Self.ID || !plausible(m) {
		return
	}
	switch m := m.(type) {
	case *IdentifyRequest:
		// Who asks may not know the incarnation.
		if h.To.Incarnation == 0 || h.To == e.cfg.Self {
			e.onIdentify(m)
		}
		return
	case *IdentifyResponse:
		if h.To == e.cfg.Self {
			e.onIdentified(m)
		}
		return
	}
	if !e.acceptsIdentity(m, h) {
		return
	}
	switch m := m.(type) {
	case *Heartbeat:
		e.onHeartbeat(m)
	case *HeartbeatResponse:
		e.onHeartbeatResponse(m)
	case *AppendEntries:
		e.onAppendEntries(m)
	case *VoteRequest:
		e.onVoteRequest(m)
	case *VoteResponse:
		e.onVoteResponse(m)
	case *SnapshotChunk:
		e.onSnapshotChunk(m)
	case *ReadIndexRequest:
		e.onReadIndexRequest(m)
	case *ReadIndexResponse:
		e.onReadIndexResponse(m)
	case *TimeoutNow:
		e.onTimeoutNow(m)
	case *TimeoutNowResponse:
		e.onTimeoutNowResponse(m)
	case *TransferRequest:
		e.onTransferRequest(m)
	case *TransferResponse:
		e.onTransferResponse(m)
	case *ChangeRequest:
		e.onChangeRequest(m)
	case *ChangeResponse:
		e.onChangeResponse(m)
	case *Removed:
		e.onRemoved(m)
	case *Refusal:
		e.onRefusal(m)
	case *ProposeRequest:
		e.tellRemoved(m.From) // the core actor has answered it
	case *AppendResponse, *SnapshotResponse, *ProposeResponse:
		// Other actors consume these.
	}
}

// becomeFollower leaves whatever role the node has, and adopts the term if it is
// higher. leader is zero if it is not known.
func (e *Engine) becomeFollower(term Term, leader Identity, why string) {
	e.election.end(ElectionSuperseded)
	led := e.role == RoleLeader
	if led {
		e.stepDown(why, term)
	}
	if raised := e.raisable(term); raised > e.hard.Term {
		if raised < term {
			e.jumped = e.now
		}
		e.hard.Term, e.hard.Vote = raised, Identity{}
		e.hardDirty = true
		e.proved = 0
		e.termLeader = Identity{}
	}
	if e.leader != leader {
		e.leader = leader
		e.leaderChanged()
	}
	e.election.stop()
	e.role = e.idleRole()
	if led || e.electionTimer.at == 0 && e.mayEverCampaign() {
		// A leader has no election timer, nor has a candidate whose own vote is
		// not durable.
		e.resetElectionTimer()
	}
}

// idleRole is the role of a node that neither leads nor campaigns.
func (e *Engine) idleRole() Role {
	switch {
	case e.configs.latest().Configuration.IsVoter(e.cfg.Self):
		return RoleFollower
	case e.empty():
		return RoleNone
	}
	return RoleLearner
}

// onHigherTerm follows Raft 5.1: a higher term ends every leadership. Rule 5:
// only a member's known incarnation is believed.
func (e *Engine) onHigherTerm(from Identity, term Term) {
	if term <= e.hard.Term {
		return
	}
	if _, ok := e.configs.member(from, e.commit); !ok || e.farAhead(from, term) {
		return
	}
	e.becomeFollower(term, Identity{}, fmt.Sprintf("node %d is in term %d", from.ID, term))
	e.resetElectionTimer()
}

// leaderChanged lets go of what was waiting for the old leader.
func (e *Engine) leaderChanged() {
	e.failAskedReads()
	e.changes.told = nil
	if e.leader.IsZero() {
		return
	}
	e.passOnAll()
	if e.leader != e.cfg.Self {
		e.out.add(&Notice{Kind: NoticeNewLeader, Peer: e.leader, Term: e.hard.Term})
		e.failElect(ElectAnotherWon, "")
	}
	e.askHeldReads()
}

// empty reports whether this group has never belonged to a cluster here.
func (e *Engine) empty() bool {
	return e.hard.Cluster.IsZero() && e.log.last.Index == 0 && e.hard.Vote.IsZero()
}

// notice tells something once, until it is about something else.
func (e *Engine) notice(n Notice) {
	if n.Kind == NoticeContradiction {
		e.contradicted(&n)
	}
	i := slices.IndexFunc(e.noticed, func(o Notice) bool { return o.Kind == n.Kind && o.Peer == n.Peer })
	if i >= 0 {
		if e.noticed[i].Known == n.Known && e.noticed[i].Text == n.Text {
			return
		}
		e.noticed[i] = n
	} else {
		if len(e.noticed) == membership.MembersMax {
			e.noticed = slices.Delete(e.noticed, 0, 1)
		}
		e.noticed = append(e.noticed, n)
	}
	e.out.add(&n)
}
