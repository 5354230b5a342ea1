package badger

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/dgraph-io/badger/v4"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/storage"
	"github.com/trouperaft/troupe/storage/internal/disk"
)

// newestWAL returns the name of the file that badger writes to.
func newestWAL(t *testing.T, s *Store) string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(s.dir, logDir, "*"+walSuffix))
	if err != nil || len(names) == 0 {
		t.Fatalf("%v, %v", names, err)
	}
	return names[len(names)-1]
}

// TestSyncTakesTheWrite proves what SyncWrites is turned off for: the one file
// that is synced holds the batch that is about to be acknowledged, over several
// memory tables. Badger begins a memory table before a transaction, so that a
// purger that deletes after each write would begin them all: it does in one half
// of the test only.
func TestSyncTakesTheWrite(t *testing.T) {
	if !disk.SyncsMapped {
		t.Skip("badger syncs its files itself here")
	}
	t.Run("begun by a write", func(t *testing.T) { syncTakesTheWrite(t, false) })
	t.Run("begun by the purger", func(t *testing.T) { syncTakesTheWrite(t, true) })
}

func syncTakesTheWrite(t *testing.T, purges bool) {
	s := mustOpen(t, t.TempDir(), small(1))
	defer mustClose(t, s)
	var wanted []byte
	synced := map[string]int{}
	flush := s.wal.flush
	s.wal.flush = func() error {
		name := s.wal.file.Name()
		if newest := newestWAL(t, s); name != newest {
			t.Errorf("%s is synced, and %s is the newest", name, newest)
		}
		content, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		if !bytes.Contains(content, wanted) {
			t.Errorf("%s is synced, which lacks the batch", name)
		}
		synced[name]++
		return flush()
	}
	const writes = 60
	for i := core.Index(1); i <= writes; i++ {
		es := entries(core.Term(i), i, 1, 400<<10)
		wanted = es[0].Data[:1000]
		mustWrite(t, s, storage.Operation{Group: 1, Append: es})
		if !purges {
			continue
		}
		if err := s.purger.delete([][]byte{logKey(2, i, 0)}); err != nil {
			t.Fatal(err)
		}
		if name, newest := s.wal.file.Name(), newestWAL(t, s); name != newest {
			t.Errorf("after the purger's transaction %s is followed, and %s is the newest", name, newest)
		}
	}
	total := 0
	for _, n := range synced {
		total += n
	}
	if len(synced) < 3 || total != writes {
		t.Errorf("%d syncs of %d files, want one for each of %d writes, and three files at least", total, len(synced), writes)
	}
}

// TestFailedSyncIsFinal: what a failed sync leaves is acknowledged to nobody,
// seen by nobody, and followed by nothing.
func TestFailedSyncIsFinal(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir, small(1))
	mustWrite(t, s, storage.Operation{Group: 1, Append: entries(1, 1, 1, 10)})
	broken := errors.New("broken")
	flush := s.wal.flush
	s.wal.flush = func() error { return broken }
	batch := &storage.Batch{Operations: []storage.Operation{{Group: 1, Append: entries(1, 2, 1, 10)}}}
	if err := s.Write(t.Context(), batch); !errors.Is(err, broken) {
		t.Errorf("Write: %v", err)
	}
	if _, err := s.Read(t.Context(), 1, 2, 2, 100); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("an entry that is not durable is read: %v", err)
	}
	if state, err := s.Load(t.Context(), 1); err != nil || state.Last.Index != 1 {
		t.Errorf("an entry that is not durable is loaded: %v, %v", state.Last, err)
	}
	s.wal.flush = flush
	if err := s.Write(t.Context(), batch); !errors.Is(err, broken) {
		t.Errorf("Write after a failure: %v", err)
	}
	if err := s.purger.delete([][]byte{logKey(1, 1, 0)}); !errors.Is(err, broken) {
		t.Errorf("the purger goes on after a failure: %v", err)
	}
	if state, err := s.Load(t.Context(), 1); err != nil || state.Last.Index != 1 {
		t.Errorf("after a failure the log ends with %v, %v", state.Last, err)
	}
	mustClose(t, s)
	mustClose(t, mustOpen(t, dir, small(1)))
}

// TestWALGone: a database without the file that it writes to is not opened.
func TestWALGone(t *testing.T) {
	for what, dir := range map[string]string{"an empty directory": t.TempDir(), "a directory that is not there": filepath.Join(t.TempDir(), "gone")} {
		var w wal
		if err := w.open(nil, dir, memTableBytesMin); err == nil {
			t.Errorf("%s was taken", what)
		}
		if err := w.close(); err != nil {
			t.Error(err)
		}
	}
}

// TestReadersKeepTheirVersion: what a reader sees outlives the compaction of
// what was written meanwhile, and goes when nobody reads it.
func TestReadersKeepTheirVersion(t *testing.T) {
	s := mustOpen(t, t.TempDir(), small(1))
	defer mustClose(t, s)
	next := core.Index(1)
	// rewrite fills some memory tables with what replaces itself.
	rewrite := func() {
		for range 120 {
			mustWrite(t, s, storage.Operation{Group: 1, TruncateFrom: next, Append: entries(1, next, 1, 400<<10)})
		}
		if err := s.db.Flatten(1); err != nil {
			t.Fatal(err)
		}
	}
	mustWrite(t, s, storage.Operation{Group: 1, Append: entries(1, 1, 1, 10)})
	next++
	reader := s.versions.read()
	before, err := value(reader, groupKey(1))
	if err != nil || before == nil {
		t.Fatal(before, err)
	}
	rewrite()
	if after, err := value(reader, groupKey(1)); err != nil || !bytes.Equal(after, before) {
		t.Errorf("the reader sees %x, and saw %x: %v", after, before, err)
	}
	s.versions.done(reader)
	if len(s.versions.readers) != 0 {
		t.Errorf("%d readers are left", len(s.versions.readers))
	}
	rewrite()
	if n := countVersions(s, groupKey(1)); n > 120 {
		t.Errorf("%d versions of a group's record are kept", n)
	}
}

func countVersions(s *Store, key []byte) (n int) {
	txn := s.versions.read()
	defer s.versions.done(txn)
	it := txn.NewKeyIterator(key, badger.IteratorOptions{AllVersions: true})
	defer it.Close()
	for it.Rewind(); it.Valid(); it.Next() {
		n++
	}
	return n
}
