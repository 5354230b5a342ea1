package core

import (
	"errors"
	"strings"
	"testing"
)

// ofVersion is a rig whose state machine has a version.
func ofVersion(version uint64) rigOptions {
	return rigOptions{configure: func(c *Config) { c.MachineVersion = version }}
}

// versions lets both peers of a leader answer a round, and say their versions.
func (r *rig) versions(two, three uint64) {
	r.t.Helper()
	for id, version := range map[NodeID]uint64{2: two, 3: three} {
		p := r.e.leaderState.peer(rigPeers[id-1])
		r.from(id, r.e.hard.Term, &HeartbeatResponse{Round: r.e.leaderState.round, Stream: p.stream, PromiseMillis: 1000, Match: p.match, Applied: p.match, Version: version})
	}
}

// TestTooOldMachineGoesOnVoting: a member whose machine is too old for an entry votes and
// acknowledges; it does not campaign while somebody else may, and does when nobody has.
func TestTooOldMachineGoesOnVoting(t *testing.T) {
	r := newRig(t, ofVersion(1)).follow(3)
	r.from(2, 3, &AppendEntries{Stream: 1, Prev: r.e.log.last, Entries: commands(LogID{3, 2}), Commit: 2})
	r.flush()
	r.step(&MachineTooOld{Index: 2, Needs: 2})
	n, told := find[*Notice](r)
	if !told || n.Kind != NoticeVersion || n.Peer != r.e.cfg.Self || n.Index != 2 {
		t.Fatalf("told %q", r.lines())
	}
	if r.step(&MachineTooOld{Index: 2, Needs: 2}); len(r.lines()) > 0 {
		t.Errorf("told again: %q", r.lines())
	}
	r.from(2, 3, &Heartbeat{Round: 2, Stream: 1, Commit: 2, VersionMin: 1})
	if m, ok := sent[*HeartbeatResponse](r); !ok || m.Unfit != UnfitVersion || m.Version != 1 {
		t.Errorf("the leader hears %+v", m)
	}
	if s := r.e.Status(); s.TooOld != (MachineTooOld{2, 2}) || s.Version != 1 || s.VersionMin != 1 || s.Unfit != UnfitVersion {
		t.Errorf("the status says %+v", s)
	}
	r.from(2, 3, &AppendEntries{Stream: 1, Prev: LogID{3, 2}, Entries: commands(LogID{3, 3}), Commit: 3})
	acknowledged := false
	for _, w := range r.last {
		if w, ok := w.(*Write); ok && len(w.Then) > 0 {
			a, ok := w.Then[0].(*AppendResponse)
			acknowledged = ok && a.Success && a.Match == 3
		}
	}
	if !acknowledged {
		t.Errorf("what comes behind is not acknowledged: %q", r.lines())
	}
	r.flush()
	fired := 0
	for r.e.role == RoleFollower && fired < 20 {
		r.fire(TimerElection)
		fired++
	}
	if since := r.now.Sub(r.e.heard); since < lastResortTimeouts*r.e.cfg.ElectionTimeout || r.e.role != RolePreCandidate {
		t.Errorf("a %v, %v after it heard the leader", r.e.role, since)
	}
	voter := newRig(t, ofVersion(1)).follow(3)
	voter.step(&MachineTooOld{Index: 1, Needs: 2})
	voter.now = voter.now.Add(10 * voter.e.cfg.ElectionTimeout)
	voter.from(3, 4, &VoteRequest{ElectionTerm: 4, Last: LogID{4, 9}, Campaign: 9})
	if voter.flush(); voter.e.hard.Vote != rigPeers[2] {
		t.Error("it does not vote")
	}
}

// TestLeaderAppendsWhatItsMachineTakes: and nothing behind the first that it does not.
func TestLeaderAppendsWhatItsMachineTakes(t *testing.T) {
	r := newRig(t, ofVersion(2)).lead()
	propose := func(versions ...uint64) *Propose {
		ev := &Propose{}
		for _, v := range versions {
			ev.Entries = append(ev.Entries, Entry{Kind: EntryCommand, Data: []byte("x"), Version: v})
		}
		r.step(ev)
		return ev
	}
	var old *VersionError
	if ev := propose(0, 2, 3, 0); ev.Admitted != 2 || !errors.As(ev.Err, &old) || *old != (VersionError{Needs: 3, Have: 2}) || MayHaveHappened(old) {
		t.Errorf("admitted %d: %v", ev.Admitted, ev.Err)
	}
	if ev := propose(3); ev.Admitted != 0 || !errors.As(ev.Err, &old) {
		t.Errorf("admitted %d: %v", ev.Admitted, ev.Err)
	}
	if ev := propose(1); ev.Admitted != 1 || ev.Err != nil {
		t.Errorf("admitted %d: %v", ev.Admitted, ev.Err)
	}
	r.step(&MachineTooOld{Index: 2, Needs: 3})
	if ev := propose(0); ev.Admitted != 0 || !errors.As(ev.Err, &old) || old.Index != 2 {
		t.Errorf("a leader that applies nothing admitted %d: %v", ev.Admitted, ev.Err)
	}
}

// TestTooOldLeaderHandsOver: to a voter that has the version, and to nobody else.
func TestTooOldLeaderHandsOver(t *testing.T) {
	for name, test := range map[string]struct {
		two, three uint64
		to         NodeID
	}{
		"nobody has it": {1, 1, 0},
		"node 3 has it": {1, 2, 3},
		"both have it":  {2, 2, 2},
	} {
		r := newRig(t, ofVersion(1)).lead()
		for id := NodeID(2); id <= 3; id++ {
			r.match(id, r.e.log.last.Index)
		}
		r.step(&MachineTooOld{Index: r.e.log.last.Index + 1, Needs: 2})
		for range 3 {
			for id, version := range map[NodeID]uint64{2: test.two, 3: test.three} {
				p := r.e.leaderState.peer(rigPeers[id-1])
				unfit := Fit
				if version < 2 {
					unfit = UnfitVersion
				}
				r.from(id, r.e.hard.Term, &HeartbeatResponse{Round: r.e.leaderState.round, Stream: p.stream, PromiseMillis: 1000, Match: p.match, Applied: p.match, Version: version, Unfit: unfit})
			}
			r.fire(TimerHeartbeat)
		}
		if got := r.e.transfer.to.ID; got != test.to {
			t.Errorf("%s: handed over to %d, want %d: %+v", name, got, test.to, r.e.Status())
		}
	}
}

// TestVersionMin: the leader tells the least of all members, once it knows all.
func TestVersionMin(t *testing.T) {
	r := newRig(t, ofVersion(5)).lead()
	if least := r.e.Status().VersionMin; least != 0 {
		t.Errorf("nobody has answered: %d", least)
	}
	r.versions(4, 7)
	if s := r.e.Status(); s.VersionMin != 4 || s.Peers[0].Version != 4 || s.Peers[1].Version != 7 {
		t.Errorf("the least of 5, 4 and 7 is %d: %+v", s.VersionMin, s.Peers)
	}
	r.fire(TimerHeartbeat)
	if m, ok := sent[*Heartbeat](r); !ok || m.VersionMin != 4 {
		t.Errorf("the others hear %+v", m)
	}
	r.versions(7, 7)
	if least := r.e.Status().VersionMin; least != 5 {
		t.Errorf("the least of 5, 7 and 7 is %d", least)
	}
	r.from(2, 9, &Heartbeat{Round: 1, Stream: 1, VersionMin: 3})
	if least := r.e.Status().VersionMin; least != 3 {
		t.Errorf("the next leader said 3, and the status says %d", least)
	}
}

// TestSnapshotOfALaterVersion: it is neither sent to a machine that is too old, nor taken
// by it, nor restored at a start.
func TestSnapshotOfALaterVersion(t *testing.T) {
	later := rigSnapshot(LogID{3, 9})
	later.Version = 2
	r := newRig(t, ofVersion(1)).follow(3)
	r.from(2, 3, &SnapshotChunk{Stream: 1, Transfer: 1, Meta: later, Done: true})
	if m, ok := sent[*SnapshotResponse](r); !ok || !m.Refused || !strings.Contains(m.Reason, "version 2") {
		t.Errorf("taken: %q", r.lines())
	}
	r = newRig(t, ofVersion(2)).follow(3)
	r.from(2, 3, &SnapshotChunk{Stream: 1, Transfer: 1, Meta: later, Done: true})
	if _, ok := find[*ReceiveChunk](r); !ok {
		t.Errorf("not taken: %q", r.lines())
	}

	p := newPurgeRig(t, func(c *Config) { c.SnapshotEntries, c.MachineVersion = 4, 2 })
	for !p.e.snapshots.usable {
		p.propose()
	}
	p.e.snapshots.newest.Version = 2
	p.versions(2, 1)
	for i := range 2 {
		p.step(&SnapshotNeeded{Peer: rigPeers[2], Stream: p.peer(3).stream})
		n, told := find[*Notice](p.rig)
		if _, sends := find[*SendSnapshot](p.rig); sends || told != (i == 0) || told && (n.Kind != NoticeVersion || n.Peer != rigPeers[2]) {
			t.Errorf("%d: %q", i, p.lines())
		}
	}
	p.step(&SnapshotNeeded{Peer: rigPeers[1], Stream: p.peer(2).stream})
	if _, sends := find[*SendSnapshot](p.rig); !sends {
		t.Errorf("node 2 has the version: %q", p.lines())
	}

	state := rigState(rigOptions{terms: []Term{1, 2, 2, 3, 3}, purged: 4, commit: 5})
	state.Snapshot.Version, state.Applied = 2, LogID{}
	cfg := Config{Group: 1, Self: rigPeers[0], Seed: 1, Volatile: true, MachineVersion: 1, Settings: r.e.cfg.Settings}
	var old *VersionError
	if _, err := NewEngine(cfg, state, 0); !errors.As(err, &old) || old.Needs != 2 || errors.Is(err, ErrCorrupt) {
		t.Errorf("an older machine starts: %v", err)
	}
	cfg.MachineVersion = 2
	if _, err := NewEngine(cfg, state, 0); err != nil {
		t.Errorf("one of the version does not: %v", err)
	}
}
