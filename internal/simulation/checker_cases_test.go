package simulation

import (
	"testing"
	"time"

	"github.com/trouperaft/troupe/actors"
	"github.com/trouperaft/troupe/core"
)

// TestPromiseOverLives: a promise lasts as long as its life's clock needs for it. A
// later life serves it by another clock, and may be as fast as a clock can be.
func TestPromiseOverLives(t *testing.T) {
	const broken, kept = true, false
	for name, test := range map[string]struct {
		again bool // the node was started again
		after time.Duration
		want  bool
	}{
		"at once":                                    {false, 0, broken},
		"before it ends on a slow clock":             {false, 1049 * millisecond, broken},
		"when it ends on a slow clock":               {false, 1051 * millisecond, kept},
		"a later life with a fast clock":             {true, 951 * millisecond, kept},
		"a later life with a clock that is too fast": {true, 949 * millisecond, broken},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			s.plan.driftPercent = 5
			r := s.replica(1)
			r.environment.drift = -50
			r.disk.promise = time.Second
			s.check.sent(r, &core.HeartbeatResponse{Header: s.head(1, 2, 2), PromiseMillis: 1000})
			if test.again {
				later := *r.life
				r.life = &later
			}
			s.clock.now = s.clock.now.Add(test.after)
			s.votes(1, 3, 3)
			s.check.sent(r, &core.VoteResponse{Header: s.head(1, 3, 3), ElectionTerm: 3, Granted: true})
			f := s.failure
			if f != nil && f.Rule != rulePromise {
				t.Fatalf("the play is wrong: %v", f)
			}
			if got := f != nil; got != test.want {
				t.Errorf("broken: %t, %v", got, f)
			}
		})
	}
}

// TestSnapshotHoldsWhatTheLogLacks: a disk may have a snapshot and, until its log is
// reset to it, older entries where the snapshot's are.
func TestSnapshotHoldsWhatTheLogLacks(t *testing.T) {
	for _, last := range []core.Index{1, 2} {
		s := newScene(t)
		s.votes(1, 2, 1)
		s.votes(2, 2, 1)
		s.write(1, appends(2, 1, 2))
		s.write(2, appends(1, 1, 2))
		s.nodes[1].disk.of(1).snapshots = []*snapshot{{meta: core.SnapshotMeta{LogID: core.LogID{Term: 2, Index: last}}}}
		s.check.sent(s.replica(2), &core.AppendResponse{Header: s.head(2, 1, 2), Success: true, Match: 2})
		now := actors.Status{}
		now.Role, now.Term = core.RoleLeader, 2
		now.Peers = []core.PeerStatus{{Identity: s.id(2), Match: 2}}
		s.check.matches(s.replica(1), &now)
		if found := s.failure != nil; found != (last < 2) {
			t.Errorf("a snapshot up to %d: %v", last, s.failure)
		}
	}
}

// TestIntroductionOfAVoter: the stream to a learner that was just made a voter may
// not have heard its acknowledgement yet. It does so within an election time-out.
func TestIntroductionOfAVoter(t *testing.T) {
	for name, test := range map[string]struct {
		match  core.Index
		wait   bool
		broken bool
	}{
		"it never was a learner":   {0, false, true},
		"it has just acknowledged": {2, false, false},
		"it acknowledged long ago": {2, true, true},
	} {
		s := newScene(t)
		s.votes(1, 2, 1)
		s.votes(2, 2, 1)
		s.status(1, core.RoleLeader, 2, 0)
		s.replica(1).status.Peers = []core.PeerStatus{{Identity: s.id(2), Match: test.match}}
		m := &core.AppendEntries{Header: s.head(1, 2, 2), Stream: 1}
		m.Introduces = true
		s.check.sent(s.replica(1), m)
		if test.wait {
			s.clock.now = s.clock.now.Add(s.plan.electionMax() + 1)
			s.check.sent(s.replica(1), m)
		}
		if f := s.failure; (f != nil) != test.broken || f != nil && f.Rule != ruleInTheClear {
			t.Errorf("%s: %v", name, f)
		}
	}
}

// TestGrantThatRanOut: a grant that its disk took too late, when another had taken
// its place there, is told to a beginner that does not count it any more.
func TestGrantThatRanOut(t *testing.T) {
	for _, after := range []time.Duration{999 * millisecond, time.Second} {
		s := newScene(t)
		asks := &core.IdentifyRequest{Header: s.head(1, 2, 0), Attempt: 7, LengthMillis: 1000}
		s.check.sent(s.replica(1), asks)
		s.clock.now = s.clock.now.Add(after)
		s.check.sent(s.replica(1), asks) // again: it counts from the first time
		s.check.sent(s.replica(2), &core.IdentifyResponse{Header: s.head(2, 1, 0), Attempt: 7, Granted: true})
		if found := s.failure != nil; found != (after < time.Second) {
			t.Errorf("after %v: %v", after, s.failure)
		}
	}
}

// TestReleasedPromise: a vote by a transfer's flag ends a promise when it is decided on,
// where the durable term is the one before, and is wrong inside it otherwise. What is
// voted for next needs no flag, even if the disk shows that vote alone.
func TestReleasedPromise(t *testing.T) {
	for name, test := range map[string]struct {
		durable core.Term
		after   time.Duration
		want    bool // that it is found
	}{
		"the term before":                    {2, 0, false},
		"an earlier term":                    {1, 0, true},
		"an earlier term, after the promise": {1, 200 * millisecond, false},
	} {
		s := newScene(t)
		s.nodes[0].disk.promise = 1 << 40
		s.votes(1, test.durable, 2)
		s.check.sent(s.replica(1), &core.HeartbeatResponse{Header: s.head(1, 2, 2), PromiseMillis: 100})
		s.clock.now = s.clock.now.Add(test.after)
		s.check.flagged[vote{s.id(1), 5}] = true
		s.check.released(s.replica(1).store, 3, s.id(3))
		if !test.want {
			s.votes(1, 5, 1)
		}
		if f := s.failure; (f != nil) != test.want || f != nil && f.Rule != ruleFlagTerm {
			t.Errorf("%s: %v", name, f)
		}
	}
}
