package core

import (
	"slices"
	"time"

	"github.com/trouperaft/troupe/membership"
)

// leaderState is what a leader keeps in mind while it leads.
type leaderState struct {
	// term is the one that was led last: nobody leads a term twice.
	term Term
	// first is the leader's own first entry.
	first Index
	peers []*peer

	// begun is when the leadership began; identify numbers the questions to silent
	// peers.
	begun    Instant
	identify uint64

	// round is the last that was begun, at begunRound; rounds are some of them.
	round      uint64
	begunRound Instant
	rounds     []roundSent
	// lease is until when a joint quorum has promised to elect nobody else (rule 12).
	// leaseGivenUp: it is not to be used any more in this term.
	lease        Instant
	leaseGivenUp bool
	// streams numbers streams over all terms of this engine.
	streams uint64

	uncommitted      []uncommitted
	uncommittedBytes int

	changes   changeOrders
	autopilot autopilot
	own       ownProgress
	// accepted is what a quorum had accepted at the last check, and acceptedAt when
	// that rose last, or was all that there is (rule 16).
	accepted   Index
	acceptedAt Instant
	// leaving is its way out of office, departure why it has just left, if that is
	// known. caretaker: it was not well when it won, because nobody else could, and has
	// not become so. It appends nothing but its first entry (rule 16).
	leaving   leaving
	departure Departure
	caretaker bool

	// handedTo is whom this node last told to campaign in this term (rule 14), zero
	// if nobody: from then on it answers no reads alone, until it has won a new term.
	handedTo Identity
	// wantsTerm: what the application ran in this term has ended before it (RenewTerm).
	wantsTerm bool
	// othersPaused: the elections of all other voters are paused.
	othersPaused bool
}

// peer is another member, seen by the leader.
type peer struct {
	membership.Member
	stream uint64
	match  Index
	// answered is when it answered last.
	answered Instant
	link
	// seen is when a new learner answered that can prove nothing yet (rule 29).
	seen Instant
	// round is the last one that it answered, roundSent when a round was begun that
	// it answered, and promised until when it elects nobody else, less drift: the
	// latest of all that it really answered in this term, 0 if there is none.
	round     uint64
	roundSent Instant
	promised  Instant
	// grace is when this node began to lead it. Check-quorum takes that for an answer,
	// and nothing else does.
	grace   Instant
	applied Index
	// down: its control connection broke, and it has not answered since.
	down bool
	// unfit is why it is not to be handed the leadership, as it said last.
	unfit Unfit
	// version is that of its state machine, as it said last. tooOldTold: it was told that
	// it cannot be sent a snapshot for that.
	version    uint64
	tooOldTold bool
	// snapshot: a snapshot is on its way. pinned is the index of the last that was. waits:
	// it has asked for one that is not there yet.
	snapshot bool
	pinned   Index
	waits    bool
	// partial is the snapshot of which it may have a part, since a transfer broke.
	partial LogID
	// lacks: its state machine lacks what its log has purged.
	lacks bool
	// oversized is the last entry that was found too large for any message to it, 0 if
	// none was. Where it is not above match that is over.
	oversized Index
	// movedOn is when it came forward last, by an entry or a piece of a snapshot. held:
	// the log is kept for it.
	movedOn Instant
	held    bool
	// lostData: another incarnation answers in its place. denies: it no longer
	// holds what it had acknowledged.
	lostData, denies bool
	// asked is when it was last asked who answers in its place.
	asked Instant
	// comes: a change waits for it to catch up.
	comes   bool
	catchUp catchUp
	// healthy is since when it has answered and been up to date, 0 if it is not; it is
	// watched for the autopilot only.
	healthy Instant
	// removal: it was removed.
	removal removal
}

// uncommitted is a batch of entries that the leader proposed.
type uncommitted struct {
	last  Index
	bytes int
}

func (l *leaderState) peer(id Identity) *peer {
	i, found := slices.BinarySearchFunc(l.peers, id, func(p *peer, id Identity) int { return p.Compare(id) })
	if !found {
		return nil
	}
	return l.peers[i]
}

// remember keeps a round, unless the one before was begun within spacing.
func (l *leaderState) remember(r roundSent, spacing time.Duration) {
	n := len(l.rounds)
	if n > 0 && r.at.Sub(l.rounds[n-1].at) < spacing {
		return
	}
	if n == roundsRemembered {
		copy(l.rounds, l.rounds[1:])
		l.rounds = l.rounds[:n-1]
	}
	l.rounds = append(l.rounds, r)
}

// sentAt returns when a round was begun, or a little earlier.
func (l *leaderState) sentAt(round uint64) (Instant, bool) {
	for i := len(l.rounds) - 1; i >= 0; i-- {
		if l.rounds[i].round <= round {
			return l.rounds[i].at, true
		}
	}
	return 0, false
}

// becomeLeader begins to lead a term that this engine has won (rule 7), with a
// blank entry of that term (Raft 8).
func (e *Engine) becomeLeader() {
	l := &e.leaderState
	if l.term >= e.hard.Term {
		panic("core: a term would be led twice")
	}
	e.election.end(ElectionWon)
	e.election.stop()
	e.restAfterTransfer()
	e.electionSucceeded()
	e.cancel(&e.electionTimer, TimerElection)
	e.role = RoleLeader
	*l = leaderState{term: e.hard.Term, first: e.log.last.Index + 1, streams: l.streams, acceptedAt: e.now, begun: e.now, identify: l.identify, caretaker: e.ailment() != Fit, autopilot: autopilot{counts: l.autopilot.counts}}
	e.addresses.written = 0
	e.issued.last, e.issued.commit = 0, 0
	e.leader, e.termLeader = e.cfg.Self, e.cfg.Self
	e.out.add(&Notice{Kind: NoticeElected, Peer: e.cfg.Self, Term: e.hard.Term})
	e.appendOwn([]Entry{{Kind: EntryBlank}})
	e.syncPeers()
	e.leaderChanged()
	e.electedByHand()
	e.beginRound()
	e.setHeartbeatTimer()
}

// stepDown ends what only a leader does. The caller sets the new role, and the term
// if it is higher.
func (e *Engine) stepDown(why string, term Term) {
	e.endLease()
	why = e.departs(why)
	for _, p := range e.leaderState.peers {
		e.out.add(&StopStream{p.Identity, p.stream})
	}
	e.leaderState.peers = nil
	e.leaderState.uncommitted, e.leaderState.uncommittedBytes = nil, 0
	e.cancel(&e.heartbeatTimer, TimerHeartbeat)
	e.out.add(&Notice{Kind: NoticeSteppedDown, Peer: e.cfg.Self, Term: e.hard.Term, Text: why})
	e.role = RoleFollower
	e.failLeaderReads()
	e.leaveTransfer(why, term)
	e.dropOrders()
}

// appendOwn appends entries of the leader's own: it stamps them, streams them at
// once, and counts itself only when they are durable (rule 2).
func (e *Engine) appendOwn(entries []Entry) {
	for i := range entries {
		entries[i].LogID = LogID{e.hard.Term, e.log.last.Index + 1 + Index(i)}
	}
	e.stamp(entries)
	w := e.newWrite()
	w.Append = entries
	e.extend(entries)
	e.submit(w)
	e.takeConfigurations(entries)
}

// syncPeers starts and stops streams until the peers are the members in force, and those
// that have yet to learn that they are none any more.
func (e *Engine) syncPeers() {
	c := &e.configs.latest().Configuration
	incoming := c.Incoming()
	var peers []*peer
	for _, m := range c.Members {
		if m.ID == e.cfg.Self.ID {
			continue // of this node's earlier incarnation nothing is left that could answer
		}
		p := e.leaderState.peer(m.Identity)
		if p == nil {
			e.leaderState.streams++
			p = &peer{stream: e.leaderState.streams, link: link{acceptedAt: e.now, breakAfter: e.cfg.HungLimit}, grace: e.now, movedOn: e.now}
			runs := e.log.clone()
			e.out.add(&StartStream{Peer: m, Stream: p.stream, Term: e.hard.Term, Terms: runs.runs, Purged: runs.purged, Last: e.leaderState.first - 1, Introduces: e.introduces(m.Identity, 0)})
			// A new stream has to be told where the log ends.
			e.issued.last = 0
		}
		p.Member, p.removal = m, removal{}
		if comes := slices.Contains(incoming, m.Identity); comes != p.comes {
			p.comes = comes
			p.beginCatchUp(e.now, e.log.last.Index)
		}
		peers = append(peers, p)
	}
	for _, p := range e.leaderState.peers {
		switch _, stays := c.Member(p.Identity); {
		case stays:
		case e.leaves(p):
			p.comes = false
			peers = append(peers, p)
		default:
			e.out.add(&StopStream{p.Identity, p.stream})
		}
	}
	slices.SortFunc(peers, func(a, b *peer) int { return a.Compare(b.Identity) })
	e.leaderState.peers = peers
	e.renewLease()
}

// ready reports whether this node admits proposals: not before a bootstrap is
// complete (rule 19), and not while it hands over (rules 14 and 16).
func (e *Engine) ready() bool {
	return e.role == RoleLeader && e.admits() && !e.configs.bootstrapping(e.commit)
}

// onPropose appends proposals to the log of a leader.
func (e *Engine) onPropose(ev *Propose) {
	ev.Admitted, ev.First, ev.Err = 0, LogID{}, nil
	switch {
	case e.role != RoleLeader:
		ev.Err = &NotLeaderError{Leader: e.leader.ID, Term: e.hard.Term}
		return
	case ev.ExpectedTerm != 0 && ev.ExpectedTerm != e.hard.Term:
		ev.Err = ErrTermChanged
		return
	case !e.admits():
		ev.Err = ErrTransferring
		return
	case !e.ready():
		ev.Err = ErrNotReady
		return
	}
	entries, err := e.ofVersion(ev.Entries)
	n, bytes := e.admit(entries)
	if ev.Err = err; n < len(entries) {
		ev.Err = ErrOverloaded
	}
	if n == 0 {
		return
	}
	ev.Admitted, ev.First = n, LogID{e.hard.Term, e.log.last.Index + 1}
	for i := range ev.Entries[:n] {
		ev.Entries[i].Time = ev.Time
	}
	e.appendOwn(ev.Entries[:n:n])
	l := &e.leaderState
	l.uncommitted = append(l.uncommitted, uncommitted{e.log.last.Index, bytes})
	l.uncommittedBytes += bytes
}

// admit counts how many of the entries fit under the limit of uncommitted
// bytes. One always fits while nothing else is uncommitted.
func (e *Engine) admit(entries []Entry) (n, bytes int) {
	for n < len(entries) {
		size := entries[n].Size()
		if total := e.leaderState.uncommittedBytes + bytes; total > 0 && total+size > e.cfg.UncommittedBytesMax {
			break
		}
		bytes += size
		n++
	}
	return n, bytes
}
