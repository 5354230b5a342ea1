package core

import (
	"testing"
	"time"
)

// TestContradictionsAreNotHeeded: what no correct peer can say is reported to the
// operator, and stops nobody.
func TestContradictionsAreNotHeeded(t *testing.T) {
	cases := []struct {
		name string
		rig  func(t *testing.T) *rig
		said func(r *rig) Event
	}{
		{"another leads the leader's term", func(t *testing.T) *rig { return newRig(t, rigOptions{}).lead() },
			func(*rig) Event { return &Heartbeat{Round: 1, Stream: 1} }},
		{"another appends in the leader's term", func(t *testing.T) *rig { return newRig(t, rigOptions{}).lead() },
			func(r *rig) Event {
				return &AppendEntries{Stream: 1, Prev: r.e.log.last, Entries: commands(LogID{r.e.hard.Term, r.e.log.last.Index + 1})}
			}},
		{"a snapshot in the leader's term", func(t *testing.T) *rig { return newRig(t, rigOptions{}).lead() },
			func(r *rig) Event {
				meta := SnapshotMeta{LogID: LogID{1, 9}, Cluster: worldCluster, Configuration: *r.e.configs.latest()}
				return &SnapshotChunk{Stream: 1, Meta: meta}
			}},
		{"another leads the term of the leader that is followed", func(t *testing.T) *rig { return followsThird(t, false) },
			func(*rig) Event { return &Heartbeat{Round: 1, Stream: 7} }},
		{"another appends in the term of the leader that is followed", func(t *testing.T) *rig { return followsThird(t, false) },
			func(*rig) Event { return &AppendEntries{Stream: 7, Prev: LogID{1, 1}} }},
		{"another leads the term of a learner's leader", func(t *testing.T) *rig { return followsThird(t, true) },
			func(*rig) Event { return &Heartbeat{Round: 1, Stream: 7} }},
		{"another appends in the term of a learner's leader", func(t *testing.T) *rig { return followsThird(t, true) },
			func(*rig) Event { return &AppendEntries{Stream: 7, Prev: LogID{1, 1}} }},
		{"another leads the term of a leader that fell silent", func(t *testing.T) *rig {
			r := followsThird(t, true)
			r.fire(TimerElection)
			return r
		}, func(*rig) Event { return &Heartbeat{Round: 1, Stream: 7} }},
		{"the leader rewrites what it sent in this term", provedByNode2,
			func(*rig) Event {
				return &AppendEntries{Stream: 1, Prev: LogID{1, 1}, Entries: commands(LogID{1, 2}), Commit: 4}
			}},
		{"a snapshot of another log than was sent in this term", provedByNode2,
			func(r *rig) Event {
				meta := SnapshotMeta{LogID: LogID{1, 3}, Cluster: worldCluster, Configuration: *r.e.configs.latest()}
				return &SnapshotReceived{From: rigPeers[1], Meta: meta, Term: 2, Stream: 1}
			}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r := c.rig(t)
			before := r.e.Status()
			ev := c.said(r)
			if m, ok := ev.(Message); ok {
				ev = r.address(2, r.e.hard.Term, m)
			}
			r.step(ev)
			after := r.e.Status()
			if after.Role != before.Role || after.Leader != before.Leader || after.Last != before.Last || after.Committed != before.Committed {
				t.Errorf("%+v became %+v", before, after)
			}
			if n, ok := find[*Notice](r); !ok || n.Kind != NoticeContradiction || n.Peer != rigPeers[1] {
				t.Errorf("no notice of the contradiction: %q", r.lines())
			}
		})
	}
}

// followsThird is a node that follows node 3.
func followsThird(t *testing.T, learner bool) *rig {
	r := newRig(t, rigOptions{learner: learner})
	r.from(3, 2, &Heartbeat{Round: 1, Stream: 1})
	r.flush()
	return r
}

// provedByNode2 is a follower whose log was proved up to 2.4 in term 2, and
// acknowledged.
func provedByNode2(t *testing.T) *rig {
	r := newRig(t, rigOptions{}).follow(2)
	r.from(2, 2, &AppendEntries{Stream: 1, Prev: LogID{1, 1}, Entries: commands(LogID{2, 2}, LogID{2, 3}, LogID{2, 4})})
	r.flush()
	return r
}

// TestNobodyLeadsTermZero: Raft 5.1: terms begin at 1, and a leader was elected for
// its term.
func TestNobodyLeadsTermZero(t *testing.T) {
	for name, m := range map[string]Message{
		"heartbeat": &Heartbeat{Round: 1}, "append": &AppendEntries{Stream: 1},
		"snapshot": &SnapshotChunk{Stream: 1, Meta: SnapshotMeta{LogID: LogID{1, 1}, Cluster: worldCluster, Configuration: rigState(rigOptions{}).Configurations[0]}},
	} {
		r := newRigOf(t, State{}, nil)
		if r.from(2, 0, m); !r.e.leader.IsZero() || len(r.last) > 0 {
			t.Errorf("%s: leader %d, %q", name, r.e.leader.ID, r.lines())
		}
	}
}

// TestAppliedIsAtMostTheCommit: rule 16: a leader is not deposed for an applied
// index that nobody can have.
func TestAppliedIsAtMostTheCommit(t *testing.T) {
	r := newRig(t, rigOptions{}).lead()
	for range 100 {
		r.fire(TimerHeartbeat)
		if r.e.role != RoleLeader {
			t.Fatalf("applied %d of %d, and no leader any more: %q", r.e.applied, r.e.commit, r.lines())
		}
		for id := NodeID(2); id <= 3; id++ {
			p := r.e.leaderState.peer(rigPeers[id-1])
			r.from(id, 2, &HeartbeatResponse{Round: r.e.leaderState.round, Stream: p.stream, Match: r.e.commit, Applied: 1 << 40})
		}
	}
}

// TestHeartbeatsShareAGrid: the rounds of all groups that a node leads fall on
// the same instants.
func TestHeartbeatsShareAGrid(t *testing.T) {
	for _, start := range []time.Duration{0, time.Millisecond, 37 * time.Millisecond, 99999 * time.Microsecond} {
		r := newRig(t, rigOptions{})
		r.now = r.now.Add(start)
		r.lead()
		elected := r.now
		for range 3 {
			at := r.e.heartbeatTimer.at
			if at%Instant(r.e.cfg.HeartbeatInterval) != 0 || at <= r.now || at.Sub(r.now) > r.e.cfg.HeartbeatInterval {
				t.Errorf("elected at %d: a round at %d, now %d", elected, at, r.now)
			}
			r.fire(TimerHeartbeat)
			r.now = r.now.Add(3 * time.Millisecond) // timers are never punctual
		}
	}
}

// TestIdleStreamsAreNotWoken: a stream whose peer says that it has everything
// hears of no heartbeat; one that has something to send, or to prove, does.
func TestIdleStreamsAreNotWoken(t *testing.T) {
	r := newRig(t, rigOptions{}).lead()
	last := r.e.log.last.Index
	r.match(2, last)
	answer := &HeartbeatResponse{Round: r.e.leaderState.round, Stream: r.e.leaderState.peer(rigPeers[1]).stream, Match: last}
	r.from(2, r.e.hard.Term, answer)
	if alive, ok := find[*PeerAlive](r); ok {
		t.Errorf("an idle stream was told %+v", alive)
	}
	started := *answer
	started.Match = 0
	r.from(2, r.e.hard.Term, &started)
	if _, ok := find[*PeerAlive](r); !ok {
		t.Error("a peer that has started again has proved nothing, and its stream was not told")
	}
	r.propose("x")
	r.from(2, r.e.hard.Term, answer)
	if _, ok := find[*PeerAlive](r); !ok {
		t.Error("a stream with something to send was not told that its peer lives")
	}
}

// TestBootstrapOfAnEmptiedMember: who lost its data must not begin a second
// cluster under the name of the first.
func TestBootstrapOfAnEmptiedMember(t *testing.T) {
	r := newRigOf(t, State{}, nil)
	m := r.address(2, 3, &Heartbeat{Round: 1, Stream: 1})
	m.Head().To.Incarnation, m.Head().Cluster = 77, ClusterID{}
	r.step(m)
	ev := bootstrapOf(1)
	r.step(ev)
	if _, refused := ev.Err.(*BootstrapError); !refused || r.e.log.last.Index != 0 {
		t.Errorf("got %v and a log up to %d, want a *BootstrapError and nothing written", ev.Err, r.e.log.last.Index)
	}
}

// TestOtherClusterIsNamed: who speaks for another cluster is named, and told
// nothing (rule 27).
func TestOtherClusterIsNamed(t *testing.T) {
	r := newRig(t, rigOptions{})
	m := r.address(2, 3, &Heartbeat{Round: 1, Stream: 1})
	m.Head().To.Incarnation++
	m.Head().Cluster = clusterID(0xee)
	r.step(m)
	if refusal, ok := sent[*Refusal](r); ok {
		t.Errorf("it is told %+v", refusal)
	}
	if n, ok := find[*Notice](r); !ok || n.Kind != NoticeOtherCluster {
		t.Errorf("no notice of another cluster: %q", r.lines())
	}
}
