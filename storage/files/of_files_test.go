package files

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/storage"
	"github.com/trouperaft/troupe/storage/fileset"
)

// sources writes files of different contents; those whose contents begin with "s" are
// sealed.
func sources(t *testing.T, contents ...string) (files []storage.File) {
	t.Helper()
	dir := t.TempDir()
	for i, content := range contents {
		f := storage.File{Name: fmt.Sprintf("dir/%d", i), SizeBytes: uint64(len(content)), Sealed: strings.HasPrefix(content, "s"), Path: filepath.Join(dir, fmt.Sprint(i))}
		if err := os.WriteFile(f.Path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	return files
}

func at(index core.Index) core.SnapshotMeta {
	return core.SnapshotMeta{LogID: core.LogID{Term: 3, Index: index}}
}

func create(t *testing.T, s *Store, index core.Index, files []storage.File) core.SnapshotMeta {
	t.Helper()
	meta, err := s.CreateFiles(t.Context(), 7, at(index), files)
	if err != nil {
		t.Fatal(err)
	}
	return meta
}

// contents are the names of the files that are kept by themselves.
func contents(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(dir, "7", contentName))
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

func readAll(t *testing.T, s *Store, index core.Index) ([]byte, error) {
	t.Helper()
	r, err := s.Open(t.Context(), 7, core.LogID{Term: 3, Index: index})
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

func streamOf(t *testing.T, files []storage.File) []byte {
	t.Helper()
	var b bytes.Buffer
	if _, err := fileset.Write(&b, files); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// copyOf is what a process that was killed leaves.
func copyOf(t *testing.T, dir string) string {
	t.Helper()
	copied := t.TempDir()
	if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	return copied
}

// TestKilledWhileFilesAreTaken kills a process at each step of making a snapshot: what was
// there before is whole, the new one is whole or not there, and nothing else is left.
func TestKilledWhileFilesAreTaken(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir)
	old := sources(t, "s common", "s old", "tail")
	create(t, s, 5, old)
	oldStream, oldFiles := streamOf(t, old), contents(t, dir)
	files := append(old[:1:1], sources(t, "-", "s new", "longer tail")[1:]...)
	newStream := streamOf(t, files)
	var left []string
	var steps []string
	s.onStep = func(step string) {
		steps = append(steps, step)
		left = append(left, copyOf(t, dir))
	}
	create(t, s, 6, files)
	if want := []string{"taken", "named", "taken", "named", "taken", "named", "content synced", "list written", "published"}; !slices.Equal(steps, want) {
		t.Fatalf("the steps are %v, want %v", steps, want)
	}
	for i, step := range steps {
		after := mustOpen(t, left[i])
		want := core.Index(5)
		if step == "published" {
			want = 6
		}
		if meta, err := after.Newest(t.Context(), 7); err != nil || meta.Index != want {
			t.Errorf("%d, %s: the newest is %v, %v", i, step, meta.LogID, err)
		}
		if b, err := readAll(t, after, 5); err != nil || !bytes.Equal(b, oldStream) {
			t.Errorf("%d, %s: the older one has %d bytes, %v", i, step, len(b), err)
		}
		if names := contents(t, left[i]); step != "published" && !slices.Equal(names, oldFiles) {
			t.Errorf("%d, %s: %v are left, want %v", i, step, names, oldFiles)
		}
		if step == "published" {
			if b, err := readAll(t, after, 6); err != nil || !bytes.Equal(b, newStream) {
				t.Errorf("the new one has %d bytes, %v", len(b), err)
			}
			continue
		}
		// It is made again.
		create(t, after, 6, files)
		if b, err := readAll(t, after, 6); err != nil || !bytes.Equal(b, newStream) {
			t.Errorf("%d, %s: made again it has %d bytes, %v", i, step, len(b), err)
		}
	}
}

// TestFilesAreLinked: sealed files are the machine's own, in the store and where they are
// restored, and others are not.
func TestFilesAreLinked(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir)
	files := sources(t, "s one", "s two", "tail")
	create(t, s, 5, files)
	linked := func(f storage.File, where string, others []string) bool {
		mine, err := os.Stat(f.Path)
		if err != nil {
			t.Fatal(err)
		}
		return slices.ContainsFunc(others, func(name string) bool {
			other, err := os.Stat(filepath.Join(where, name))
			if err != nil {
				t.Fatal(err)
			}
			return os.SameFile(mine, other)
		})
	}
	for _, f := range files {
		if is := linked(f, filepath.Join(dir, "7", contentName), contents(t, dir)); is != f.Sealed {
			t.Errorf("%s is linked into the store: %t", f.Name, is)
		}
	}
	r, err := s.Open(t.Context(), 7, core.LogID{Term: 3, Index: 5})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	restored, err := fileset.Extract(t.Context(), r, filepath.Join(t.TempDir(), "state"))
	if err != nil {
		t.Fatal(err)
	}
	for i, f := range restored {
		if is := linked(f, filepath.Dir(files[i].Path), []string{filepath.Base(files[i].Path)}); is != f.Sealed {
			t.Errorf("%s is linked to what it was made of: %t", f.Name, is)
		}
	}
}

// TestFilesAreSweptAway: what no snapshot has any more goes, but not from under a reader.
func TestFilesAreSweptAway(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir)
	old := sources(t, "s common", "s old")
	create(t, s, 5, old)
	create(t, s, 6, append(old[:1:1], sources(t, "-", "s new")[1]))
	if names := contents(t, dir); len(names) != 3 {
		t.Fatalf("the content is %v", names)
	}
	r, err := s.Open(t.Context(), 7, core.LogID{Term: 3, Index: 5})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.RemoveBelow(t.Context(), 7, 6); err != nil {
		t.Fatal(err)
	}
	if names := contents(t, dir); len(names) != 3 {
		t.Errorf("while it is read: %v", names)
	}
	if b, err := io.ReadAll(r); err != nil || !bytes.Equal(b, streamOf(t, old)) {
		t.Errorf("%d bytes, %v", len(b), err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if names := contents(t, dir); len(names) != 2 {
		t.Errorf("after that: %v", names)
	}
	if err := s.RemoveBelow(t.Context(), 7, 7); err != nil {
		t.Fatal(err)
	}
	if names := contents(t, dir); len(names) != 0 {
		t.Errorf("without any snapshot: %v", names)
	}
	if len(s.claims) != 0 || len(s.opening) != 0 {
		t.Errorf("%d claims, %d openings are left", len(s.claims), len(s.opening))
	}
}

// TestRottenFileIsSetAside: the list and the file are kept for whoever wants to look, and
// both snapshots that had it are none any more.
func TestRottenFileIsSetAside(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir)
	files := sources(t, "tail of the one before")
	create(t, s, 4, sources(t, "another"))
	create(t, s, 5, files)
	create(t, s, 6, files)
	var rotten string
	for _, name := range contents(t, dir) {
		path := filepath.Join(dir, "7", contentName, name)
		if b, err := os.ReadFile(path); err == nil && string(b) == "tail of the one before" {
			rotten = path
			b[3] ^= 1
			if err := os.WriteFile(path, b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := readAll(t, s, 6); !errors.Is(err, core.ErrCorrupt) {
		t.Fatalf("read: %v", err)
	}
	for _, name := range []string{rotten, filepath.Join(dir, "7", "3-6.snap")} {
		if _, err := os.Stat(name + damagedSuffix); err != nil {
			t.Error(err)
		}
	}
	if err := s.RemoveBelow(t.Context(), 7, 4); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(rotten + damagedSuffix); err != nil {
		t.Errorf("swept away: %v", err)
	}
	delete(s.verified, s.path(7, core.LogID{Term: 3, Index: 5})) // a later process
	if meta, err := s.Newest(t.Context(), 7); err != nil || meta.Index != 4 {
		t.Errorf("the newest is %v, %v", meta.LogID, err)
	}
}

// TestInspectOfFiles looks at a snapshot that is made of files, whole and damaged.
func TestInspectOfFiles(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir)
	meta := create(t, s, 5, sources(t, "s one", "tail"))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	found, err := Inspect(t.Context(), dir, 7, true)
	if err != nil || len(found) != 1 || found[0].Err != nil || !found[0].Verified || found[0].Meta.SizeBytes != meta.SizeBytes {
		t.Fatalf("%+v, %v", found, err)
	}
	before := contents(t, dir)
	if err := os.WriteFile(filepath.Join(dir, "7", contentName, before[0]), []byte("other"), 0o600); err != nil {
		t.Fatal(err)
	}
	if found, err = Inspect(t.Context(), dir, 7, true); err != nil || len(found) != 1 || !errors.Is(found[0].Err, core.ErrCorrupt) {
		t.Errorf("damaged: %+v, %v", found, err)
	}
	if after := contents(t, dir); !slices.Equal(after, before) {
		t.Errorf("the look has changed %v to %v", before, after)
	}
}

// TestCutShort: a snapshot whose context ends is none, and leaves nothing.
func TestCutShort(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir)
	ctx, cancel := context.WithCancel(t.Context())
	s.onStep = func(step string) {
		if step == "named" {
			cancel()
		}
	}
	if _, err := s.CreateFiles(ctx, 7, at(5), sources(t, "s one", "s two")); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if names := contents(t, dir); len(names) > 0 {
		t.Errorf("%v are left", names)
	}
}
