package badger

import (
	"errors"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/storage"
)

// TestTampered loses or brings back single values, as badger does when a file
// that is not the newest is damaged.
func TestTampered(t *testing.T) {
	get := func(txn *badger.Txn, key []byte) []byte {
		v, err := value(txn, key)
		if err != nil || v == nil {
			t.Fatalf("key %q: %v", key, err)
		}
		return v
	}
	// older are the values of a store before its last batches.
	older := func(t *testing.T, s *Store, keys ...[]byte) (values [][]byte) {
		txn := s.versions.read()
		defer s.versions.done(txn)
		for _, k := range keys {
			values = append(values, get(txn, k))
		}
		return values
	}
	for _, test := range []struct {
		name string
		// prepare writes more; what it returns is put back afterwards.
		prepare func(t *testing.T, s *Store) (keys, values [][]byte)
		change  func(txn *badger.Txn) error
		fine    bool
	}{
		{name: "nothing", change: func(*badger.Txn) error { return nil }, fine: true},
		{name: "a chunk in the middle", change: func(txn *badger.Txn) error { return txn.Delete(logKey(1, 6, 0)) }},
		{name: "the first chunk", change: func(txn *badger.Txn) error { return txn.Delete(logKey(1, 3, 0)) }},
		{name: "the last chunk", change: func(txn *badger.Txn) error { return txn.Delete(logKey(1, 9, 0)) }},
		{name: "a group's record", change: func(txn *badger.Txn) error { return txn.Delete(groupKey(1)) }},
		{name: "the header", change: func(txn *badger.Txn) error { return txn.Delete(headerKey) }},
		{name: "the last batch", change: func(txn *badger.Txn) error { return txn.Delete(batchKey) }},
		{name: "everything", change: func(txn *badger.Txn) error {
			for _, k := range [][]byte{headerKey, batchKey, groupKey(1), groupKey(2), logKey(1, 3, 0), logKey(1, 6, 0), logKey(1, 9, 0),
				logKey(2, 3, 0), logKey(2, 6, 0), logKey(2, 9, 0)} {
				if err := txn.Delete(k); err != nil {
					return err
				}
			}
			return nil
		}},
		{name: "a chunk under another key", change: func(txn *badger.Txn) error {
			b := get(txn, logKey(1, 6, 0))
			return errors.Join(txn.Delete(logKey(1, 6, 0)), txn.Set(logKey(1, 5, 0), b))
		}},
		{name: "the only chunk", prepare: func(t *testing.T, s *Store) (keys, values [][]byte) {
			mustWrite(t, s, storage.Operation{Group: 1, Purge: core.LogID{Term: 1, Index: 6}})
			return [][]byte{logKey(1, 9, 0)}, [][]byte{nil}
		}},
		{name: "a chunk beyond the end", change: func(txn *badger.Txn) error {
			return txn.Set(logKey(1, 10, 0), chunkOf(1, 5, entries(1, 10, 1, 5)))
		}},
		{name: "a chunk of another group", change: func(txn *badger.Txn) error { return txn.Set(logKey(1, 6, 0), get(txn, logKey(2, 6, 0))) }},
		{name: "a record of another group", change: func(txn *badger.Txn) error { return txn.Set(groupKey(1), get(txn, groupKey(2))) }},
		{name: "a key that is none", change: func(txn *badger.Txn) error { return txn.Set(append(groupKey(9), 0), nil) }},
		{name: "a bit of an entry", change: func(txn *badger.Txn) error {
			b := get(txn, logKey(1, 6, 0))
			b[len(b)-1] ^= 1
			return txn.Set(logKey(1, 6, 0), b)
		}},
		{name: "an older record of a group", prepare: func(t *testing.T, s *Store) (keys, values [][]byte) {
			keys = [][]byte{groupKey(1)}
			values = older(t, s, keys...)
			mustWrite(t, s, storage.Operation{Group: 1, HardState: &core.HardState{Term: 8}})
			mustWrite(t, s, storage.Operation{Group: 2, HardState: &core.HardState{Term: 9}})
			return keys, values
		}},
		{name: "an older header", prepare: func(t *testing.T, s *Store) (keys, values [][]byte) {
			keys = [][]byte{headerKey}
			values = older(t, s, keys...)
			if err := s.RecordPromise(t.Context(), time.Hour); err != nil {
				t.Fatal(err)
			}
			mustWrite(t, s, storage.Operation{Group: 2, HardState: &core.HardState{Term: 9}})
			return keys, values
		}},
		{name: "an older state of all", prepare: func(t *testing.T, s *Store) (keys, values [][]byte) {
			keys = [][]byte{batchKey, groupKey(1)}
			values = older(t, s, keys...)
			mustWrite(t, s, storage.Operation{Group: 1, HardState: &core.HardState{Term: 8}})
			return keys, values
		}},
		{name: "an older chunk under the same key", prepare: func(t *testing.T, s *Store) (keys, values [][]byte) {
			keys = [][]byte{logKey(1, 9, 0)}
			values = older(t, s, keys...)
			mustWrite(t, s, storage.Operation{Group: 1, TruncateFrom: 7, Append: entries(2, 7, 3, 20)})
			mustWrite(t, s, storage.Operation{Group: 1, Append: entries(2, 10, 1, 20)})
			return keys, values
		}},
		{name: "an older last chunk", prepare: func(t *testing.T, s *Store) (keys, values [][]byte) {
			keys = [][]byte{logKey(1, 9, 0)}
			values = older(t, s, keys...)
			changed := entries(1, 7, 3, 20)
			changed[0].Data[0]++
			mustWrite(t, s, storage.Operation{Group: 1, TruncateFrom: 7, Append: changed})
			return keys, values
		}},
		{name: "purged chunks", prepare: func(t *testing.T, s *Store) (keys, values [][]byte) {
			keys = [][]byte{logKey(1, 3, 0), logKey(1, 6, 0)}
			values = older(t, s, keys...)
			mustWrite(t, s, storage.Operation{Group: 1, Purge: core.LogID{Term: 1, Index: 7}})
			if _, err := s.purger.purge(span{1, 0, 7}); err != nil {
				t.Fatal(err)
			}
			return keys, values
		}, fine: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			s := seeded(t, dir)
			change := test.change
			if test.prepare != nil {
				keys, values := test.prepare(t, s)
				change = func(txn *badger.Txn) error {
					for i := range keys {
						err := txn.Set(keys[i], values[i])
						if values[i] == nil {
							err = txn.Delete(keys[i])
						}
						if err != nil {
							return err
						}
					}
					return nil
				}
			}
			want, err := s.Load(t.Context(), 1)
			if err != nil {
				t.Fatal(err)
			}
			mustClose(t, s)
			tamper(t, dir, change)
			for range 2 { // it stays refused
				got, err := reload(t, dir)
				switch {
				case test.fine && (err != nil || got.Last != want.Last || got.Purged != want.Purged):
					t.Errorf("log (%v, %v], want (%v, %v], %v", got.Purged, got.Last, want.Purged, want.Last, err)
				case !test.fine && !errors.Is(err, core.ErrCorrupt):
					t.Errorf("log (%v, %v], %v", got.Purged, got.Last, err)
				}
			}
		})
	}
}

// reload opens the store and loads both groups; it returns the first's state.
func reload(t *testing.T, dir string) (storage.State, error) {
	t.Helper()
	s, err := Open(dir, small(1))
	if err != nil {
		return storage.State{}, err
	}
	defer mustClose(t, s)
	state, err := s.Load(t.Context(), 1)
	if err == nil {
		_, err = s.Load(t.Context(), 2)
	}
	return state, err
}

// TestFilesGone removes what a store cannot do without.
func TestFilesGone(t *testing.T) {
	for _, name := range []string{watermarkName, filepath.Join(logDir, badger.ManifestFilename), logDir} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			mustClose(t, seeded(t, dir))
			if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if s, err := Open(dir, small(1)); !errors.Is(err, core.ErrCorrupt) {
					if err == nil {
						mustClose(t, s)
					}
					t.Errorf("%v", err)
				}
			}
		})
	}
}

// TestTablesVerified flips a bit of a table, which badger itself would read.
func TestTablesVerified(t *testing.T) {
	dir := t.TempDir()
	mustClose(t, seeded(t, dir))
	tables, err := filepath.Glob(filepath.Join(dir, logDir, "*.sst"))
	if err != nil || len(tables) == 0 {
		t.Fatalf("%v, %v", tables, err)
	}
	b, err := os.ReadFile(tables[0])
	if err != nil {
		t.Fatal(err)
	}
	b[100] ^= 1
	if err := os.WriteFile(tables[0], b, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir, small(1)); !errors.Is(err, core.ErrCorrupt) {
		t.Errorf("%v", err)
	}
}

// TestChecksumCoversEverything changes each part of an entry.
func TestChecksumCoversEverything(t *testing.T) {
	e := core.Entry{LogID: core.LogID{Term: 1, Index: 2}, Kind: core.EntryCommand, Time: 3, Data: []byte{4}}
	checksum := func(before uint32, e *core.Entry) uint32 {
		c := chain{sum: before}
		return c.next(e)
	}
	sums := map[uint32]string{checksum(1, &e): "nothing"}
	for what, change := range map[string]func(*core.Entry){
		"term": func(e *core.Entry) { e.Term++ }, "index": func(e *core.Entry) { e.Index++ }, "kind": func(e *core.Entry) { e.Kind++ },
		"time": func(e *core.Entry) { e.Time++ }, "data": func(e *core.Entry) { e.Data = []byte{5} }, "length": func(e *core.Entry) { e.Data = []byte{4, 0} },
	} {
		changed := e
		change(&changed)
		sum := checksum(1, &changed)
		if same, found := sums[sum]; found {
			t.Errorf("the same checksum with another %s and %s", what, same)
		}
		sums[sum] = what
	}
	if _, found := sums[checksum(2, &e)]; found {
		t.Error("the same checksum after another entry")
	}
	const group = 0x0102030405060708
	if got, want := groupSum(group), crc32.Checksum([]byte{8, 7, 6, 5, 4, 3, 2, 1}, castagnoli); got != want {
		t.Errorf("checksum %08x of a group, want %08x", got, want)
	}
}

// TestRecordsOfAnotherShape: a good checksum alone makes no record.
func TestRecordsOfAnotherShape(t *testing.T) {
	long := headerRecord{Header: storage.Header{Node: 1, Incarnation: 2, Refused: strings.Repeat("x", storage.RefusalBytesMin)}}
	if r, err := decodeHeader(long.encode()); err != nil || r != long {
		t.Errorf("the longest refusal: %v", err)
	}
	long.Refused += "x"
	if _, err := decodeHeader(long.encode()); !errors.Is(err, core.ErrCorrupt) {
		t.Errorf("a refusal that is too long: %v", err)
	}
	if _, err := decodeHeader(seal(nil, headerKey, 1, 2, 3, 4)); !errors.Is(err, core.ErrCorrupt) {
		t.Errorf("a header that is too short: %v", err)
	}
	if _, err := decodeBatch(sealText(nil, batchKey, "x", 1, 2, 3)); !errors.Is(err, core.ErrCorrupt) {
		t.Errorf("the record of a batch with a text: %v", err)
	}
}

// TestMakingInterrupted opens what a crash leaves of a store that was never
// opened to the end.
func TestMakingInterrupted(t *testing.T) {
	t.Run("after the watermark", func(t *testing.T) {
		dir := t.TempDir()
		mark := watermark{node: 1, incarnation: 77}
		if err := mark.write(dir, true); err != nil {
			t.Fatal(err)
		}
		s := mustOpen(t, dir, small(1))
		defer mustClose(t, s)
		if h := s.Header(); h.Incarnation != 77 || h.StartCounter != 1 {
			t.Errorf("header %+v", h)
		}
	})
	t.Run("before the first watermark rewriting", func(t *testing.T) {
		dir := t.TempDir()
		s := mustOpen(t, dir, small(1))
		mark := watermark{node: 1, incarnation: s.Header().Incarnation}
		mustClose(t, s)
		if err := mark.write(dir, true); err != nil {
			t.Fatal(err)
		}
		s = mustOpen(t, dir, small(1))
		defer mustClose(t, s)
		if h := s.Header(); h.Incarnation != mark.incarnation || h.StartCounter != 2 {
			t.Errorf("header %+v", h)
		}
	})
	t.Run("the watermark of another store", func(t *testing.T) {
		dir, other := t.TempDir(), t.TempDir()
		mustClose(t, mustOpen(t, dir, small(1)))
		mustClose(t, mustOpen(t, other, small(1)))
		b, err := os.ReadFile(filepath.Join(other, watermarkName))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, watermarkName), b, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(dir, small(1)); !errors.Is(err, core.ErrCorrupt) {
			t.Errorf("%v", err)
		}
	})
}

// TestWatermark follows the file: at once for hard states, late otherwise, and
// never beyond the truth.
func TestWatermark(t *testing.T) {
	dir := t.TempDir()
	o := small(1)
	o.WatermarkDelay = time.Hour
	s := mustOpen(t, dir, o)
	says := func() uint64 {
		t.Helper()
		w, found, err := readWatermark(dir)
		if err != nil || !found {
			t.Fatal(found, err)
		}
		return w.number
	}
	if got := says(); got != 1 {
		t.Fatalf("watermark %d after the opening, want 1", got)
	}
	mustWrite(t, s, storage.Operation{Group: 1, Append: entries(1, 1, 1, 1)})
	mustWrite(t, s, storage.Operation{Group: 1, Append: entries(1, 2, 1, 1)})
	if got := says(); got != 1 {
		t.Fatalf("watermark %d after appends, want 1", got)
	}
	mustWrite(t, s, storage.Operation{Group: 1, HardState: &core.HardState{Term: 1}})
	if got := says(); got != 4 {
		t.Fatalf("watermark %d after a hard state, want 4", got)
	}
	if err := s.RecordPromise(t.Context(), time.Second); err != nil {
		t.Fatal(err)
	}
	if got := says(); got != 5 {
		t.Fatalf("watermark %d after a promise, want 5", got)
	}
	mustWrite(t, s, storage.Operation{Group: 1, Append: entries(1, 3, 1, 1)})
	s.marker.late() // the hour has passed
	if got := says(); got != 6 {
		t.Fatalf("watermark %d after the delay, want 6", got)
	}
	mustWrite(t, s, storage.Operation{Group: 1, Append: entries(1, 4, 1, 1)})
	mustClose(t, s)
	if got := says(); got != 7 {
		t.Fatalf("watermark %d after Close, want 7", got)
	}
}
