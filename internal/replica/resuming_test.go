package replica

import (
	"testing"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/storage"
	"github.com/trouperaft/troupe/storage/files"
	"github.com/trouperaft/troupe/storage/memory"
)

// TestSnapshotsResumeWhereTheStoreDoes: what a store can it can behind replicas too.
func TestSnapshotsResumeWhereTheStoreDoes(t *testing.T) {
	replicas := new(Replicas)
	if _, resumes := replicas.Snapshots(memory.NewSnapshots()).(storage.Resuming); resumes {
		t.Error("a store that keeps nothing resumes")
	}
	kept, err := files.Open(t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer kept.Close()
	store, resumes := replicas.Snapshots(kept).(storage.Resuming)
	if !resumes {
		t.Fatal("a store that keeps what has arrived does not resume")
	}
	meta := core.SnapshotMeta{LogID: core.LogID{Term: 1, Index: 9}, SizeBytes: 100}
	w, _, err := store.Resume(t.Context(), 1, meta)
	if err == nil {
		_, err = w.Write(make([]byte, 60))
	}
	if err == nil {
		err = w.(storage.SuspendableWriter).Suspend()
	}
	if err != nil {
		t.Fatal(err)
	}
	w, have, err := store.Resume(t.Context(), 1, meta)
	if err != nil || have != 60 {
		t.Fatalf("it goes on at %d, %v", have, err)
	}
	if err := w.Abort(); err != nil {
		t.Fatal(err)
	}
}
