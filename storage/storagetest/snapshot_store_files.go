package storagetest

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/storage"
	"github.com/trouperaft/troupe/storage/fileset"
)

// FileStore runs the suite of snapshot stores that keep files by themselves
// (storage.FileStore), beside that of SnapshotStore. The store keeps everything in its
// directory.
func FileStore(t *testing.T, open OpenSnapshots) {
	for _, c := range []struct {
		name string
		run  func(*album, storage.FileStore)
	}{
		{"AsOneStream", filesAsOneStream},
		{"NoFiles", noFiles},
		{"Restored", filesRestored},
		{"Shared", filesShared},
		{"Reopen", filesReopen},
		{"ReadAfterRemoval", filesReadAfterRemoval},
		{"SourceRemoved", sourceOfFilesRemoved},
		{"Refused", filesRefused},
		{"DamagedPassedOver", filesDamaged},
		{"Arrive", filesArrive},
		{"ArriveOverARestart", filesArriveOverARestart},
		{"ArrivalRefused", arrivalRefused},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := &album{T: t, opener: open, dir: t.TempDir()}
			a.reopen()
			c.run(a, a.files())
			a.close()
		})
	}
}

// files is the store under test.
func (a *album) files() storage.FileStore {
	a.Helper()
	s, ok := a.SnapshotStore.(storage.FileStore)
	if !ok {
		a.Fatalf("%T keeps no files", a.SnapshotStore)
	}
	return s
}

// sources writes n files of different contents, of which one in four is not sealed.
func (a *album) sources(n int, what string) []storage.File {
	a.Helper()
	dir := a.TempDir()
	var files []storage.File
	for i := range n {
		content := bytes.Repeat([]byte(fmt.Sprintf("%s %d,", what, i)), i*i*100)
		f := storage.File{Name: fmt.Sprintf("part-%d/file-%d", i%3, i), SizeBytes: uint64(len(content)), Sealed: i%4 != 3, Path: filepath.Join(dir, fmt.Sprint(i))}
		if i%2 == 0 {
			f.SHA256 = sha256.Sum256(content)
		}
		if err := os.WriteFile(f.Path, content, 0o600); err != nil {
			a.Fatal(err)
		}
		files = append(files, f)
	}
	return files
}

// putFiles makes a snapshot of files, and returns its content.
func (a *album) putFiles(at core.LogID, files []storage.File) (core.SnapshotMeta, []byte) {
	a.Helper()
	var content bytes.Buffer
	if _, err := fileset.Write(&content, files); err != nil {
		a.Fatal(err)
	}
	meta, err := a.files().CreateFiles(a.Context(), 1, snapshotMeta(at), files)
	if err != nil {
		a.Fatal(err)
	}
	return meta, content.Bytes()
}

func filesAsOneStream(a *album, s storage.FileStore) {
	meta, content := a.putFiles(id(1, 5), a.sources(30, "some"))
	a.checkRead(1, meta, content)
	a.checkNewestMeta(1, meta)
	// The same as a stream is the same snapshot.
	plain := a.putPieces(2, snapshotMeta(id(1, 5)), content, 1000)
	if err := sameMeta(meta, plain); err != nil {
		a.Error(err)
	}
	r, err := s.Open(a.Context(), 1, id(1, 5))
	if err != nil {
		a.Fatal(err)
	}
	defer r.Close()
	files, ok := r.(storage.FileReader)
	if !ok {
		a.Fatalf("%T is no FileReader", r)
	}
	head, _, err := fileset.ReadHead(r)
	if err != nil || files.HeadBytes() != uint64(len(head)) {
		a.Errorf("a head of %d bytes, and it says %d: %v", len(head), files.HeadBytes(), err)
	}
	if seeker, seeks := r.(io.Seeker); seeks {
		for _, at := range []int{len(content), 1, len(head), len(head) + 1, len(content) / 2, 0} {
			if _, err := seeker.Seek(int64(at), io.SeekStart); err != nil {
				a.Fatal(err)
			}
			if rest, err := io.ReadAll(r); err != nil || !bytes.Equal(rest, content[at:]) {
				a.Errorf("from %d on: %d bytes of %d, or others: %v", at, len(rest), len(content)-at, err)
			}
		}
	}
}

func noFiles(a *album, _ storage.FileStore) {
	meta, content := a.putFiles(id(1, 5), nil)
	a.checkRead(1, meta, content)
}

// filesRestored makes a directory of a snapshot, and writes to what is not sealed.
func filesRestored(a *album, s storage.FileStore) {
	meta, content := a.putFiles(id(1, 5), a.sources(8, "some"))
	r, err := s.Open(a.Context(), 1, meta.LogID)
	if err != nil {
		a.Fatal(err)
	}
	files, err := fileset.Extract(a.Context(), r, filepath.Join(a.TempDir(), "state"))
	if err = errors.Join(err, r.Close()); err != nil {
		a.Fatal(err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f.Path)
		if err != nil || sha256.Sum256(b) != f.SHA256 {
			a.Errorf("%s has %d bytes of %d, or others: %v", f.Name, len(b), f.SizeBytes, err)
		}
		if !f.Sealed {
			err = os.WriteFile(f.Path, []byte("the machine goes on"), 0o600)
		} else {
			err = os.Remove(f.Path)
		}
		if err != nil {
			a.Fatal(err)
		}
	}
	a.checkRead(1, meta, content)
}

// filesShared: two snapshots have most of their files in common, and one of them goes.
func filesShared(a *album, s storage.FileStore) {
	files := a.sources(9, "some")
	old, oldContent := a.putFiles(id(1, 5), files)
	files[0], files[8] = a.sources(1, "other")[0], a.sources(9, "other")[8]
	files[0].Name = "another"
	meta, content := a.putFiles(id(1, 6), files)
	again, _ := a.putFiles(id(1, 6), files) // in its own place
	if err := sameMeta(again, meta); err != nil {
		a.Error(err)
	}
	a.checkRead(1, old, oldContent)
	if err := s.RemoveBelow(a.Context(), 1, 6); err != nil {
		a.Fatal(err)
	}
	if _, _, err := a.read(1, old.LogID); !errors.Is(err, storage.ErrNotFound) {
		a.Errorf("the older one: %v", err)
	}
	a.checkRead(1, meta, content)
	if err := s.RemoveBelow(a.Context(), 1, 7); err != nil {
		a.Fatal(err)
	}
	a.checkNewest(1, core.LogID{})
}

func filesReopen(a *album, _ storage.FileStore) {
	files := a.sources(9, "some")
	meta, content := a.putFiles(id(1, 5), files)
	for range 2 {
		a.reopen()
		a.checkNewestMeta(1, meta)
		a.checkRead(1, meta, content)
	}
}

// filesReadAfterRemoval: a reader reads on, whatever was removed, and whatever comes.
func filesReadAfterRemoval(a *album, s storage.FileStore) {
	meta, content := a.putFiles(id(1, 5), a.sources(12, "some"))
	r, err := s.Open(a.Context(), 1, meta.LogID)
	if err != nil {
		a.Fatal(err)
	}
	got := make([]byte, len(content)/3)
	if _, err := io.ReadFull(r, got); err != nil {
		a.Fatal(err)
	}
	if err := s.RemoveBelow(a.Context(), 1, 6); err != nil {
		a.Fatal(err)
	}
	newer, newerContent := a.putFiles(id(1, 7), a.sources(3, "other"))
	rest, err := io.ReadAll(r)
	if err != nil || !bytes.Equal(append(got, rest...), content) {
		a.Errorf("%d bytes of %d, or others: %v", len(got)+len(rest), len(content), err)
	}
	if err := r.Close(); err != nil {
		a.Error(err)
	}
	a.checkRead(1, newer, newerContent)
}

// sourceOfFilesRemoved: the machine compacts.
func sourceOfFilesRemoved(a *album, _ storage.FileStore) {
	files := a.sources(9, "some")
	meta, content := a.putFiles(id(1, 5), files)
	for _, f := range files {
		var err error
		if f.Sealed {
			err = os.Remove(f.Path)
		} else {
			err = os.WriteFile(f.Path, []byte("something else"), 0o600)
		}
		if err != nil {
			a.Fatal(err)
		}
	}
	a.checkRead(1, meta, content)
}

// filesRefused: what is refused makes no snapshot.
func filesRefused(a *album, s storage.FileStore) {
	good := a.sources(3, "some")
	link := filepath.Join(a.TempDir(), "link")
	if err := os.Symlink(good[2].Path, link); err != nil {
		a.Skip(err)
	}
	for what, change := range map[string]func(f *storage.File){
		"a name that leads out":  func(f *storage.File) { f.Name = "../out" },
		"an absolute name":       func(f *storage.File) { f.Name = "/out" },
		"a name twice":           func(f *storage.File) { f.Name = good[0].Name },
		"a name in another case": func(f *storage.File) { f.Name = "PART-0/file-0" },
		"a symbolic link":        func(f *storage.File) { f.Path = link },
		"a link that is copied":  func(f *storage.File) { f.Path, f.Sealed = link, false },
		"a directory":            func(f *storage.File) { f.Path = filepath.Dir(link) },
		"none":                   func(f *storage.File) { f.Path = link + "s" },
		"another size":           func(f *storage.File) { f.SizeBytes-- },
		"more than there is":     func(f *storage.File) { f.SizeBytes, f.Sealed = f.SizeBytes+1, false },
		"another checksum":       func(f *storage.File) { f.SHA256[3] ^= 1 },
	} {
		files := append([]storage.File(nil), good...)
		change(&files[2])
		if meta, err := s.CreateFiles(a.Context(), 1, snapshotMeta(id(1, 5)), files); err == nil {
			a.Errorf("%s: a snapshot of %d bytes", what, meta.SizeBytes)
		}
	}
	a.checkNewest(1, core.LogID{})
	meta, content := a.putFiles(id(1, 5), good)
	a.checkRead(1, meta, content)
}

// filesDamaged damages each file of the newest snapshot in turn: the one before it is the
// newest then, and the damaged one can be made again.
func filesDamaged(a *album, _ storage.FileStore) {
	old, oldContent := a.putFiles(id(1, 5), a.sources(5, "old"))
	files := a.sources(5, "new")
	before := takeImage(a.T, a.dir)
	meta, content := a.putFiles(id(1, 6), files)
	whole := takeImage(a.T, a.dir)
	for name, f := range whole {
		if before[name] != nil || f.size == 0 {
			continue
		}
		for what, damage := range map[string]func(image){
			"flipped": func(im image) { im[name].flip(f.size/2, 4) },
			"cut":     func(im image) { im[name].cut(f.size - 1) },
			"lost":    func(im image) { delete(im, name) },
		} {
			bad := whole.clone()
			damage(bad)
			a.dir = bad.restore(a.T)
			a.reopen()
			a.checkNewestMeta(1, old)
			a.checkRead(1, old, oldContent)
			again, _ := a.putFiles(id(1, 6), files)
			if err := sameMeta(again, meta); err != nil {
				a.Errorf("%s is %s: %v", name, what, err)
			}
			a.checkRead(1, meta, content)
		}
	}
}
