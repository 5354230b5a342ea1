package core

import (
	"testing"
	"time"

	"github.com/trouperaft/troupe/membership"
)

// rankedState is a rig's state whose members have priorities.
func rankedState(priorities ...uint32) State {
	s := rigState(rigOptions{voters: len(priorities)})
	for i, p := range priorities {
		s.Configurations[0].Configuration.Members[i].Priority = p
	}
	return s
}

// TestPriorityDeadlines: the voters divide the spread behind an election time-out by
// their priorities, highest first; equal priorities all have all of it, and nobody's
// deadline lies within a promise, or beyond the spread unless it is the last.
func TestPriorityDeadlines(t *testing.T) {
	for name, test := range map[string]struct {
		priorities []uint32 // node 1's first
		from, to   time.Duration
	}{
		"unset":                {[]uint32{0, 0, 0}, 1000, 2000},
		"equal":                {[]uint32{7, 7, 7}, 1000, 2000},
		"unset is normal":      {[]uint32{0, 100, 0}, 1000, 2000},
		"the highest of three": {[]uint32{200, 0, 50}, 1000, 1333},
		"in the middle":        {[]uint32{0, 200, 50}, 1333, 1667},
		"the lowest":           {[]uint32{50, 200, 0}, 1667, 2000},
		"behind one of five":   {[]uint32{0, 0, 200, 0, 0}, 1200, 2000},
		"beyond the range":     {[]uint32{1 << 30, membership.PriorityMax, 100}, 1000, 1667},
		"the last":             {[]uint32{membership.PriorityLast, 100, 100}, 5667, 6000},
		"all are the last":     {[]uint32{1, 1, 1}, 1000, 2000},
	} {
		t.Run(name, func(t *testing.T) {
			from, to := test.from*time.Millisecond, test.to*time.Millisecond
			least, most := time.Hour, time.Duration(0)
			for seed := range uint64(200) {
				r := newRigOf(t, rankedState(test.priorities...), func(c *Config) { c.Seed = seed })
				wait := r.e.electionTimer.at.Sub(r.now)
				least, most = min(least, wait), max(most, wait)
			}
			// Rounded to milliseconds: the shares are thirds and fifths.
			if least < from-time.Millisecond || most > to+time.Millisecond || least > from+50*time.Millisecond || most < to-50*time.Millisecond {
				t.Errorf("waits of %v to %v, want %v to %v", least, most, from, to)
			}
		})
	}
	// A learner has nobody to stand behind.
	s := rigState(rigOptions{learner: true})
	s.Configurations[0].Configuration.Members[1].Priority = 900
	if r := newRigOf(t, s, nil); r.e.standing != (standing{alike: 1, voters: 1}) {
		t.Errorf("a learner: %+v", r.e.standing)
	}
	// After a quiet period that ends for all at once they do not campaign together.
	quiet := func(c *Config) { c.QuietPeriod = time.Minute }
	high, low := newRigOf(t, rankedState(200, 0, 0), quiet), newRigOf(t, rankedState(0, 200, 0), quiet)
	if h, l := high.e.electionTimer.at.Sub(high.now), low.e.electionTimer.at.Sub(low.now); h < time.Minute || l <= h || l > time.Minute+time.Second {
		t.Errorf("after %v and %v", h, l)
	}
}

// TestHandOverByPriority: a leader hands over by itself to the best of a higher
// priority, and to nobody while something stands against it.
func TestHandOverByPriority(t *testing.T) {
	lead := func(priorities ...uint32) *rig {
		r := newRigOf(t, rankedState(priorities...), nil).lead()
		for _, p := range r.e.leaderState.peers {
			r.answerRound(p.ID, r.e.log.last.Index)
			r.match(p.ID, r.e.log.last.Index)
		}
		return r
	}
	unfit := func(u Unfit) func(r *rig) {
		return func(r *rig) { r.respond(3, &HeartbeatResponse{Match: 2, Accepted: 2, Unfit: u}) }
	}
	for name, test := range map[string]struct {
		priorities []uint32
		prepare    func(r *rig)
		to         NodeID
	}{
		"to the highest":            {[]uint32{0, 150, 200}, nil, 3},
		"from the last":             {[]uint32{1, 100, 50}, nil, 2},
		"not if all are alike":      {[]uint32{0, 0, 0}, nil, 0},
		"not to a lower one":        {[]uint32{200, 100, 199}, nil, 0},
		"to the next if it is sick": {[]uint32{0, 150, 200}, unfit(UnfitSick), 2},
		"not to who stands back":    {[]uint32{0, 0, 200}, unfit(UnfitStandsBack), 0},
		"not to who is paused":      {[]uint32{0, 0, 200}, unfit(UnfitPaused), 0},
		"not before it answers":     {[]uint32{0, 0, 200}, func(r *rig) { r.e.leaderState.peer(rigPeers[2]).answered = 0 }, 0},
		"not while a snapshot goes": {[]uint32{0, 0, 200}, func(r *rig) { r.e.leaderState.peer(rigPeers[1]).snapshot = true }, 0},
		"not in a change": {[]uint32{0, 0, 200}, func(r *rig) {
			c := r.e.configs.latest().Configuration.Clone()
			r.out.Reset()
			r.e.appendConfiguration(&c)
		}, 0},
	} {
		r := lead(test.priorities...)
		if test.prepare != nil {
			test.prepare(r)
		}
		r.fire(TimerHeartbeat)
		m, ok := sent[*TimeoutNow](r)
		if ok != (test.to != 0) || ok && m.To.ID != test.to {
			t.Errorf("%s: %q", name, r.lines())
		}
		if ok && m.ByHand {
			t.Errorf("%s: by hand", name)
		}
	}
	// Before its first entry is committed a leader has other things to do.
	r := newRigOf(t, rankedState(0, 0, 200), nil).elect()
	r.answerRound(3, 1)
	if r.fire(TimerHeartbeat); r.e.transfer.phase != transferNone {
		t.Errorf("%q", r.lines())
	}
}

// TestHandOverRests: a hand-over that failed is tried again after waits that double;
// and who was given the leadership by hand keeps it for ten minutes.
func TestHandOverRests(t *testing.T) {
	lead := func() *rig {
		r := newRigOf(t, rankedState(0, 0, 200), nil).lead()
		r.match(3, r.e.log.last.Index)
		return r
	}
	// begins lets time pass, with answers of all, until a hand-over begins.
	begins := func(r *rig, limit time.Duration) time.Duration {
		for begun := r.now; r.now.Sub(begun) < limit; {
			for _, p := range r.e.leaderState.peers {
				r.answerRound(p.ID, r.e.log.last.Index)
			}
			r.fire(TimerHeartbeat)
			if r.told(3) {
				return r.now.Sub(begun)
			}
		}
		return -1
	}
	r := lead()
	if wait := begins(r, time.Minute); wait < 0 || wait > time.Second {
		t.Fatalf("begins after %v", wait)
	}
	for _, want := range []time.Duration{10, 20, 40, 80, 160, 320, 600, 600} {
		r.from(3, 2, &TimeoutNowResponse{Transfer: r.e.transfer.number, Unfit: UnfitSick})
		r.e.leaderState.handedTo = Identity{} // as if it had won a new term
		want *= time.Second
		if wait := begins(r, time.Hour); wait < want || wait > want+200*time.Millisecond {
			t.Fatalf("again after %v, want %v", wait, want)
		}
	}
	// By hand, and by itself.
	for _, byHand := range []bool{true, false} {
		r := newRigOf(t, rankedState(0, 0, 200), nil).follow(1)
		r.from(2, 1, &TimeoutNow{ByHand: byHand})
		r.flush()
		r.from(2, 2, &VoteResponse{ElectionTerm: 2, Campaign: r.e.election.campaign, Granted: true})
		r.flush()
		r.match(2, 2)
		r.match(3, 2)
		want := time.Duration(0)
		if byHand {
			want = restAfterTransferByHand
		}
		if wait := begins(r, time.Hour); r.e.role != RoleLeader || wait < want || wait > want+200*time.Millisecond {
			t.Errorf("by hand %v: a %v that begins after %v", byHand, r.e.role, wait)
		}
	}
	// It says for how long it wants no leadership after it left office by rule 16.
	s := lead().e
	for i, want := range []time.Duration{5, 10, 20, 40, 60, 60} {
		s.standBack()
		want *= time.Minute
		if got := s.handOver.standsBack.until.Sub(s.now); got != want {
			t.Errorf("stands back for %v the %d. time, want %v", got, i+1, want)
		}
		s.now = s.handOver.standsBack.until - 1
		if s.unfitNow() != UnfitStandsBack || s.unfit() != Fit {
			t.Errorf("%v, %v", s.unfitNow(), s.unfit())
		}
		s.now = s.handOver.standsBack.until
		if s.unfitNow() != Fit {
			t.Error("for too long")
		}
	}
	s.now = s.now.Add(2*standBackMax + 1)
	if s.standBack(); s.handOver.standsBack.wait != standBackMin {
		t.Errorf("long after that: %v", s.handOver.standsBack.wait)
	}
}
