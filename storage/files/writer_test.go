package files

import (
	"errors"
	"testing"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/storage"
)

// TestSnapshotIsSyncedInPieces: never more than a piece, and what was written with it,
// waits for a sync, and less if it is asked for; one that fails fails the snapshot.
func TestSnapshotIsSyncedInPieces(t *testing.T) {
	s, err := Open(t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	begin := func(index core.Index) *writer {
		w, err := s.Create(t.Context(), 1, core.SnapshotMeta{LogID: core.LogID{Term: 1, Index: index}})
		if err != nil {
			t.Fatal(err)
		}
		return w.(*writer)
	}
	w, part := begin(1), make([]byte, 1<<20)
	syncs, since, most := 0, 0, 0
	w.sync = func() error {
		syncs, since = syncs+1, 0
		return w.file.Sync()
	}
	for range 33 {
		since += len(part)
		if _, err := w.Write(part); err != nil {
			t.Fatal(err)
		}
		most = max(most, since)
	}
	if _, err := w.Commit(core.SnapshotMeta{}); err != nil {
		t.Fatal(err)
	}
	if syncs != 33>>2+1 || most >= pieceBytes {
		t.Errorf("%d syncs, %d bytes waited for one", syncs, most)
	}
	w = begin(3)
	w.sync = func() error { syncs++; return w.file.Sync() }
	syncs = 0
	if _, err := w.Write(part[:1000]); err != nil {
		t.Fatal(err)
	}
	err = w.Sync()
	if info, e := w.file.Stat(); err != nil || e != nil || syncs != 1 || info.Size() < 1000 {
		t.Errorf("when asked to it synced %d times, %v, %v", syncs, err, e)
	}
	if _, err := w.Commit(core.SnapshotMeta{}); err != nil {
		t.Fatal(err)
	}
	if err := w.Sync(); !errors.Is(err, storage.ErrClosed) {
		t.Errorf("a sync after the end: %v", err)
	}
	w = begin(2)
	broken := errors.New("no")
	w.sync = func() error { return broken }
	for range 8 {
		_, err = w.Write(part)
		if err != nil {
			break
		}
	}
	if !errors.Is(err, broken) {
		t.Errorf("a sync that fails: %v", err)
	}
	if err := w.Abort(); err != nil {
		t.Fatal(err)
	}
}
