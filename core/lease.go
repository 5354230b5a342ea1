package core

import "time"

// This file is the leader's lease (rule 12): until when no other node can have been
// elected, by the clock of this one.
//
// A follower that answers a heartbeat promises for how long, from its receipt of the
// heartbeat on, it votes for no other node. The leader sent the heartbeat before the
// follower received it. So the leader counts the promise from when it began the
// round, and shortens it by the drift between the two clocks. Another leader needs
// the votes of a quorum of each half of the configuration, and every such quorum has
// a member in the one whose promises make the lease. So the lease ends where a joint
// quorum of promises does.
//
// Only real answers in the term that is led count. A new peer has promised nothing,
// however long a grace check-quorum gives it, and neither has anybody to a leader
// that was elected a moment ago.

// takePromise takes the promise of a peer that has answered a round which was begun
// at sent. An answer of before may have promised more.
func (e *Engine) takePromise(p *peer, sent Instant, millis uint32) {
	p.roundSent = max(p.roundSent, sent)
	p.promised = max(p.promised, sent.Add(e.lessDrift(time.Duration(millis)*time.Millisecond)))
	e.renewLease()
}

// renewLease counts the lease anew: an answer came, a round was begun, or another
// configuration is in force.
func (e *Engine) renewLease() { e.leaderState.lease = e.countLease() }

// countLease is until when a joint quorum has promised. Rule 12: only voters count.
// The leader answers its own rounds when it begins them: while it leads it votes for
// nobody else, and when it leads no more there is no lease.
func (e *Engine) countLease() Instant {
	l := &e.leaderState
	if l.round == 0 {
		return 0
	}
	own := l.begunRound.Add(e.lessDrift(e.cfg.ElectionTimeout))
	return Instant(e.quorumOf(uint64(max(own, 0)), func(p *peer) uint64 { return uint64(max(p.promised, 0)) }))
}

// lessDrift is how much of a time that passes on another node's clock is sure to
// pass on this one's.
func (e *Engine) lessDrift(d time.Duration) time.Duration {
	return d - time.Duration(float64(d)*e.cfg.ClockDriftMax)
}

// endLease gives up the lease of the term that is led, for good: the next one has to
// be won. It is called before this node stops leading, and before anything leaves by
// which another node could be elected sooner than promises allow (rule 14).
func (e *Engine) endLease() { e.leaderState.leaseGivenUp = true }

// leaseEnd is until when a read may be answered by the lease, 0 if none may be.
func (e *Engine) leaseEnd() Instant {
	if e.whyNoLease() != "" {
		return 0
	}
	return e.leaderState.lease
}

// leaseHolds reports whether nobody else can lead now.
func (e *Engine) leaseHolds() bool { return e.now < e.leaseEnd() }

// whyNoLease says why no read may be answered by the lease, "" if one may be while it
// lasts.
func (e *Engine) whyNoLease() string {
	l := &e.leaderState
	switch {
	case e.role != RoleLeader:
		return "this node does not lead"
	case e.contradiction != nil:
		return "this node has heard a contradiction"
	case e.cfg.ClockStops:
		return "the clock of this system stands still while the machine is suspended"
	case l.leaseGivenUp:
		return "it was given up in this term for a transfer of leadership"
	case e.commit < l.first:
		// Rule 26: until then nobody knows what is committed.
		return "no entry of this term is committed yet"
	case l.lease == 0:
		return "no quorum has promised anything in this term yet"
	}
	return ""
}

// Readable is what a read may be answered by without a step of the engine.
type Readable struct {
	// Lease is until when no other node can have committed anything, on this node's
	// clock: 0 unless this node leads, and has committed an entry of its own term.
	Lease Instant
	// Commit is the commit index. While the lease lasts it is not below any index
	// that was committed before, anywhere.
	Commit Index
	// Refused, if not nil, is why this node answers no reads: a *ContradictionError.
	Refused error
}

// Readable returns what reads may be answered by after a step. Whoever shows it to
// readers does so before it carries out any command of that step.
func (e *Engine) Readable() Readable {
	return Readable{Lease: e.leaseEnd(), Commit: e.commit, Refused: e.contradiction}
}
