package core

import (
	"strings"
	"testing"
	"time"
)

// TestDeniedMatchIsProbedSeldom: a peer that denies what it had acknowledged is asked
// again once a sign of life at most, and less and less often; the second denial in a
// row is told.
func TestDeniedMatchIsProbedSeldom(t *testing.T) {
	r := replicating(t)
	last := r.log.last()
	r.expect(r.pump(&StreamAlive{Match: last.Index, Sent: r.now}), "matched 10")
	refusal := r.answer(AppendResponse{Rejected: last, Hint: LogID{2, 2}})
	r.expect(r.pump(&StreamDown{}), "after 5.10 [], commit 9")
	r.expect(r.pump(refusal)) // nothing follows, and it may be a late answer
	var probes []time.Duration
	begun, told := r.now, 0
	for range 600 {
		r.now = r.now.Add(100 * time.Millisecond)
		for _, line := range r.pump(&StreamAlive{Sent: r.now - 1}) {
			if !strings.HasPrefix(line, "after 5.10 []") {
				t.Fatalf("sends %q", line)
			}
			probes = append(probes, r.now.Sub(begun))
			if len(r.pump(refusal)) == 1 {
				told++
			}
		}
	}
	// 100 ms after the first denial, and then always twice as long up to ten seconds.
	if len(probes) != 11 || probes[0] != 100*time.Millisecond || probes[1] != 300*time.Millisecond || probes[10]-probes[9] != denialWaitMax {
		t.Errorf("probed after %v", probes)
	}
	if told != len(probes) {
		t.Errorf("told %d times at %d denials after the first", told, len(probes))
	}
	// The right disk is back.
	r.now = r.now.Add(denialWaitMax)
	r.pump(&StreamAlive{Sent: r.now - 1})
	r.pump(r.answer(AppendResponse{Success: true, Match: last.Index}))
	r.state("replicate match 10 next 11 in flight 0")
	r.expect(r.pump(&StreamDown{}), "after 5.10 [], commit 9")
	r.expect(r.pump(refusal)) // the first denial again
}

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

// TestLostDataOfTheSameIncarnation: rule 18: a follower that comes back with an older
// copy of its directory is reported as having lost data; one that was merely started
// again is not.
func TestLostDataOfTheSameIncarnation(t *testing.T) {
	for name, older := range map[string]bool{"an older copy": true, "merely restarted": false} {
		t.Run(name, func(t *testing.T) {
			w := newSlowWorld(t, "-cluster 3", "-start", "-elect 1", "-propose 1 a b c", "-stabilize")
			back := w.nodes[3]
			copied := back.disk.clone()
			w.play("-propose 1 d e f")
			w.play("-stabilize")
			w.play("-crash 3")
			if older {
				back.disk = copied
				back.applied, back.machine = copied.last(), nil
			}
			w.play("-start 3")
			var notices []string
			w.each = func() { notices = append(notices, w.takeNotices("lost its data")...) }
			w.run(10 * time.Second)
			for _, p := range w.nodes[1].engine.Status().Peers {
				if want := older && p.ID == 3; p.LostData != want {
					t.Errorf("node %d: lost data %v, want %v", p.ID, p.LostData, want)
				}
			}
			if older != (len(notices) == 1) {
				t.Errorf("%q", notices)
			}
		})
	}
}
