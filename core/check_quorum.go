package core

import "fmt"

// lostQuorum reports whether no quorum has answered a round that was begun
// within the last election time-out. Such a leader leaves office (dissertation
// 6.2): another may lead already, and clients should not wait for this one.
func (e *Engine) lostQuorum() bool {
	heard := Instant(e.configs.latest().Configuration.QuorumValue(func(id Identity) uint64 {
		if id == e.cfg.Self {
			return uint64(max(e.now, 0))
		}
		if p := e.office.peer(id); p != nil {
			return uint64(max(p.roundSent, 0))
		}
		return 0
	}))
	return e.now.Sub(heard) > e.cfg.ElectionTimeout
}

// hung carries out rule 16: a leader whose own disk or state machine stands
// still while others advance leaves office; the reason is returned. When all
// disks are slow nobody's commit runs ahead, and the leadership stays.
func (e *Engine) hung() string {
	o := &e.office
	if e.writes.flushed >= o.flushMark {
		// It moves: a disk that is merely slower than the others' is not hung.
		o.flushBehind, o.flushMark = 0, e.commit
		if e.writes.flushed < e.commit {
			o.flushBehind = e.now
		}
	}
	if e.applied != o.applySeen || !e.appliedBehindPeers() {
		o.applySeen, o.applyBehind = e.applied, 0
	} else if o.applyBehind == 0 {
		o.applyBehind = e.now
	}
	switch {
	case o.flushBehind != 0 && e.now.Sub(o.flushBehind) > e.cfg.HungLimit:
		o.sickFlush = e.commit
		return fmt.Sprintf("own disk hangs: flushed %d, committed %d", e.writes.flushed, e.commit)
	case o.applyBehind != 0 && e.now.Sub(o.applyBehind) > e.cfg.HungLimit:
		o.sickApply = e.commit
		return fmt.Sprintf("own state machine hangs: applied %d, committed %d", e.applied, e.commit)
	}
	return ""
}

func (e *Engine) appliedBehindPeers() bool {
	for _, p := range e.office.peers {
		if p.applied > e.applied && e.configs.latest().Configuration.IsVoter(p.Identity) {
			return true
		}
	}
	return false
}

// sick reports whether this node left office for its disk or machine and has
// not caught up yet (rule 16).
func (e *Engine) sick() bool {
	return e.writes.flushed < e.office.sickFlush || e.applied < e.office.sickApply
}
