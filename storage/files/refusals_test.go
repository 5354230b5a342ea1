package files

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"testing/iotest"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/storage/internal/exhaust"
)

// TestUnreadableIsNotDamage: what the disk does not give is an error of its own: it may
// give it another time, and who hears of damage may remove a good snapshot.
func TestUnreadableIsNotDamage(t *testing.T) {
	header := encodeHeader(version, 1, &core.SnapshotMeta{LogID: core.LogID{Term: 1, Index: 2}})
	refused := iotest.ErrReader(&os.PathError{Op: "read", Path: "1-2.snap", Err: syscall.EIO})
	for _, n := range []int{0, 5, prefixBytes, len(header) - 1} {
		_, err := readHeader(io.MultiReader(iotest.OneByteReader(limited(header, n)), refused))
		if !errors.Is(err, syscall.EIO) || errors.Is(err, core.ErrCorrupt) {
			t.Errorf("unreadable from byte %d on: %v", n, err)
		}
		if _, err := readHeader(limited(header, n)); !errors.Is(err, core.ErrCorrupt) {
			t.Errorf("cut off at byte %d: %v", n, err)
		}
	}
}

func limited(b []byte, n int) io.Reader { return io.LimitReader(&once{b}, int64(n)) }

// once gives its bytes once.
type once struct{ left []byte }

func (o *once) Read(b []byte) (int, error) {
	if len(o.left) == 0 {
		return 0, io.EOF
	}
	n := copy(b, o.left)
	o.left = o.left[n:]
	return n, nil
}

// TestDirectoryIsNoSnapshot: a directory of somebody's is none, whatever its name.
func TestDirectoryIsNoSnapshot(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	write(t, s, 11, "content")
	if err := os.Mkdir(filepath.Join(dir, "7", "3-12.snap"), 0o700); err != nil {
		t.Fatal(err)
	}
	if meta, err := s.Newest(t.Context(), 7); err != nil || meta.Index != 11 {
		t.Errorf("Newest: %v, %v", meta.LogID, err)
	}
}

// TestDescriptorsAreWaitedFor: a lack of descriptors that passes fails no snapshot.
func TestDescriptorsAreWaitedFor(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	exhaust.ForAMoment(t)
	write(t, s, 11, "content")
	w, err := s.Create(t.Context(), 7, core.SnapshotMeta{LogID: core.LogID{Term: 3, Index: 12}})
	if err != nil {
		t.Fatal(err)
	}
	exhaust.ForAMoment(t)
	if _, err := w.Commit(core.SnapshotMeta{}); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s, err = Open(dir, nil); err != nil { // which has read nothing yet
		t.Fatal(err)
	}
	exhaust.ForAMoment(t)
	if meta, err := s.Newest(t.Context(), 7); err != nil || meta.Index != 12 {
		t.Errorf("Newest: %v, %v", meta.LogID, err)
	}
	exhaust.ForAMoment(t)
	r, err := s.Open(t.Context(), 7, core.LogID{Term: 3, Index: 11})
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(r); err != nil || string(b) != "content" {
		t.Errorf("%q, %v", b, err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}
