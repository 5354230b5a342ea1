package replica

import (
	"errors"
	"math"
	"testing"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/storage"
	"github.com/trouperaft/troupe/storage/files"
	"github.com/trouperaft/troupe/storage/memory"
)

// plain keeps no records.
type plain struct{ storage.SnapshotStore }

// TestSnapshotsRecordWhereTheStoreDoes: what a store can it can behind replicas too, and
// each replica has a record of its own.
func TestSnapshotsRecordWhereTheStoreDoes(t *testing.T) {
	replicas := new(Replicas)
	if _, records := replicas.Snapshots(plain{memory.NewSnapshots()}).(storage.Recorder); records {
		t.Error("a store that keeps no records records")
	}
	kept, err := files.Open(t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer kept.Close()
	if _, resumes := replicas.Snapshots(kept).(storage.Resuming); !resumes {
		t.Error("a store that records does not resume any more")
	}
	for _, inner := range []storage.Recorder{memory.NewSnapshots(), kept} {
		replicas := new(Replicas)
		store, records := replicas.Snapshots(inner).(storage.Recorder)
		if !records {
			t.Fatal("a store that keeps records does not record")
		}
		first, second := core.SnapshotMeta{LogID: core.LogID{Term: 1, Index: 9}}, core.SnapshotMeta{LogID: core.LogID{Term: 1, Index: 2}}
		err := store.Record(t.Context(), 5, first)
		replicas.Set(5, 1)
		if got, e := store.Recorded(t.Context(), 5); e != nil || got.Index != 0 {
			t.Errorf("another replica has the record of the first: %v, %v", got.LogID, e)
		}
		err = errors.Join(err, store.Record(t.Context(), 5, second), inner.RemoveBelow(t.Context(), Key(5, 0), math.MaxUint64))
		if got, e := store.Recorded(t.Context(), 5); err != nil || e != nil || got.LogID != second.LogID {
			t.Errorf("%v, %v, %v", got.LogID, err, e)
		}
		if got, e := inner.Recorded(t.Context(), 5); e != nil || got.Index != 0 {
			t.Errorf("the first replica's is still there: %v, %v", got.LogID, e)
		}
	}
}
