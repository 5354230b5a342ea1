package observe

import (
	"testing"
	"time"

	"github.com/trouperaft/troupe/core"
)

func TestStages(t *testing.T) {
	var s stages
	state := func(role core.Role, last, committed core.Index) *core.Progress {
		return &core.Progress{Role: role, Last: last, Committed: committed}
	}
	const follower, leader = core.RoleFollower, core.RoleLeader
	waited := 5 * time.Nanosecond
	wanted := func(what string, got, want core.Instant) {
		t.Helper()
		if got != want {
			t.Errorf("%s: %d, want %d", what, got, want)
		}
	}
	// What was there before is not remembered.
	wanted("committed what was there", s.burst(state(follower, 10, 5), state(follower, 10, 10), 90, waited), 0)
	s.burst(state(follower, 10, 10), state(follower, 12, 10), 100, waited)
	s.burst(state(leader, 12, 10), state(leader, 15, 10), 200, waited)
	s.burst(state(leader, 15, 10), state(leader, 20, 10), 300, waited)
	wanted("committed up to 14", s.burst(state(leader, 20, 10), state(leader, 20, 14), 400, waited), 100)
	wanted("committed up to 20", s.burst(state(leader, 20, 14), state(leader, 20, 20), 500, waited), 200)
	for _, test := range []struct {
		first, last         core.Index
		proposed, committed core.Instant
	}{
		{9, 10, 0, 90}, {11, 12, 0, 400}, {11, 14, 195, 400}, {13, 14, 195, 400}, {14, 20, 195, 400}, {15, 15, 195, 500}, {16, 20, 295, 500}, {21, 21, 0, 0},
	} {
		proposed, committed := s.applied(test.first, test.last)
		if proposed != test.proposed || committed != test.committed {
			t.Errorf("%d to %d: proposed %d, committed %d, want %+v", test.first, test.last, proposed, committed, test)
		}
	}
	// A newer leader takes entries back and puts others there.
	s.burst(state(leader, 20, 20), state(follower, 25, 20), 600, waited)
	s.burst(state(follower, 25, 20), state(follower, 22, 20), 700, waited)
	s.burst(state(follower, 22, 20), state(follower, 24, 20), 800, waited)
	wanted("committed after a truncation", s.burst(state(follower, 24, 22), state(follower, 24, 24), 900, waited), 800)
	// The ring forgets the oldest.
	for i := core.Index(0); i < stageMarksMax; i++ {
		s.burst(state(leader, 24+i, 24), state(leader, 25+i, 24), core.Instant(1000+i), waited)
	}
	wanted("the oldest of the ring", s.appended.find(25).at, 1000)
	wanted("what the ring has lost", s.appended.find(24).at, 0)
}
