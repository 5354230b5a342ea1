package core

// This file is about what the application runs while this node leads (rule 14): from
// when on it may, and until when.
//
// It may from the moment on in which the state machine has applied this leader's own
// first entry: all that was committed before is below that. And it may as long as the
// lease lasts, in which nobody else can be elected. So a leader that is cut off, or
// whose process was stopped, ends it before others elect somebody.
//
// What is run in one term is run once. If the lease runs out and comes back, the
// leader wins a new term first: the term is what others tell an old run's late
// messages by.

// Leading is what the application may do after a step of the engine, and until when.
type Leading struct {
	// Term is the one in which this node may act as the only leader, 0 if there is none:
	// it leads that term, has applied all that was committed before, and has not given up
	// its lease.
	Term Term
	// Until is when the lease ends, on this node's clock. After that another node may be
	// elected. Where that clock stands still while the machine is suspended, so does what
	// is left of the lease.
	Until Instant
}

// Leading returns what the application may do after a step. Whoever runs it ends what
// is over before it carries out any command of that step.
func (e *Engine) Leading() Leading {
	l := &e.leaderState
	if e.role != RoleLeader || e.contradiction != nil || e.applied < l.first || e.configs.bootstrapping(e.commit) {
		return Leading{}
	}
	if l.leaseGivenUp {
		return Leading{} // rule 14: TimeoutNow is about to leave, or has
	}
	return Leading{Term: e.hard.Term, Until: l.lease}
}

// WaitsForApplied reports whether the next notice of the state machine's may be the one
// from which on the application may act for this leader.
func (e *Engine) WaitsForApplied() bool {
	return e.role == RoleLeader && e.applied < e.leaderState.first
}

// onRenewTerm lets the leader of a term win a new one, after a while that doubles where
// leases run out again and again: each new term interrupts the group for a moment.
func (e *Engine) onRenewTerm(ev *RenewTerm) {
	l := &e.leaderState
	if e.role != RoleLeader || ev.Term != e.hard.Term || e.contradiction != nil || l.wantsTerm {
		return
	}
	l.wantsTerm = true
	e.handOver.lapses.again(e.now, e.cfg.ElectionTimeout, lapseTimeoutsMax*e.cfg.ElectionTimeout)
	if e.handOver.renewAt == 0 {
		e.handOver.renewAt = e.handOver.lapses.until
		e.setTransferTimer()
	}
}

// lapseTimeoutsMax is for how many election time-outs a leader waits at most before it
// wins a new term for the application.
const lapseTimeoutsMax = 64
