package core

import (
	"testing"
	"time"
)

// TestLearnerLetsGoOfSilentLeader: who may not campaign has no other timer that
// would end its trust in a leader. After two election time-outs of silence it knows
// none, and what it asked is asked again elsewhere (rule 26).
func TestLearnerLetsGoOfSilentLeader(t *testing.T) {
	r := newRig(t, rigOptions{learner: true}).follow(2)
	heard := r.now
	r.step(&ReadRequest{ID: 1})
	r.now = r.now.Add(r.e.cfg.ElectionTimeout)
	r.from(2, 2, &Heartbeat{Round: 2, Stream: 1})
	if r.e.electionTimer.at != r.now.Add(2*r.e.cfg.ElectionTimeout) {
		t.Fatalf("lets go %v after the last heartbeat", r.e.electionTimer.at.Sub(r.now))
	}
	r.now = r.e.electionTimer.at - 1
	if r.step(&TimerFired{TimerElection, r.e.electionTimer.generation}); r.e.leader != rigPeers[1] {
		t.Fatalf("let go of its leader %v after the last heartbeat", r.now.Sub(heard)-time.Second)
	}
	r.fire(TimerElection)
	if f, ok := find[*ReadFailed](r); !ok || f.ID != 1 {
		t.Errorf("the read that was asked of the silent leader goes on: %q", r.lines())
	}
	if s := r.e.Status(); s.Leader != 0 || s.Role != RoleLearner || s.Term != 2 {
		t.Errorf("%v of T%d, leader %d", s.Role, s.Term, s.Leader)
	}
	// It follows whoever speaks next, and the same leader as well.
	if r.follow(2); r.e.leader != rigPeers[1] || r.e.electionTimer.at == 0 {
		t.Errorf("follows %d, and lets go at %v", r.e.leader.ID, r.e.electionTimer.at)
	}
}

// TestLearnerShowsItself: rule 30: a learner asks nobody for votes. If it has moved
// its leader dials the old address for ever, unless the learner itself makes
// connections.
func TestLearnerShowsItself(t *testing.T) {
	r := newRig(t, rigOptions{learner: true})
	for range 3 {
		if at := r.e.electionTimer.at; at != r.now.Add(2*r.e.cfg.ElectionTimeout) {
			t.Fatalf("shows itself %v from now", at.Sub(r.now))
		}
		r.fire(TimerElection)
		asked := map[Identity]bool{}
		for _, c := range r.out.Commands {
			if s, ok := c.(*Send); ok {
				m := s.Message.(*IdentifyRequest)
				asked[m.To] = m.Attempt == 0
			}
		}
		for _, peer := range rigPeers[1:3] {
			if !asked[peer] {
				t.Errorf("does not ask %v: %q", peer, r.lines())
			}
		}
	}
	r.follow(2)
	r.from(2, 2, &Heartbeat{Round: 2, Stream: 1})
	if _, asks := sent[*IdentifyRequest](r); asks {
		t.Error("shows itself to its leader")
	}
}

// TestWhoIsNoMemberShowsItselfToNobody: it was removed, or belongs to no cluster.
func TestWhoIsNoMemberShowsItselfToNobody(t *testing.T) {
	for name, state := range map[string]State{
		"an empty node":           {},
		"without a configuration": {HardState: HardState{Term: 1, Cluster: worldCluster}},
	} {
		if r := newRigOf(t, state, nil); r.e.electionTimer.at != 0 {
			t.Errorf("%s has set a time", name)
		}
	}
}

// TestNewcomerShowsItself: the log that a node holds ends before the entry that admits it.
// If it has moved, the leader looks for it in vain, and so it shows itself as a learner
// does (rule 30). One that was removed does not.
func TestNewcomerShowsItself(t *testing.T) {
	newcomer := rigState(rigOptions{})
	c := newcomer.Configurations[0].Configuration.Clone()
	c.Members, c.Voters = c.Members[1:], c.Voters[1:]
	newcomer.Configurations[0].Configuration = c
	newcomer.Commit = 1
	for name, test := range map[string]struct {
		state State
		want  bool
	}{"a newcomer": {newcomer, true}, "a removed node": {removedState(), false}} {
		r := newRigOf(t, test.state, nil)
		r.now = r.now.Add(time.Minute)
		if r.e.electionTimer.at != 0 {
			r.fire(TimerElection)
		}
		if _, asks := sent[*IdentifyRequest](r); asks != test.want {
			t.Errorf("%s shows itself: %v; %q", name, asks, r.lines())
		}
	}
}
