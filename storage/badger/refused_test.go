package badger

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/storage"
)

// TestRefusedWriteIsNotBelieved: rule 8: the disk refuses one batch. The next process
// finds it in the system's memory all the same, where it counts as written. What that
// process makes of it is on the disk: when it fails, and the power with it, nothing
// lacks that it may have loaded.
func TestRefusedWriteIsNotBelieved(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir, small(1))
	mustWrite(t, s, storage.Operation{Group: 1, Append: entries(1, 1, 3, 20)})
	log := newestWAL(t, s)
	onDisk, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	refused := errors.New("refused")
	s.wal.flush = func() error { return refused }
	batch := &storage.Batch{Operations: []storage.Operation{{Group: 1, Append: entries(1, 4, 1, 20)}}}
	if err := s.Write(t.Context(), batch); !errors.Is(err, refused) {
		t.Fatalf("Write: %v", err)
	}

	// The process dies, and the next one looks at the files.
	left := t.TempDir()
	if err := os.CopyFS(left, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	mustClose(t, s)
	log = filepath.Join(left, logDir, filepath.Base(log))
	inMemory, err := os.Stat(log)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(log); err != nil || bytes.Equal(b, onDisk) {
		t.Fatalf("the batch is not in the log, %v", err)
	}
	if _, _, err := verifyFiles(filepath.Join(left, logDir)); err != nil {
		t.Fatal(err)
	}
	// The power fails: the file as it was goes back to what the disk has of it, and
	// another one under its name was made durable.
	now, err := os.Stat(log)
	if err != nil {
		t.Fatal(err)
	}
	if os.SameFile(inMemory, now) {
		if err := os.WriteFile(log, onDisk, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if state, err := reload1(t, left); err != nil || state.Last != (core.LogID{Term: 1, Index: 4}) {
		t.Errorf("after the loss of power the log ends with %v, %v", state.Last, err)
	}
}

// reload1 opens the store and loads group 1.
func reload1(t *testing.T, dir string) (storage.State, error) {
	t.Helper()
	s, err := Open(dir, small(1))
	if err != nil {
		return storage.State{}, err
	}
	defer mustClose(t, s)
	return s.Load(t.Context(), 1)
}
