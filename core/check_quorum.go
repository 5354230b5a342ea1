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
			return uint64(max(p.roundSent, p.grace, 0))
		}
		return 0
	}))
	return e.now.Sub(heard) > e.cfg.ElectionTimeout
}

// hung carries out rule 16: a leader whose own disk or state machine stands
// still while others advance steps down; the reason is returned, and what it has to
// catch up with before it campaigns. When all disks are slow nobody's commit runs
// ahead, and the leadership stays.
func (e *Engine) hung() (why string, flush, apply Index) {
	switch own := &e.leaderState.own; {
	case own.diskHung(e.now, e.cfg.HungLimit):
		return fmt.Sprintf("own disk hangs: flushed %d, committed %d", e.writes.flushed, e.commit), e.commit, 0
	case own.machineHung(e.now, e.cfg.HungLimit):
		return fmt.Sprintf("own state machine hangs: applied %d, committed %d", e.applied, e.commit), 0, e.commit
	}
	return "", 0, 0
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
