package badger

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/storage"
)

// unreadableTable opens a store of the groups of seeded, and takes away the content of
// its table: what is mapped can then be read as little as a bad block of a disk. The
// content is there again when mend is called.
func unreadableTable(t *testing.T) (s *Store, table string, mend func()) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("a file that is mapped cannot be cut here")
	}
	dir := t.TempDir()
	mustClose(t, seeded(t, dir))
	tables, err := filepath.Glob(filepath.Join(dir, logDir, "*"+tableSuffix))
	if err != nil || len(tables) != 1 {
		t.Fatalf("%v, %v", tables, err)
	}
	table = tables[0]
	content, err := os.ReadFile(table)
	if err != nil {
		t.Fatal(err)
	}
	s = mustOpen(t, dir, small(1))
	if err := os.Truncate(table, 0); err != nil {
		t.Fatal(err)
	}
	return s, table, func() {
		f, err := os.OpenFile(table, os.O_WRONLY, 0) // the same file
		if err == nil {
			_, err = f.WriteAt(content, 0)
		}
		if err = errors.Join(err, f.Close()); err != nil {
			t.Fatal(err)
		}
	}
}

// TestUnreadableBlocks: what the disk cannot read is an error that names the file,
// and no end of the process. Nothing is broken by it.
func TestUnreadableBlocks(t *testing.T) {
	s, table, mend := unreadableTable(t)
	check := func(what string, err error) {
		t.Helper()
		if !errors.Is(err, syscall.EIO) || errors.Is(err, core.ErrCorrupt) {
			t.Errorf("%s: %v", what, err)
		}
		if runtime.GOOS == "linux" && !strings.Contains(err.Error(), table) {
			t.Errorf("%s: %v, which does not name %s", what, err, table)
		}
	}
	_, err := s.Load(t.Context(), 1)
	check("Load", err)
	_, err = s.Read(t.Context(), 2, 1, 9, 1<<20)
	check("Read", err)
	truncation := storage.Operation{Group: 1, TruncateFrom: 5}
	check("Write", s.Write(t.Context(), &storage.Batch{Operations: []storage.Operation{truncation}}))
	_, err = s.purger.purge(span{1, 0, 9})
	check("the purger", err)
	// What is not in the table works.
	mustWrite(t, s, storage.Operation{Group: 3, Append: entries(1, 1, 1, 20)})
	mend()
	for group := range membership.GroupID(2) {
		if es, err := s.Read(t.Context(), group+1, 1, 9, 1<<20); err != nil || len(es) != 9 {
			t.Errorf("group %d: %d entries, %v", group+1, len(es), err)
		}
	}
	mustWrite(t, s, truncation)
	mustClose(t, s)
}

// TestOtherPanicsGoOn: a panic that is no fault of mapped memory is nobody's error.
func TestOtherPanicsGoOn(t *testing.T) {
	defer func() {
		if r := recover(); r != "another" {
			t.Errorf("recovered %v", r)
		}
	}()
	_ = func() (err error) {
		defer catchFault(panicOnFault(), &err)
		panic("another")
	}()
}
