package core

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
