package badger

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dgraph-io/badger/v4"
	"go.uber.org/goleak"

	"github.com/trouperaft/troupe/core"
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
	if files, err := os.ReadDir(filepath.Join(dir, logDir)); err != nil || len(files) != 0 {
		t.Errorf("%d files of a database were made, %v", len(files), err)
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
