package core

import (
	"fmt"
	"time"
)

// This file is about links that pass heartbeats and no entries (rule 16): the bulk
// connections are others than those of the heartbeats, and may hang alone.

// link is what a leader knows of the way of its entries to a peer.
type link struct {
	// accepted is the last index that the peer's accepted log was proved equal up
	// to, durable or not, and acceptedAt when that rose last, or was all that there
	// is.
	accepted   Index
	acceptedAt Instant
	// left are the bytes that are known to have left to the peer by class, and
	// movedAt is when they grew last; 0 if nobody tells. leftAt is when they last
	// grew by what was on its way when the peer last accepted something: mark is
	// what had left when that was first reported, and owed what was on its way, 0 if
	// that is not known.
	left            [Classes + 1]uint64
	movedAt, leftAt Instant
	mark, owed      uint64
	// shared: other groups have entries on their way to the same node.
	shared bool
	// broken is when the bulk connection was broken last, and breakAfter how long it
	// may stand still until it is broken.
	broken     Instant
	breakAfter time.Duration
}

const (
	// stuckLimitsMax is for how many limits bytes that leave excuse a peer that
	// accepts nothing.
	stuckLimitsMax = 10
	// breakLimitsMax is the longest wait between two breaks of a connection, in
	// limits.
	breakLimitsMax = 8
	// standBackTimeouts is for how many election time-outs a leader whose entries
	// did not pass lets the others elect one of theirs.
	standBackTimeouts = 4
)

// onPeerProgress takes how many bytes have left to a node.
func (e *Engine) onPeerProgress(ev *PeerProgress) {
	if ev.Class != ClassBulk && ev.Class != ClassSnapshot {
		return
	}
	for _, p := range e.leaderState.peers {
		if p.ID == ev.Node {
			p.progress(ev, e.now)
		}
	}
}

// owedSlackBytes is what may leave beside entries: headers, signs of life, and
// what is sent again on a new connection.
const owedSlackBytes = 1 << 10

// progress takes what has left. Bytes of a long entry on a slow link show that the
// link works. But if more has left than was on its way when the peer last accepted
// something, then all that has left too, and what leaves now shows nothing: it
// may vanish on the way as that did.
func (p *peer) progress(ev *PeerProgress, now Instant) {
	before := p.left[ev.Class]
	if ev.Class == ClassBulk {
		p.shared = ev.Shared
	}
	if ev.Class == ClassBulk && p.owed == 0 {
		// Not before: while the peer had all, nobody told what left to others.
		p.mark, p.owed = ev.Bytes, ev.Inflight
	}
	if ev.Bytes <= before {
		return
	}
	p.left[ev.Class], p.movedAt = ev.Bytes, now
	if ev.Class == ClassSnapshot || p.owed == 0 || ev.Bytes-p.mark <= 2*p.owed+owedSlackBytes {
		p.leftAt = now
	}
}

// takeAccepted takes what a peer says that its accepted log reaches to.
func (e *Engine) takeAccepted(p *peer, accepted Index) {
	accepted = min(accepted, e.log.last.Index)
	if accepted > p.accepted {
		p.acceptedAt, p.breakAfter, p.owed = e.now, e.cfg.HungLimit, 0
		p.catchUp.progressAt = e.now
	}
	p.accepted = accepted
}

// awaitsDisk reports whether the peer has accepted what its disk has not made
// durable yet. Its window may be full of that: the link has nothing to carry then.
func (p *peer) awaitsDisk() bool { return p.accepted > p.match }

// entriesStuck carries out rule 16: a leader whose entries no quorum accepts, while
// one answers its heartbeats, steps down, unless bytes leave toward a quorum: a
// long entry on a slow link is no hung link. The reason is returned.
func (e *Engine) entriesStuck() string {
	l, last := &e.leaderState, e.log.last.Index
	accepted := Index(e.quorumOf(uint64(last), func(p *peer) uint64 { return uint64(p.accepted) }))
	if accepted > l.accepted || accepted >= last {
		l.acceptedAt = e.now
	}
	l.accepted = accepted
	left := Instant(e.quorumOf(uint64(e.now), func(p *peer) uint64 {
		// Who has accepted all holds nothing up: the others of a quorum may still
		// be on their way. Of a snapshot nobody may tell how far it is.
		if p.accepted >= last || p.awaitsDisk() || p.snapshot && p.leftAt == 0 {
			return uint64(e.now)
		}
		return uint64(p.leftAt)
	}))
	if left >= e.now {
		// There was nothing to carry. The limit begins when there is something again,
		// and not when the last entry was accepted: a disk may take longer than that.
		l.acceptedAt = e.now
	}
	if e.now.Sub(max(l.acceptedAt, left)) <= e.cfg.HungLimit {
		return ""
	}
	return fmt.Sprintf("no quorum accepts entries: accepted %d of %d", accepted, last)
}

// quorumOf is what a joint quorum has reached, if this node has reached own.
func (e *Engine) quorumOf(own uint64, reached func(p *peer) uint64) uint64 {
	return e.configs.latest().Configuration.QuorumValue(func(id Identity) uint64 {
		if id == e.cfg.Self {
			return own
		}
		if p := e.leaderState.peer(id); p != nil {
			return reached(p)
		}
		return 0
	})
}

// letOthersCampaign moves this node's next campaign behind those of the others:
// rule 16: not campaigning is a delay, not a ban.
func (e *Engine) letOthersCampaign() {
	if e.mayEverCampaign() {
		e.set(&e.electionTimer, TimerElection, e.electionTimer.at.Add(standBackTimeouts*e.cfg.ElectionTimeout))
	}
}

// forgiveStuck lets the limits begin anew: this node was asleep, and has not read
// yet what was said meanwhile (rule 15).
func (e *Engine) forgiveStuck() {
	e.leaderState.acceptedAt = e.now
	for _, p := range e.leaderState.peers {
		p.acceptedAt = e.now
	}
}

// breakHungConnections breaks the bulk connection of a peer that answers
// heartbeats while its entries make no progress (rule 16), again and again, each
// time after a longer wait.
func (e *Engine) breakHungConnections() {
	for _, p := range e.leaderState.peers {
		switch {
		case p.accepted >= e.log.last.Index:
			p.acceptedAt, p.breakAfter, p.owed = e.now, e.cfg.HungLimit, 0
			continue
		case p.awaitsDisk() || p.snapshot || p.denies || p.oversized > p.match || e.now.Sub(max(p.answered, p.seen)) > e.cfg.ElectionTimeout:
			p.acceptedAt = e.now
			continue
		}
		since := max(p.acceptedAt, p.broken)
		if p.shared || e.now.Sub(p.acceptedAt) <= stuckLimitsMax*e.cfg.HungLimit {
			// One that other groups use and that moves is not broken for one's sake.
			since = max(since, p.movedAt)
		}
		if e.now.Sub(since) > p.breakAfter {
			p.broken, p.breakAfter = e.now, min(2*p.breakAfter, breakLimitsMax*e.cfg.HungLimit)
			e.out.add(&BreakConnection{p.ID, ClassBulk})
			e.out.add(&Notice{Kind: NoticeConnectionBroken, Peer: p.Identity, Term: e.hard.Term, Index: p.accepted})
		}
	}
}
