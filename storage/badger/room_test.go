package badger

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/storage"
)

// crowded opens a store of a group of ten chunks, whose purger does not wait. What is
// free is what free says, and the guard is 1000.
func crowded(t *testing.T, free *atomic.Uint64) *Store {
	t.Helper()
	free.Store(1000)
	o := small(1)
	o.FreeBytesMin, o.PurgeDelay = 1000, time.Nanosecond
	o.freeBytes = func(string) (uint64, error) { return free.Load(), nil }
	s := mustOpen(t, t.TempDir(), o)
	for i := core.Index(1); i <= 10; i++ {
		mustWrite(t, s, storage.Operation{Group: 1, Append: entries(1, i, 1, 10)})
	}
	return s
}

// TestPurgeBelowTheGuard: what makes room is taken when there is too little of it, and
// carried out.
func TestPurgeBelowTheGuard(t *testing.T) {
	var free atomic.Uint64
	s := crowded(t, &free)
	defer mustClose(t, s)
	free.Store(999)
	var full *storage.NoSpaceError
	for _, refused := range []storage.Operation{
		{Group: 1, Append: entries(1, 11, 1, 10)},
		{Group: 1, Commit: 3},
		{Group: 1, Append: entries(1, 11, 1, 10), Purge: core.LogID{Term: 1, Index: 3}},
	} {
		if err := s.Write(t.Context(), &storage.Batch{Operations: []storage.Operation{refused}}); !errors.As(err, &full) || full.Min != 1000 {
			t.Errorf("%+v: %v", refused, err)
		}
	}
	mustWrite(t, s, storage.Operation{Group: 1, Purge: core.LogID{Term: 1, Index: 3}, Commit: 5})
	until(t, "the purge", func() bool { return len(chunkKeys(t, s, 1)) == 7 })
	mustWrite(t, s, storage.Operation{Group: 1, Reset: core.LogID{Term: 2, Index: 20}})
	until(t, "the purge of all", func() bool { return len(chunkKeys(t, s, 1)) == 0 })
	if err := s.Write(t.Context(), &storage.Batch{}); !errors.As(err, &full) {
		t.Errorf("a batch of nothing: %v", err)
	}
}

// TestOpenWithoutRoomLeavesNothing: a directory that was not there is not there afterwards;
// one that was stays as it is.
func TestOpenWithoutRoomLeavesNothing(t *testing.T) {
	var free atomic.Uint64
	o := small(1)
	o.FreeBytesMin, o.freeBytes = 1000, func(string) (uint64, error) { return free.Load(), nil }
	dir := filepath.Join(t.TempDir(), "log")
	var full *storage.NoSpaceError
	if _, err := Open(dir, o); !errors.As(err, &full) {
		t.Fatalf("opened: %v", err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the directory is left: %v", err)
	}
	free.Store(1000)
	mustClose(t, mustOpen(t, dir, o))
	free.Store(0)
	if _, err := Open(dir, o); !errors.As(err, &full) {
		t.Fatalf("opened: %v", err)
	}
	free.Store(1000)
	s := mustOpen(t, dir, o)
	defer mustClose(t, s)
	if s.Header().StartCounter != 2 {
		t.Errorf("%+v", s.Header())
	}
}

// TestNearlyFull: the store says it before it refuses a write, and until there is room
// again.
func TestNearlyFull(t *testing.T) {
	var free atomic.Uint64
	s := crowded(t, &free)
	defer mustClose(t, s)
	for i, test := range []struct {
		free uint64
		low  bool
	}{{2000, false}, {1999, true}, {1000, true}, {2000, false}} {
		free.Store(test.free)
		time.Sleep(roomAskedEvery)
		mustWrite(t, s, storage.Operation{Group: 1, Commit: core.Index(i + 1)})
		if s.NearlyFull() != test.low {
			t.Errorf("%d bytes are free: %v", test.free, s.NearlyFull())
		}
	}
}

// TestPurgeWaitsForRoom: a purge that found too little room even for itself is carried
// out when there is some, though nothing else is purged.
func TestPurgeWaitsForRoom(t *testing.T) {
	var free atomic.Uint64
	s := crowded(t, &free)
	defer mustClose(t, s)
	asked := atomic.Int64{}
	ask := s.options.freeBytes
	s.options.freeBytes = func(dir string) (uint64, error) { asked.Add(1); return ask(dir) }
	mustWrite(t, s, storage.Operation{Group: 1, Commit: 1})
	free.Store(249)
	s.purger.add([]span{{1, 0, 5}})
	until(t, "the purger has found no room twice", func() bool { return asked.Load() > 3 })
	if n := len(chunkKeys(t, s, 1)); n != 10 {
		t.Fatalf("%d chunks are left of 10, without room", n)
	}
	free.Store(250)
	until(t, "the purge", func() bool { return len(chunkKeys(t, s, 1)) == 5 })
}

// TestPurgeErrorFailsNothing: an error of the purger is told once, and what it was to
// delete is deleted with the next.
func TestPurgeErrorFailsNothing(t *testing.T) {
	s, _, mend := unreadableTable(t)
	var b bytes.Buffer
	s.logger = slog.New(slog.NewTextHandler(&b, nil))
	for i := range core.Index(3) {
		left, err := s.purger.purge(span{1, 0, 3 + i})
		if err == nil {
			t.Fatal("an unreadable table was read")
		}
		s.purger.settle(left, err)
	}
	if n := strings.Count(b.String(), "cannot be deleted"); n != 1 {
		t.Errorf("it was told %d times:\n%s", n, b.String())
	}
	mend()
	if kept := s.purger.pending[1]; kept != (span{1, 0, 5}) {
		t.Errorf("%+v is kept", kept)
	}
	s.purger.settle(s.purger.purge(s.purger.pending[1]))
	if n := len(chunkKeys(t, s, 1)); n != 2 { // of 1-3, 4-6 and 7-9
		t.Errorf("%d chunks are left of 3", n)
	}
	mustWrite(t, s, storage.Operation{Group: 1, Append: entries(1, 10, 1, 10)})
	mustClose(t, s)
}
