package core

import (
	"slices"
	"testing"
	"time"

	"github.com/trouperaft/troupe/membership"
)

// answered lets a peer answer a round with a promise.
func (r *rig) answered(id NodeID, round uint64, promise time.Duration) []string {
	r.t.Helper()
	p := r.e.leaderState.peer(rigPeers[id-1])
	return r.from(id, r.e.hard.Term, &HeartbeatResponse{Round: round, Stream: p.stream, Match: p.match, PromiseMillis: uint32(promise / time.Millisecond)})
}

// beat begins the next round, so much later, and returns its number.
func (r *rig) beat(later time.Duration) uint64 {
	r.t.Helper()
	r.now = r.now.Add(later)
	r.step(&TimerFired{TimerHeartbeat, r.e.heartbeatTimer.generation})
	return r.e.leaderState.round
}

// leaseLeft is for how long reads may be answered by the lease.
func (r *rig) leaseLeft() time.Duration { return max(r.e.Readable().Lease.Sub(r.now), 0) }

func (r *rig) wantLease(want time.Duration, when string) {
	r.t.Helper()
	if got := r.leaseLeft(); got != want {
		r.t.Errorf("%s: the lease lasts another %v, not %v (%s)", when, got, want, r.e.whyNoLease())
	}
}

// TestLeaseIsWhatAQuorumPromised: rule 12: for each voter the latest of when an
// answered round was begun and the promise in the answer, less a tenth for drift; of
// these, what a quorum has.
func TestLeaseIsWhatAQuorumPromised(t *testing.T) {
	r := newRig(t, rigOptions{voters: 5}).lead()
	first := r.e.leaderState.round
	r.wantLease(0, "nobody has answered")
	r.answered(2, first, time.Second)
	r.wantLease(0, "one of five has answered")
	r.answered(3, first, 500*time.Millisecond)
	r.wantLease(450*time.Millisecond, "two have, and the leader")
	r.answered(4, first, 2*time.Second)
	r.wantLease(900*time.Millisecond, "three have")

	// A promise counts from when the round was begun, not from when it is heard.
	second := r.beat(100 * time.Millisecond)
	r.wantLease(800*time.Millisecond, "a tenth of a second later")
	r.now = r.now.Add(300 * time.Millisecond)
	r.answered(3, second, time.Second)
	r.answered(2, second, time.Second)
	r.wantLease(600*time.Millisecond, "an answer that was 300 ms on its way")

	// Promises are not taken back by a shorter one, nor by an answer to an older
	// round that was held up.
	r.answered(2, second, 10*time.Millisecond)
	r.answered(3, first, time.Second)
	r.wantLease(600*time.Millisecond, "less is promised")

	// The leader counts as one that answers its own rounds. It promises no more than
	// an election time-out, and is needed where only two others are there.
	third := r.beat(10 * time.Millisecond)
	r.answered(2, third, time.Minute)
	r.answered(3, third, time.Minute)
	r.answered(4, third, 10*time.Millisecond)
	r.wantLease(1390*time.Millisecond, "a long promise of round 1 of node 4")
}

// TestLeaseCountsRealAnswers: a lease counts what was really answered in this term.
// Neither the grace of a peer nor anything of another term, stream, incarnation or
// round does.
func TestLeaseCountsRealAnswers(t *testing.T) {
	r := newRig(t, rigOptions{}).lead()
	round := r.e.leaderState.round
	answer := func(change func(m *HeartbeatResponse)) {
		m := &HeartbeatResponse{Round: round, Stream: r.e.leaderState.peer(rigPeers[1]).stream, PromiseMillis: 1000}
		r.address(2, 2, m)
		change(m)
		r.step(m)
	}
	for name, change := range map[string]func(m *HeartbeatResponse){
		"a lower term":            func(m *HeartbeatResponse) { m.Header.Term = 1 },
		"another stream":          func(m *HeartbeatResponse) { m.Stream += 5 },
		"another incarnation":     func(m *HeartbeatResponse) { m.Header.From.Incarnation++ },
		"a refusal":               func(m *HeartbeatResponse) { m.Round = 0 },
		"a round not begun":       func(m *HeartbeatResponse) { m.Round = round + 1 },
		"another node":            func(m *HeartbeatResponse) { m.Header.From = rigPeers[3] },
		"the cluster is not said": func(m *HeartbeatResponse) { m.Header.Cluster = ClusterID{} },
	} {
		answer(change)
		r.wantLease(0, name)
	}
	if r.e.lostQuorum() {
		t.Error("a new leader has no grace")
	}
	answer(func(*HeartbeatResponse) {})
	r.wantLease(900*time.Millisecond, "a real answer")

	// The next term has to be won, and promised, anew.
	r.from(3, 3, &Heartbeat{Round: 1, Stream: 1})
	r.wantLease(0, "deposed")
	r.flush()
	r.elect().wantLease(0, "elected again")
	r.flush()
	r.match(2, r.e.log.last.Index)
	r.wantLease(0, "committed in the new term")
	r.answered(2, r.e.leaderState.round, time.Second)
	r.wantLease(900*time.Millisecond, "promised in the new term")
}

// changed brings a configuration into force, as the next entry of the leader.
func (r *rig) changed(voters, outgoing, members []NodeID) {
	r.t.Helper()
	pick := func(ids []NodeID) (picked []Identity) {
		for _, id := range ids {
			picked = append(picked, rigPeers[id-1])
		}
		return picked
	}
	c := membership.Configuration{Voters: pick(voters), Outgoing: pick(outgoing)}
	for _, id := range pick(members) {
		c.Members = append(c.Members, membership.Member{Identity: id})
	}
	r.out.Reset()
	r.e.now, r.e.out = r.now, &r.out
	r.e.appendConfiguration(&c)
	r.check()
}

// TestLeaseFollowsTheConfiguration: a lease needs a quorum of each half of the
// configuration in force, from the moment that it is in force. Learners never count,
// and a voter that was added a moment ago has promised nothing.
func TestLeaseFollowsTheConfiguration(t *testing.T) {
	r := newRig(t, rigOptions{}).lead()
	round := r.e.leaderState.round
	r.answered(2, round, time.Second)
	r.answered(3, round, 500*time.Millisecond)
	r.wantLease(900*time.Millisecond, "voters 1 2 3")

	all := []NodeID{1, 2, 3, 4, 5}
	r.changed([]NodeID{1, 2, 3}, nil, all)
	round = r.beat(100 * time.Millisecond)
	r.answered(4, round, time.Minute)
	r.answered(5, round, time.Minute)
	r.wantLease(800*time.Millisecond, "learners 4 5 promise")

	r.changed([]NodeID{1, 4, 5}, []NodeID{1, 2, 3}, all)
	r.wantLease(800*time.Millisecond, "1 4 5 and 1 2 3, of both halves")
	r.answered(4, r.beat(100*time.Millisecond), time.Minute)
	r.wantLease(700*time.Millisecond, "the half of 1 2 3 has not answered")
	r.changed([]NodeID{2, 3, 4}, nil, []NodeID{2, 3, 4})
	r.wantLease(700*time.Millisecond, "a leader that does not vote")
	r.changed([]NodeID{1, 3}, nil, []NodeID{1, 3})
	r.wantLease(250*time.Millisecond, "1 3")

	// Who comes anew is no one who promised, whatever was promised before.
	r.changed([]NodeID{1, 4}, nil, []NodeID{1, 4})
	r.wantLease(0, "a voter that was added a moment ago")
	if r.e.lostQuorum() {
		t.Error("a new voter has no grace")
	}
	r.changed([]NodeID{1}, nil, []NodeID{1})
	r.wantLease(900*time.Millisecond, "alone")
}

// TestReadsInAJointConfiguration: rule 26: a round is confirmed by a quorum of each
// half of the configuration in force then.
func TestReadsInAJointConfiguration(t *testing.T) {
	r := newRig(t, rigOptions{}).lead()
	all := []NodeID{1, 2, 3, 4, 5}
	r.changed([]NodeID{1, 2, 3}, nil, all)
	r.changed([]NodeID{1, 4, 5}, []NodeID{1, 2, 3}, all)
	r.answered(2, r.beat(0), time.Second)
	r.answered(4, r.e.leaderState.round, time.Second)
	r.step(&ReadRequest{ID: 1})
	for _, step := range []struct {
		id   NodeID
		want bool
	}{{2, false}, {3, false}, {4, true}} {
		r.answered(step.id, r.e.leaderState.round, time.Second)
		if _, ready := find[*ReadReady](r); ready != step.want {
			t.Errorf("node %d has answered: ready %t", step.id, ready)
		}
	}

	// A read that waits for a quorum does not wait for a smaller one, which has
	// answered, to do so again.
	r = newRig(t, rigOptions{voters: 5}).lead()
	r.answered(2, r.beat(0), time.Second)
	r.answered(3, r.e.leaderState.round, time.Second)
	r.step(&ReadRequest{ID: 2})
	r.answered(2, r.e.leaderState.round, time.Second)
	r.changed([]NodeID{1, 2, 3}, nil, all)
	if ready, ok := find[*ReadReady](r); !ok || ready.ID != 2 {
		t.Errorf("two of three have answered: %q", r.lines())
	}
}

// TestCheckQuorumCountsNoLearner: learners that answer keep nobody in office.
func TestCheckQuorumCountsNoLearner(t *testing.T) {
	r := newRig(t, rigOptions{}).lead()
	r.changed([]NodeID{1, 2, 3}, nil, []NodeID{1, 2, 3, 4, 5})
	for range 11 {
		round := r.beat(100 * time.Millisecond)
		if r.e.role == RoleLeader {
			r.answered(4, round, time.Second)
			r.answered(5, round, time.Second)
		}
	}
	if r.e.role == RoleLeader {
		t.Error("a leader that hears its learners alone goes on leading")
	}
}

// TestLeaseReads: rule 12: a read that asks for it is answered at once while the
// lease holds, and joins a round where it does not; also one of another node. Any
// other read never uses the lease.
func TestLeaseReads(t *testing.T) {
	r := newRig(t, rigOptions{}).lead()
	round := func(n ...string) []string {
		return slices.Concat(n, []string{"send ->2 T2 heartbeat 2, commit 2", "send ->3 T2 heartbeat 2, commit 2"})
	}
	r.answered(2, 1, time.Second)
	r.expect(r.step(&ReadRequest{ID: 1, Lease: true}), "read 1: ready at 2")
	r.expect(r.from(3, 2, &ReadIndexRequest{ID: 8, Lease: true}), "send ->3 T2 read index 2")
	r.now = r.now.Add(900*time.Millisecond - 1)
	r.expect(r.step(&ReadRequest{ID: 2, Lease: true}), "read 2: ready at 2")
	r.now++
	r.expect(r.step(&ReadRequest{ID: 3, Lease: true}), round()...)
	r.expect(r.from(3, 2, &ReadIndexRequest{ID: 9, Lease: true}))
	r.answered(3, 2, time.Second)
	r.expect(r.lines(), "alive: 3, match 0", "read 3: ready at 2", "send ->2 T2 heartbeat 3, commit 2", "send ->3 T2 heartbeat 3, commit 2")
	r.answered(3, 3, time.Second)
	r.expect(r.lines(), "alive: 3, match 0", "send ->3 T2 read index 2")

	strict := newRig(t, rigOptions{}).lead()
	strict.answered(2, 1, time.Second)
	strict.expect(strict.step(&ReadRequest{ID: 1}), round()...)

	// Others ask the leader once, and say that a lease will do.
	other := newRig(t, rigOptions{}).follow(2)
	other.expect(other.step(&ReadRequest{ID: 1, Lease: true}), "send ->2 T2 read index by the lease?")
	learner := newRig(t, rigOptions{learner: true}).follow(2)
	learner.expect(learner.step(&ReadRequest{ID: 1, Lease: true}), "send ->2 T2 read index by the lease?")
	held := newRig(t, rigOptions{})
	held.expect(held.step(&ReadRequest{ID: 1, Lease: true}))
	held.follow(2)
	if m, ok := sent[*ReadIndexRequest](held); !ok || !m.Lease {
		t.Errorf("asked when a leader is known: %q", held.lines())
	}
}

// TestLeaseEnds: what ends a lease before its time. What was shown to readers before
// the commands of such a step is already without it.
func TestLeaseEnds(t *testing.T) {
	for name, test := range map[string]struct {
		event func(r *rig)
		leads bool
		why   string
	}{
		"a higher term":           {func(r *rig) { r.from(3, 6, &HeartbeatResponse{}) }, false, "this node does not lead"},
		"no quorum answers":       {func(r *rig) { r.now = r.now.Add(2 * time.Second); r.fire(TimerHeartbeat); r.fire(TimerHeartbeat) }, false, "this node does not lead"},
		"given up for a transfer": {func(r *rig) { r.e.endLease() }, true, "it was given up in this term for a transfer of leadership"},
		"given up, and promised again": {func(r *rig) { r.e.endLease(); r.answered(2, r.beat(100*time.Millisecond), time.Second) }, true,
			"it was given up in this term for a transfer of leadership"},
		"a contradiction": {func(r *rig) { r.from(3, 2, &Heartbeat{Round: 1, Stream: 1}) }, true, "this node has heard a contradiction"},
	} {
		r := newRig(t, rigOptions{}).lead()
		r.answered(2, 1, time.Second)
		r.wantLease(900*time.Millisecond, name+": before")
		test.event(r)
		if got := r.e.Readable(); got.Lease != 0 || (r.e.role == RoleLeader) != test.leads || r.e.whyNoLease() != test.why {
			t.Errorf("%s: a %v with %+v: %s", name, r.e.role, got, r.e.whyNoLease())
		}
		if got := r.e.Readable().Refused; (got != nil) != (name == "a contradiction") {
			t.Errorf("%s: reads are refused: %v", name, got)
		}
	}

	// Before the first commit of the term nobody knows what is committed, and a
	// clock that stands still during a suspension gives no lease at all.
	r := newRig(t, rigOptions{terms: []Term{1, 1}, commit: 2, applied: 2}).elect()
	r.answered(2, 1, time.Second)
	r.wantLease(0, "before the first commit")
	r.expect(r.step(&ReadRequest{ID: 1, Lease: true}))
	r.flush()
	r.expect(r.match(2, 4), "read 1: ready at 4", "replicate to 4, commit 4", "apply to 4")
	r.wantLease(900*time.Millisecond, "after it")

	stops := newRig(t, rigOptions{configure: func(c *Config) { c.ClockStops = true }}).lead()
	stops.answered(2, 1, time.Second)
	stops.wantLease(0, "the clock stops")
	stops.expect(stops.step(&ReadRequest{ID: 1, Lease: true}), "send ->2 T2 heartbeat 2, commit 2", "send ->3 T2 heartbeat 2, commit 2")
}

// TestLeaseInStatus: the status tells the lease, or why there is none, and when a
// quorum was heard of.
func TestLeaseInStatus(t *testing.T) {
	r := newRig(t, rigOptions{}).lead()
	begun := r.now
	if s := r.e.Status(); s.Lease != 0 || s.NoLease == "" || s.QuorumHeard != 0 {
		t.Errorf("before any answer: lease %v, %q, heard %v", s.Lease, s.NoLease, s.QuorumHeard)
	}
	r.now = r.now.Add(50 * time.Millisecond)
	r.answered(2, 1, time.Second)
	if s := r.e.Status(); s.Lease != begun.Add(900*time.Millisecond) || s.NoLease != "" || s.QuorumHeard != begun {
		t.Errorf("lease %v, %q, heard %v", s.Lease, s.NoLease, s.QuorumHeard)
	}
	follower := newRig(t, rigOptions{}).follow(2)
	if s := follower.e.Status(); s.Lease != 0 || s.NoLease != "" || s.QuorumHeard != 0 {
		t.Errorf("a follower: lease %v, %q, heard %v", s.Lease, s.NoLease, s.QuorumHeard)
	}
}
