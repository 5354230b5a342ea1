package core

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"
)

func (r *rig) electEnded() *ElectEnded {
	c, _ := find[*ElectEnded](r)
	return c
}

// refusedElect expects that a campaign by hand ended for a reason in the last step.
func (r *rig) refusedElect(id uint64, reason ElectRefusal, leader NodeID) {
	r.t.Helper()
	c := r.electEnded()
	var err *ElectError
	if c == nil || !errors.As(c.Err, &err) || c.ID != id || err.Reason != reason || err.Leader != leader {
		r.t.Errorf("want %v: %q", reason, r.lines())
	}
}

// TestElect: an election by hand begins at once, with a pre-vote as ever, and ends
// when this node leads, or when it is known that it does not.
func TestElect(t *testing.T) {
	r := newRig(t, rigOptions{})
	if r.step(&Elect{1}); r.e.role != RolePreCandidate || r.electEnded() != nil {
		t.Fatalf("a %v; %q", r.e.role, r.lines())
	}
	r.step(&Elect{2})
	grant := func(pre bool) {
		term := r.e.hard.Term
		if pre {
			term++
		}
		r.from(2, r.e.hard.Term, &VoteResponse{Pre: pre, ElectionTerm: term, Campaign: r.e.election.campaign, Granted: true})
	}
	grant(true)
	r.step(&Elect{3})
	if r.e.role != RoleCandidate || r.e.hard.Term != 2 {
		t.Fatalf("a %v of T%d", r.e.role, r.e.hard.Term)
	}
	r.flush()
	grant(false)
	ended := 0
	for _, c := range r.last {
		if c, ok := c.(*ElectEnded); ok {
			ended++
			if c.Err != nil || c.Term != 2 {
				t.Errorf("%d ended: %v in T%d", c.ID, c.Err, c.Term)
			}
		}
	}
	if ended != 3 || r.e.election.counts[ElectionByHand][ElectionWon] != 1 {
		t.Errorf("%d of 3 ended; %v", ended, r.e.election.counts)
	}
	if r.step(&Elect{4}); r.electEnded() == nil || r.electEnded().Err != nil {
		t.Errorf("who leads is elected: %q", r.lines())
	}
}

// TestElectIsRefused: what stands against it is named, and changes nothing.
func TestElectIsRefused(t *testing.T) {
	for name, test := range map[string]struct {
		rig    func() *rig
		reason ElectRefusal
		leader NodeID
	}{
		"a leader lives": {func() *rig { return newRig(t, rigOptions{}).follow(2) }, ElectUnderLeader, 2},
		"a learner":      {func() *rig { return newRig(t, rigOptions{learner: true}) }, ElectNotVoter, 0},
		"no cluster":     {func() *rig { return newRigOf(t, State{}, nil) }, ElectNotVoter, 0},
		"paused":         {func() *rig { r := newRig(t, rigOptions{}); r.step(&PauseElections{true}); return r }, ElectPaused, 0},
		"sick":           {func() *rig { r := newRig(t, rigOptions{}); r.e.health.catchUpFlush = 9; return r }, ElectSick, 0},
		"installing": {func() *rig {
			r := newRig(t, rigOptions{term: 4}).follow(4)
			r.step(&SnapshotReceived{Meta: rigSnapshot(LogID{3, 9}), From: rigPeers[1], Term: 4, Stream: 1})
			r.now = r.e.promise.until
			return r
		}, ElectInstalling, 0},
	} {
		r := test.rig()
		role, term := r.e.role, r.e.hard.Term
		r.step(&Elect{1})
		r.refusedElect(1, test.reason, test.leader)
		if r.e.role != role || r.e.hard.Term != term {
			t.Errorf("%s: a %v of T%d", name, r.e.role, r.e.hard.Term)
		}
	}
}

// TestElectWaitsForPromises: rules 12 and 13 bind it: it begins when they end, and not
// a moment later.
func TestElectWaitsForPromises(t *testing.T) {
	for name, r := range map[string]*rig{
		"promise":      newRig(t, rigOptions{}).follow(2),
		"quiet period": newRig(t, rigOptions{configure: func(c *Config) { c.QuietPeriod = 5 * time.Second }}),
	} {
		if name == "promise" {
			// Its leader is gone, and the promise to it lives.
			r.from(3, 4, &VoteResponse{})
		}
		until := max(r.e.promise.until, r.e.quietPeriodEnd())
		r.step(&Elect{1})
		if r.e.role != RoleFollower || r.electEnded() != nil || r.e.electionTimer.at != until {
			t.Fatalf("%s: a %v, again %v before its end", name, r.e.role, until.Sub(r.e.electionTimer.at))
		}
		r.fire(TimerElection)
		if r.e.role != RolePreCandidate || r.now != until || r.e.election.reason != ElectionByHand {
			t.Errorf("%s: a %v, reason %d", name, r.e.role, r.e.election.reason)
		}
	}
}

// TestElectEnds: every end of what was begun by hand is told.
func TestElectEnds(t *testing.T) {
	for name, test := range map[string]struct {
		end    func(r *rig)
		reason ElectRefusal
		leader NodeID
	}{
		"refused": {func(r *rig) {
			for id := NodeID(2); id <= 3; id++ {
				r.from(id, 1, &VoteResponse{Pre: true, ElectionTerm: 2, Campaign: r.e.election.campaign, WaitMillis: 500})
			}
		}, ElectTooFewVotes, 0},
		"no answers":  {func(r *rig) { r.fire(TimerElection) }, ElectTooFewVotes, 0},
		"another won": {func(r *rig) { r.follow(2) }, ElectAnotherWon, 2},
		"paused":      {func(r *rig) { r.step(&PauseElections{true}) }, ElectPaused, 0},
		"disk hangs": {func(r *rig) {
			r.from(3, 9, &VoteResponse{}) // adopts the term, and tries again
			r.now = r.now.Add(2 * time.Second)
			r.e.electionTimer.at = r.now
			r.fire(TimerElection)
		}, ElectSick, 0},
		"no voter any more": {func(r *rig) {
			c := r.e.configs.latest().Configuration.Clone()
			c.Voters = c.Voters[1:]
			// Committed, and told by a leader that is gone before it is heard of again.
			entry := Entry{LogID: LogID{2, 2}, Kind: EntryConfiguration, Data: c.Encode()}
			asked := r.e.election.asked
			r.e.election.asked = nil
			r.from(2, 2, &AppendEntries{Stream: 1, Prev: LogID{1, 1}, Entries: []Entry{entry}, Commit: 2})
			r.e.election.asked = asked
			r.fire(TimerElection)
		}, ElectNotVoter, 0},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, rigOptions{})
			r.step(&Elect{1})
			test.end(r)
			r.refusedElect(1, test.reason, test.leader)
			if r.e.role.active() && name != "no answers" {
				t.Errorf("a %v", r.e.role)
			}
		})
	}
}

// TestPauseElections: who is paused does not campaign, votes all the same, says so in
// its heartbeat answers, and leads on if it leads.
func TestPauseElections(t *testing.T) {
	r := newRig(t, rigOptions{}).follow(2)
	r.step(&PauseElections{true})
	r.from(2, 2, &Heartbeat{Round: 2, Stream: 1})
	if m, ok := sent[*HeartbeatResponse](r); !ok || m.Unfit != UnfitPaused {
		t.Errorf("%q", r.lines())
	}
	for range 5 {
		if r.fire(TimerElection); r.e.role != RoleFollower || r.e.leader != (Identity{}) {
			t.Fatalf("a %v", r.e.role)
		}
	}
	if s := r.e.Status(); !s.ElectionsPaused || s.NoLeader != "waits for its elections, which are paused, to go on" {
		t.Errorf("%v, %q", s.ElectionsPaused, s.NoLeader)
	}
	r.from(3, 3, &VoteRequest{ElectionTerm: 3, Campaign: 1, Last: LogID{2, 9}})
	if r.e.hard.Vote != rigPeers[2] {
		t.Error("it does not vote")
	}
	r.flush()
	r.step(&PauseElections{false})
	if r.fire(TimerElection); r.e.role != RolePreCandidate {
		t.Errorf("a %v that goes on", r.e.role)
	}
	r.step(&PauseElections{true})
	if r.e.role != RoleFollower || r.e.electionTimer.armed == 0 {
		t.Errorf("a %v that was paused while it asked", r.e.role)
	}
	l := newRig(t, rigOptions{}).lead()
	if l.step(&PauseElections{true}); l.e.role != RoleLeader || !l.e.ready() {
		t.Errorf("a %v that led", l.e.role)
	}
}

// TestOthersPaused: a leader says so when nobody would take over from it, once each
// time; a learner would not take over.
func TestOthersPaused(t *testing.T) {
	r := leadAnswered(t, rigOptions{})
	tells := func() bool {
		r.t.Helper()
		r.fire(TimerHeartbeat)
		n, ok := find[*Notice](r)
		return ok && n.Kind == NoticeElectionsPaused
	}
	pause := func(id NodeID, u Unfit) { r.respond(id, &HeartbeatResponse{Match: 2, Accepted: 2, Unfit: u}) }
	pause(2, UnfitPaused)
	pause(3, UnfitSick)
	if tells() || r.e.Status().OthersPaused {
		t.Error("one is sick, and not paused")
	}
	for range 2 {
		pause(2, UnfitPaused)
		pause(3, UnfitPaused)
		if !tells() || !r.e.Status().OthersPaused {
			t.Error("it says nothing")
		}
		pause(2, UnfitPaused)
		pause(3, UnfitPaused)
		if tells() {
			t.Error("it says it again")
		}
		pause(2, Fit)
		pause(3, UnfitPaused)
		if tells() || r.e.Status().OthersPaused {
			t.Error("one is back")
		}
	}
	alone := newRig(t, rigOptions{voters: 1})
	alone.flush()
	if alone.fire(TimerHeartbeat); alone.e.Status().OthersPaused {
		t.Error("a sole voter has no others")
	}
}

// TestElectBehindTheQuietPeriodEnds: when the leader that was taken for gone is heard
// again, whoever waits for the quiet period's end is told that it lives.
func TestElectBehindTheQuietPeriodEnds(t *testing.T) {
	r := newRig(t, rigOptions{configure: func(c *Config) { c.QuietPeriod = 5 * time.Second }}).follow(2)
	r.flush()
	r.now = r.now.Add(r.e.cfg.ElectionTimeout + time.Millisecond)
	if r.step(&Elect{1}); r.electEnded() != nil {
		t.Fatalf("it does not wait: %q", r.lines())
	}
	r.from(2, 2, &Heartbeat{Round: 2, Stream: 1})
	var refused *ElectError
	if ended := r.electEnded(); ended == nil || !errors.As(ended.Err, &refused) || refused.Reason != ElectUnderLeader {
		t.Errorf("%q", r.lines())
	}
}

// TestElectIsCancelled: who waits no more is told at once, and nothing of the request is
// kept. A campaign goes on; one that still waits for a promise is not begun for nobody.
func TestElectIsCancelled(t *testing.T) {
	cancel := func(r *rig, id uint64, underWay bool) {
		t.Helper()
		r.step(&ElectCancelled{id, context.Canceled})
		r.refusedElect(id, ElectTimedOut, 0)
		if err := r.electEnded().Err; !errors.Is(err, context.Canceled) || MayHaveHappened(err) != underWay {
			t.Errorf("may have happened: %v, want %v: %v", MayHaveHappened(err), underWay, err)
		}
		if slices.Contains(r.e.election.asked, id) {
			t.Errorf("%d is kept", id)
		}
	}
	r := newRig(t, rigOptions{})
	r.step(&Elect{1})
	r.step(&Elect{2})
	cancel(r, 1, true)
	cancel(r, 2, true)
	if r.e.role != RolePreCandidate {
		t.Errorf("a %v whose campaign nobody waits for", r.e.role)
	}
	if r.step(&ElectCancelled{ID: 2}); r.electEnded() != nil {
		t.Errorf("ended twice: %q", r.lines())
	}

	r = newRig(t, rigOptions{configure: func(c *Config) { c.QuietPeriod = 5 * time.Second }})
	r.step(&Elect{3})
	r.step(&Elect{4})
	end := r.e.quietPeriodEnd()
	if cancel(r, 3, true); r.e.electionTimer.at != end {
		t.Errorf("another waits, and it begins %v after the quiet period", r.e.electionTimer.at.Sub(end))
	}
	if cancel(r, 4, false); r.e.electionTimer.at == end || r.e.role != RoleFollower {
		t.Errorf("nobody waits, and a %v begins at the end of the quiet period", r.e.role)
	}
	if r.fire(TimerElection); r.e.election.reason != ElectionByTimeout {
		t.Errorf("it campaigns for reason %d", r.e.election.reason)
	}
}

// TestMayHaveHappened: an error speaks for what it wraps; of those that were joined one
// is enough.
func TestMayHaveHappened(t *testing.T) {
	may, not := &TransferError{Sent: true}, &TransferError{}
	for err, want := range map[error]bool{
		may: true, not: false, errors.New("plain"): false,
		fmt.Errorf("group 1: %w", may):               true,
		&TransferError{Cause: may}:                   false,
		&UnknownOutcomeError{Cause: ErrStopped}:      true,
		errors.Join(not, may):                        true,
		errors.Join(not, fmt.Errorf("x: %w", not)):   false,
		fmt.Errorf("%w, and %w", ErrOverloaded, may): true,
	} {
		if MayHaveHappened(err) != want {
			t.Errorf("%v: %v", err, !want)
		}
	}
	if MayHaveHappened(nil) {
		t.Error("what did happen")
	}
}
