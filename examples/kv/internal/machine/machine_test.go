package machine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"go.uber.org/goleak"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/storage"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// kinds are the machines that every test below runs on.
var kinds = map[string]func(t *testing.T) Machine{
	"memory": func(*testing.T) Machine { return NewMemory() },
	"badger": func(t *testing.T) Machine { return open(t, t.TempDir()) },
}

func open(t *testing.T, dir string) *Badger {
	t.Helper()
	m, err := OpenBadger(dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

func onEachKind(t *testing.T, test func(t *testing.T, m Machine)) {
	for name, make := range kinds {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := make(t)
			t.Cleanup(func() { _ = m.Close() })
			test(t, m)
		})
	}
}

// script makes entries of commands, from index 1 on.
func script(commands ...[]byte) []core.Entry { return scriptFrom(1, commands...) }

func scriptFrom(first core.Index, commands ...[]byte) []core.Entry {
	entries := make([]core.Entry, len(commands))
	for i, c := range commands {
		entries[i] = core.Entry{LogID: core.LogID{Term: 1, Index: first + core.Index(i)}, Kind: core.EntryCommand, Data: c}
		if c == nil {
			entries[i].Kind = core.EntryBlank
		}
	}
	return entries
}

func apply(t *testing.T, m Machine, entries []core.Entry) [][]byte {
	t.Helper()
	results, err := m.Apply(t.Context(), entries)
	if err != nil {
		t.Fatal(err)
	}
	if len(results) != len(entries) {
		t.Fatalf("%d results of %d entries", len(results), len(entries))
	}
	return results
}

// wants asserts the value of a key; nil is absent.
func wants(t *testing.T, m Machine, key string, want []byte) {
	t.Helper()
	got, found, err := m.Get(key)
	if err != nil {
		t.Fatal(err)
	}
	if found != (want != nil) || !bytes.Equal(got, want) {
		t.Fatalf("key %.20q: %d bytes %.20q, found %v, want %d bytes %.20q", key, len(got), got, found, len(want), want)
	}
}

// dump is what a view writes.
func dump(t *testing.T, m Machine) []byte {
	t.Helper()
	return dumpView(t, viewOf(t, m))
}

// onceView may be closed again.
type onceView struct {
	storage.SnapshotView
	once sync.Once
}

func (v *onceView) Close() (err error) {
	v.once.Do(func() { err = v.SnapshotView.Close() })
	return err
}

// viewOf takes a view that does not outlive the test: its machine would wait
// for it.
func viewOf(t *testing.T, m Machine) storage.SnapshotView {
	t.Helper()
	view, err := m.View()
	if err != nil {
		t.Fatal(err)
	}
	once := &onceView{SnapshotView: view}
	t.Cleanup(func() { _ = once.Close() })
	return once
}

func dumpView(t *testing.T, view storage.SnapshotView) []byte {
	t.Helper()
	var b bytes.Buffer
	n, err := view.WriteTo(&b)
	if err := errors.Join(err, view.Close()); err != nil || n != int64(b.Len()) {
		t.Fatalf("WriteTo: %d of %d bytes, %v", n, b.Len(), err)
	}
	return b.Bytes()
}

func TestCommands(t *testing.T) {
	onEachKind(t, func(t *testing.T, m Machine) {
		wants(t, m, "a", nil)
		results := apply(t, m, script(
			nil,
			Put("a", []byte("1")),
			Put("empty", []byte{}),
			Put("\x00\xff/", []byte{0, 255}),
			Delete("absent"),
			CompareAndSwap("a", []byte("1"), []byte("2")),
			CompareAndSwap("a", []byte("1"), []byte("3")),
			CompareAndSwap("new", nil, []byte("x")),
			CompareAndSwap("new", nil, []byte("y")),
			CompareAndSwap("empty", nil, []byte("z")),
			CompareAndSwap("empty", []byte{}, []byte{}),
			CompareAndSwap("absent", nil, nil),
			CompareAndSwap("absent", []byte{}, nil),
			CompareAndSwap("a", nil, nil),
			Put("gone", []byte("x")),
			CompareAndSwap("gone", []byte("x"), nil),
			Put("deleted", []byte("x")),
			Delete("deleted"),
		))
		want := "-----+-+--++---+--"
		var got strings.Builder
		for _, r := range results {
			if Swapped(r) {
				got.WriteByte('+')
			} else {
				got.WriteByte('-')
			}
		}
		if got.String() != want {
			t.Errorf("swapped %s, want %s", got.String(), want)
		}
		for key, value := range map[string][]byte{
			"a": []byte("2"), "empty": {}, "\x00\xff/": {0, 255}, "new": []byte("x"), "absent": nil, "gone": nil, "deleted": nil,
		} {
			wants(t, m, key, value)
		}
	})
}

// TestLargeValues goes to and fro over the size at which badger's machine
// divides a value.
func TestLargeValues(t *testing.T) {
	onEachKind(t, func(t *testing.T, m Machine) {
		index := core.Index(0)
		for _, size := range []int{ValueBytesMax, 1, partBytesMax, partBytesMax + 1, partBytesMax - 1, ValueBytesMax - 1, 0, ValueBytesMax} {
			value := bytes.Repeat([]byte{byte(size), byte(size >> 8), 7}, size/3+1)[:size]
			apply(t, m, scriptFrom(index+1, Put("k", value), Put("k2", value)))
			index += 2
			wants(t, m, "k", value)
			wants(t, m, "k2", value)
		}
		apply(t, m, scriptFrom(index+1, Delete("k")))
		wants(t, m, "k", nil)
		other := NewMemory()
		if err := other.Restore(t.Context(), bytes.NewReader(dump(t, m))); err != nil {
			t.Fatal(err)
		}
		value, _, _ := m.Get("k2")
		wants(t, other, "k2", value)
		wants(t, other, "k", nil)
	})
}

// TestBatchLargerThanTransaction applies more at once than badger takes in one
// transaction.
func TestBatchLargerThanTransaction(t *testing.T) {
	onEachKind(t, func(t *testing.T, m Machine) {
		var commands [][]byte
		for i := range 8 {
			commands = append(commands, Put(fmt.Sprintf("large-%d", i), bytes.Repeat([]byte{byte(i)}, ValueBytesMax)))
		}
		for i := range 2*transactionChangesMax + 1 {
			commands = append(commands, Put(fmt.Sprintf("small-%d", i), []byte{byte(i)}))
		}
		apply(t, m, script(commands...))
		for i := range 8 {
			wants(t, m, fmt.Sprintf("large-%d", i), bytes.Repeat([]byte{byte(i)}, ValueBytesMax))
		}
		wants(t, m, fmt.Sprintf("small-%d", 2*transactionChangesMax), []byte{byte(2 * transactionChangesMax % 256)})
	})
}

// TestSameStateOnAll applies one random script to machines of both kinds in
// batches of other sizes, and wants equal results and equal snapshots.
func TestSameStateOnAll(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	maybe := func() []byte {
		if n := random.IntN(6); n > 0 {
			return bytes.Repeat([]byte{'v'}, n-1)
		}
		return nil
	}
	var commands [][]byte
	for range 3000 {
		key := fmt.Sprintf("key-%d", random.IntN(20))
		switch random.IntN(4) {
		case 0:
			commands = append(commands, Delete(key))
		case 1:
			commands = append(commands, Put(key, bytes.Repeat([]byte{'v'}, random.IntN(5))))
		case 2:
			commands = append(commands, CompareAndSwap(key, maybe(), maybe()))
		default:
			commands = append(commands, nil)
		}
	}
	entries := script(commands...)
	inBatches := func(m Machine, sizeMax int) (results [][]byte) {
		for left := entries; len(left) > 0; {
			n := min(1+random.IntN(sizeMax), len(left))
			results = append(results, apply(t, m, left[:n])...)
			left = left[n:]
		}
		return results
	}
	first := NewMemory()
	wantResults := inBatches(first, 1)
	want := dump(t, first)
	for name, m := range map[string]Machine{"memory": NewMemory(), "badger": open(t, t.TempDir())} {
		for i, result := range inBatches(m, 300) {
			if !bytes.Equal(result, wantResults[i]) {
				t.Fatalf("%s: result of entry %d: %v, want %v", name, i+1, result, wantResults[i])
			}
		}
		if !bytes.Equal(dump(t, m), want) {
			t.Fatalf("%s: another snapshot", name)
		}
	}
}

func TestApplyRefuses(t *testing.T) {
	onEachKind(t, func(t *testing.T, m Machine) {
		apply(t, m, script(Put("a", []byte("1"))))
		for name, entries := range map[string][]core.Entry{
			"a hole":    scriptFrom(3, Put("a", []byte("2"))),
			"again":     scriptFrom(1, Put("a", []byte("2"))),
			"empty":     scriptFrom(2, []byte{}),
			"version":   scriptFrom(2, []byte{9, 1, 1, 'a'}),
			"operation": scriptFrom(2, []byte{1, 9, 1, 'a'}),
			"key size":  scriptFrom(2, []byte{1, 1, 200, 'a'}),
			"long key":  scriptFrom(2, Put(strings.Repeat("k", KeyBytesMax+1), nil)),
			"no key":    scriptFrom(2, Put("", nil)),
			"rest":      scriptFrom(2, append(Delete("a"), 'x')),
			"swap":      scriptFrom(2, []byte{1, 3, 1, 'a'}),
			"old size":  scriptFrom(2, []byte{1, 3, 1, 'a', 3, 9, 'x'}),
			"flags":     scriptFrom(2, []byte{1, 3, 1, 'a', 4, 0}),
			"not there": scriptFrom(2, []byte{1, 3, 1, 'a', 0, 1, 'x'}),
		} {
			if _, err := m.Apply(t.Context(), entries); err == nil {
				t.Errorf("%s was applied", name)
			}
		}
		wants(t, m, "a", []byte("1"))
	})
}

// TestRestore takes a snapshot of one machine into machines of each kind that
// hold something else.
func TestRestore(t *testing.T) {
	for from, makeFrom := range kinds {
		source := makeFrom(t)
		large := bytes.Repeat([]byte("large"), ValueBytesMax/5)
		apply(t, source, script(Put("a", []byte("1")), Put("b", large), Put("empty", []byte{}), Put("gone", []byte("x")), Delete("gone"), nil))
		snapshot := dump(t, source)
		for to, makeTo := range kinds {
			t.Run(from+" to "+to, func(t *testing.T) {
				m := makeTo(t)
				apply(t, m, script(Put("old", []byte("x")), Put("a", []byte("x")), Put("b", large)))
				if err := m.Restore(t.Context(), iotest.OneByteReader(bytes.NewReader(snapshot))); err != nil {
					t.Fatal(err)
				}
				wants(t, m, "old", nil)
				wants(t, m, "a", []byte("1"))
				wants(t, m, "b", large)
				wants(t, m, "empty", []byte{})
				if !bytes.Equal(dump(t, m), snapshot) {
					t.Fatal("another snapshot")
				}
				apply(t, m, scriptFrom(7, Put("a", []byte("2"))))
				wants(t, m, "a", []byte("2"))
			})
		}
	}
}

// TestRestoreRefuses wants a damaged snapshot to change nothing.
func TestRestoreRefuses(t *testing.T) {
	source := NewMemory()
	apply(t, source, script(Put("a", []byte("1")), Put("b", bytes.Repeat([]byte{'v'}, 300)), Put("c", nil)))
	good := dump(t, source)
	onEachKind(t, func(t *testing.T, m Machine) {
		apply(t, m, script(Put("mine", []byte("x"))))
		before := dump(t, m)
		refuse := func(name string, r io.Reader, want error) {
			t.Helper()
			err := m.Restore(t.Context(), r)
			if !errors.Is(err, want) {
				t.Fatalf("%s: %v", name, err)
			}
			if !bytes.Equal(dump(t, m), before) {
				t.Fatalf("%s: changed the state", name)
			}
		}
		for n := 0; n < len(good); n += 7 {
			refuse(fmt.Sprintf("%d bytes", n), bytes.NewReader(good[:n]), core.ErrCorrupt)
			bad := bytes.Clone(good)
			bad[n] ^= 0x10
			refuse(fmt.Sprintf("flip at %d", n), bytes.NewReader(bad), core.ErrCorrupt)
		}
		refuse("too long", bytes.NewReader(append(bytes.Clone(good), 0)), core.ErrCorrupt)
		broken := errors.New("broken")
		refuse("reader fails", io.MultiReader(bytes.NewReader(good[:40]), iotest.ErrReader(broken)), broken)
		refuse("reader fails at its end", io.MultiReader(bytes.NewReader(good), iotest.ErrReader(broken)), broken)
		wants(t, m, "mine", []byte("x"))
	})
}

// TestViewStaysAsItWas writes a view out after other applies, and after a
// restore.
func TestViewStaysAsItWas(t *testing.T) {
	onEachKind(t, func(t *testing.T, m Machine) {
		var commands [][]byte
		for i := range 500 {
			commands = append(commands, Put(fmt.Sprintf("key-%03d", i), bytes.Repeat([]byte{'v'}, i)))
		}
		apply(t, m, script(commands...))
		want := dump(t, m)
		afterApply, afterRestore := viewOf(t, m), viewOf(t, m)
		apply(t, m, scriptFrom(501, Delete("key-001"), Put("key-002", []byte("x")), Put("zzz", nil)))
		if !bytes.Equal(dumpView(t, afterApply), want) {
			t.Fatal("the view changed with Apply")
		}
		empty := NewMemory()
		if err := m.Restore(t.Context(), bytes.NewReader(dump(t, empty))); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(dumpView(t, afterRestore), want) {
			t.Fatal("the view changed with Restore")
		}
		wants(t, m, "key-003", nil)
	})
}

func TestReopen(t *testing.T) {
	dir := t.TempDir()
	m := open(t, dir)
	apply(t, m, script(Put("a", []byte("1")), nil, Put("b", []byte("2")), nil))
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := m.Get("a"); !errors.Is(err, ErrClosed) {
		t.Fatalf("Get after Close: %v", err)
	}
	if _, err := m.View(); !errors.Is(err, ErrClosed) {
		t.Fatalf("View after Close: %v", err)
	}
	m = open(t, dir)
	if applied, err := m.Applied(); err != nil || applied != (core.LogID{Term: 1, Index: 4}) {
		t.Fatalf("Applied is %v, %v", applied, err)
	}
	wants(t, m, "b", []byte("2"))
	apply(t, m, scriptFrom(5, Put("b", []byte("3"))))
	wants(t, m, "b", []byte("3"))
}

// TestFilesThatHoldNothing: what is damaged of them is of no concern, after an end and after
// a kill.
func TestFilesThatHoldNothing(t *testing.T) {
	for name, at := range map[string]int{"KEYREGISTRY": 25, "000001.vlog": 6, "DISCARD": 9} {
		dir := t.TempDir()
		m := open(t, dir)
		apply(t, m, script(Put("a", []byte("1"))))
		killed := t.TempDir()
		if err := os.CopyFS(killed, os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
		for _, d := range []string{dir, killed} {
			file := filepath.Join(d, name)
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			b[at] ^= 1
			if err := os.WriteFile(file, b, 0o600); err != nil {
				t.Fatal(err)
			}
			again, err := OpenBadger(d, slog.New(slog.DiscardHandler))
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			wants(t, again, "a", []byte("1"))
			if err := again.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

// TestCrashDuringRestore copies the directory, as a killed process leaves it,
// at every transaction of a restore, and wants the old state or the new.
func TestCrashDuringRestore(t *testing.T) {
	source := NewMemory()
	var commands [][]byte
	for i := range 6 {
		commands = append(commands, Put(fmt.Sprintf("key-%d", i), bytes.Repeat([]byte{byte(i)}, ValueBytesMax*2/3)))
	}
	apply(t, source, script(commands...))
	newState := dump(t, source)

	dir := t.TempDir()
	m := open(t, dir)
	apply(t, m, script(Put("key-1", []byte("old")), Put("old", []byte("old"))))
	oldState := dump(t, m)

	copies := 0
	check := func(want ...[]byte) {
		t.Helper()
		copies++
		crashed := open(t, copyDir(t, dir))
		defer crashed.Close()
		got := dump(t, crashed)
		for _, w := range want {
			if bytes.Equal(got, w) {
				if n := len(crashed.othersUnder(dataPrefix)) + len(crashed.othersUnder(restPrefix)); n > 0 {
					t.Fatalf("copy %d: %d keys of another generation are left", copies, n)
				}
				return
			}
		}
		t.Fatalf("copy %d: neither the old state nor the new", copies)
	}
	// The reader is asked for more between transactions.
	slow := &pausingReader{r: bytes.NewReader(newState), chunk: ValueBytesMax, pause: func() { check(oldState) }}
	if err := m.Restore(t.Context(), slow); err != nil {
		t.Fatal(err)
	}
	check(newState)
	if copies < 5 {
		t.Fatalf("only %d copies", copies)
	}
}

type pausingReader struct {
	r     io.Reader
	chunk int
	seen  int
	pause func()
}

func (p *pausingReader) Read(b []byte) (int, error) {
	n, err := p.r.Read(b)
	if p.seen/p.chunk != (p.seen+n)/p.chunk {
		p.pause()
	}
	p.seen += n
	return n, err
}

// TestRestoreCancelled ends a restore by its context.
func TestRestoreCancelled(t *testing.T) {
	source := NewMemory()
	apply(t, source, script(Put("a", bytes.Repeat([]byte{1}, ValueBytesMax)), Put("b", bytes.Repeat([]byte{1}, ValueBytesMax))))
	snapshot := dump(t, source)
	onEachKind(t, func(t *testing.T, m Machine) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := m.Restore(ctx, bytes.NewReader(snapshot)); !errors.Is(err, context.Canceled) {
			t.Fatalf("Restore: %v", err)
		}
		wants(t, m, "a", nil)
	})
}

// TestLostPairsShow removes a pair behind the machine's back: a view that finds
// fewer pairs than there should be is an error and no snapshot.
func TestLostPairsShow(t *testing.T) {
	m := open(t, t.TempDir())
	apply(t, m, script(Put("a", []byte("1")), Put("b", []byte("2"))))
	txn := m.db.NewTransaction(true)
	if err := txn.Delete(generationKey(dataPrefix, m.state.generation, "a")); err != nil {
		t.Fatal(err)
	}
	if err := txn.Commit(); err != nil {
		t.Fatal(err)
	}
	if _, err := viewOf(t, m).WriteTo(io.Discard); !errors.Is(err, core.ErrCorrupt) {
		t.Fatalf("WriteTo: %v", err)
	}
}

func TestVolatile(t *testing.T) {
	if !storage.IsVolatile(NewMemory()) {
		t.Error("Memory is not volatile")
	}
	if storage.IsVolatile(&Badger{}) {
		t.Error("Badger is volatile")
	}
}

// copyDir copies the files of a directory as they are, but for the lock. It is
// what a killed process leaves, as long as badger is not writing tables: the
// directory must be a young one, with less in it than a memtable.
func copyDir(t *testing.T, dir string) string {
	t.Helper()
	to := t.TempDir()
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if file.Name() == "LOCK" {
			continue
		}
		data, err := os.ReadFile(filepath.Join(dir, file.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(to, file.Name()), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return to
}
