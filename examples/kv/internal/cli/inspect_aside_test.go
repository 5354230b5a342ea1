package cli

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/storage"
	"github.com/trouperaft/troupe/storage/badger"
	"github.com/trouperaft/troupe/storage/files"
)

// TestInspectOfWhatWasSetAside: a snapshot that the node has set aside is damage while it
// is missed. When another piece has taken its place it is told, and the node is whole.
func TestInspectOfWhatWasSetAside(t *testing.T) {
	data := t.TempDir()
	written(t, data)()
	store, err := files.Open(filepath.Join(data, snapshotsDir), nil)
	if err != nil {
		t.Fatal(err)
	}
	meta, err := store.Newest(t.Context(), 1)
	log, errLog := badger.Open(filepath.Join(data, raftDir), badger.Options{Node: 3, FreeBytesMin: -1})
	if err := errors.Join(err, errLog, store.Close()); err != nil {
		t.Fatal(err)
	}
	op := storage.Operation{Group: 1, Purge: meta.LogID}
	if err := errors.Join(log.Write(t.Context(), &storage.Batch{Operations: []storage.Operation{op}}), log.Close()); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(data, snapshotsDir, "1", "2-5.snap")
	if err := os.Rename(name, name+".damaged"); err != nil {
		t.Fatal(err)
	}
	f, stderr := inspectedAs(t, 3, "--data", data)
	if len(f.Damage) != 1 || !strings.Contains(stderr, "no other reaches the log") || !strings.Contains(stderr, name+".damaged") {
		t.Errorf("while it is missed: %+v, %s", f.Damage, stderr)
	}
	if store, err = files.Open(filepath.Join(data, snapshotsDir), nil); err != nil {
		t.Fatal(err)
	}
	meta.LogID = core.LogID{Term: 2, Index: 6}
	if err := errors.Join(store.Record(t.Context(), 1, meta), store.Close()); err != nil {
		t.Fatal(err)
	}
	for _, verify := range []string{"--verify=false", "--verify"} {
		f, _ = inspectedAs(t, 0, "--data", data, verify)
		if s := f.Snapshots; len(f.Damage) != 0 || len(s) != 2 || !s[1].SetAside || s[1].Index != 5 || s[1].Error == "" {
			t.Errorf("when it is not: %+v, %+v", f.Damage, s)
		}
	}
	if code, out, _ := run(t, "inspect", "--data", data); code != 0 || !strings.Contains(out, "2-5.snap.damaged: 2.5, 0 bytes, damaged, and set aside by the node") {
		t.Errorf("%d %s", code, out)
	}
}
