package core

import (
	"testing"
	"time"
)

// TestPromise: rules 11 and 12: within a promise a vote is refused, its term is
// not adopted, and the asker is told the milliseconds left; to whom the promise
// was given may have the vote.
func TestPromise(t *testing.T) {
	r := newRig(t, rigOptions{}).follow(2)
	r.now = r.now.Add(400*time.Millisecond + 1)
	r.expect(r.from(3, 5, &VoteRequest{ElectionTerm: 5, Campaign: 1, Last: LogID{9, 9}}), "send ->3 T2 vote for T5 refused, wait 600 ms")
	r.from(2, 3, &VoteRequest{ElectionTerm: 3, Campaign: 1, Last: LogID{9, 9}})
	if w, ok := find[*Write](r); !ok || !w.Then[0].(*VoteResponse).Granted {
		t.Errorf("the leader itself was refused: %q", r.lines())
	}
	// The promise binds the own vote too: no campaign before its end.
	late := newRig(t, rigOptions{}).follow(2)
	late.now = late.e.electionTimer.at - 1
	late.from(2, 2, &Heartbeat{Round: 2, Stream: 1})
	if late.e.electionTimer.at < late.e.promise.until {
		t.Error("the election time-out ends within the promise")
	}
}

// TestPromiseIsToWhomItWasGiven: rule 12: it binds to the leader whose heartbeat it
// answered, whoever leads now.
func TestPromiseIsToWhomItWasGiven(t *testing.T) {
	r := newRig(t, rigOptions{}).follow(2)
	r.now = r.now.Add(400 * time.Millisecond)
	// Node 3 leads without this node's vote, and has sent it no heartbeat yet.
	r.from(3, 3, &AppendEntries{Stream: 1, Prev: LogID{1, 1}})
	if r.e.leader != rigPeers[2] {
		t.Fatalf("follows %v: the test is worthless", r.e.leader)
	}
	r.flush()
	r.expect(r.from(3, 4, &VoteRequest{ElectionTerm: 4, Campaign: 1, Last: LogID{9, 9}}), "send ->3 T3 vote for T4 refused, wait 600 ms")
	r.from(2, 4, &VoteRequest{ElectionTerm: 4, Campaign: 1, Last: LogID{9, 9}})
	if w, ok := find[*Write](r); !ok || !w.Then[0].(*VoteResponse).Granted {
		t.Errorf("to whom the promise was given was refused: %q", r.lines())
	}
}

// TestStaleHeartbeatRenewsNoPromise: rules 5 and 12: a heartbeat of an old term is
// refused, and changes nothing of the promise to the leader of this one.
func TestStaleHeartbeatRenewsNoPromise(t *testing.T) {
	r := newRig(t, rigOptions{}).follow(2)
	r.from(3, 3, &Heartbeat{Round: 1, Stream: 1})
	r.flush()
	r.now = r.now.Add(600 * time.Millisecond)
	r.expect(r.from(2, 2, &Heartbeat{Round: 2, Stream: 1}), "send ->2 T3 heartbeat 0 answered: match 0, applied 0, promise 0 ms")
	r.expect(r.from(2, 4, &VoteRequest{ElectionTerm: 4, Campaign: 1, Last: LogID{9, 9}}), "send ->2 T3 vote for T4 refused, wait 400 ms")
	r.from(3, 4, &VoteRequest{ElectionTerm: 4, Campaign: 1, Last: LogID{9, 9}})
	if w, ok := find[*Write](r); !ok || !w.Then[0].(*VoteResponse).Granted {
		t.Errorf("to whom the promise was given was refused: %q", r.lines())
	}
}

// TestQuorumCountsFromTheSending: dissertation 6.2: what a late answer proves is that
// its round was answered, which was begun long ago. The lease of rule 12 will stand on
// the same times.
func TestQuorumCountsFromTheSending(t *testing.T) {
	r := newRig(t, rigOptions{}).lead()
	r.fire(TimerHeartbeat)
	begun, round := r.now, r.e.leaderState.round
	for range 9 {
		r.fire(TimerHeartbeat)
	}
	r.from(2, 2, &HeartbeatResponse{Round: round, Stream: 1})
	if at := r.e.leaderState.peers[0].roundSent; at != begun {
		t.Errorf("an answer that came after %v counts from %v after the sending", r.now.Sub(begun), at.Sub(begun))
	}
	// An answer to an earlier round that comes later takes nothing back.
	r.from(2, 2, &HeartbeatResponse{Round: round - 1, Stream: 1})
	if r.fire(TimerHeartbeat); r.e.role != RoleLeader || r.now.Sub(begun) != time.Second {
		t.Fatalf("a %v, %v after the last round that was answered", r.e.role, r.now.Sub(begun))
	}
	if r.fire(TimerHeartbeat); r.e.role != RoleFollower {
		t.Errorf("a %v, %v after the last round that was answered", r.e.role, r.now.Sub(begun))
	}
}

// TestPromiseInMilliseconds: what was told is what is kept, to the millisecond.
func TestPromiseInMilliseconds(t *testing.T) {
	r := newRig(t, rigOptions{configure: func(c *Config) { c.ElectionTimeout = 1500*time.Millisecond + 700*time.Microsecond }}).follow(2)
	m, _ := sent[*HeartbeatResponse](r)
	if m == nil || m.PromiseMillis != 1500 || r.e.promise.until.Sub(r.now) < time.Duration(m.PromiseMillis)*time.Millisecond {
		t.Errorf("told %+v, keeps %v", m, r.e.promise.until.Sub(r.now))
	}
}

// TestQuietPeriodAndSoleVoter: rule 13.
func TestQuietPeriodAndSoleVoter(t *testing.T) {
	quietPeriod := func(c *Config) { c.QuietPeriod = 5 * time.Second }
	r := newRig(t, rigOptions{configure: quietPeriod})
	if wait := r.e.electionTimer.at.Sub(r.now); wait < 5*time.Second {
		t.Errorf("campaigns after %v of the quiet period", wait)
	}
	r.expect(r.from(2, 2, &VoteRequest{ElectionTerm: 2, Campaign: 1, Last: LogID{9, 9}}), "send ->2 T1 vote for T2 refused, wait 5000 ms")
	r.now = r.now.Add(5 * time.Second)
	r.from(2, 2, &VoteRequest{ElectionTerm: 2, Campaign: 1, Last: LogID{9, 9}})
	if _, ok := find[*Write](r); !ok {
		t.Errorf("no vote after the quiet period: %q", r.lines())
	}
	// Who alone decides in every configuration waits for nobody.
	if alone := newRig(t, rigOptions{voters: 1, configure: quietPeriod}); alone.e.role != RoleCandidate {
		t.Errorf("a sole voter is a %v", alone.e.role)
	}
	// Not if an earlier configuration that may still decide had others.
	s := rigState(rigOptions{})
	c := s.Configurations[0].Configuration
	c.Members, c.Voters = c.Members[:1], c.Voters[:1]
	s.Configurations = append(s.Configurations, ConfigurationAt{LogID{1, 2}, c})
	s.Last, s.Commit = LogID{1, 2}, 1
	two := newRigOf(t, s, quietPeriod)
	if wait := two.e.electionTimer.at.Sub(two.now); two.e.role != RoleFollower || wait < 5*time.Second {
		t.Errorf("sole voter of the latest configuration only: a %v that campaigns after %v", two.e.role, wait)
	}
	two.expect(two.from(2, 2, &VoteRequest{ElectionTerm: 2, Campaign: 1, Last: LogID{9, 9}}), "send ->2 T1 vote for T2 refused, wait 5000 ms")
}

// TestLateTimers: rule 15: a timer that fires much too late re-arms once, so that
// what was said during a pause is heard first.
func TestLateTimers(t *testing.T) {
	t.Run("election", func(t *testing.T) {
		r := newRig(t, rigOptions{})
		r.now = r.e.electionTimer.at.Add(time.Second + 1)
		r.fire(TimerElection)
		if r.e.role != RoleFollower || r.e.electionTimer.armed <= r.now || r.e.electionTimer.at.Sub(r.now) > time.Second {
			t.Fatalf("a %v; %q", r.e.role, r.lines())
		}
		r.now = r.e.electionTimer.at.Add(time.Minute) // once
		r.fire(TimerElection)
		if r.e.role != RolePreCandidate {
			t.Errorf("a %v, late a second time", r.e.role)
		}
	})
	t.Run("election, a heartbeat comes in between", func(t *testing.T) {
		r := newRig(t, rigOptions{}).follow(1)
		r.now = r.e.electionTimer.at.Add(time.Minute)
		r.fire(TimerElection)
		r.from(2, 1, &Heartbeat{Round: 2, Stream: 1})
		r.fire(TimerElection)
		if r.e.role != RolePreCandidate || r.now < r.e.promise.until {
			t.Errorf("a %v", r.e.role)
		}
	})
	t.Run("heartbeat", func(t *testing.T) {
		r := newRig(t, rigOptions{}).lead()
		r.now = r.e.heartbeatTimer.at.Add(time.Minute)
		r.fire(TimerHeartbeat)
		if r.e.role != RoleLeader || len(r.last) != 3 {
			t.Fatalf("a leader that slept: a %v; %q", r.e.role, r.lines())
		}
		// Nobody answered in the meantime either.
		r.fire(TimerHeartbeat)
		if r.e.role != RoleFollower {
			t.Errorf("a %v without a quorum", r.e.role)
		}
	})
	t.Run("heartbeat, answered", func(t *testing.T) {
		r := newRig(t, rigOptions{}).lead()
		r.now = r.e.heartbeatTimer.at.Add(time.Minute)
		r.fire(TimerHeartbeat)
		r.from(2, 2, &HeartbeatResponse{Round: r.e.leaderState.round, Stream: 1})
		r.fire(TimerHeartbeat)
		if r.e.role != RoleLeader {
			t.Errorf("a %v, though a quorum answered", r.e.role)
		}
	})
}

// TestTimersAreLazy: moving a deadline later does not touch the clock; the timer
// fires at the old time and is armed for the rest. Old firings are ignored.
func TestTimersAreLazy(t *testing.T) {
	r := newRig(t, rigOptions{}).follow(1)
	armed, generation := r.e.electionTimer.armed, r.e.electionTimer.generation
	r.now = armed - 1
	r.expect(r.from(2, 1, &Heartbeat{Round: 2, Stream: 1}), "send ->2 T1 heartbeat 2 answered: match 0, applied 0, promise 1000 ms")
	r.now = armed
	r.expect(r.step(&TimerFired{TimerElection, generation}), "arm election")
	if a, ok := find[*ArmTimer](r); !ok || a.At != r.e.electionTimer.at || a.Generation == generation {
		t.Errorf("%+v", a)
	}
	r.now = r.e.electionTimer.at
	r.expect(r.step(&TimerFired{TimerElection, generation}))
	r.fire(TimerElection)
	if r.e.role != RolePreCandidate {
		t.Errorf("a %v", r.e.role)
	}
	leader := newRig(t, rigOptions{}).lead()
	leader.expect(leader.step(&TimerFired{TimerElection, leader.e.electionTimer.generation}))
	leader.now = leader.now.Add(time.Hour)
	leader.expect(leader.step(&TimerFired{TimerHeartbeat, leader.e.heartbeatTimer.generation - 1}))
}

// TestVoteEndsPreCampaign: Raft 5.2: who gave its vote waits for the winner. A
// pre-candidate that went on would end the term of the candidate it voted for.
func TestVoteEndsPreCampaign(t *testing.T) {
	r := newRig(t, rigOptions{term: 4}).preCampaign()
	campaign := r.e.election.campaign
	r.now = r.e.electionTimer.at - 1
	r.from(2, 4, &VoteRequest{ElectionTerm: 4, Campaign: 1, Last: LogID{1, 1}})
	if r.e.role != RoleFollower || r.e.hard.Vote != rigPeers[1] || r.e.electionTimer.at.Sub(r.now) < time.Second {
		t.Errorf("a %v that campaigns again in %v", r.e.role, r.e.electionTimer.at.Sub(r.now))
	}
	r.from(3, 4, &VoteResponse{Pre: true, ElectionTerm: 5, Campaign: campaign, Granted: true})
	if r.e.hard.Term != 4 {
		t.Errorf("it went on to T%d", r.e.hard.Term)
	}
}

// TestSlowPeerIsHeard: with many reads, the rounds of a round trip to a far peer are
// more than anybody remembers. Its answers count as signs of life all the same.
func TestSlowPeerIsHeard(t *testing.T) {
	r := newRig(t, rigOptions{}).lead()
	far, begun := r.e.leaderState.round, r.now
	r.propose("x") // which node 3 lacks: its stream waits for signs of life
	for id := uint64(1); id <= 1000; id++ {
		r.now = r.now.Add(100 * time.Microsecond)
		r.step(&ReadRequest{ID: id})
		r.from(2, 2, &HeartbeatResponse{Round: r.e.leaderState.round, Stream: 1, Match: 2})
	}
	if r.e.leaderState.round < far+900 {
		t.Fatalf("%d rounds, the test is worthless", r.e.leaderState.round-far)
	}
	for _, ago := range []uint64{0, 10, 500, 900} {
		r.from(3, 2, &HeartbeatResponse{Round: r.e.leaderState.round - ago, Stream: 2})
		alive, ok := find[*PeerAlive](r)
		if real := r.now.Add(-time.Duration(ago) * 100 * time.Microsecond); !ok || alive.Sent > real || real.Sub(alive.Sent) > 50*time.Millisecond {
			t.Errorf("an answer to a round of %v ago: %q", r.now.Sub(real), r.lines())
		}
	}
	if p := r.e.leaderState.peers[1]; p.roundSent < begun {
		t.Errorf("node 3 was heard last at %v", p.roundSent)
	}
}

// TestStepDownSaysWhy: the notice names the cause.
func TestStepDownSaysWhy(t *testing.T) {
	for name, event := range map[string]func(r *rig){
		"a refused vote":       func(r *rig) { r.from(3, 6, &VoteResponse{Pre: true, ElectionTerm: 2}) },
		"a heartbeat's answer": func(r *rig) { r.from(3, 6, &HeartbeatResponse{}) },
		"a stream":             func(r *rig) { r.step(&HigherTerm{rigPeers[2], 6}) },
	} {
		r := newRig(t, rigOptions{}).lead()
		event(r)
		if n, ok := find[*Notice](r); !ok || n.Kind != NoticeSteppedDown || n.Text != "node 3 is in term 6" {
			t.Errorf("%s: %q", name, r.lines())
		}
	}
}

// TestOwnPromiseBindsCampaign: rules 12 and 13: the time-out is never set before the
// end of a promise or quiet period; should it fire there all the same, nothing begins.
func TestOwnPromiseBindsCampaign(t *testing.T) {
	for name, bind := range map[string]func(r *rig, until Instant){
		"promise":      func(r *rig, until Instant) { r.e.promise.until, r.e.promise.to = until, rigPeers[1] },
		"quiet period": func(r *rig, until Instant) { r.e.promise.quietPeriodEnd = until },
	} {
		r := newRig(t, rigOptions{})
		until := r.e.electionTimer.at.Add(time.Second)
		bind(r, until)
		r.fire(TimerElection)
		if r.e.role != RoleFollower || r.e.electionTimer.at < until {
			t.Errorf("%s: a %v, again at %v of %v", name, r.e.role, r.e.electionTimer.at, until)
		}
	}
}
