package core

import (
	"strings"
	"testing"
	"time"
)

// The tests of this file are about rule 11: disks that are slower than the election
// time-out must still elect, and those that hang raise no terms.

// TestHungDiskGrantsNoPreVote: who could not make a vote durable grants no pre-vote,
// neither to others nor to itself; the status says what is waited for.
func TestHungDiskGrantsNoPreVote(t *testing.T) {
	// One election time-out is the limit, and what was flushed counts no more.
	r := newRig(t, rigOptions{})
	ask := func() bool {
		t.Helper()
		r.from(3, 1, &VoteRequest{Pre: true, ElectionTerm: r.e.hard.Term + 1, Campaign: 1, Last: LogID{9, 9}})
		m, ok := sent[*VoteResponse](r)
		if !ok {
			t.Fatalf("no answer: %q", r.lines())
		}
		return m.Granted
	}
	r.from(2, 2, &VoteRequest{ElectionTerm: 2, Campaign: 1, Last: LogID{9, 9}})
	r.now = r.now.Add(r.e.cfg.ElectionTimeout)
	within := ask()
	r.now++
	after := ask()
	r.flush()
	if flushed := ask(); !within || after || !flushed {
		t.Errorf("granted within the time-out %v, after it %v, and after the flush %v", within, after, flushed)
	}
	r.from(2, 3, &VoteRequest{ElectionTerm: 3, Campaign: 2, Last: LogID{9, 9}})
	r.e.electionTimer.at = r.now.Add(r.e.cfg.ElectionTimeout + 1)
	if r.fire(TimerElection); r.e.role != RoleFollower || !strings.Contains(r.e.Status().NoLeader, "longer than an election time-out") {
		t.Errorf("a %v: %q", r.e.role, r.e.Status().NoLeader)
	}
}

// TestCandidateWaitsForItsVote: a candidate's time counts from when its own vote is
// durable: before, it could not ask anybody.
func TestCandidateWaitsForItsVote(t *testing.T) {
	r := newRig(t, rigOptions{}).preCampaign()
	r.from(2, 1, &VoteResponse{Pre: true, ElectionTerm: 2, Campaign: r.e.election.campaign, Granted: true})
	for range 20 {
		r.now = r.now.Add(time.Second)
		if r.e.electionTimer.armed != 0 {
			r.step(&TimerFired{TimerElection, r.e.electionTimer.generation})
		}
	}
	if expired := r.e.election.counts[ElectionByTimeout][ElectionExpired]; expired > 0 || r.e.role != RoleCandidate || r.e.hard.Term != 2 {
		t.Fatalf("%d elections have expired, a %v of T%d", expired, r.e.role, r.e.hard.Term)
	}
	if says := r.e.Status().NoLeader; !strings.Contains(says, "own vote in term 2 to be durable") {
		t.Errorf("says %q", says)
	}
	r.flush()
	if wait := r.e.electionTimer.at.Sub(r.now); wait < time.Second || wait > 2*time.Second {
		t.Errorf("expires %v after its vote was durable", wait)
	}
	// Whatever ends it while it has no timer, it has one again.
	for name, end := range map[string]func(r *rig){
		"a refusal":             func(r *rig) { r.from(3, 7, &VoteResponse{ElectionTerm: 2}) },
		"another campaigns":     func(r *rig) { r.from(3, 7, &VoteRequest{ElectionTerm: 7, Campaign: 1}) },
		"another leads":         func(r *rig) { r.follow(2) },
		"a higher term is seen": func(r *rig) { r.from(3, 7, &HeartbeatResponse{}) },
	} {
		r := newRig(t, rigOptions{}).preCampaign()
		r.from(2, 1, &VoteResponse{Pre: true, ElectionTerm: 2, Campaign: r.e.election.campaign, Granted: true})
		if end(r); r.e.role != RoleFollower || r.e.electionTimer.at <= r.now {
			t.Errorf("%s: a %v whose timer ends at %v", name, r.e.role, r.e.electionTimer.at)
		}
	}
}

// failCampaigns lets so many campaigns end without a leader, whichever way, and
// returns the longest time that the next wait can take.
func failCampaigns(r *rig, n int, sync time.Duration) time.Duration {
	r.t.Helper()
	for i := range n {
		r.preCampaign()
		r.from(2, r.e.hard.Term, &VoteResponse{Pre: true, ElectionTerm: r.e.hard.Term + 1, Campaign: r.e.election.campaign, Granted: true})
		if r.e.role != RoleCandidate {
			r.t.Fatalf("a %v in campaign %d", r.e.role, i)
		}
		r.now = r.now.Add(sync)
		r.flush()
		switch i % 3 {
		case 0: // expired
			r.fire(TimerElection)
		case 1: // lost
			for id := NodeID(2); id <= 3; id++ {
				r.from(id, r.e.hard.Term, &VoteResponse{ElectionTerm: r.e.hard.Term, Campaign: r.e.election.campaign})
			}
		case 2: // superseded
			r.from(3, r.e.hard.Term+1, &VoteResponse{ElectionTerm: r.e.hard.Term})
			r.flush()
		}
	}
	return 2 * r.e.electionWait()
}

// TestFruitlessCampaignsDouble: after the second campaign, each that ends without a
// leader doubles the waits before a campaign and in it, up to the longer of 32
// time-outs and 8 syncs. A leader that is heard, and an election that is won, end
// that.
func TestFruitlessCampaignsDouble(t *testing.T) {
	const timeout = time.Second
	for n, want := range []time.Duration{1, 1, 2, 4, 8, 16, 32, 32, 32} {
		if got := failCampaigns(newRig(t, rigOptions{}), n, 0); got != 2*want*timeout {
			t.Errorf("after %d campaigns: up to %v, want %v", n, got, 2*want*timeout)
		}
	}
	r := newRig(t, rigOptions{})
	if got := failCampaigns(r, 9, 10*time.Second); got != 2*80*timeout {
		t.Errorf("with syncs of ten seconds: up to %v", got)
	}
	// In the campaign, and before one.
	r.preCampaign()
	if wait := r.e.electionTimer.at.Sub(r.now); wait < 80*timeout || wait > 160*timeout {
		t.Errorf("the pre-vote waits for %v", wait)
	}
	for name, succeed := range map[string]func(r *rig){
		"a leader is heard": func(r *rig) { r.follow(r.e.hard.Term) },
		"won, and deposed": func(r *rig) {
			r.elect().flush()
			r.from(2, r.e.hard.Term+1, &HeartbeatResponse{})
		},
	} {
		r := newRig(t, rigOptions{})
		failCampaigns(r, 7, 10*time.Second)
		succeed(r)
		if wait := r.e.electionTimer.at.Sub(r.now); r.e.electionWait() != timeout || wait > 2*timeout {
			t.Errorf("%s: waits for %v", name, wait)
		}
		if says := r.e.Status().NoLeader; strings.Contains(says, "before that") {
			t.Errorf("%s: says %q", name, says)
		}
		r.flush()
		// Nor are the slow syncs of before remembered.
		if got := failCampaigns(r, 9, 0); got != 2*32*timeout {
			t.Errorf("%s: up to %v", name, got)
		}
	}
	// Who adopts the term of a refuser tries again within half of such a wait.
	r = newRig(t, rigOptions{})
	failCampaigns(r, 9, 0)
	longest := time.Duration(0)
	for range 20 {
		r.from(3, r.e.hard.Term+1, &VoteResponse{})
		longest = max(longest, r.e.electionTimer.at.Sub(r.now))
	}
	if longest < 4*timeout || longest > 16*timeout {
		t.Errorf("after a refusal: up to %v", longest)
	}
}
