package core

import "testing"

// TestLostDataEndsWithTheMatch: the status says it until the peer holds durably again
// what it had acknowledged; another stream's notice says nothing.
func TestLostDataEndsWithTheMatch(t *testing.T) {
	r := newRig(t, rigOptions{}).lead()
	lost := func() bool { return r.e.Status().Peers[0].LostData }
	r.step(&LostData{rigPeers[1], 99})
	if lost() || len(r.last) > 0 {
		t.Errorf("another stream is believed: %q", r.lines())
	}
	r.expect(r.step(&LostData{rigPeers[1], 1}), "notice: 2 lost its data in T2: it no longer holds what it had acknowledged")
	r.expect(r.step(&LostData{rigPeers[1], 1}))
	for _, answer := range []struct {
		match Index
		lost  bool
	}{{0, true}, {1, true}, {2, false}} {
		r.from(2, 2, &HeartbeatResponse{Round: r.e.leaderState.round, Stream: 1, Match: answer.match})
		if lost() != answer.lost {
			t.Errorf("match %d of 2: lost data %v", answer.match, lost())
		}
	}
}
