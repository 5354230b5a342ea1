package storagetest

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// image is a copy of a directory in memory. Files are kept without their holes:
// stores like to make large ones.
type image map[string]*imageFile

type imageFile struct {
	size   int64
	blocks map[int64][]byte // by number; those that are not there are zero
}

const blockBytes = 64 << 10

// takeImage copies dir.
func takeImage(t *testing.T, dir string) image {
	t.Helper()
	im, err := copyDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	return im
}

// copyDir copies dir, which may be written to meanwhile.
func copyDir(dir string) (image, error) {
	im := image{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return ignoreGone(err)
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		f, err := readImageFile(path)
		if err == nil {
			im[name] = f
		}
		return ignoreGone(err)
	})
	return im, err
}

// ignoreGone ignores files that are removed while a directory is copied.
func ignoreGone(err error) error {
	if os.IsNotExist(err) {
		return nil
	}
	return err
}

var zeros [blockBytes]byte

func readImageFile(path string) (*imageFile, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	im := &imageFile{blocks: make(map[int64][]byte)}
	b := make([]byte, blockBytes)
	for n := int64(0); ; n++ {
		k, err := io.ReadFull(f, b)
		im.size += int64(k)
		if !bytes.Equal(b[:k], zeros[:k]) {
			im.blocks[n] = slices.Clone(b[:k])
		}
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			return im, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// restore makes a directory of the image.
func (im image) restore(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, f := range im {
		if err := f.write(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func (f *imageFile) write(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	w, err := os.Create(path)
	if err != nil {
		return err
	}
	defer w.Close()
	if err := w.Truncate(f.size); err != nil {
		return err
	}
	for n, b := range f.blocks {
		if _, err := w.WriteAt(b, n*blockBytes); err != nil {
			return err
		}
	}
	return nil
}

// used is the length of the file without the zeros at its end.
func (f *imageFile) used() int64 {
	end := int64(0)
	for n, b := range f.blocks {
		if b = bytes.TrimRight(b, "\x00"); len(b) > 0 {
			end = max(end, n*blockBytes+int64(len(b)))
		}
	}
	return end
}

// cut shortens the file to n bytes.
func (f *imageFile) cut(n int64) {
	f.zero(n)
	f.size = n
	for k, b := range f.blocks {
		if end := k*blockBytes + int64(len(b)); end > n {
			f.blocks[k] = b[:max(n-k*blockBytes, 0)]
		}
	}
}

// zero makes everything from n on zero, as if it had never been written.
func (f *imageFile) zero(n int64) {
	for k, b := range f.blocks {
		if end := k*blockBytes + int64(len(b)); end > n {
			b = slices.Clone(b)
			clear(b[max(n-k*blockBytes, 0):])
			f.blocks[k] = b
		}
	}
}

// flip changes the byte at n.
func (f *imageFile) flip(n int64, mask byte) {
	b := f.blocks[n/blockBytes]
	if b == nil {
		b = make([]byte, min(blockBytes, f.size-n/blockBytes*blockBytes))
	}
	b = slices.Clone(b)
	b[n%blockBytes] ^= mask
	f.blocks[n/blockBytes] = b
}

func (im image) clone() image {
	c := image{}
	for name, f := range im {
		g := *f
		g.blocks = maps.Clone(f.blocks)
		c[name] = &g
	}
	return c
}

// damage damages one file of a copy of the image, and says how. Files take
// turns, offsets are drawn.
func (im image) damage(random *rand.Rand, turn int) (image, string) {
	c := im.clone()
	var names []string
	for _, name := range slices.Sorted(maps.Keys(c)) {
		if c[name].used() > 0 {
			names = append(names, name)
		}
	}
	name := names[turn%len(names)]
	f := c[name]
	at := random.Int64N(f.used())
	if random.IntN(3) == 0 {
		// The end is where formats keep what matters most.
		at = max(0, f.used()-1-random.Int64N(64))
	}
	switch turn / len(names) % 5 {
	case 0, 3:
		mask := byte(1 << random.IntN(8))
		f.flip(at, mask)
		return c, fmt.Sprintf("%s: byte %d of %d xor %#x", name, at, f.used(), mask)
	case 1:
		f.cut(at)
		return c, fmt.Sprintf("%s: cut to %d bytes", name, at)
	case 2:
		used := f.used()
		f.zero(at)
		return c, fmt.Sprintf("%s: zero from byte %d of %d on", name, at, used)
	}
	if random.IntN(2) == 0 {
		f.cut(0)
		return c, name + ": empty"
	}
	delete(c, name)
	return c, name + ": removed"
}
