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
		if err := os.WriteFile(kept, encodeHeader(7, &want), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f, err := os.Open(kept)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	group, meta, _, _, err := readHeader(f)
	if err != nil || group != 7 || meta.LogID != want.LogID || meta.Version != want.Version || !meta.Configuration.Configuration.Equal(&want.Configuration.Configuration) {
		t.Errorf("group %d: %+v, %v", group, meta, err)
	}
}
