package files

import (
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/storage/fileset"
)

var writeSamples = flag.Bool("samples", false, "write samples of this version, if there are none")

func firstMeta() core.SnapshotMeta {
	id := membership.Identity{ID: 3, Incarnation: 33}
	return core.SnapshotMeta{
		LogID: core.LogID{Term: 5, Index: 99}, Time: -12, Cluster: core.ClusterID{1, 2, 15: 16},
		Configuration: core.ConfigurationAt{LogID: core.LogID{Term: 4, Index: 90}, Configuration: membership.Configuration{
			Members: []membership.Member{{Identity: id, Address: "host:1"}}, Voters: []membership.Identity{id},
		}},
	}
}

// TestFirstSnapshotOfFilesIsRead reads what builds of this version have written since it was
// the newest.
func TestFirstSnapshotOfFilesIsRead(t *testing.T) {
	kept := filepath.Join("testdata", "version-3")
	if *writeSamples {
		if _, err := os.Stat(kept); err == nil {
			t.Fatalf("%s is there: samples never change", kept)
		}
		dir := t.TempDir()
		s := mustOpen(t, dir)
		_, err := s.CreateFiles(t.Context(), 7, firstMeta(), sources(t, "sealed", "not sealed", ""))
		if err = errors.Join(err, s.Close(), os.Remove(filepath.Join(dir, lockName)), os.CopyFS(kept, os.DirFS(dir))); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(kept)); err != nil {
		t.Fatal(err)
	}
	s := mustOpen(t, dir)
	meta, err := s.Newest(t.Context(), 7)
	want := firstMeta()
	if err != nil || meta.LogID != want.LogID || meta.Time != want.Time || meta.Cluster != want.Cluster || meta.Configuration.LogID != want.Configuration.LogID {
		t.Fatalf("%+v, %v", meta, err)
	}
	r, err := s.Open(t.Context(), 7, meta.LogID)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	files, err := fileset.Extract(t.Context(), r, filepath.Join(t.TempDir(), "state"))
	if err != nil || len(files) != 3 {
		t.Fatalf("%v, %v", files, err)
	}
	for i, want := range []string{"sealed", "not sealed", ""} {
		if b, err := os.ReadFile(files[i].Path); err != nil || string(b) != want || files[i].Sealed != (i == 0) {
			t.Errorf("%s holds %q, %v", files[i].Name, b, err)
		}
	}
}

// TestFirstSnapshotIsRead reads what builds of this version have written since it was the
// newest.
func TestFirstSnapshotIsRead(t *testing.T) {
	const name = "5-99.snap"
	kept := filepath.Join("testdata", "version-2", "7", name)
	dir := t.TempDir()
	if *writeSamples {
		s := mustOpen(t, dir)
		w, err := s.Create(t.Context(), 7, firstMeta())
		if err == nil {
			_, err = w.Write([]byte("the content"))
		}
		if err == nil {
			_, err = w.Commit(core.SnapshotMeta{})
		}
		if _, statErr := os.Stat(kept); statErr == nil {
			t.Fatalf("%s is there: samples never change", kept)
		}
		if err = errors.Join(err, s.Close(), os.MkdirAll(filepath.Dir(filepath.Dir(kept)), 0o700), os.RemoveAll(filepath.Join(dir, lockName)), os.CopyFS(filepath.Join("testdata", "version-2"), os.DirFS(dir))); err != nil {
			t.Fatal(err)
		}
		dir = t.TempDir()
	}
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("testdata", "version-2"))); err != nil {
		t.Fatal(err)
	}
	s := mustOpen(t, dir)
	meta, err := s.Newest(t.Context(), 7)
	want := firstMeta()
	if err != nil || meta.LogID != want.LogID || meta.Time != want.Time || meta.Cluster != want.Cluster || meta.Configuration.LogID != want.Configuration.LogID ||
		!meta.Configuration.Configuration.Equal(&want.Configuration.Configuration) {
		t.Fatalf("%+v, %v", meta, err)
	}
	r, err := s.Open(t.Context(), 7, meta.LogID)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got, err := io.ReadAll(r); err != nil || string(got) != "the content" {
		t.Errorf("%q, %v", got, err)
	}
}

// TestFirstSnapshotOfAVersionedMachineIsRead: the same of a snapshot that names the version
// of the state machine.
func TestFirstSnapshotOfAVersionedMachineIsRead(t *testing.T) {
	kept := filepath.Join("testdata", "header-machine-version")
	want := firstMeta()
	want.Version = 1<<40 + 3
	if _, err := os.Stat(kept); *writeSamples && err != nil {
		if err := os.WriteFile(kept, encodeHeader(version, 7, &want), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f, err := os.Open(kept)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	h, err := readHeader(f)
	meta := h.meta
	if err != nil || h.group != 7 || h.version != version || meta.LogID != want.LogID || meta.Version != want.Version || !meta.Configuration.Configuration.Equal(&want.Configuration.Configuration) {
		t.Errorf("group %d: %+v, %v", h.group, meta, err)
	}
}
