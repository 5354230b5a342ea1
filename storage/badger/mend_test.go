package badger

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/dgraph-io/badger/v4"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/storage"
)

// still are options of a store of which nothing is compacted.
func still() Options {
	o := small(1)
	o.stillTables = true
	return o
}

// chunkSize is more than a block.
const chunkSize = 40 << 10

// lives makes a store of groups 1 to 3. Each life of it leaves a table; the group of
// the second is written to in that one alone.
func lives(t *testing.T, dir string) (tables []string) {
	t.Helper()
	for life, groups := range [][]membership.GroupID{{1, 2, 3}, {2}, {1, 3}} {
		s := mustOpen(t, dir, still())
		for _, group := range groups {
			state, err := s.Load(t.Context(), group)
			if err != nil {
				t.Fatal(err)
			}
			mustWrite(t, s, storage.Operation{Group: group, HardState: &core.HardState{Term: core.Term(life + 1)},
				Append: entries(core.Term(life+1), state.Last.Index+1, 1, chunkSize)})
		}
		mustClose(t, s)
	}
	tables, err := filepath.Glob(filepath.Join(dir, logDir, "*"+tableSuffix))
	if err != nil || len(tables) != 3 {
		t.Fatalf("%v, %v", tables, err)
	}
	return tables
}

// spoil changes a byte of a file where it holds some bytes for the n-th time.
func spoil(t *testing.T, name string, n int, held []byte) {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	at := 0
	for ; n > 0; n-- {
		i := bytes.Index(b[at:], held)
		if i < 0 {
			t.Fatalf("%s does not hold what is to be damaged", name)
		}
		at += i + len(held)
	}
	b[at-1] ^= 1
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// checkMended opens the store twice and expects that group 2 is damaged, by the name of
// a file, and that the others are whole and take entries.
func checkMended(t *testing.T, dir, file string, last core.Index) {
	t.Helper()
	for i := range core.Index(2) {
		s := mustOpen(t, dir, still())
		for _, group := range []membership.GroupID{1, 3} {
			state, err := s.Load(t.Context(), group)
			if err != nil || state.Last.Index != last+i {
				t.Errorf("group %d: last %v, %v", group, state.Last, err)
			}
			if es, err := s.Read(t.Context(), group, 1, last+i, 1<<20); err != nil || len(es) != int(last+i) {
				t.Errorf("group %d: %d entries, %v", group, len(es), err)
			}
			mustWrite(t, s, storage.Operation{Group: group, Append: entries(3, last+i+1, 1, 20)})
		}
		if _, err := s.Load(t.Context(), 2); !errors.Is(err, core.ErrCorrupt) || !strings.Contains(err.Error(), file) || !strings.Contains(err.Error(), "group 2") {
			t.Errorf("group 2: %v", err)
		}
		mustClose(t, s)
	}
}

// TestDamagedBlock: a block of a table is damaged. Only the group whose entry it holds
// is, and the file stays as it was under another name.
func TestDamagedBlock(t *testing.T) {
	for name, damage := range map[string]func(tables []string) string{
		"beside others": func(tables []string) string {
			spoil(t, tables[0], 2, entries(1, 1, 1, chunkSize)[0].Data)
			return tables[0]
		},
		"the last one": func(tables []string) string {
			spoil(t, tables[1], 1, entries(2, 2, 1, chunkSize)[0].Data)
			return tables[1]
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			table := damage(lives(t, dir))
			damaged, err := os.ReadFile(table)
			if err != nil {
				t.Fatal(err)
			}
			kept := table + damagedSuffix
			checkMended(t, dir, kept, 2)
			if b, err := os.ReadFile(kept); err != nil || !bytes.Equal(b, damaged) {
				t.Errorf("%s is not as it was, %v", kept, err)
			}
		})
	}
}

// TestTableLost: a table is not there, or has no index. Only the group is damaged of
// which it held what was written last.
func TestTableLost(t *testing.T) {
	for name, lose := range map[string]func(name string) error{
		"it is not there": os.Remove,
		"it is cut":       func(name string) error { return os.Truncate(name, 1000) },
		"it is empty":     func(name string) error { return os.Truncate(name, 0) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			tables := lives(t, dir)
			if err := lose(tables[1]); err != nil {
				t.Fatal(err)
			}
			checkMended(t, dir, tables[1], 2)
		})
	}
}

// TestOnlyTableLost: nothing is left. The error names the table, and when the store is
// opened once more, the directory and what was kept.
func TestOnlyTableLost(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir, still())
	mustWrite(t, s, storage.Operation{Group: 1, HardState: &core.HardState{Term: 1}, Append: entries(1, 1, 3, 10)})
	mustClose(t, s)
	tables, err := filepath.Glob(filepath.Join(dir, logDir, "*"+tableSuffix))
	if err != nil || len(tables) != 1 {
		t.Fatalf("%v, %v", tables, err)
	}
	if err := os.Remove(tables[0]); err != nil {
		t.Fatal(err)
	}
	for _, names := range []string{tables[0], dir} {
		if _, err := Open(dir, still()); !errors.Is(err, core.ErrCorrupt) || !strings.Contains(err.Error(), names) {
			t.Errorf("the error does not name %s: %v", names, err)
		}
	}
}

// TestMendingUndone: if too much lacks, the store is refused, and nothing is changed.
func TestMendingUndone(t *testing.T) {
	dir := t.TempDir()
	tables := lives(t, dir)
	spoil(t, tables[2], 1, headerKey)
	before := map[string][]byte{}
	for _, name := range tables {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		before[name] = b
	}
	for range 2 {
		s, err := Open(dir, still())
		if err == nil {
			mustClose(t, s)
		}
		if !errors.Is(err, core.ErrCorrupt) || !strings.Contains(err.Error(), tables[2]) {
			t.Errorf("Open: %v", err)
		}
		for name, want := range before {
			if b, err := os.ReadFile(name); err != nil || !bytes.Equal(b, want) {
				t.Errorf("%s was changed, %v", name, err)
			}
		}
		if kept := keptFiles(filepath.Join(dir, logDir)); len(kept) > 0 {
			t.Errorf("%v are kept", kept)
		}
	}
}

// TestKeptNames: a file that is found damaged does not take the place of another.
func TestKeptNames(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, badger.ManifestFilename)
	if err := os.WriteFile(name, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	var kept []string
	for range 3 {
		k, err := keepDamaged(name)
		if err != nil {
			t.Fatal(err)
		}
		kept = append(kept, k)
	}
	if found := keptFiles(dir); len(slices.Compact(slices.Sorted(slices.Values(kept)))) != 3 || len(found) != 3 {
		t.Errorf("%v, %v", kept, found)
	}
}
