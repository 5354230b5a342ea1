package core

import (
	"testing"
	"time"
)

// TestTimeoutNow: rule 14 at the target: it counts in the own durable term, and
// starts one campaign at once and without a pre-vote, in spite of promise and quiet
// period. What stands against it is told.
func TestTimeoutNow(t *testing.T) {
	now := func(r *rig, term Term) []string { return r.from(2, term, &TimeoutNow{Transfer: 5, ByHand: true}) }
	quiet := func(c *Config) { c.QuietPeriod = time.Minute }
	for name, r := range map[string]*rig{
		"within a promise":        newRig(t, rigOptions{term: 4}).follow(4),
		"in the quiet period":     newRig(t, rigOptions{term: 4, configure: quiet}),
		"while it asks by itself": newRig(t, rigOptions{term: 4}).preCampaign(),
	} {
		now(r, 4)
		w, ok := find[*Write](r)
		if r.e.role != RoleCandidate || r.e.hard.Term != 5 || !ok || len(w.Then) != 2 {
			t.Errorf("%s: a %v of T%d; %q", name, r.e.role, r.e.hard.Term, r.lines())
			continue
		}
		for _, m := range w.Then {
			if m := m.(*VoteRequest); !m.Transfer || m.Pre || m.ElectionTerm != 5 {
				t.Errorf("%s: %+v", name, m)
			}
		}
		if r.e.election.reason != ElectionByTransfer {
			t.Errorf("%s: reason %d", name, r.e.election.reason)
		}
		// It counts once.
		if now(r, 4); r.e.hard.Term != 5 {
			t.Errorf("%s: twice", name)
		}
		// The next campaign is one like any other: with a pre-vote and without the flag.
		r.flush()
		r.now = max(r.now, r.e.promise.until, r.e.quietPeriodEnd())
		r.fire(TimerElection)
		if m, ok := sent[*VoteRequest](r); !ok || !m.Pre || m.Transfer {
			t.Errorf("%s: the next campaign: %q", name, r.lines())
		}
		r.from(3, 5, &VoteResponse{Pre: true, ElectionTerm: 6, Campaign: r.e.election.campaign, Granted: true})
		if w, ok := find[*Write](r); !ok || w.Then[0].(*VoteRequest).Transfer {
			t.Errorf("%s: the next campaign has the flag: %q", name, r.lines())
		}
	}
	for name, test := range map[string]struct {
		rig   func() *rig
		term  Term
		unfit Unfit
	}{
		"of a lower term":               {func() *rig { return newRig(t, rigOptions{term: 4}) }, 3, Fit},
		"of a term to come":             {func() *rig { return newRig(t, rigOptions{term: 4}) }, 5, Fit},
		"of a term that is not durable": {func() *rig { return newRig(t, rigOptions{}).follow(4) }, 4, Fit},
		"paused": {func() *rig {
			r := newRig(t, rigOptions{term: 4})
			r.step(&PauseElections{true})
			return r
		}, 4, UnfitPaused},
		"installing": {func() *rig {
			r := newRig(t, rigOptions{term: 4}).follow(4)
			r.step(&SnapshotReceived{Meta: rigSnapshot(LogID{3, 9}), From: rigPeers[1], Term: 4, Stream: 1})
			r.flush()
			return r
		}, 4, UnfitInstalling},
		"sick": {func() *rig {
			r := newRig(t, rigOptions{term: 4})
			r.e.health.catchUpFlush = 9
			return r
		}, 4, UnfitSick},
		"its disk hangs": {func() *rig {
			r := newRig(t, rigOptions{term: 4}).follow(4)
			r.from(2, 4, &AppendEntries{Stream: 1, Prev: LogID{1, 1}, Entries: commands(LogID{4, 2})})
			r.now = r.now.Add(2 * time.Second)
			return r
		}, 4, UnfitSick},
		"a learner": {func() *rig { return newRig(t, rigOptions{term: 4, learner: true}) }, 4, UnfitNotVoter},
	} {
		r := test.rig()
		term := r.e.hard.Term
		now(r, test.term)
		m, ok := sent[*TimeoutNowResponse](r)
		if !ok || m.Transfer != 5 || m.Unfit != test.unfit || r.e.hard.Term != term || r.e.role.active() {
			t.Errorf("%s: a %v of T%d; %q", name, r.e.role, r.e.hard.Term, r.lines())
		}
	}
	// Nobody else leads the term.
	r := newRig(t, rigOptions{term: 4}).follow(4)
	if r.from(3, 4, &TimeoutNow{}); r.e.role != RoleFollower || r.e.leader != rigPeers[1] {
		t.Errorf("from another than the leader: a %v", r.e.role)
	}
}

// TestTransferFlagReleasesPromises: rule 14 at the voters: the flag overrides promise
// and quiet period where the own durable term is the one before, and nowhere else.
func TestTransferFlagReleasesPromises(t *testing.T) {
	quiet := func(c *Config) { c.QuietPeriod = time.Minute }
	voter := func() *rig { return newRig(t, rigOptions{term: 4}).follow(4) }
	request := func() *VoteRequest {
		return &VoteRequest{ElectionTerm: 5, Campaign: 1, Last: LogID{4, 9}, Transfer: true}
	}
	for name, test := range map[string]struct {
		rig    func() *rig
		change func(m *VoteRequest)
		voted  bool
	}{
		"within a promise":             {voter, nil, true},
		"in the quiet period":          {func() *rig { return newRig(t, rigOptions{term: 4, configure: quiet}) }, nil, true},
		"without the flag":             {voter, func(m *VoteRequest) { m.Transfer = false }, false},
		"a pre-vote":                   {voter, func(m *VoteRequest) { m.Pre = true }, false},
		"two terms above":              {voter, func(m *VoteRequest) { m.ElectionTerm = 6 }, false},
		"a term that is not durable":   {func() *rig { return newRig(t, rigOptions{term: 3}).follow(4) }, nil, false},
		"the voter is in a lower term": {func() *rig { return newRig(t, rigOptions{term: 3}).follow(3) }, nil, false},
		"a log that is behind":         {voter, func(m *VoteRequest) { m.Last = LogID{1, 0} }, false},
		"a leader that told nobody":    {func() *rig { return leadAnswered(t, rigOptions{term: 3}) }, nil, false},
		"a leader that told another":   {func() *rig { r := leadAnswered(t, rigOptions{term: 3}); r.transferTo(2); return r }, nil, false},
		"the leader that told it":      {func() *rig { r := leadAnswered(t, rigOptions{term: 3}); r.transferTo(3); return r }, nil, true},
		"the leader, whose time was out": {func() *rig {
			r := leadAnswered(t, rigOptions{term: 3})
			r.transferTo(3)
			r.fire(TimerTransfer)
			return r
		}, nil, true},
		"a paused voter": {func() *rig { r := voter(); r.step(&PauseElections{true}); return r }, nil, true},
	} {
		r, m := test.rig(), request()
		if test.change != nil {
			test.change(m)
		}
		r.from(3, m.ElectionTerm, m)
		w, _ := find[*Write](r)
		voted := w != nil && len(w.Then) == 1 && w.Then[0].(*VoteResponse).Granted && r.e.hard.Vote == rigPeers[2]
		if voted != test.voted {
			t.Errorf("%s: voted %v; %q", name, voted, r.lines())
		}
	}
}

// TestHandedOnAtOnce: a node that was handed the leadership, and hands it on within its
// promise to the leader before it, gives its vote also if it has heard of the new term
// before it is asked. Its promise is forgotten, its quiet period is not.
func TestHandedOnAtOnce(t *testing.T) {
	for _, quiet := range []bool{false, true} {
		r := newRig(t, rigOptions{term: 4, configure: func(c *Config) {
			if quiet {
				c.QuietPeriod = time.Minute
			}
		}}).follow(4)
		r.from(2, 4, &TimeoutNow{})
		r.flush()
		r.from(2, 5, &VoteResponse{ElectionTerm: 5, Campaign: r.e.election.campaign, Granted: true})
		r.flush()
		for _, p := range r.e.leaderState.peers {
			r.match(p.ID, r.e.log.last.Index)
			r.answerRound(p.ID, r.e.log.last.Index)
		}
		if r.transferTo(3); r.e.role != RoleLeader || r.e.transfer.phase != transferTold {
			t.Fatalf("a %v: %q", r.e.role, r.lines())
		}
		r.from(3, 6, &HeartbeatResponse{})
		if r.e.hard.Term != 6 || r.e.role != RoleFollower {
			t.Fatalf("a %v of T%d", r.e.role, r.e.hard.Term)
		}
		r.flush()
		r.from(3, 6, &VoteRequest{ElectionTerm: 6, Campaign: 1, Last: r.e.log.last, Transfer: true})
		if voted := r.e.hard.Vote == rigPeers[2]; voted == quiet {
			t.Errorf("quiet period %v: voted %v; %q", quiet, voted, r.lines())
		}
	}
	// A voter, likewise: should the campaign fail, it is free for the next.
	v := newRig(t, rigOptions{term: 4}).follow(4)
	v.from(3, 5, &VoteRequest{ElectionTerm: 5, Campaign: 1, Last: LogID{4, 9}, Transfer: true})
	v.flush()
	if v.from(2, 6, &VoteRequest{ElectionTerm: 6, Campaign: 1, Last: LogID{4, 9}}); v.e.hard.Vote != rigPeers[1] {
		t.Errorf("the next campaign: %q", v.lines())
	}
}
