package files

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/trouperaft/troupe/core"
)

func mustOpen(t *testing.T, dir string) *Store {
	t.Helper()
	s, err := Open(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// flip damages a file in its middle.
func flip(t *testing.T, name string) {
	t.Helper()
	b, err := os.ReadFile(name)
	if err == nil {
		b[len(b)-trailerBytes-2] ^= 1
		err = os.WriteFile(name, b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestRottenSnapshotIsNotOfferedAgain: the reader that finds a snapshot rotten sets it
// aside, so that the older one is the newest, and no cleaning removes it.
func TestRottenSnapshotIsNotOfferedAgain(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir)
	write(t, s, 11, "older")
	write(t, s, 12, "newer") // of which this process knows that it was good
	rotten := filepath.Join(dir, "7", "3-12.snap")
	flip(t, rotten)
	r, err := s.Open(t.Context(), 7, core.LogID{Term: 3, Index: 12})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(r); !errors.Is(err, core.ErrCorrupt) {
		t.Errorf("read: %v", err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	for range 2 {
		if meta, err := s.Newest(t.Context(), 7); err != nil || meta.Index != 11 {
			t.Errorf("Newest: %v, %v", meta.LogID, err)
		}
	}
	write(t, s, 12, "another")
	if err := s.RemoveBelow(t.Context(), 7, 100); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(rotten + damagedSuffix); err != nil {
		t.Errorf("what was damaged is not kept: %v", err)
	}
	if _, err := s.Newest(t.Context(), 7); !errors.Is(err, core.ErrCorrupt) {
		t.Errorf("Newest, where nothing else is left: %v", err)
	}
}

// TestSetAsideIsTheOneThatWasRead: a snapshot that took the place of a rotten one while
// that was read stays.
func TestSetAsideIsTheOneThatWasRead(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir)
	write(t, s, 11, "rotten")
	flip(t, filepath.Join(dir, "7", "3-11.snap"))
	r, err := s.Open(t.Context(), 7, core.LogID{Term: 3, Index: 11})
	if err != nil {
		t.Fatal(err)
	}
	write(t, s, 11, "good") // built again
	if _, err := io.ReadAll(r); !errors.Is(err, core.ErrCorrupt) {
		t.Errorf("read: %v", err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if meta, err := s.Newest(t.Context(), 7); err != nil || meta.SizeBytes != 4 {
		t.Errorf("Newest: %v, %v", meta, err)
	}
}

// TestOpenRemovesWhatACrashLeft: builds that crash again and again do not fill the disk.
func TestOpenRemovesWhatACrashLeft(t *testing.T) {
	dir := t.TempDir()
	for range 3 {
		s := mustOpen(t, dir)
		for group := range 2 {
			w, err := s.Create(t.Context(), 7+core.GroupID(group), core.SnapshotMeta{LogID: core.LogID{Term: 1, Index: 1}})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := w.Write(make([]byte, 1<<20)); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Close(); err != nil { // and no Abort, as of a process that was killed
			t.Fatal(err)
		}
	}
	mustOpen(t, dir)
	if left, err := filepath.Glob(filepath.Join(dir, "*", "*")); err != nil || len(left) != 0 {
		t.Errorf("%v are left, %v", left, err)
	}
}

// TestOneStoreADirectory: nobody else uses the directory until the store is closed.
func TestOneStoreADirectory(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir)
	write(t, s, 11, "content")
	var locked *LockedError
	if _, err := Open(dir, nil); !errors.As(err, &locked) || errors.Is(err, core.ErrCorrupt) {
		t.Errorf("Open of a directory in use: %v", err)
	}
	if _, err := Inspect(t.Context(), dir, 7, true); !errors.As(err, &locked) {
		t.Errorf("Inspect of a directory in use: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if meta, err := mustOpen(t, dir).Newest(t.Context(), 7); err != nil || meta.Index != 11 {
		t.Errorf("Newest: %v, %v", meta.LogID, err)
	}
}

// TestLockedWithoutItsFile: nor when its file LOCK was removed under it, and nothing of it is
// touched.
func TestLockedWithoutItsFile(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a file in use cannot be removed here")
	}
	dir := t.TempDir()
	s := mustOpen(t, dir)
	w, err := s.Create(t.Context(), 7, core.SnapshotMeta{LogID: core.LogID{Term: 3, Index: 11}})
	if err == nil {
		_, err = w.Write(make([]byte, 1<<20))
	}
	if err := errors.Join(err, os.Remove(filepath.Join(dir, lockName))); err != nil {
		t.Fatal(err)
	}
	var locked *LockedError
	if second, err := Open(dir, nil); !errors.As(err, &locked) || errors.Is(err, core.ErrCorrupt) {
		t.Errorf("Open of a directory in use: %v", err)
		if err == nil {
			_ = second.Close()
		}
	}
	if _, err := Inspect(t.Context(), dir, 7, true); !errors.As(err, &locked) {
		t.Errorf("Inspect of a directory in use: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, lockName)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("LOCK was made: %v", err)
	}
	if _, err := w.Commit(core.SnapshotMeta{}); err != nil {
		t.Errorf("what was being written: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if meta, err := mustOpen(t, dir).Newest(t.Context(), 7); err != nil || meta.Index != 11 {
		t.Errorf("Newest: %v, %v", meta.LogID, err)
	}
}

// TestInspectFindsThemAll: good ones and bad ones are told, and nothing is changed.
func TestInspectFindsThemAll(t *testing.T) {
	dir := t.TempDir()
	if found, err := Inspect(t.Context(), filepath.Join(dir, "none"), 7, true); err != nil || len(found) != 0 {
		t.Errorf("of nothing: %v, %v", found, err)
	}
	s := mustOpen(t, dir)
	for index := core.Index(11); index < 14; index++ {
		write(t, s, index, "content")
	}
	for _, name := range []string{"3-12.snap", "3-13.snap"} {
		flip(t, filepath.Join(dir, "7", name))
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	rotten := filepath.Join(dir, "7", "3-13.snap")
	err := errors.Join(os.Link(rotten, rotten+".2"+damagedSuffix), os.Rename(rotten, rotten+damagedSuffix))
	if err != nil {
		t.Fatal(err)
	}
	for _, verify := range []bool{false, true} {
		found, err := Inspect(t.Context(), dir, 7, verify)
		if err != nil || len(found) != 4 {
			t.Fatalf("%v, %v", found, err)
		}
		if f := found[0]; f.SetAside || f.Err != nil || f.Verified != verify || f.Meta.SizeBytes != 7 || f.Meta.Index != 11 {
			t.Errorf("the good one, verified %t: %+v", verify, f)
		}
		if f := found[1]; errors.Is(f.Err, core.ErrCorrupt) != verify || f.Verified {
			t.Errorf("the rotten one, verified %t: %+v", verify, f)
		}
		for _, f := range found[2:] {
			if !f.SetAside || f.Meta.LogID != (core.LogID{Term: 3, Index: 13}) || !errors.Is(f.Err, core.ErrCorrupt) {
				t.Errorf("one that was set aside: %+v", f)
			}
		}
	}
}
