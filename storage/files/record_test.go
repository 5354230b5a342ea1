package files

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/trouperaft/troupe/core"
)

// TestFirstRecordIsRead reads what builds of this version have written since it was the
// newest.
func TestFirstRecordIsRead(t *testing.T) {
	kept, dir := filepath.Join("testdata", "record-1"), t.TempDir()
	if *writeSamples {
		s := mustOpen(t, dir)
		if _, err := os.Stat(kept); err == nil {
			t.Fatalf("%s is there: samples never change", kept)
		}
		err := errors.Join(s.Record(t.Context(), 7, firstMeta()), s.Close(), os.RemoveAll(filepath.Join(dir, lockName)), os.CopyFS(kept, os.DirFS(dir)))
		if err != nil {
			t.Fatal(err)
		}
		dir = t.TempDir()
	}
	if err := os.CopyFS(dir, os.DirFS(kept)); err != nil {
		t.Fatal(err)
	}
	found, err := Inspect(t.Context(), dir, 7, false)
	if err != nil || len(found) != 1 || !found[0].Record || !found[0].Verified || found[0].Err != nil || found[0].Meta.Index != 99 {
		t.Errorf("found %+v, %v", found, err)
	}
	s := mustOpen(t, dir)
	meta, err := s.Recorded(t.Context(), 7)
	want := firstMeta()
	if err != nil || meta.LogID != want.LogID || meta.Time != want.Time || meta.Cluster != want.Cluster || meta.Configuration.LogID != want.Configuration.LogID ||
		!meta.Configuration.Configuration.Equal(&want.Configuration.Configuration) {
		t.Fatalf("%+v, %v", meta, err)
	}
	if other, err := s.Recorded(t.Context(), 8); err != nil || other.Index != 0 {
		t.Errorf("%v, %v of another group", other.LogID, err)
	}
}

// TestRecordOfAnotherGroup: a record that was moved is not believed.
func TestRecordOfAnotherGroup(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir)
	if err := s.Record(t.Context(), 7, firstMeta()); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(dir, "8"), os.DirFS(filepath.Join(dir, "7"))); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Recorded(t.Context(), 8); !errors.Is(err, core.ErrCorrupt) {
		t.Errorf("%v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if found, err := Inspect(t.Context(), dir, 8, true); err != nil || len(found) != 1 || !errors.Is(found[0].Err, core.ErrCorrupt) || found[0].Verified {
		t.Errorf("found %+v, %v", found, err)
	}
}
