package core

import (
	"testing"
	"time"
)

// wantLeading asserts in which term the application may act, and for how long. Nobody
// may where term is 0.
func (r *rig) wantLeading(term Term, left time.Duration, when string) {
	r.t.Helper()
	got := r.e.Leading()
	if got.Term != term || term != 0 && max(got.Until.Sub(r.now), 0) != left {
		r.t.Errorf("%s: it may act in T%d for %v, want T%d for %v", when, got.Term, got.Until.Sub(r.now), term, left)
	}
}

// TestLeading: rule 14: the application may act from the leader's first applied entry
// on, while the lease lasts.
func TestLeading(t *testing.T) {
	r := newRig(t, rigOptions{terms: []Term{1, 1}, commit: 2, applied: 1})
	r.wantLeading(0, 0, "a follower")
	r.elect()
	r.wantLeading(0, 0, "elected")
	round := r.e.leaderState.round
	r.answered(2, round, time.Second)
	r.flush()
	r.match(2, r.e.log.last.Index)
	if !r.e.WaitsForApplied() || r.e.commit != 4 {
		t.Errorf("it does not wait for the machine, or has committed %d", r.e.commit)
	}
	r.wantLeading(0, 0, "its first entry is committed")
	r.step(&Applied{LogID{1, 3}})
	r.wantLeading(0, 0, "all before its first entry is applied")
	r.apply()
	r.wantLeading(2, 900*time.Millisecond, "its first entry is applied")
	if r.e.WaitsForApplied() {
		t.Error("it waits for the machine")
	}
	r.now = r.now.Add(time.Second)
	r.wantLeading(2, 0, "the lease has run out")
	r.answered(2, r.beat(0), time.Second)
	r.wantLeading(2, 900*time.Millisecond, "answered again")
	r.from(3, 3, &Heartbeat{Round: 1, Stream: 1})
	r.wantLeading(0, 0, "deposed")
}

// TestLeadingWithoutASuspendedClock: where no clock tells of a suspension there are no
// lease reads, and the application still stops when the lease has run out.
func TestLeadingWithoutASuspendedClock(t *testing.T) {
	r := newRig(t, rigOptions{configure: func(c *Config) { c.ClockStops = true }}).lead()
	r.answered(2, r.e.leaderState.round, time.Second)
	r.wantLease(0, "lease reads")
	r.wantLeading(2, 900*time.Millisecond, "the application")
}

// TestLeadingEndsBeforeTimeoutNow: rule 14: in the step in which TimeoutNow is sent, and
// not while the target catches up. It does not come back in that term.
func TestLeadingEndsBeforeTimeoutNow(t *testing.T) {
	r := leadAnswered(t, rigOptions{})
	r.answered(2, r.e.leaderState.round, time.Second)
	r.propose("x") // which nobody has yet
	r.transferTo(2)
	r.wantLeading(2, 900*time.Millisecond, "the target catches up")
	r.flush()
	if r.match(2, r.e.log.last.Index); !r.told(2) {
		t.Fatalf("not told: %q", r.lines())
	}
	r.wantLeading(0, 0, "told")
	r.fire(TimerTransfer)
	r.failed(TransferTimedOut, 2, true)
	r.answered(3, r.beat(0), time.Second)
	r.wantLeading(0, 0, "the transfer has failed")
}

// TestLeadingWaitsForTheWholeCluster: not while a bootstrap is incomplete, as little as
// proposals are admitted then.
func TestLeadingWaitsForTheWholeCluster(t *testing.T) {
	r := newRigOf(t, State{}, nil)
	r.bootstrap(1, 2)
	r.flush()
	for r.e.role != RoleLeader {
		r.flush()
	}
	r.flush()
	r.apply()
	if r.e.ready() || r.e.applied < r.e.leaderState.first {
		t.Fatalf("ready %v, applied %d", r.e.ready(), r.e.applied)
	}
	r.wantLeading(0, 0, "node 2 is missing")
}

// TestLeadingAfterAContradiction: who cannot trust what it knows does not let the
// application act, and needs no new term for it.
func TestLeadingAfterAContradiction(t *testing.T) {
	r := leadAnswered(t, rigOptions{})
	r.answered(2, r.e.leaderState.round, time.Second)
	r.from(3, 2, &Heartbeat{Round: 1, Stream: 1}) // a second leader of this term
	if r.e.contradiction == nil || r.e.role != RoleLeader {
		t.Fatalf("a %v, %v", r.e.role, r.e.contradiction)
	}
	r.wantLeading(0, 0, "a contradiction")
	if r.step(&RenewTerm{2}); r.e.Status().NeedsNewTerm {
		t.Error("it wants a new term")
	}
}

// TestRenewTermForTheApplication: a run that ended early gets a new term, once, and
// later each time that it happens again.
func TestRenewTermForTheApplication(t *testing.T) {
	r := leadAnswered(t, rigOptions{})
	if r.step(&RenewTerm{1}); r.e.Status().NeedsNewTerm {
		t.Error("for a term that is over")
	}
	wait := r.e.cfg.ElectionTimeout
	for range 3 {
		term := r.e.hard.Term
		r.step(&RenewTerm{term})
		r.step(&RenewTerm{term})
		if s := r.e.Status(); !s.NeedsNewTerm || !s.Ready || r.e.handOver.renewAt != r.now.Add(wait) {
			t.Fatalf("needs one: %v, ready %v, in %v; want it in %v", s.NeedsNewTerm, s.Ready, r.e.handOver.renewAt.Sub(r.now), wait)
		}
		r.answered(2, r.e.leaderState.round, time.Second)
		if r.leaseLeft() == 0 {
			t.Error("reads have no lease meanwhile")
		}
		r.now = r.e.handOver.renewAt
		r.fire(TimerTransfer)
		r.from(3, term, &VoteResponse{Pre: true, ElectionTerm: term + 1, Campaign: r.e.election.campaign, Granted: true})
		if r.e.role != RoleCandidate {
			t.Fatalf("a %v that would win", r.e.role)
		}
		r.wantLeading(0, 0, "it campaigns")
		r.flush()
		r.from(3, term+1, &VoteResponse{ElectionTerm: term + 1, Campaign: r.e.election.campaign, Granted: true})
		if s := r.e.Status(); s.Role != RoleLeader || s.Term != term+1 || s.NeedsNewTerm {
			t.Fatalf("a %v of T%d, needs another: %v", s.Role, s.Term, s.NeedsNewTerm)
		}
		r.flush()
		r.match(2, r.e.log.last.Index)
		r.apply()
		wait *= 2
	}
	// Others do not care.
	r = newRig(t, rigOptions{}).follow(2)
	if r.step(&RenewTerm{2}); len(r.last) > 0 {
		t.Errorf("a follower: %q", r.lines())
	}
}

// TestRenewalWaitsForATransfer: a leader that hands over wins no new term, and one whose
// hand-over has failed without a word to the target still needs it.
func TestRenewalWaitsForATransfer(t *testing.T) {
	r := leadAnswered(t, rigOptions{})
	r.propose("x") // which nobody has
	r.transferTo(2)
	r.step(&RenewTerm{2})
	if r.e.renews() {
		t.Error("while it hands over")
	}
	r.step(&TransferCancelled{ID: 7})
	if !r.e.renews() || r.e.handOver.renewAt == 0 || r.e.transferTimer.at != r.e.handOver.renewAt {
		t.Errorf("renews %v at %d", r.e.renews(), r.e.handOver.renewAt)
	}
}
