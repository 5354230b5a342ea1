//go:build !race

package core

import "testing"

// TestSteadyPathAllocations counts what a step allocates while nothing special
// happens. Nothing is allocated per entry or per command. What remains is what
// others keep: each message that is sent (it is shared with the network), the list
// of answers of a write (kept by the log actor until it is durable), and now and
// then the growth of a slice that is reused.
func TestSteadyPathAllocations(t *testing.T) {
	const batch = 64
	leader := func(t *testing.T) *rig {
		r := newRig(t, rigOptions{configure: func(c *Config) { c.Volatile = true }}).lead()
		r.flush()
		return r
	}
	data := []byte("command")
	var entries [batch]Entry
	ev := &Propose{}
	propose := func(r *rig) {
		for i := range entries {
			entries[i] = Entry{Kind: EntryCommand, Data: data}
		}
		*ev = Propose{Entries: entries[:]}
		r.out.Reset()
		r.e.Step(r.now, ev, &r.out)
		if ev.Admitted != batch {
			t.Fatalf("%d admitted: %v", ev.Admitted, ev.Err)
		}
	}
	flushed, matched, applied := &Flushed{}, &Matched{}, &Applied{}
	tests := []struct {
		name string
		most float64
		make func(t *testing.T) *rig
		run  func(r *rig)
	}{
		{"a batch of proposals from Propose to Applied on the leader", 0, leader, func(r *rig) {
			propose(r)
			*flushed = Flushed{r.e.writes.next}
			r.out.Reset()
			r.e.Step(r.now, flushed, &r.out)
			for i := range r.e.leaderState.peers {
				p := r.e.leaderState.peers[i]
				*matched = Matched{p.Identity, p.stream, r.e.log.last.Index}
				r.out.Reset()
				r.e.Step(r.now, matched, &r.out)
			}
			*applied = Applied{r.e.log.last}
			r.out.Reset()
			r.e.Step(r.now, applied, &r.out)
		}},
		// A Heartbeat for each of two peers.
		{"a round of heartbeats", 2, leader, func(r *rig) {
			r.out.Reset()
			r.e.beginRoundNow(&r.out)
		}},
		// The AppendResponse, and Write.Then.
		{"an append of a batch on a follower", 2, func(t *testing.T) *rig { return newRig(t, rigOptions{}).follow(2) }, func(r *rig) {
			prev := r.e.log.last
			for i := range entries {
				entries[i] = Entry{LogID: LogID{2, prev.Index + 1 + Index(i)}, Kind: EntryCommand, Data: data}
			}
			m := followerAppend
			*m = AppendEntries{Header: Header{Group: 1, Cluster: worldCluster, From: rigPeers[1], To: rigPeers[0], Term: 2}, Stream: 1, Prev: prev, Entries: entries[:], Commit: prev.Index}
			r.out.Reset()
			r.e.Step(r.now, m, &r.out)
			*flushed = Flushed{r.e.writes.next}
			r.out.Reset()
			r.e.Step(r.now, flushed, &r.out)
		}},
		// The HeartbeatResponse.
		{"a heartbeat on a follower", 1, func(t *testing.T) *rig { return newRig(t, rigOptions{}).follow(2) }, func(r *rig) {
			m := followerHeartbeat
			*m = Heartbeat{Header: Header{Group: 1, Cluster: worldCluster, From: rigPeers[1], To: rigPeers[0], Term: 2}, Round: 1, Stream: 1}
			r.out.Reset()
			r.e.Step(r.now, m, &r.out)
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := test.make(t)
			for range 100 {
				test.run(r) // slices grow to their size
			}
			if n := testing.AllocsPerRun(1000, func() { test.run(r) }); n > test.most {
				t.Errorf("%v allocations, at most %v", n, test.most)
			}
		})
	}
}

var (
	followerAppend    = &AppendEntries{}
	followerHeartbeat = &Heartbeat{}
)

// beginRoundNow is a heartbeat timer's firing without the timer.
func (e *Engine) beginRoundNow(out *Output) {
	e.out = out
	e.beginRound()
}
