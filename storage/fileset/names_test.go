package fileset

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/trouperaft/troupe/storage"
)

func named(names ...string) (files []storage.File) {
	for _, name := range names {
		files = append(files, storage.File{Name: name, SHA256: sha256.Sum256([]byte(name))})
	}
	return files
}

// TestNames tries names that lead out of the directory, into one another, or that some
// system takes for another.
func TestNames(t *testing.T) {
	for _, good := range [][]string{
		nil, {"a"}, {"a", "b"}, {"a/b", "a/c", "a.b"}, {"wal-000001.log", "MANIFEST", "sst/01/x.sst"}, {"...a"}, {".hidden"}, {"com", "com10", "null"},
		{strings.Repeat("x", NameBytesMax)}, {"a-b", "a/b"}, {strings.Repeat("a/", PartsMax-1) + "a"},
	} {
		if err := CheckNames(named(good...)); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range [][]string{
		{""}, {"."}, {".."}, {"../a"}, {"a/.."}, {"a/../b"}, {"a/./b"}, {"/a"}, {"//a"}, {"a//b"}, {"a/"}, {"a/..."}, {"a."}, {"a./b"},
		{`a\b`}, {`..\a`}, {`C:\a`}, {"C:a"}, {"a:stream"}, {"a b"}, {" a"}, {"a "}, {"a\x00"}, {"a\n"}, {"a\x7f"}, {"é"}, {"a\u202e"}, {"\xff"},
		{"a*"}, {"a?"}, {`a"`}, {"<a"}, {"a>"}, {"a|b"}, {"NUL"}, {"nul.txt"}, {"x/con"}, {"Com1"}, {"lpt9.a.b"}, {"conin$"}, {"com0"},
		{"a", "a"}, {"a", "A"}, {"a/b", "A/b"}, {"a/b", "A/c"}, {"a", "a/b"}, {"a/b", "a"}, {"a/b", "A"}, {"A", "a/b"}, {"x/a/b", "x/A/c"},
		{strings.Repeat("x", NameBytesMax+1)}, {strings.Repeat("a/", PartsMax) + "a"},
	} {
		var name *NameError
		if err := CheckNames(named(bad...)); !errors.As(err, &name) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// TestLongListTakesLittleMemory reads the longest list, of names that have as many parts as
// they may, no two in one directory: it takes what a transfer allows for, whoever has made it.
func TestLongListTakesLittleMemory(t *testing.T) {
	var names []string
	for i, total := 0, 0; i < FilesMax; i++ {
		name := fmt.Sprintf("%05d", i) + strings.Repeat("/A", PartsMax-1) + strings.Repeat("a", 50)
		if total += fixedBytes + len(name); total > HeadBytesMax-prefixBytes-checksumBytes {
			break
		}
		names = append(names, name)
	}
	head := forged(named(names...)...)
	if len(head) < HeadBytesMax-1000 {
		t.Fatalf("the list has %d bytes", len(head))
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, files, err := ReadHead(bytes.NewReader(head))
	runtime.ReadMemStats(&after)
	if err != nil || len(files) != len(names) {
		t.Fatalf("%d files of %d, %v", len(files), len(names), err)
	}
	taken, most := after.TotalAlloc-before.TotalAlloc, uint64(4*HeadBytesMax)
	t.Logf("%d bytes", taken)
	if taken > most {
		t.Errorf("it took %d bytes, and at most %d are allowed for", taken, most)
	}
}

// FuzzNames: two names that are taken lead to two files below any directory, on every
// system.
func FuzzNames(f *testing.F) {
	f.Add("a", "b/c")
	f.Add("a/../../b", "/etc")
	f.Add("a/b", "A/B")
	f.Fuzz(func(t *testing.T, a, b string) {
		if CheckNames(named(a, b)) != nil {
			return
		}
		for _, name := range []string{a, b} {
			if !filepath.IsLocal(filepath.FromSlash(name)) || path.Clean(name) != name || path.IsAbs(name) || strings.ContainsAny(name, "\\:\x00") {
				t.Errorf("%q is taken", name)
			}
		}
		if x, y := strings.ToUpper(a), strings.ToUpper(b); x == y || strings.HasPrefix(x, y+"/") || strings.HasPrefix(y, x+"/") {
			t.Errorf("%q and %q are taken together", a, b)
		}
	})
}
