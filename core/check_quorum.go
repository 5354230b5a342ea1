package core

import "fmt"

// lostQuorum reports whether no quorum has answered a round that was begun
// within the last election time-out. Such a leader steps down (dissertation
// 6.2): another may lead already, and clients should not wait for this one.
func (e *Engine) lostQuorum() bool {
	heard := Instant(e.configs.latest().Configuration.QuorumValue(func(id Identity) uint64 {
		if id == e.cfg.Self {
			return uint64(max(e.now, 0))
		}
		if p := e.leaderState.peer(id); p != nil {
			return uint64(max(p.roundSent, 0))
		}
		return 0
	}))
	return e.now.Sub(heard) > e.cfg.ElectionTimeout
}

// hung carries out rule 16: a leader whose own disk or state machine stands
// still while others advance steps down; the reason is returned. When all
// disks are slow nobody's commit runs ahead, and the leadership stays.
func (e *Engine) hung() string {
	l := &e.leaderState
	if e.writes.flushed >= l.flushMark {
		// It moves: a disk that is merely slower than the others' is not hung.
		l.flushBehind, l.flushMark = 0, e.commit
		if e.writes.flushed < e.commit {
			l.flushBehind = e.now
		}
	}
	if e.applied != l.applySeen || !e.appliedBehindPeers() {
		l.applySeen, l.applyBehind = e.applied, 0
	} else if l.applyBehind == 0 {
		l.applyBehind = e.now
	}
	switch {
	case l.flushBehind != 0 && e.now.Sub(l.flushBehind) > e.cfg.HungLimit:
		l.catchUpFlush = e.commit
		return fmt.Sprintf("own disk hangs: flushed %d, committed %d", e.writes.flushed, e.commit)
	case l.applyBehind != 0 && e.now.Sub(l.applyBehind) > e.cfg.HungLimit:
		l.catchUpApply = e.commit
		return fmt.Sprintf("own state machine hangs: applied %d, committed %d", e.applied, e.commit)
	}
	return ""
}

func (e *Engine) appliedBehindPeers() bool {
	for _, p := range e.leaderState.peers {
		if p.applied > e.applied && e.configs.latest().Configuration.IsVoter(p.Identity) {
			return true
		}
	}
	return false
}

// catchingUp reports whether this node stepped down for its disk or machine and
// has not caught up yet (rule 16).
func (e *Engine) catchingUp() bool {
	return e.writes.flushed < e.leaderState.catchUpFlush || e.applied < e.leaderState.catchUpApply
}
