package core

import (
	"testing"
	"time"
)

// TestContradictionsAreNotHeeded: what no correct peer can say is told to the
// operator, and stops nobody.
func TestContradictionsAreNotHeeded(t *testing.T) {
	cases := []struct {
		name    string
		rig     func(t *testing.T) *rig
		message func(r *rig) Message
	}{
		{"another leads the leader's term", func(t *testing.T) *rig { return newRig(t, rigOptions{}).lead() },
			func(*rig) Message { return &Heartbeat{Round: 1, Stream: 1} }},
		{"another appends in the leader's term", func(t *testing.T) *rig { return newRig(t, rigOptions{}).lead() },
			func(r *rig) Message {
				return &AppendEntries{Stream: 1, Prev: r.e.log.last, Entries: commands(LogID{r.e.hard.Term, r.e.log.last.Index + 1})}
			}},
		{"a snapshot in the leader's term", func(t *testing.T) *rig { return newRig(t, rigOptions{}).lead() },
			func(r *rig) Message {
				meta := SnapshotMeta{LogID: LogID{1, 9}, Cluster: worldCluster, Configuration: *r.e.configs.latest()}
				return &SnapshotChunk{Stream: 1, Meta: meta}
			}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r := c.rig(t)
			before := r.e.Status()
			m := c.message(r)
			r.from(2, r.e.hard.Term, m)
			after := r.e.Status()
			if after.Role != before.Role || after.Last != before.Last || after.Committed != before.Committed {
				t.Errorf("%+v became %+v", before, after)
			}
			if n, ok := find[*Notice](r); !ok || n.Kind != NoticeContradiction || n.Peer != rigPeers[1] {
				t.Errorf("no notice of the contradiction: %q", r.lines())
			}
		})
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
	answer := &HeartbeatResponse{Round: r.e.office.round, Stream: r.e.office.peer(rigPeers[1]).stream, Match: last}
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
