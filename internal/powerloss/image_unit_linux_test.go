package powerloss

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// sector is one of a single byte.
func sector(b byte) []byte { return bytes.Repeat([]byte{b}, sectorBytes) }

// TestImages: what was written before the last flush is in each image; of the rest, a
// sector is there as it was written, or not at all.
func TestImages(t *testing.T) {
	dir := t.TempDir()
	d, err := newDisk(filepath.Join(dir, "disk"), 192<<10)
	if err != nil {
		t.Fatal(err)
	}
	defer d.file.Close()
	write := func(at int64, data ...[]byte) {
		t.Helper()
		if err := d.write(slices.Concat(data...), at); err != nil {
			t.Fatal(err)
		}
	}
	write(0, sector(1))
	write(128<<10, sector(2), sector(2))
	d.flush()
	d.record(event{note: &note{Acknowledged: 1}})
	write(0, sector(3))
	write(64<<10, sector(4), sector(4))
	d.record(event{note: &note{Acknowledged: 2}})
	events := d.stop()
	write(0, sector(9)) // nobody looks any more
	random := rand.New(rand.NewPCG(1, 2))
	seen := map[string]int{}
	for range 120 {
		base, err := os.Create(filepath.Join(dir, "base"))
		if err != nil {
			t.Fatal(err)
		}
		if err := base.Truncate(d.size); err != nil {
			t.Fatal(err)
		}
		p := &player{events: events, base: base}
		name := filepath.Join(dir, "image")
		if known, l, err := p.image(name, 4, random); err != nil || known.Acknowledged != 1 || l.open != 0 {
			t.Fatalf("before the last writes: %+v, %+v, %v", known, l, err)
		}
		known, l, err := p.image(name, len(events), random)
		if err != nil || known.Acknowledged != 2 || l.open != 2 {
			t.Fatalf("%+v, %+v, %v", known, l, err)
		}
		b, err := os.ReadFile(name)
		if err != nil || len(b) != int(d.size) {
			t.Fatalf("%d bytes, %v", len(b), err)
		}
		if !bytes.Equal(b[128<<10:][:2*sectorBytes], bytes.Repeat([]byte{2}, 2*sectorBytes)) {
			t.Fatal("what was flushed is not there")
		}
		var found []byte
		for _, at := range []int{0, 64 << 10, 64<<10 + sectorBytes} {
			if !bytes.Equal(b[at:at+sectorBytes], sector(b[at])) {
				t.Fatalf("the sector at %d is half of one", at)
			}
			found = append(found, b[at])
		}
		seen[string(found)]++
		if err := base.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{"\x01\x00\x00", "\x03\x04\x04", "\x01\x04\x04", "\x03\x04\x00", "\x01\x00\x04"} {
		if seen[want] == 0 {
			t.Errorf("%x was in none of the images: %v", want, seen)
		}
	}
	for what := range seen {
		if what[0] != 1 && what[0] != 3 || what[1] != 0 && what[1] != 4 || what[2] != 0 && what[2] != 4 {
			t.Errorf("%x is in an image", what)
		}
	}
}

// TestDiskSaysNo: the disk refuses the one write that it is told to, and does not give
// the blocks that are spoilt.
func TestDiskSaysNo(t *testing.T) {
	d, err := newDisk(filepath.Join(t.TempDir(), "disk"), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	defer d.file.Close()
	d.refuse(func(_ int64, data []byte) bool { return bytes.Contains(data, []byte{7}) })
	d.refuse(func(int64, []byte) bool { return true }) // the first is waited for
	for i, refused := range []bool{false, true, false} {
		b := byte(7)
		if i == 0 {
			b = 6
		}
		if err := d.write(sector(b), int64(i)*blockBytes); errors.Is(err, errRefused) != refused {
			t.Errorf("write %d: %v", i, err)
		}
	}
	if n := d.allow(); n != 1 {
		t.Errorf("%d writes were refused", n)
	}
	if n, err := d.spoil(sector(6)); n != 1 || err != nil {
		t.Errorf("%d blocks are spoilt, %v", n, err)
	}
	b := make([]byte, 2*blockBytes)
	defer func() {
		if err := d.write(make([]byte, 2*blockBytes), 0); err != nil {
			t.Error(err)
		}
		if _, err := d.read(b, 0); err != nil {
			t.Errorf("a block that was written again: %v", err)
		}
	}()
	for at, bad := range map[int64]bool{0: true, blockBytes: false, 2 * blockBytes: false} {
		if _, err := d.read(b, at); errors.Is(err, errRefused) != bad {
			t.Errorf("reading from %d on: %v", at, err)
		}
	}
}

// TestEveryDurableStoreIsTried: a store that keeps something is tried here.
func TestEveryDurableStoreIsTried(t *testing.T) {
	others := []string{"memory", "fileset", "storagetest", "internal", "testdata"}
	packages, err := os.ReadDir("../../storage")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range packages {
		_, log := logStores[p.Name()]
		_, snapshots := snapshotStores[p.Name()]
		if p.IsDir() && !log && !snapshots && !slices.Contains(others, p.Name()) {
			t.Errorf("storage/%s is none of the stores that are tried, and none that keeps nothing", p.Name())
		}
	}
}
