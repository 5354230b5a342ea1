package replica

import (
	"testing"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/storage"
	"github.com/trouperaft/troupe/storage/files"
	"github.com/trouperaft/troupe/storage/memory"
)

// TestFilesAreKeptWhereTheStoreDoes: so too with files, and each replica has its own.
func TestFilesAreKeptWhereTheStoreDoes(t *testing.T) {
	replicas := new(Replicas)
	if _, keeps := replicas.Snapshots(memory.NewSnapshots()).(storage.FileStore); keeps {
		t.Error("a store of streams keeps files")
	}
	kept, err := files.Open(t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer kept.Close()
	store, keeps := replicas.Snapshots(kept).(storage.FileStore)
	if !keeps {
		t.Fatal("a store that keeps files keeps none")
	}
	replicas.Set(1, 2)
	meta, err := store.CreateFiles(t.Context(), 1, core.SnapshotMeta{LogID: core.LogID{Term: 1, Index: 9}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if newest, err := kept.Newest(t.Context(), Key(1, 2)); err != nil || newest.LogID != meta.LogID {
		t.Errorf("the replica has %v, %v", newest.LogID, err)
	}
	r, err := store.Open(t.Context(), 1, meta.LogID)
	if err != nil {
		t.Fatal(err)
	}
	head := r.(storage.FileReader).HeadBytes()
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	replicas.Set(1, 3)
	w, _, err := store.ResumeFiles(t.Context(), 1, meta, head, nil)
	if err == nil {
		err = w.Suspend()
	}
	if err != nil {
		t.Fatal(err)
	}
}

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
