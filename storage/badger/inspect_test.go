package badger

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/dgraph-io/badger/v4"
	"go.uber.org/goleak"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/storage"
)

func inspecting() Options {
	o := small(0) // any node's
	o.Inspect = true
	return o
}

// TestInspectAnyNode: who looks at a directory need not know whose it is.
func TestInspectAnyNode(t *testing.T) {
	dir := t.TempDir()
	mustClose(t, seeded(t, dir))
	before := goleak.IgnoreCurrent()
	s := mustOpen(t, dir, inspecting())
	if h := s.Header(); h.Node != 1 || h.StartCounter != 1 {
		t.Errorf("header %+v", h)
	}
	if es, err := s.Read(t.Context(), 1, 1, 9, 1<<20); err != nil || len(es) != 9 {
		t.Errorf("%d entries, %v", len(es), err)
	}
	mustClose(t, s)
	if err := s.Close(); !errors.Is(err, storage.ErrClosed) {
		t.Errorf("a second Close: %v", err)
	}
	goleak.VerifyNone(t, before)
}

// TestInspectUnfinished: what a crash left before the store was made to the end
// is none, and inspection does not make it.
func TestInspectUnfinished(t *testing.T) {
	dir := t.TempDir()
	mark := watermark{node: 1, incarnation: 77}
	if err := mark.write(dir, true); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := Open(dir, inspecting()); !errors.Is(err, storage.ErrNotFound) {
			t.Errorf("before the database: %v", err)
		}
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) != 1 {
		t.Errorf("%v are there, and one was: %v", files, err)
	}
	tamper(t, dir, func(*badger.Txn) error { return nil }) // makes the database
	for range 2 {
		if _, err := Open(dir, inspecting()); !errors.Is(err, storage.ErrNotFound) {
			t.Errorf("before the header: %v", err)
		}
	}
	s := mustOpen(t, dir, small(1))
	defer mustClose(t, s)
	if h := s.Header(); h.Incarnation != 77 || h.StartCounter != 1 {
		t.Errorf("header %+v", h)
	}
}

// TestInspectDamaged: damage is reported as at any opening.
func TestInspectDamaged(t *testing.T) {
	for _, name := range []string{watermarkName, logDir} {
		dir := t.TempDir()
		mustClose(t, seeded(t, dir))
		if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(dir, inspecting()); !errors.Is(err, core.ErrCorrupt) {
			t.Errorf("without %s: %v", name, err)
		}
	}
}

// TestRefusedOnAFullDisk: a refusal that found no room is none, and is written
// when it is asked for again.
func TestRefusedOnAFullDisk(t *testing.T) {
	s, dir, o, free := guarded(t)
	*free = 249
	var full *storage.NoSpaceError
	if err := s.Refuse(t.Context(), "first"); !errors.As(err, &full) {
		t.Errorf("Refuse: %v", err)
	}
	*free = 1000
	mustWrite(t, s, storage.Operation{Group: 1, Append: entries(1, 1, 1, 10)})
	if err := s.Refuse(t.Context(), "second"); err != nil {
		t.Error(err)
	}
	mustClose(t, s)
	var refused *storage.RefusedError
	if _, err := Open(dir, o); !errors.As(err, &refused) || refused.Reason != "second" || !strings.Contains(err.Error(), dir) {
		t.Errorf("Open: %v", err)
	}
}

// seen is what a directory looks like from outside: names, sizes, times and contents.
func seen(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := make(map[string]string)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		files[path] = fmt.Sprint(info.Mode(), info.ModTime())
		if info.Mode().IsRegular() {
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			files[path] += fmt.Sprint(len(content), crc32.ChecksumIEEE(content))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// TestInspectChangesNoFile: what a killed process left is replayed beside it, also where
// files lie there that an opening would remove, and where something is damaged.
func TestInspectChangesNoFile(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	s := three(t, t.TempDir())
	killed := leftBehind(t, s)
	mustClose(t, s)
	stopped := t.TempDir()
	mustClose(t, three(t, stopped))
	tables, err := filepath.Glob(filepath.Join(stopped, logDir, "*"+tableSuffix))
	if err != nil || len(tables) == 0 {
		t.Fatalf("%v, %v", tables, err)
	}
	damaged := t.TempDir()
	if err := os.CopyFS(damaged, os.DirFS(stopped)); err != nil {
		t.Fatal(err)
	}
	table := filepath.Join(damaged, logDir, filepath.Base(tables[0]))
	content, err := os.ReadFile(table)
	if err == nil {
		content[len(content)/3] ^= 4
		err = os.WriteFile(table, content, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	for name, dir := range map[string]string{"killed": killed, "stopped": stopped, "damaged": damaged} {
		for _, other := range []string{"00099.mem", "000001.vlog", "DISCARD", "000077.sst"} {
			if err := os.WriteFile(filepath.Join(dir, logDir, other), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Remove(filepath.Join(dir, "LOCK")); err != nil {
			t.Fatal(err)
		}
		before := seen(t, dir)
		s, err := Open(dir, inspecting())
		if name == "damaged" {
			if err == nil {
				_, err = s.Load(t.Context(), 1)
				mustClose(t, s)
			}
			if !errors.Is(err, core.ErrCorrupt) || !strings.Contains(err.Error(), table) {
				t.Errorf("damaged: %v, which does not name %s", err, table)
			}
		} else {
			if err != nil {
				t.Fatal(err)
			}
			if groups, err := s.Groups(t.Context()); err != nil || !slices.Equal(groups, []membership.GroupID{1, 2, 3}) {
				t.Errorf("%s: groups %v, %v", name, groups, err)
			}
			for group := membership.GroupID(1); group <= 3; group++ {
				if state, err := s.Load(t.Context(), group); err != nil || state.Last.Index != 3 {
					t.Errorf("%s: group %d: %v, %v", name, group, state.Last, err)
				}
			}
			mustClose(t, s)
		}
		if after := seen(t, dir); !maps.Equal(before, after) {
			t.Errorf("%s: before %v, after %v", name, before, after)
		}
	}
	if left, err := os.ReadDir(os.TempDir()); err != nil || len(left) != 0 {
		t.Errorf("inspections left %v, %v", left, err)
	}
}

// TestInspectBesideAStore: a store that is in use is not looked at, by whatever it can be
// told.
func TestInspectBesideAStore(t *testing.T) {
	dir := t.TempDir()
	s := seeded(t, dir)
	defer mustClose(t, s)
	for _, lock := range []bool{true, false} {
		if !lock {
			if err := os.Remove(filepath.Join(dir, "LOCK")); err != nil {
				t.Fatal(err)
			}
		}
		var locked *LockedError
		if _, err := Open(dir, inspecting()); !errors.As(err, &locked) || errors.Is(err, core.ErrCorrupt) {
			t.Errorf("with its lock %t: %v", lock, err)
		}
	}
}
