package fileset

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/storage"
)

// made makes files in a directory; those whose names begin with "s" are sealed.
func made(t *testing.T, dir string, contents map[string]string) (files []storage.File) {
	t.Helper()
	for name, content := range contents {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(content), 0o600)); err != nil {
			t.Fatal(err)
		}
		files = append(files, storage.File{Name: name, SizeBytes: uint64(len(content)), Sealed: strings.HasPrefix(name, "s"), Path: path})
	}
	return files
}

func checkFiles(t *testing.T, dir string, contents map[string]string) {
	t.Helper()
	found := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		found++
		name, _ := filepath.Rel(dir, path)
		b, err := os.ReadFile(path)
		if want, there := contents[filepath.ToSlash(name)]; !there || string(b) != want {
			t.Errorf("%s holds %q, want %q, %t", name, b, want, there)
		}
		return err
	})
	if err != nil || found != len(contents) {
		t.Errorf("%d files, want %d: %v", found, len(contents), err)
	}
}

func gone(t *testing.T, dir string) {
	t.Helper()
	if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s is left: %v", dir, err)
	}
}

var some = map[string]string{"s/1": "sealed", "s/2": "sealed too", "s/deep/er/3": "", "tail": "written to", "empty": ""}

// content is a snapshot of some files as one stream.
func content(t *testing.T, contents map[string]string) []byte {
	t.Helper()
	dir := t.TempDir()
	v, err := NewView(filepath.Join(dir, "view"), made(t, dir, contents))
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if n, err := v.WriteTo(&b); err != nil || n != int64(b.Len()) {
		t.Fatalf("%d of %d bytes, %v", n, b.Len(), err)
	}
	if err := v.Close(); err != nil {
		t.Error(err)
	}
	gone(t, filepath.Join(dir, "view"))
	return b.Bytes()
}

// TestViewAndExtract makes a stream of files, and files of the stream.
func TestViewAndExtract(t *testing.T) {
	b := content(t, some)
	if again := content(t, some); !bytes.Equal(again, b) {
		t.Error("the same files make another stream")
	}
	dir := filepath.Join(t.TempDir(), "state")
	files, err := Extract(t.Context(), bytes.NewReader(b), dir)
	if err != nil || len(files) != len(some) {
		t.Fatalf("%d files, %v", len(files), err)
	}
	checkFiles(t, dir, some)
	for _, f := range files {
		if f.SizeBytes != uint64(len(some[f.Name])) || f.SHA256 != sha256.Sum256([]byte(some[f.Name])) || f.Sealed != strings.HasPrefix(f.Name, "s") || f.Path != filepath.Join(dir, filepath.FromSlash(f.Name)) {
			t.Errorf("%+v", f)
		}
	}
	if _, err := Extract(t.Context(), bytes.NewReader(b), dir); !errors.Is(err, fs.ErrExist) {
		t.Errorf("into a directory that is there: %v", err)
	}
	checkFiles(t, dir, some)
}

// TestViewDoesNotChange: what the machine does to its files afterwards is not in the view.
func TestViewDoesNotChange(t *testing.T) {
	dir, want := t.TempDir(), content(t, some)
	files := made(t, dir, some)
	v, err := NewView(filepath.Join(dir, "view"), files)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if f.Sealed {
			err = os.Remove(f.Path)
		} else {
			err = os.WriteFile(f.Path, []byte("something else, and longer"), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	var b bytes.Buffer
	if _, err := v.WriteTo(&b); err != nil || !bytes.Equal(b.Bytes(), want) {
		t.Errorf("the view has changed: %v", err)
	}
	if err := v.Close(); err != nil {
		t.Error(err)
	}
}

// TestViewWithoutLinks: where there can be no link, on another file system, sealed files are
// copied.
func TestViewWithoutLinks(t *testing.T) {
	other, err := os.MkdirTemp("/dev/shm", "fileset")
	if err != nil {
		t.Skip(err)
	}
	defer os.RemoveAll(other)
	dir, want := t.TempDir(), content(t, some)
	files := made(t, dir, some)
	if err := os.Link(files[0].Path, filepath.Join(other, "link")); err == nil {
		t.Skip("it is the same file system")
	}
	v, err := NewView(filepath.Join(other, "view"), files)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	for i, f := range v.Files() {
		mine, err := os.Stat(f.Path)
		if err != nil {
			t.Fatal(err)
		}
		if theirs, err := os.Stat(Sorted(files)[i].Path); err != nil || os.SameFile(mine, theirs) {
			t.Errorf("%s is no copy: %v", f.Name, err)
		}
	}
	var b bytes.Buffer
	if _, err := v.WriteTo(&b); err != nil || !bytes.Equal(b.Bytes(), want) {
		t.Errorf("the view is another: %v", err)
	}
}

// TestViewTakesAFixedLength: of a file that grows, and of no other.
func TestViewTakesAFixedLength(t *testing.T) {
	dir := t.TempDir()
	files := made(t, dir, map[string]string{"tail": "written and more"})
	files[0].SizeBytes = 7
	v, err := NewView(filepath.Join(dir, "view"), files)
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "out")
	var b bytes.Buffer
	if _, err = v.WriteTo(&b); err == nil {
		_, err = Extract(t.Context(), &b, out)
	}
	if err != nil {
		t.Fatal(err)
	}
	checkFiles(t, out, map[string]string{"tail": "written"})
	_ = v.Close()
}

// TestViewRefuses: what is not such a file is refused, and nothing is left.
func TestViewRefuses(t *testing.T) {
	dir := t.TempDir()
	good := made(t, dir, map[string]string{"s": "sealed", "tail": "tail"})
	link := filepath.Join(dir, "link")
	if err := os.Symlink(good[0].Path, link); err != nil {
		t.Skip(err)
	}
	view := filepath.Join(dir, "view")
	for what, f := range map[string]storage.File{
		"a symbolic link":        {Name: "x", Path: link, SizeBytes: good[0].SizeBytes},
		"a sealed symbolic link": {Name: "x", Path: link, SizeBytes: good[0].SizeBytes, Sealed: true},
		"a directory":            {Name: "x", Path: dir},
		"one that is not there":  {Name: "x", Path: filepath.Join(dir, "none")},
		"one that is too short":  {Name: "x", Path: good[0].Path, SizeBytes: 100},
		"a sealed one of more":   {Name: "x", Path: good[0].Path, SizeBytes: 1, Sealed: true},
		"a name that leads out":  {Name: "../x", Path: good[0].Path, SizeBytes: good[0].SizeBytes},
		"a name twice":           {Name: "TAIL", Path: good[0].Path, SizeBytes: good[0].SizeBytes},
	} {
		if v, err := NewView(view, append(good[:2:2], f)); err == nil {
			t.Errorf("%s is taken: %v", what, v.Files())
		}
		gone(t, view)
	}
	rotten := append([]storage.File(nil), good...)
	rotten[0].SHA256 = sha256.Sum256([]byte("before"))
	if _, err := Write(new(bytes.Buffer), rotten); !errors.Is(err, core.ErrCorrupt) {
		t.Errorf("a file of another checksum: %v", err)
	}
}

// TestExtractOfDamage cuts a stream anywhere, and flips any byte: there is an error, and
// nothing is left.
func TestExtractOfDamage(t *testing.T) {
	b, dir := content(t, some), filepath.Join(t.TempDir(), "state")
	for n := range b {
		if _, err := Extract(t.Context(), bytes.NewReader(b[:n]), dir); !errors.Is(err, core.ErrCorrupt) {
			t.Fatalf("cut to %d bytes: %v", n, err)
		}
		flipped := bytes.Clone(b)
		flipped[n] ^= 4
		if _, err := Extract(t.Context(), bytes.NewReader(flipped), dir); err == nil {
			t.Fatalf("byte %d is another: no error", n)
		}
		gone(t, dir)
	}
	if _, err := Extract(t.Context(), bytes.NewReader(append(b, 0)), dir); !errors.Is(err, core.ErrCorrupt) {
		t.Errorf("with one byte more: %v", err)
	}
	gone(t, dir)
}

// forged is a head, with a right checksum, of files that Head would refuse.
func forged(files ...storage.File) []byte {
	b := append([]byte(magic), version, 0, 0, 0, 0)
	for _, f := range files {
		b = binary.LittleEndian.AppendUint16(b, uint16(len(f.Name)))
		b = append(b, f.Name...)
		b = binary.LittleEndian.AppendUint64(b, f.SizeBytes)
		b = append(append(b, 0), f.SHA256[:]...)
	}
	binary.LittleEndian.PutUint32(b[9:], uint32(len(b)-prefixBytes))
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// TestForgedHeads: names are refused before anything is made, and sizes that no disk has.
func TestForgedHeads(t *testing.T) {
	parent := t.TempDir()
	dir := filepath.Join(parent, "state")
	for _, names := range [][]string{{"../out"}, {"/out"}, {"a", "a"}, {"A", "a"}, {"a", "a/b"}, {"nul"}, {`a\b`}, {""}} {
		var name *NameError
		if _, err := Extract(t.Context(), bytes.NewReader(append(forged(named(names...)...), "content"...)), dir); !errors.As(err, &name) {
			t.Errorf("%q: %v", names, err)
		}
	}
	many := make([]string, FilesMax+1)
	for i := range many {
		many[i] = fmt.Sprintf("%05d", i)
	}
	large := named("a", "b")
	large[0].SizeBytes, large[1].SizeBytes = 1<<62, 1
	largest := named("a")
	largest[0].SizeBytes = 1 << 63
	for what, head := range map[string][]byte{
		"out of order":     forged(named("b", "a")...),
		"too large":        forged(largest...),
		"too large in all": forged(large...),
		"too many":         forged(named(many...)...),
		"without checksum": forged(storage.File{Name: "a", SizeBytes: 7}),
	} {
		if _, _, err := ReadHead(bytes.NewReader(head)); !errors.Is(err, core.ErrCorrupt) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := Head([]storage.File{{Name: "a", SizeBytes: 7}}); err == nil {
		t.Error("a list has a file without checksum")
	}
	if left, err := os.ReadDir(parent); err != nil || len(left) > 0 {
		t.Errorf("%v is left, %v", left, err)
	}
}

// FuzzHead reads anything as a head. What is taken is written again as it was.
func FuzzHead(f *testing.F) {
	head, err := Head(Sorted(named("a/b", "c")))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(head[:len(head)-checksumBytes])
	f.Add(forged()[:prefixBytes])
	f.Fuzz(func(t *testing.T, b []byte) {
		// With a right checksum, so that there is something to be found behind it.
		b = binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
		head, files, err := ReadHead(bytes.NewReader(b))
		if err != nil {
			return
		}
		if again, err := Head(files); err != nil || !bytes.Equal(again, head) {
			t.Errorf("%v: %x, and was %x: %v", files, again, head, err)
		}
	})
}
