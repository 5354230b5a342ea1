package core

import "testing"

// TestSnapshotInPlaceOfAnEntry: a peer lacks an entry that no message to it takes. It gets a
// snapshot that reaches so far: one is built when the entry is applied here, and not before.
// That is told once, and the peer's connection is not broken for it.
func TestSnapshotInPlaceOfAnEntry(t *testing.T) {
	r := newRig(t, rigOptions{}).lead()
	built := func() {
		t.Helper()
		if !r.e.snapshots.building {
			t.Fatal("no snapshot is built")
		}
		term, _ := r.e.log.term(r.e.applied)
		r.step(&SnapshotBuilt{Meta: SnapshotMeta{LogID: LogID{term, r.e.applied}, Cluster: worldCluster, Configuration: *r.e.configs.latest()}})
	}
	r.flush()
	r.match(2, r.e.log.last.Index)
	r.apply()
	r.step(&SnapshotNeeded{Peer: rigPeers[2], Stream: 2})
	built()
	r.propose("large")
	r.flush()
	large := r.e.log.last.Index
	needed := &SnapshotNeeded{Peer: rigPeers[2], Stream: 2, Through: large}
	r.expect(r.step(needed), "notice: 3 lacks an entry that is too large in T2")
	r.expect(r.step(needed))
	if s := r.e.Status(); s.Peers[1].Oversized != large || s.Peers[0].Oversized != 0 {
		t.Errorf("the status says %+v", s.Peers)
	}
	r.match(2, large)
	r.expect(r.step(needed)) // committed, and not applied
	r.apply()
	r.expect(r.step(needed), "build snapshot")
	r.expect(r.step(needed))
	built()
	r.expect(r.step(needed), "send snapshot ->3")
	r.step(&SnapshotSent{Peer: rigPeers[2], Stream: 2, LogID: LogID{2, large}, OK: true})
	r.match(3, large)
	if s := r.e.Status(); s.Peers[1].Oversized != 0 {
		t.Errorf("the status says %+v", s.Peers)
	}
}

// TestOversizedEntryBreaksNoConnection: what a message cannot carry passes no other
// connection either.
func TestOversizedEntryBreaksNoConnection(t *testing.T) {
	r := newRig(t, rigOptions{}).lead()
	r.propose("large")
	r.flush()
	r.match(3, r.e.log.last.Index)
	r.step(&SnapshotNeeded{Peer: rigPeers[1], Stream: 1, Through: r.e.log.last.Index})
	if broken := answersIn(r, 500, nil, 2, 2); len(broken) > 0 {
		t.Errorf("broken after %v", broken)
	}
	if r.e.role != RoleLeader {
		t.Error("it does not lead any more")
	}
}
