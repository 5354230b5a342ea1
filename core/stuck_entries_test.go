package core

import (
	"strings"
	"testing"
	"time"
)

// answersIn lets so many heartbeats pass, each answered by both peers with what they
// accepted and have durably, and returns after what time the connection to a node was
// broken each time.
func answersIn(r *rig, beats int, each func(i int), accepted2, match2 Index) []time.Duration {
	r.t.Helper()
	begun := r.now
	var broken []time.Duration
	for i := range beats {
		r.fire(TimerHeartbeat)
		if r.e.role != RoleLeader {
			break
		}
		if b, ok := find[*BreakConnection](r); ok {
			if b.Node != 2 || b.Class != ClassBulk {
				r.t.Fatalf("%q", r.lines())
			}
			broken = append(broken, r.now.Sub(begun).Truncate(100*time.Millisecond))
		}
		if each != nil {
			each(i)
		}
		last := r.e.log.last.Index
		r.from(2, 2, &HeartbeatResponse{Round: r.e.leaderState.round, Stream: 1, Match: match2, Accepted: accepted2})
		r.from(3, 2, &HeartbeatResponse{Round: r.e.leaderState.round, Stream: 2, Match: last, Accepted: last})
	}
	return broken
}

// TestBreaksHungConnection: rule 16: the bulk connection of a peer that answers
// heartbeats while its entries make no progress is broken, with waits that double
// from one limit to eight, until there is progress.
func TestBreaksHungConnection(t *testing.T) {
	between := func(broken []time.Duration) (waits []int) {
		last := time.Duration(0)
		for _, at := range broken {
			waits = append(waits, int((at-last)/time.Second))
			last = at
		}
		return waits
	}
	equal := func(t *testing.T, got []int, want ...int) {
		t.Helper()
		for i := range max(len(got), len(want)) {
			if i >= len(got) || i >= len(want) || got[i] != want[i] {
				t.Fatalf("broken after waits of %v seconds, want %v", got, want)
			}
		}
	}
	limit := testConfig(rigPeers[0]).HungLimit
	if limit != 2*time.Second {
		t.Fatalf("the limit is %v", limit)
	}
	t.Run("nothing leaves", func(t *testing.T) {
		r := newRig(t, rigOptions{}).lead()
		r.propose("x")
		equal(t, between(answersIn(r, 500, nil, 2, 2)), 2, 4, 8, 16, 16)
		// Progress begins anew.
		answersIn(r, 1, nil, 3, 3)
		r.propose("y")
		r.flush()
		equal(t, between(answersIn(r, 75, nil, 3, 3)), 2, 4)
	})
	t.Run("bytes leave, and nothing is accepted", func(t *testing.T) {
		r := newRig(t, rigOptions{}).lead()
		r.propose("x")
		leave := func(i int) { r.step(&PeerProgress{Node: 2, Class: ClassBulk, Bytes: uint64(i + 1)}) }
		if broken := answersIn(r, 300, leave, 2, 2); len(broken) == 0 || broken[0] < stuckLimitsMax*limit || broken[0] > (stuckLimitsMax+1)*limit {
			t.Errorf("broken after %v", broken)
		}
	})
	t.Run("bytes of other groups leave too", func(t *testing.T) {
		r := newRig(t, rigOptions{}).lead()
		r.propose("x")
		leave := func(i int) {
			r.step(&PeerProgress{Node: 2, Class: ClassBulk, Bytes: uint64(i + 1), Inflight: 2, Shared: true})
		}
		equal(t, between(answersIn(r, 300, leave, 2, 2)))
	})
	t.Run("what left once excuses for a limit", func(t *testing.T) {
		r := newRig(t, rigOptions{}).lead()
		r.propose("x")
		leave := func(i int) {
			if i == 14 {
				r.step(&PeerProgress{Node: 2, Class: ClassBulk, Bytes: 10})
			}
			r.step(&PeerProgress{Node: 2, Class: ClassBulk, Bytes: 10})
			r.step(&PeerProgress{Node: 2, Class: ClassControl, Bytes: uint64(i)})
		}
		r.step(&PeerProgress{Node: 2, Class: ClassBulk, Bytes: 9})
		equal(t, between(answersIn(r, 50, func(i int) {
			if i >= 14 {
				leave(i)
			}
		}, 2, 2)), 3)
	})
	for name, sends := range map[string]func(r *rig){
		"a snapshot is on its way": func(r *rig) { r.e.leaderState.peers[0].snapshot = true },
		"it has lost data":         func(r *rig) { r.step(&LostData{rigPeers[1], 1}) },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, rigOptions{}).lead()
			sends(r)
			r.propose("x")
			equal(t, between(answersIn(r, 100, nil, 1, 1)))
		})
	}
	t.Run("its disk is awaited", func(t *testing.T) {
		r := newRig(t, rigOptions{}).lead()
		r.propose("x", "y")
		equal(t, between(answersIn(r, 100, nil, 3, 2)))
	})
}

// vanishing is a leader of three whose entries vanish on their way to both others,
// while heartbeats pass.
func vanishing(t *testing.T, told func(i int, r *rig), answer HeartbeatResponse) (led time.Duration, r *rig) {
	r = newRig(t, rigOptions{}).lead()
	r.propose("x", "y")
	r.flush()
	begun := r.now
	for i := range 200 {
		r.fire(TimerHeartbeat)
		if r.e.role != RoleLeader {
			break
		}
		for id := NodeID(2); id <= 3; id++ {
			m := answer
			m.Round, m.Stream = r.e.leaderState.round, r.e.leaderState.peer(rigPeers[id-1]).stream
			r.from(id, 2, &m)
		}
		if told != nil {
			told(i, r)
		}
	}
	return r.now.Sub(begun), r
}

// TestLeaderWhoseEntriesVanishLeaves: rule 16: it steps down when for a limit no
// quorum has accepted more and toward none bytes have left, and lets the others elect
// one of theirs.
func TestLeaderWhoseEntriesVanishLeaves(t *testing.T) {
	leaves := func(node NodeID, class Class) func(i int, r *rig) {
		return func(i int, r *rig) { r.step(&PeerProgress{Node: node, Class: class, Bytes: uint64(i + 1)}) }
	}
	for name, test := range map[string]struct {
		told   func(i int, r *rig)
		answer HeartbeatResponse
		stays  bool
	}{
		"nothing leaves":                                   {nil, HeartbeatResponse{Match: 2, Accepted: 2}, false},
		"an old version tells only matches":                {nil, HeartbeatResponse{Match: 2}, false},
		"entries leave toward a quorum":                    {leaves(2, ClassBulk), HeartbeatResponse{Match: 2, Accepted: 2}, true},
		"a snapshot leaves toward one":                     {leaves(3, ClassSnapshot), HeartbeatResponse{Match: 2, Accepted: 2}, true},
		"a snapshot is on its way, and nobody tells bytes": {func(_ int, r *rig) { r.e.leaderState.peers[0].snapshot = true }, HeartbeatResponse{Match: 2, Accepted: 2}, true},
		"a snapshot of which nothing leaves": {func(i int, r *rig) {
			r.e.leaderState.peers[0].snapshot = true
			r.step(&PeerProgress{Node: 2, Class: ClassSnapshot, Bytes: 1})
		}, HeartbeatResponse{Match: 2, Accepted: 2}, false},
		"a long entry leaves slowly": {func(i int, r *rig) {
			r.step(&PeerProgress{Node: 2, Class: ClassBulk, Bytes: uint64(i+1) * 10_000, Inflight: 1 << 20})
		}, HeartbeatResponse{Match: 2, Accepted: 2}, true},
		"a long entry leaves slowly, after many of other groups": {func(i int, r *rig) {
			r.step(&PeerProgress{Node: 2, Class: ClassBulk, Bytes: 1<<30 + uint64(i)*10_000, Inflight: 1 << 20})
		}, HeartbeatResponse{Match: 2, Accepted: 2}, true},
		"entries leave behind those that vanished": {func(i int, r *rig) {
			r.step(&PeerProgress{Node: 2, Class: ClassBulk, Bytes: uint64(i+1) * 300, Inflight: 100 + uint64(i)*100})
		}, HeartbeatResponse{Match: 2, Accepted: 2}, false},
		"control messages leave": {leaves(2, ClassControl), HeartbeatResponse{Match: 2, Accepted: 2}, false},
		"the others' disks hang": {nil, HeartbeatResponse{Match: 2, Accepted: 4}, true},
		"all is accepted":        {nil, HeartbeatResponse{Match: 4, Accepted: 4}, true},
	} {
		led, r := vanishing(t, test.told, test.answer)
		limit := r.e.cfg.HungLimit
		if test.stays {
			if r.e.role != RoleLeader {
				t.Errorf("%s: stepped down after %v: %q", name, led, r.lines())
			}
			continue
		}
		n, _ := find[*Notice](r)
		if r.e.role != RoleFollower || led < limit || led > limit+time.Second || n == nil || !strings.Contains(n.Text, "no quorum accepts entries: accepted 2 of 4") {
			t.Errorf("%s: a %v after %v: %q", name, r.e.role, led, r.lines())
		}
		if wait := r.e.electionTimer.at.Sub(r.now); wait < (standBackTimeouts+1)*r.e.cfg.ElectionTimeout {
			t.Errorf("%s: campaigns again after %v", name, wait)
		}
	}
	// A leader that slept has not read yet what the others accepted.
	r := newRig(t, rigOptions{}).lead()
	r.propose("x")
	for _, sleep := range []time.Duration{0, time.Minute, 0} {
		r.now = r.e.heartbeatTimer.at.Add(sleep)
		r.fire(TimerHeartbeat)
		if _, broken := find[*BreakConnection](r); broken || r.e.role != RoleLeader {
			t.Errorf("a %v, and a minute of sleep: %q", r.e.role, r.lines())
		}
		r.from(2, 2, &HeartbeatResponse{Round: r.e.leaderState.round, Stream: 1})
	}
}

// TestAcceptedOfTheLatestRound: an answer that was overtaken tells what was accepted
// before; a later one may tell less, of a peer whose group was started again.
func TestAcceptedOfTheLatestRound(t *testing.T) {
	r := newRig(t, rigOptions{}).lead()
	r.propose("x", "y")
	r.fire(TimerHeartbeat)
	round := r.e.leaderState.round
	for _, answer := range []struct {
		round          uint64
		accepted, want Index
	}{{round, 4, 4}, {round - 1, 3, 4}, {round, 1 << 40, 4}, {round, 3, 3}, {round, 0, 2}} {
		r.from(2, 2, &HeartbeatResponse{Round: answer.round, Stream: 1, Match: 2, Accepted: answer.accepted})
		if got := r.e.leaderState.peers[0].accepted; got != answer.want {
			t.Errorf("round %d says %d: %d, want %d", answer.round, answer.accepted, got, answer.want)
		}
	}
}

// TestQuorumOfWhoHasAllAndWhoIsOnItsWay: toward a peer that has accepted all nothing
// needs to leave. With two of five down the quorum is it and one that is being
// brought up, toward which bytes leave.
func TestQuorumOfWhoHasAllAndWhoIsOnItsWay(t *testing.T) {
	r := newRig(t, rigOptions{voters: 5}).lead()
	r.propose("x")
	r.flush()
	last := r.e.log.last.Index
	for i := range 200 {
		r.fire(TimerHeartbeat)
		if r.e.role != RoleLeader {
			t.Fatalf("stepped down at beat %d: %q", i, r.lines())
		}
		for id, accepted := range map[NodeID]Index{2: last, 3: 1} {
			r.from(id, 2, &HeartbeatResponse{Round: r.e.leaderState.round, Stream: r.e.leaderState.peer(rigPeers[id-1]).stream, Match: accepted, Accepted: accepted})
		}
		r.step(&PeerProgress{Node: 3, Class: ClassSnapshot, Bytes: uint64(i + 1)})
	}
}

// TestAcceptedIsReported: a heartbeat's answer tells the last proved index beside the
// durable one.
func TestAcceptedIsReported(t *testing.T) {
	r := newRig(t, rigOptions{}).follow(2)
	r.flush()
	r.from(2, 2, &AppendEntries{Stream: 1, Prev: LogID{1, 1}, Entries: commands(LogID{2, 2}, LogID{2, 3})})
	r.from(2, 2, &Heartbeat{Round: 2, Stream: 1})
	if m, ok := sent[*HeartbeatResponse](r); !ok || m.Accepted != 3 || m.Match != 1 && m.Match != 0 {
		t.Errorf("%+v", m)
	}
	r.from(3, 3, &Heartbeat{Round: 1, Stream: 1})
	if m, ok := sent[*HeartbeatResponse](r); !ok || m.Accepted != 0 {
		t.Errorf("nothing is proved in a new term: %+v", m)
	}
}
