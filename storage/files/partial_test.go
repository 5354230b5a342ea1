package files

import (
	"bytes"
	"errors"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/storage"
)

// arriving is a content of some syncs, and what its sender says of it.
func arriving() (core.SnapshotMeta, []byte) {
	content := make([]byte, 3*syncBytes+1000)
	_, _ = rand.NewChaCha8([32]byte{3}).Read(content)
	meta := core.SnapshotMeta{LogID: core.LogID{Term: 2, Index: 30}, Time: 5, Cluster: core.ClusterID{9}}
	meta.SizeBytes, meta.Checksum = uint64(len(content)), crc32.Checksum(content, castagnoli)
	return meta, content
}

func resume(t *testing.T, s *Store, meta core.SnapshotMeta) (*partial, uint64) {
	t.Helper()
	w, have, err := s.Resume(t.Context(), 1, meta)
	if err != nil {
		t.Fatal(err)
	}
	return w.(*partial), have
}

// open opens the store of a directory again.
func open(t *testing.T, dir string) *Store {
	t.Helper()
	s, err := Open(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// reopen opens it again, as the next process does.
func reopen(t *testing.T, s *Store) *Store {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return open(t, s.dir)
}

// pieces writes a content from an offset on, as it arrives.
func pieces(t *testing.T, w io.Writer, content []byte) {
	t.Helper()
	for len(content) > 0 {
		n := min(len(content), 300_000)
		if _, err := w.Write(content[:n]); err != nil {
			t.Fatal(err)
		}
		content = content[n:]
	}
}

func holds(t *testing.T, s *Store, meta core.SnapshotMeta, content []byte) {
	t.Helper()
	r, err := s.Open(t.Context(), 1, meta.LogID)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, content) || r.Meta().Time != meta.Time {
		t.Errorf("the snapshot has %d bytes, %v", len(got), err)
	}
	left, _ := filepath.Glob(filepath.Join(s.dir, "1", "*"))
	if len(left) != 1 {
		t.Errorf("%v are left", left)
	}
}

// TestResume goes on with what was let go of, and with what a process that was killed has
// left: as far as it was durable.
func TestResume(t *testing.T) {
	meta, content := arriving()
	for name, test := range map[string]struct {
		killed bool
		least  int
	}{"suspended": {false, 2*syncBytes + 500}, "killed": {true, syncBytes}} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := open(t, dir)
			w, have := resume(t, s, meta)
			if have != 0 {
				t.Fatalf("%d bytes of nothing", have)
			}
			pieces(t, w, content[:2*syncBytes+500])
			if test.killed {
				if err := w.settle(); err != nil { // the files stay as they are
					t.Fatal(err)
				}
			} else if err := w.Suspend(); err != nil {
				t.Fatal(err)
			}
			s = reopen(t, s)
			w, have = resume(t, s, meta)
			if int(have) < test.least || int(have) > 2*syncBytes+500 {
				t.Fatalf("it goes on at %d", have)
			}
			pieces(t, w, content[have:])
			if got, err := w.Commit(meta); err != nil || got.Checksum != meta.Checksum {
				t.Fatal(got, err)
			}
			holds(t, s, meta, content)
		})
	}
}

// TestResumeCompares: rule 25: what is there counts for the same snapshot alone, and only
// where it is what was written.
func TestResumeCompares(t *testing.T) {
	meta, content := arriving()
	const written = 2*syncBytes + 500
	later := meta
	later.Index++
	otherTerm := meta
	otherTerm.Term++
	longer := meta
	longer.SizeBytes++
	otherSum := meta
	otherSum.Checksum++
	otherTime := meta
	otherTime.Time++
	part := func(dir string) string {
		all, _ := filepath.Glob(filepath.Join(dir, "1", "*.part"))
		return all[0]
	}
	flip := func(suffix string, at int64) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			name := part(dir)[:len(part(dir))-len(partSuffix)] + suffix
			f, err := os.OpenFile(name, os.O_RDWR, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			var b [1]byte
			if _, err := f.ReadAt(b[:], at); err != nil {
				t.Fatal(err)
			}
			b[0] ^= 1
			if _, err := f.WriteAt(b[:], at); err != nil {
				t.Fatal(err)
			}
		}
	}
	cut := func(to int64) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			if err := os.Truncate(part(dir), to); err != nil {
				t.Fatal(err)
			}
		}
	}
	var first uint64 // of the marks
	for name, test := range map[string]struct {
		meta   core.SnapshotMeta
		damage func(*testing.T, string)
		want   func(have uint64) bool
	}{
		"the same":                   {meta, nil, func(h uint64) bool { return h == written }},
		"of another entry":           {later, nil, func(h uint64) bool { return h == 0 }},
		"of another term":            {otherTerm, nil, func(h uint64) bool { return h == 0 }},
		"of another size":            {longer, nil, func(h uint64) bool { return h == 0 }},
		"of another content":         {otherSum, nil, func(h uint64) bool { return h == 0 }},
		"of another time":            {otherTime, nil, func(h uint64) bool { return h == 0 }},
		"a flipped bit at the end":   {meta, flip(partSuffix, written), func(h uint64) bool { return h >= first && h < written }},
		"a flipped bit at the start": {meta, flip(partSuffix, 1000), func(h uint64) bool { return h == 0 }},
		"a flipped header":           {meta, flip(partSuffix, 20), func(h uint64) bool { return h == 0 }},
		"a flipped mark":             {meta, flip(marksSuffix, 3), func(h uint64) bool { return h == 0 }},
		"a content cut off":          {meta, cut(syncBytes + syncBytes/2), func(h uint64) bool { return h >= first && h < 2*syncBytes }},
		"an empty file":              {meta, cut(0), func(h uint64) bool { return h == 0 }},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := open(t, dir)
			w, _ := resume(t, s, meta)
			pieces(t, w, content[:written])
			if err := w.settle(); err != nil {
				t.Fatal(err)
			}
			first = syncBytes
			if err := w.Suspend(); err != nil {
				t.Fatal(err)
			}
			if test.damage != nil {
				test.damage(t, dir)
			}
			s = reopen(t, s)
			w, have := resume(t, s, test.meta)
			if !test.want(have) {
				t.Errorf("it goes on at %d", have)
			}
			if same := test.meta; same.LogID == meta.LogID && same.SizeBytes == meta.SizeBytes && same.Checksum == meta.Checksum && same.Time == meta.Time {
				pieces(t, w, content[have:])
				if _, err := w.Commit(meta); err != nil {
					t.Fatal(err)
				}
				holds(t, s, meta, content)
				return
			}
			if all, _ := filepath.Glob(filepath.Join(dir, "1", "*.part")); len(all) != 1 {
				t.Errorf("%v are kept", all)
			}
			if err := w.Abort(); err != nil {
				t.Fatal(err)
			}
			if all, _ := filepath.Glob(filepath.Join(dir, "1", "*")); len(all) != 0 {
				t.Errorf("%v are left", all)
			}
		})
	}
}

// TestResumeNeedsRoom: that there is too little is found out before the first byte.
func TestResumeNeedsRoom(t *testing.T) {
	meta, content := arriving()
	s := open(t, t.TempDir())
	free := meta.SizeBytes + roomBytes - 1
	s.freeBytes = func(string) (uint64, error) { return free, nil }
	var none *storage.NoSpaceError
	if _, _, err := s.Resume(t.Context(), 1, meta); !errors.As(err, &none) || none.Free != free || none.Min != free+1 {
		t.Fatalf("%v", err)
	}
	free++
	w, _ := resume(t, s, meta)
	pieces(t, w, content[:syncBytes])
	if err := w.Suspend(); err != nil {
		t.Fatal(err)
	}
	free -= syncBytes // what is there needs no more
	if w, have := resume(t, s, meta); have != syncBytes {
		t.Errorf("it goes on at %d", have)
	} else if err := w.Abort(); err != nil {
		t.Fatal(err)
	}
}

// TestPartIsKeptForATime: what has arrived goes when nothing comes any more, and when a
// newer snapshot is there. Nobody else may write it meanwhile.
func TestPartIsKeptForATime(t *testing.T) {
	meta, _ := arriving()
	dir := t.TempDir()
	s := open(t, dir)
	count := func() int {
		all, _ := filepath.Glob(filepath.Join(dir, "1", "*"))
		return len(all)
	}
	begin := func() *partial {
		w, _ := resume(t, s, meta)
		if _, err := w.Write([]byte("some")); err != nil {
			t.Fatal(err)
		}
		return w
	}
	w := begin()
	if _, _, err := s.Resume(t.Context(), 1, meta); err == nil {
		t.Error("two write the same snapshot")
	}
	if err := s.RemoveBelow(t.Context(), 1, meta.Index+1); err != nil || count() != 2 {
		t.Errorf("what is being written was removed: %d files, %v", count(), err)
	}
	if err := w.Suspend(); err != nil {
		t.Fatal(err)
	}
	if err := s.RemoveBelow(t.Context(), 1, meta.Index); err != nil || count() != 2 {
		t.Errorf("%d files are kept, %v", count(), err)
	}
	all, _ := filepath.Glob(filepath.Join(dir, "1", "*"))
	for _, name := range all {
		long := time.Now().Add(-KeptFor - time.Minute)
		if err := os.Chtimes(name, long, long); err != nil {
			t.Fatal(err)
		}
	}
	s = reopen(t, s)
	if count() != 0 {
		t.Errorf("%d files are kept for ever", count())
	}
	if err := begin().Suspend(); err != nil {
		t.Fatal(err)
	}
	if err := s.RemoveBelow(t.Context(), 1, meta.Index+1); err != nil || count() != 0 {
		t.Errorf("%d files are kept beside a newer snapshot, %v", count(), err)
	}
}
