package snapshots

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/storage"
	"github.com/trouperaft/troupe/storage/files"
	"github.com/trouperaft/troupe/storage/fileset"
	"github.com/trouperaft/troupe/storage/memory"
)

// written makes files of these contents; those that begin with "s" are sealed.
func written(t *testing.T, contents ...string) (made []storage.File) {
	t.Helper()
	dir := t.TempDir()
	for i, content := range contents {
		f := storage.File{Name: fmt.Sprintf("dir/%05d", i), SizeBytes: uint64(len(content)), Sealed: strings.HasPrefix(content, "s"), Path: filepath.Join(dir, fmt.Sprint(i))}
		if err := os.WriteFile(f.Path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		made = append(made, f)
	}
	return made
}

func filesStore(t *testing.T) *files.Store {
	t.Helper()
	s, err := files.Open(t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// TestViewOfFilesIsBuilt: a store that keeps files gets them, and any other one stream,
// which are the same snapshot.
func TestViewOfFilesIsBuilt(t *testing.T) {
	sources := written(t, "s one", "two", "s three")
	var want bytes.Buffer
	if _, err := fileset.Write(&want, sources); err != nil {
		t.Fatal(err)
	}
	for name, store := range map[string]storage.SnapshotStore{"files": filesStore(t), "stream": memory.NewSnapshots()} {
		r := newSendingRig()
		jobs := r.group(t, 1, store)
		var built *core.SnapshotBuilt
		jobs.group.Core = func(ev core.Event) { built = ev.(*core.SnapshotBuilt) }
		jobs.group.Removal = NewRemoval(store, 1, nil)
		dir := filepath.Join(t.TempDir(), "view")
		view, err := fileset.NewView(dir, sources)
		if err != nil {
			t.Fatal(err)
		}
		at := core.LogID{Term: 2, Index: 9}
		jobs.Build(core.SnapshotMeta{LogID: at}, view)
		r.calls()
		if built == nil || built.Err != nil || built.Meta.SizeBytes != uint64(want.Len()) {
			t.Fatalf("%s: %+v", name, built)
		}
		if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: the view is left: %v", name, err)
		}
		reader, err := store.Open(t.Context(), 1, at)
		if err != nil {
			t.Fatal(err)
		}
		if _, byThemselves := reader.(storage.FileReader); byThemselves != (name == "files") {
			t.Errorf("%s: kept by themselves: %t", name, byThemselves)
		}
		if got, err := io.ReadAll(reader); err != nil || !bytes.Equal(got, want.Bytes()) {
			t.Errorf("%s: %d bytes of %d, %v", name, len(got), want.Len(), err)
		}
		_ = reader.Close()
	}
}

// TestRestoreLinksUntilTheGroupEnds: what Restore is given links the sealed files of a store
// that keeps them, and as little as it reads when the group ends.
func TestRestoreLinksUntilTheGroupEnds(t *testing.T) {
	store, sources := filesStore(t), written(t, "s one", "two")
	meta, err := store.CreateFiles(t.Context(), 1, core.SnapshotMeta{LogID: core.LogID{Term: 2, Index: 9}}, sources)
	if err != nil {
		t.Fatal(err)
	}
	reader, err := store.Open(t.Context(), 1, meta.LogID)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	ctx, end := context.WithCancel(t.Context())
	r := EndingReader(ctx, reader)
	got, err := fileset.Extract(ctx, r, filepath.Join(t.TempDir(), "state"))
	if err != nil {
		t.Fatal(err)
	}
	for i, f := range got {
		mine, err := os.Stat(sources[i].Path)
		if err != nil {
			t.Fatal(err)
		}
		if theirs, err := os.Stat(f.Path); err != nil || os.SameFile(mine, theirs) != f.Sealed {
			t.Errorf("%s: linked is not %t, %v", f.Name, f.Sealed, err)
		}
	}
	end()
	if err := r.(endingFiles).Link(sources[0].Name, filepath.Join(t.TempDir(), "late")); !errors.Is(err, context.Canceled) {
		t.Errorf("a link after the end: %v", err)
	}
}
