package badger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/dgraph-io/badger/v4"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/storage"
	"github.com/trouperaft/troupe/storage/storagetest"
)

// small are options whose memory tables are soon made.
func small(node membership.NodeID) Options {
	return Options{Node: node, MemTableBytes: memTableBytesMin}
}

func openSmall(dir string, node membership.NodeID) (storage.LogStore, error) {
	return Open(dir, small(node))
}

func TestLogStore(t *testing.T) {
	storagetest.LogStore(t, func(dir string, node membership.NodeID) (storage.LogStore, error) {
		return Open(dir, Options{Node: node, MemTableBytes: 16 << 20})
	})
}

func TestInspectLogStore(t *testing.T) {
	storagetest.InspectLogStore(t, openSmall, func(dir string, node membership.NodeID) (storage.LogStore, error) {
		o := small(node)
		o.Inspect = true
		return Open(dir, o)
	})
}

func TestDurableLogStore(t *testing.T) { storagetest.DurableLogStore(t, openSmall, 45) }

func TestKillLogStore(t *testing.T) { storagetest.KillLogStore(t, openSmall) }

func BenchmarkLogStore(b *testing.B) {
	storagetest.BenchmarkLogStore(b, func(dir string, node membership.NodeID) (storage.LogStore, error) {
		return Open(dir, Options{Node: node})
	})
}

func mustOpen(t *testing.T, dir string, o Options) *Store {
	t.Helper()
	s, err := Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// guarded opens a new store of node 1 whose guard keeps 1000 bytes free. There are
// *free of them, at first just enough.
func guarded(t *testing.T) (s *Store, dir string, o Options, free *uint64) {
	t.Helper()
	free = new(uint64)
	*free = 1000
	o = small(1)
	o.FreeBytesMin = 1000
	o.freeBytes = func(string) (uint64, error) { return *free, nil }
	dir = t.TempDir()
	return mustOpen(t, dir, o), dir, o, free
}

func mustClose(t *testing.T, s *Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func mustWrite(t *testing.T, s *Store, operations ...storage.Operation) {
	t.Helper()
	if err := s.Write(t.Context(), &storage.Batch{Operations: operations}); err != nil {
		t.Fatal(err)
	}
}

// entries makes n commands of term from first on, with size bytes each.
func entries(term core.Term, first core.Index, n, size int) []core.Entry {
	es := make([]core.Entry, n)
	for i := range es {
		data := bytes.Repeat([]byte{byte(term), byte(first) + byte(i)}, size/2+1)
		es[i] = core.Entry{LogID: core.LogID{Term: term, Index: first + core.Index(i)}, Kind: core.EntryCommand, Data: data[:size]}
	}
	return es
}

func TestDefaultLimits(t *testing.T) {
	s := mustOpen(t, t.TempDir(), Options{Node: 1})
	defer mustClose(t, s)
	const command = 4 << 20
	if l := s.Limits(); l.EntryBytesMax < command || l.BatchBytesMax < command+core.EntryOverheadBytes {
		t.Errorf("limits %+v: a command of 4 MiB must fit", l)
	}
	mustWrite(t, s, storage.Operation{Group: 1, HardState: &core.HardState{Term: 1}, Append: entries(1, 1, 1, s.Limits().EntryBytesMax)})
	if _, err := s.Load(t.Context(), 1); err != nil {
		t.Error(err)
	}
}

func TestOptionsChecked(t *testing.T) {
	for _, o := range []Options{{}, {Node: 1, MemTableBytes: 1 << 20}, {Node: 1, WatermarkDelay: -1}, {Node: 1, PurgeDelay: -1}} {
		if s, err := Open(t.TempDir(), o); err == nil {
			mustClose(t, s)
			t.Errorf("%+v was accepted", o)
		}
	}
}

func TestLocked(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir, small(1))
	_, err := Open(dir, small(1))
	var locked *LockedError
	if !errors.As(err, &locked) || locked.Dir != dir || !strings.Contains(err.Error(), "in use") {
		t.Errorf("Open of a store in use: %v", err)
	}
	mustClose(t, s)
	mustClose(t, mustOpen(t, dir, small(1)))
}

// TestEmptyFiles opens what a crash leaves between the creation of a file and
// its first byte. Badger alone fails once on it.
func TestEmptyFiles(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir, small(1))
	mustWrite(t, s, storage.Operation{Group: 1, Append: entries(1, 1, 3, 10)})
	mustClose(t, s)
	for _, name := range []string{"00077.mem", "000099.vlog"} {
		if err := os.WriteFile(filepath.Join(dir, logDir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s = mustOpen(t, dir, small(1))
	defer mustClose(t, s)
	if state, err := s.Load(t.Context(), 1); err != nil || state.Last.Index != 3 {
		t.Errorf("last %v, %v", state.Last, err)
	}
}

func TestFreeSpaceGuard(t *testing.T) {
	s, dir, o, free := guarded(t)
	write := func() error {
		return s.Write(t.Context(), &storage.Batch{Operations: []storage.Operation{{Group: 1, Append: entries(1, 1, 1, 5)}}})
	}
	*free = 999
	var full *storage.NoSpaceError
	if err := write(); !errors.As(err, &full) || full.Free != 999 || full.Min != 1000 {
		t.Errorf("Write: %v", err)
	}
	// What writes little, and is needed to get room, needs a fourth of it.
	if err := s.RecordPromise(t.Context(), time.Minute); err != nil {
		t.Errorf("RecordPromise: %v", err)
	}
	mustClose(t, s)
	s = mustOpen(t, dir, o)
	*free = 249
	if err := s.RecordPromise(t.Context(), time.Hour); !errors.As(err, &full) || full.Min != 250 {
		t.Errorf("RecordPromise: %v", err)
	}
	mustClose(t, s)
	if _, err := Open(dir, o); !errors.As(err, &full) || full.Free != 249 {
		t.Errorf("Open: %v", err)
	}
	*free = 1000
	s = mustOpen(t, dir, o)
	defer mustClose(t, s)
	if err := write(); err != nil {
		t.Error(err)
	}
	if p := s.Header().Promise; p != time.Minute {
		t.Errorf("promise %v, and that of an hour was refused", p)
	}
}

// TestFreeSpaceIsAskedAgain: the answer of the system serves for a part of what
// it said, and for a while.
func TestFreeSpaceIsAskedAgain(t *testing.T) {
	asked, free := 0, uint64(1000+32*100)
	o := Options{FreeBytesMin: 1000, freeBytes: func(string) (uint64, error) { asked++; return free, nil }}
	r := room{options: &o}
	for _, step := range []struct {
		bytes, asked int
		passed       time.Duration
	}{{50, 1, 0}, {50, 1, 0}, {49, 1, 0}, {1, 2, 0}, {99, 2, 0}, {1, 3, 0}, {1, 4, roomAskedEvery}} {
		r.asked = r.asked.Add(-step.passed)
		if err := r.take(step.bytes); err != nil || asked != step.asked {
			t.Errorf("%+v: asked %d times, %v", step, asked, err)
		}
	}
	free = 999
	var full *storage.NoSpaceError
	if err := r.take(100); !errors.As(err, &full) {
		t.Errorf("%v", err)
	}
	if err := r.take(0); !errors.As(err, &full) {
		t.Errorf("a refusal is forgotten: %v", err)
	}
}

// TestValueLogUnused proves that the largest entries stay out of the value log.
func TestValueLogUnused(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir, small(1))
	defer mustClose(t, s)
	mustWrite(t, s, storage.Operation{Group: 1, Append: entries(1, 1, 1, s.limits.EntryBytesMax)})
	mustWrite(t, s, storage.Operation{Group: 1, Append: entries(1, 2, 5, 100<<10)})
	logs, err := filepath.Glob(filepath.Join(dir, logDir, "*.vlog"))
	if err != nil || len(logs) == 0 {
		t.Fatalf("%v, %v", logs, err)
	}
	for _, name := range logs {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if n := len(bytes.TrimRight(b, "\x00")); n > 64 {
			t.Errorf("%s holds %d bytes", name, n)
		}
	}
}

// chunkKeys returns the keys of a group's log that badger holds.
func chunkKeys(t *testing.T, s *Store, group membership.GroupID) (keys [][]byte) {
	t.Helper()
	txn := s.versions.read()
	defer s.versions.done(txn)
	sc := scan(txn, group, 0)
	defer sc.close()
	for ; sc.valid(); sc.it.Next() {
		keys = append(keys, sc.it.Item().KeyCopy(nil))
	}
	return keys
}

func TestPurgeDeletes(t *testing.T) {
	o := small(1)
	o.PurgeDelay = time.Hour
	dir := t.TempDir()
	s := mustOpen(t, dir, o)
	var operations []storage.Operation
	for i := range core.Index(2500) {
		operations = append(operations, storage.Operation{Group: 1, Append: entries(1, i+1, 1, 10)})
	}
	mustWrite(t, s, append(operations, storage.Operation{Group: 2, Append: entries(1, 1, 3, 10)})...)
	mustWrite(t, s, storage.Operation{Group: 1, Purge: core.LogID{Term: 1, Index: 2400}})
	if n := len(chunkKeys(t, s, 1)); n != 2500 {
		t.Fatalf("%d chunks before the purger ran, want 2500", n)
	}
	if _, err := s.purger.purge(span{group: 1, after: 0, upTo: 1200}); err != nil {
		t.Fatal(err)
	}
	if n := len(chunkKeys(t, s, 1)); n != 1300 {
		t.Fatalf("%d chunks, want 1300", n)
	}
	mustClose(t, s)

	// What a crash left is deleted after the next opening.
	o.PurgeDelay = time.Nanosecond
	s = mustOpen(t, dir, o)
	defer mustClose(t, s)
	deadline := time.Now().Add(20 * time.Second)
	for len(chunkKeys(t, s, 1)) != 100 {
		if time.Now().After(deadline) {
			t.Fatalf("%d chunks, want 100", len(chunkKeys(t, s, 1)))
		}
		time.Sleep(time.Millisecond)
	}
	if n := len(chunkKeys(t, s, 2)); n != 1 {
		t.Errorf("%d chunks of another group, want 1", n)
	}
	if state, err := s.Load(t.Context(), 1); err != nil || state.Purged.Index != 2400 || state.Last.Index != 2500 {
		t.Errorf("log (%v, %v], %v", state.Purged, state.Last, err)
	}
}

// TestLongTruncation removes more chunks than fit one transaction.
func TestLongTruncation(t *testing.T) {
	const n = 2*deletesMax + 500
	for _, test := range []struct {
		name string
		op   storage.Operation
		last core.LogID
	}{
		{"truncate", storage.Operation{Group: 1, TruncateFrom: 5, Append: entries(2, 5, 1, 4)}, core.LogID{Term: 2, Index: 5}},
		{"reset", storage.Operation{Group: 1, Reset: core.LogID{Term: 3, Index: 4}, Append: entries(3, 5, 2, 4)}, core.LogID{Term: 3, Index: 6}},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := small(1)
			o.PurgeDelay = time.Hour
			s := mustOpen(t, t.TempDir(), o)
			defer mustClose(t, s)
			for i := core.Index(0); i < n; {
				var operations []storage.Operation
				for ; i < n && len(operations) < deletesMax/2; i++ {
					operations = append(operations, storage.Operation{Group: 1, Append: entries(1, i+1, 1, 4)})
				}
				mustWrite(t, s, operations...)
			}
			before := s.batch.number
			hard := test.op
			hard.HardState = &core.HardState{Term: 4}
			mustWrite(t, s, storage.Operation{Group: 2, Append: entries(1, 1, 1, 4)}, hard)
			if got := s.batch.number - before; got < 3 {
				t.Errorf("%d transactions: nothing was split", got)
			}
			state, err := s.Load(t.Context(), 1)
			if err != nil || state.Last != test.last || state.HardState.Term != 4 {
				t.Errorf("last %v, want %v, %v", state.Last, test.last, err)
			}
			if state, err := s.Load(t.Context(), 2); err != nil || state.Last.Index != 1 {
				t.Errorf("the other group: last %v, %v", state.Last, err)
			}
		})
	}
}

// TestManyOperations writes more operations than fit one transaction.
func TestManyOperations(t *testing.T) {
	s := mustOpen(t, t.TempDir(), small(1))
	defer mustClose(t, s)
	const n = 40_000
	operations := make([]storage.Operation, 0, n)
	for i := range n {
		operations = append(operations, storage.Operation{Group: membership.GroupID(i + 1), HardState: &core.HardState{Term: core.Term(i + 1)}})
	}
	mustWrite(t, s, operations...)
	for _, i := range []int{1, n / 2, n} {
		if state, err := s.Load(t.Context(), membership.GroupID(i)); err != nil || state.HardState.Term != core.Term(i) {
			t.Errorf("group %d: %+v, %v", i, state.HardState, err)
		}
	}
	mustWrite(t, s, storage.Operation{Group: 7, Append: entries(9, 1, 1, 1)})
}

// TestFailureIsFinal lets the watermark fail: nothing is written after that.
func TestFailureIsFinal(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir, small(1))
	obstacle := filepath.Join(dir, watermarkName+".tmp")
	if err := os.Mkdir(obstacle, 0o700); err != nil {
		t.Fatal(err)
	}
	batch := &storage.Batch{Operations: []storage.Operation{{Group: 1, HardState: &core.HardState{Term: 1}}}}
	first := s.Write(t.Context(), batch)
	if first == nil {
		t.Fatal("a hard state was acknowledged without the watermark")
	}
	if err := os.Remove(obstacle); err != nil {
		t.Fatal(err)
	}
	if err := s.Write(t.Context(), batch); err == nil || err.Error() != first.Error() {
		t.Errorf("after %v: %v", first, err)
	}
	if err := s.RecordPromise(t.Context(), time.Second); err == nil {
		t.Error("RecordPromise after a failure")
	}
	if err := s.Close(); err == nil {
		t.Error("Close without an error")
	}
	mustClose(t, mustOpen(t, dir, small(1)))
}

func TestBadgerSpeaksThroughTheLogger(t *testing.T) {
	var b bytes.Buffer
	l := badgerLogger{logger: slog.New(slog.NewTextHandler(&b, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	l.Errorf("one %d\n", 1)
	l.Warningf("two")
	l.Infof("three %s\n", "x")
	l.Debugf("four")
	for _, want := range []string{`level=ERROR msg="badger: one 1"`, `level=WARN msg="badger: two"`, `level=DEBUG msg="badger: three x"`} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q lacks %q", b.String(), want)
		}
	}
	if strings.Contains(b.String(), "four") {
		t.Error("badger's debugging is not left out")
	}
}

// TestDamageIsReported looks for the error in the log and for a store that
// stays refused.
func TestDamageIsReported(t *testing.T) {
	dir := t.TempDir()
	mustClose(t, seeded(t, dir))
	tamper(t, dir, func(txn *badger.Txn) error { return txn.Delete(logKey(1, 6, 0)) })
	var b bytes.Buffer
	o := small(1)
	o.Logger = slog.New(slog.NewTextHandler(&b, nil))
	s := mustOpen(t, dir, o)
	if _, err := s.Load(t.Context(), 1); !errors.Is(err, core.ErrCorrupt) {
		t.Fatalf("Load: %v", err)
	}
	if _, err := s.Load(t.Context(), 2); err != nil {
		t.Errorf("another group: %v", err)
	}
	mustClose(t, s)
	if !strings.Contains(b.String(), "group=1") {
		t.Errorf("the log says %q", b.String())
	}
}

func TestNothingIsLeftRunning(t *testing.T) {
	before := goleak.IgnoreCurrent()
	o := small(1)
	o.WatermarkDelay = time.Nanosecond
	s := mustOpen(t, t.TempDir(), o)
	for i := range core.Index(20) {
		mustWrite(t, s, storage.Operation{Group: 1, Append: entries(1, i+1, 1, 10), Purge: core.LogID{Term: 1, Index: i}})
	}
	mustClose(t, s)
	if err := s.Close(); !errors.Is(err, storage.ErrClosed) {
		t.Errorf("a second Close: %v", err)
	}
	goleak.VerifyNone(t, before)
}

func TestLoadStops(t *testing.T) {
	s := seeded(t, t.TempDir())
	defer mustClose(t, s)
	txn := s.versions.read()
	defer s.versions.done(txn)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := verifyLog(ctx, txn, 1, &s.groups[1].record); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// seeded makes a store with two groups, the first with chunks 1-3, 4-6 and 7-9.
func seeded(t *testing.T, dir string) *Store {
	t.Helper()
	s := mustOpen(t, dir, small(1))
	for first := core.Index(1); first < 9; first += 3 {
		mustWrite(t, s, storage.Operation{Group: 1, Append: entries(1, first, 3, 20)})
		mustWrite(t, s, storage.Operation{Group: 2, HardState: &core.HardState{Term: 1}, Append: entries(1, first, 3, 20)})
	}
	return s
}

// tamper changes a closed store behind its back.
func tamper(t *testing.T, dir string, change func(*badger.Txn) error) {
	t.Helper()
	o := small(1)
	if err := o.complete(); err != nil {
		t.Fatal(err)
	}
	db, err := badger.Open(o.badger(filepath.Join(dir, logDir)))
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Update(change); err != nil {
		t.Error(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

func ExampleOpen() {
	dir, err := os.MkdirTemp("", "troupe")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	store, err := Open(dir, Options{Node: 1, FreeBytesMin: -1})
	if err != nil {
		panic(err)
	}
	defer store.Close()
	fmt.Println("node", store.Header().Node, "start", store.Header().StartCounter)
	// Output: node 1 start 1
}
