package core

import (
	"slices"
	"testing"

	"github.com/trouperaft/troupe/membership"
)

// replacedState is a log whose second entry, which is committed, put 3/31 in the
// place of 3/30.
func replacedState() State {
	s := rigState(rigOptions{})
	c := s.Configurations[0].Configuration
	c.Members, c.Voters = slices.Clone(c.Members), slices.Clone(c.Voters)
	c.Members[2].Incarnation, c.Voters[2].Incarnation = 0x31, 0x31
	s.Last, s.Commit = LogID{1, 2}, 2
	s.Configurations = append(s.Configurations, ConfigurationAt{s.Last, c})
	return s
}

// TestReplacedIncarnationRaisesNoTerm: rules 18 and 20: an incarnation that was
// replaced is answered, and its terms are ignored. One that this log may not have
// heard of yet is treated like a member.
func TestReplacedIncarnationRaisesNoTerm(t *testing.T) {
	snapshotOnly := replacedState()
	snapshotOnly.Configurations = snapshotOnly.Configurations[1:]
	for name, test := range map[string]struct {
		state State
		from  Identity
		last  LogID
		term  Term
	}{
		"replaced":                                {replacedState(), rigPeers[2], LogID{1, 1}, 1},
		"replaced, with entries of its own":       {replacedState(), rigPeers[2], LogID{1, 9}, 1},
		"replaced so long ago that nobody knows":  {snapshotOnly, rigPeers[2], LogID{1, 2}, 1},
		"of entries that this log may lack":       {replacedState(), Identity{ID: 3, Incarnation: 0x32}, LogID{1, 3}, 9},
		"in force":                                {replacedState(), Identity{ID: 3, Incarnation: 0x31}, LogID{1, 1}, 9},
		"a node of which the group knows nothing": {replacedState(), rigPeers[4], LogID{1, 1}, 9},
	} {
		r := newRigOf(t, test.state, nil)
		m := r.address(3, 9, &VoteRequest{ElectionTerm: 9, Campaign: 1, Last: test.last})
		m.Head().From = test.from
		r.step(m)
		answered := false
		for _, c := range r.last {
			switch c := c.(type) {
			case *Send:
				a, ok := c.Message.(*VoteResponse)
				answered = answered || ok && a.To == test.from && (!a.Granted || test.term == 9)
			case *Write:
				answered = answered || len(c.Then) == 1 && test.term == 9
			}
		}
		if !answered || r.e.hard.Term != test.term {
			t.Errorf("%s: term %d, want %d; %q", name, r.e.hard.Term, test.term, r.lines())
		}
	}
}

// TestOwnEarlierIncarnation: rule 18: a node that takes its own place, under a new
// incarnation, has nothing to say to the old one, which is still a member then: not as a
// learner that looks for a leader, as a candidate or as the leader.
func TestOwnEarlierIncarnation(t *testing.T) {
	old := Identity{ID: 1, Incarnation: 0x99}
	replacing := func(votes bool) *rig {
		s := rigState(rigOptions{})
		c := s.Configurations[0].Configuration.Clone()
		c.Members = append([]membership.Member{c.Members[0], {Identity: old}}, c.Members[1:]...)
		now := c.Voters
		c.Voters = append([]Identity{old}, now[1:]...)
		if votes {
			c.Voters, c.Outgoing = now, c.Voters
		}
		s.Configurations[0].Configuration = c
		return newRigOf(t, s, nil)
	}
	says := func(r *rig) {
		t.Helper()
		for _, c := range r.last {
			messages := []Message{}
			switch c := c.(type) {
			case *Send:
				messages = append(messages, c.Message)
			case *Write:
				messages = append(messages, c.Then...)
			case *StartStream:
				if c.Peer.ID == old.ID {
					t.Errorf("a stream to %v", c.Peer)
				}
			}
			for _, m := range messages {
				if m.Head().To.ID == old.ID {
					t.Errorf("%T to %v", m, m.Head().To)
				}
			}
		}
	}
	r := replacing(false)
	for range 3 {
		r.fire(TimerElection)
		says(r)
	}
	r = replacing(true)
	r.preCampaign()
	says(r)
	for _, pre := range []bool{true, false} {
		for _, id := range []NodeID{2, 3} {
			term := r.e.hard.Term
			if pre {
				term++
			}
			r.from(id, r.e.hard.Term, &VoteResponse{Pre: pre, ElectionTerm: term, Campaign: r.e.election.campaign, Granted: true})
			says(r)
		}
		if pre {
			r.flush()
			says(r)
		}
	}
	if r.e.role != RoleLeader {
		t.Fatalf("it is a %v: %q", r.e.role, r.lines())
	}
	r.fire(TimerHeartbeat)
	says(r)
}
