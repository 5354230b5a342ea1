package replica

import (
	"context"
	"errors"
	"math"
	"testing"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/storage"
	"github.com/trouperaft/troupe/storage/memory"
)

// TestKeys: no two replicas have one key, and each key tells its group.
func TestKeys(t *testing.T) {
	seen := make(map[membership.GroupID]bool)
	for _, group := range []membership.GroupID{1, 2, 1 << 16, GroupMax} {
		for _, n := range []uint16{0, 1, 2, 255, membership.GenerationsMax} {
			key := Key(group, n)
			if seen[key] || GroupOf(key) != group || n > 0 && Valid(key) || n == 0 && !Valid(key) {
				t.Errorf("replica %d of group %d has the key %x", n, group, key)
			}
			seen[key] = true
		}
	}
	if Valid(0) || !Valid(1<<63-1) || Valid(1<<63) || GroupOf(1<<63-1) != 1<<63-1 {
		t.Error("the bounds of the ids are others")
	}
}

// TestLoad: it finds the replica behind the tombstones, and through the stores that
// find groups by them what is written of one is not in the other.
func TestLoad(t *testing.T) {
	log, snapshots := memory.New(3), memory.NewSnapshots()
	var replicas Replicas
	keyed, kept := replicas.Log(log), replicas.Snapshots(snapshots)
	entry := func(i core.Index) core.Entry {
		return core.Entry{LogID: core.LogID{Term: 1, Index: i}, Kind: core.EntryBlank}
	}
	for n := range uint16(3) {
		state, found, err := Load(t.Context(), log, 5)
		if err != nil || found != n || state.Last.Index != 0 {
			t.Fatalf("replica %d: found %d, %+v, %v", n, found, state, err)
		}
		replicas.Set(5, n)
		for _, group := range []membership.GroupID{5, 6 + membership.GroupID(n)} {
			operation := storage.Operation{Group: group, HardState: &core.HardState{Term: 1}, Append: []core.Entry{entry(1), entry(2)}}
			batch := &storage.Batch{Operations: []storage.Operation{operation}}
			if err := keyed.Write(t.Context(), batch); err != nil || batch.Operations[0].Group != group {
				t.Fatalf("group %d: %v", group, err)
			}
		}
		w, err := kept.Create(t.Context(), 5, core.SnapshotMeta{LogID: entry(2).LogID})
		if err == nil {
			_, err = w.Commit(core.SnapshotMeta{})
		}
		if err != nil {
			t.Fatal(err)
		}
		if meta, err := snapshots.Newest(t.Context(), Key(5, n)); err != nil || meta.Index != 2 {
			t.Errorf("replica %d: %+v, %v", n, meta, err)
		}
		if meta, err := kept.Newest(t.Context(), 5); err != nil || meta.Index != 2 {
			t.Errorf("replica %d: %+v, %v", n, meta, err)
		}
		if r, err := kept.Open(t.Context(), 5, entry(2).LogID); err != nil || r.Close() != nil {
			t.Errorf("replica %d: %v", n, err)
		}
		if err := kept.RemoveBelow(t.Context(), 5, math.MaxUint64); err != nil {
			t.Error(err)
		}
		if entries, err := keyed.Read(t.Context(), 5, 1, 2, 1000); err != nil || len(entries) != 2 {
			t.Errorf("replica %d: %v, %v", n, entries, err)
		}
		if state, err := keyed.Load(t.Context(), 5); err != nil || state.Last.Index != 2 {
			t.Errorf("replica %d: %+v, %v", n, state, err)
		}
		if err := log.Write(t.Context(), &storage.Batch{Operations: []storage.Operation{Delete(Key(5, n), entry(2).LogID)}}); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := Load(ctx, log, 5); !errors.Is(err, context.Canceled) {
		t.Errorf("its context has ended: %v", err)
	}
}
