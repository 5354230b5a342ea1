package core

import "fmt"

// This file is about a leader that cannot do its work (rule 16): it hands over where
// it can, and leaves office.

// Departure is why a leader left office.
type Departure uint8

const (
	// DepartureSuperseded: somebody is in a higher term.
	DepartureSuperseded Departure = iota
	// DepartureTransferred: it has handed over, by hand or to a higher priority.
	DepartureTransferred
	// DepartureNoQuorum: no quorum has answered for an election time-out.
	DepartureNoQuorum
	// DepartureDisk: its own disk stood still, and those of the others did not.
	DepartureDisk
	// DepartureMachine: its own state machine stood still, and that of another voter
	// did not; or it had won only because nobody else could (rule 16).
	DepartureMachine
	// DepartureEntries: no quorum has accepted its entries, although one has answered
	// its heartbeats.
	DepartureEntries
	// DepartureRemoved: it is no voter any more.
	DepartureRemoved

	departures = iota
)

// DepartureCounts counts the leaderships of an engine that have ended.
type DepartureCounts [departures]uint64

// departed is how this node last left office.
type departed struct {
	why    string
	term   Term
	counts DepartureCounts
}

// leaving is a leader's way out of office.
type leaving struct {
	// why says what is wrong with it, for people, "" if nothing is. departure is the
	// same for who counts.
	why       string
	departure Departure
	// since is when there was a voter that could lead in its place, 0 while there is
	// none.
	since Instant
}

// cannotWork says what keeps this leader from its work, "" if nothing does. When all
// disks are slow nobody's commit runs ahead, and the leadership stays.
func (e *Engine) cannotWork() (why string, departure Departure) {
	switch l := &e.leaderState; {
	case l.own.diskHung(e.now, e.cfg.HungLimit):
		return fmt.Sprintf("own disk hangs: flushed %d, committed %d", e.writes.flushed, e.commit), DepartureDisk
	case l.own.machineHung(e.now, e.cfg.HungLimit):
		return fmt.Sprintf("own state machine hangs: applied %d, committed %d", e.applied, e.commit), DepartureMachine
	case e.health.tooOld.Needs > 0 && e.someoneApplies():
		return e.whyTooOld(), DepartureMachine
	case l.caretaker && e.snapshots.installing != nil:
		return "led while its state machine is restored, because nobody else could", DepartureMachine
	case l.caretaker && e.snapshots.lacks:
		return "led though its state machine lacks what the log has purged, because nobody else could", DepartureMachine
	case l.caretaker:
		return fmt.Sprintf("led although it has to catch up, because nobody else could: applied %d, committed %d", e.applied, e.commit), DepartureMachine
	}
	return "", 0
}

func (e *Engine) appliedBehindPeers() bool {
	for _, p := range e.leaderState.peers {
		if p.applied > e.applied && e.configs.latest().Configuration.IsVoter(p.Identity) {
			return true
		}
	}
	return false
}

// checkOffice carries out rule 16 at a heartbeat, and reports whether this node has
// left office. A leader that cannot work stays while no voter that may lead answers.
// Else it hands over, and leaves if that takes longer than a limit. Who won only
// because nobody else could, leaves for a successor alone: only it has the entries.
func (e *Engine) checkOffice() (left bool) {
	l := &e.leaderState
	l.own.note(e.now, e.writes.flushed, e.applied, e.commit, e.appliedBehindPeers())
	l.caretaker = l.caretaker && e.ailment() != Fit
	why, departure := e.cannotWork()
	if why == "" {
		if l.leaving.why != "" {
			e.out.add(&Notice{Kind: NoticeWorksAgain, Peer: e.cfg.Self, Term: e.hard.Term})
		}
		l.leaving = leaving{}
		return false
	}
	if l.leaving.why == "" || l.leaving.departure != departure {
		l.leaving.why, l.leaving.departure = why, departure
		e.out.add(&Notice{Kind: NoticeCannotWork, Peer: e.cfg.Self, Term: e.hard.Term, Text: why})
	}
	if e.bestTarget(e.answersNow) == nil {
		l.leaving.since = 0
		return false
	}
	if l.leaving.since == 0 {
		l.leaving.since = e.now
	}
	if stays := l.caretaker && departure != DepartureDisk; !stays && e.now.Sub(l.leaving.since) > e.cfg.HungLimit {
		e.depart(departure, "nobody has taken over")
		return true
	}
	if target := e.successor(); e.transfer.phase == transferNone && target != nil {
		// Its patience outlasts the limit: it ends with the office.
		e.startTransfer(target.Identity, false, l.leaving.why, l.leaving.since.Add(e.cfg.HungLimit+e.cfg.ElectionTimeout))
	}
	return false
}

// successor is the best voter to hand over to now. Who has left office for its
// health lately waits behind the others, and who has failed behind these, for an
// election time-out at least. Who leads because nobody else could gives the others its
// log first.
func (e *Engine) successor() *peer {
	ready := func(p *peer) bool {
		return e.answersNow(p) && (!e.leaderState.caretaker || p.match >= e.log.last.Index)
	}
	untried := func(p *peer) bool { return ready(p) && !e.handOver.waitsFor(p.Identity, e.now) }
	if best := e.bestTarget(func(p *peer) bool { return untried(p) && p.unfit == Fit }); best != nil {
		return best
	}
	if best := e.bestTarget(untried); best != nil {
		return best
	}
	return e.bestTarget(func(p *peer) bool {
		return ready(p) && e.now.Sub(e.handOver.failedAt(p.Identity)) > e.cfg.ElectionTimeout
	})
}

// depart leaves office. text says more than the departure.
func (e *Engine) depart(d Departure, text string) {
	e.leaderState.departure = d
	e.becomeFollower(e.hard.Term, Identity{}, text)
}

// departs notes that this leader leaves office, for what it is to say of itself and
// to do until it is well, and returns why, for people.
func (e *Engine) departs(why string) string {
	l := &e.leaderState
	d := l.departure
	if d == DepartureSuperseded && e.transfer.phase == transferTold {
		d = DepartureTransferred
	}
	if l.leaving.why != "" {
		why = l.leaving.why + "; " + why
		if d == DepartureSuperseded || d == DepartureTransferred {
			d = l.leaving.departure
		}
		switch h := &e.health; l.leaving.departure {
		case DepartureDisk:
			h.catchUpFlush = max(h.catchUpFlush, e.commit)
		case DepartureMachine:
			h.catchUpApply = max(h.catchUpApply, e.commit)
		}
	}
	if l.leaving.why != "" || d == DepartureEntries {
		e.standBack()
	}
	e.health.ledUntil = e.now
	e.departed.why, e.departed.term = why, e.hard.Term
	e.departed.counts[d]++
	return why
}
