package simulation

import (
	"testing"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/storage"
)

// TestRemovalOfCommitted: an entry that is committed may leave a disk only if
// nobody counted on that disk and a quorum of the others holds the entry.
func TestRemovalOfCommitted(t *testing.T) {
	const lost, silent = true, false
	remove := storage.Operation{Group: 1, TruncateFrom: 2}
	acknowledge := func(s scene, term core.Term, match core.Index) {
		s.check.sent(s.replica(3), &core.AppendResponse{Header: s.head(3, 1, term), Success: true, Match: match})
	}
	// 1.2 and 3.3 are committed in term 3, by the disks of nodes 1 and 2. Node 3
	// led term 1, and its disk has 1.1.
	for name, test := range map[string]struct {
		play func(scene)
		want bool
	}{
		"a slow disk writes its own entry of an old term, and its truncation by a leader in between": {func(s scene) {
			s.write(3, appends(1, 2, 2))
			s.write(3, storage.Operation{Group: 1, HardState: &core.HardState{Term: 3, Cluster: sceneCluster}, TruncateFrom: 2, Append: []core.Entry{entry(2, 2)}})
		}, silent},
		"a slow disk is reset behind its own entry": {func(s scene) {
			s.write(3, appends(1, 2, 2))
			s.write(3, storage.Operation{Group: 1, Reset: core.LogID{Term: 1, Index: 1}})
		}, silent},
		"one of the two that hold it": {func(s scene) { s.write(2, remove) }, lost},
		"one of the two that hold it, the third having removed it before": {func(s scene) {
			s.write(3, appends(1, 2, 2))
			s.write(3, remove)
			s.write(2, remove)
		}, lost},
		"the disk of the leader that committed it, while the two others hold it": {func(s scene) {
			s.write(3, appends(1, 2, 2))
			s.write(1, remove)
		}, lost},
		"acknowledged in the term of the commit": {func(s scene) {
			s.votes(3, 3, 1)
			s.write(3, appends(1, 2, 2))
			acknowledge(s, 3, 2)
			s.write(3, remove)
		}, lost},
		"acknowledged in a later term": {func(s scene) {
			s.votes(3, 5, 2)
			s.write(3, appends(1, 2, 2))
			acknowledge(s, 5, 2)
			s.write(3, remove)
		}, lost},
		"acknowledged in the term of the commit, and less in a later one": {func(s scene) {
			s.votes(3, 3, 1)
			s.write(3, appends(1, 2, 2))
			acknowledge(s, 3, 2)
			s.votes(3, 5, 2)
			acknowledge(s, 5, 1)
			s.write(3, remove)
		}, lost},
		"acknowledged to a leader before the one that committed it": {func(s scene) {
			s.votes(3, 2, 2)
			s.write(3, appends(1, 2, 2))
			acknowledge(s, 2, 2)
			s.write(3, remove)
		}, silent},
		"only what is before it is acknowledged": {func(s scene) {
			s.votes(3, 3, 1)
			s.write(3, appends(1, 2, 2))
			acknowledge(s, 3, 1)
			s.write(3, remove)
		}, silent},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			s.votes(3, 1, 3)
			s.write(3, appends(1, 1, 1))
			for _, n := range []int{1, 2} {
				s.write(n, appends(1, 1, 2))
				s.votes(n, 3, 1)
				s.write(n, appends(3, 3, 3))
			}
			s.status(1, core.RoleLeader, 3, 0)
			s.status(1, core.RoleLeader, 3, 3)
			for _, e := range []core.Entry{entry(1, 1), entry(1, 2), entry(3, 3)} {
				s.apply(1, e)
			}
			if f := s.failure; f != nil {
				t.Fatalf("the scene is wrong: %v", f)
			}
			test.play(s)
			f := s.failure
			if f != nil && f.Rule != ruleLost {
				t.Fatalf("the play is wrong: %v", f)
			}
			if got := f != nil; got != test.want {
				t.Errorf("spoke %t: %v", got, f)
			}
		})
	}
}
