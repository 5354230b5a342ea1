package files

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// contentBytes is how much lies among the files of snapshots.
func contentBytes(t *testing.T, dir string) (n uint64) {
	t.Helper()
	for _, name := range contents(t, dir) {
		info, err := os.Stat(filepath.Join(dir, "7", contentName, name))
		if err != nil {
			t.Fatal(err)
		}
		n += uint64(info.Size())
	}
	return n
}

// TestSupersededArrivalTakesNoRoom: what has come of a snapshot is no reason to refuse the
// one that takes its place, be that one made of files or a stream.
func TestSupersededArrivalTakesNoRoom(t *testing.T) {
	big := strings.Repeat("x", 100_000)
	for what, next := range map[string]func(t *testing.T, s *Store){
		"files": func(t *testing.T, s *Store) {
			m := sendingOf(t, 6, sources(t, "s newer one"+big, "s newer two"+big))
			w := m.resume(t, s)
			m.send(t, w, 50_000, m.meta.SizeBytes)
			m.commit(t, s, w)
		},
		"a stream": func(t *testing.T, s *Store) {
			meta := at(6)
			meta.SizeBytes = 200_000
			w, _, err := s.Resume(t.Context(), 7, meta)
			if err != nil {
				t.Fatal(err)
			}
			if err := w.Abort(); err != nil {
				t.Error(err)
			}
		},
	} {
		t.Run(what, func(t *testing.T) {
			dir := t.TempDir()
			s := mustOpen(t, dir)
			s.freeBytes = func(string) (uint64, error) { return 300_000 + roomBytes - contentBytes(t, dir), nil }
			m := sendingOf(t, 5, sources(t, "s older one"+big, "s older two"+big))
			w := m.resume(t, s)
			m.send(t, w, 50_000, m.head+150_000)
			if err := w.Suspend(); err != nil {
				t.Fatal(err)
			}
			if contentBytes(t, dir) < 150_000 {
				t.Fatalf("%v are there", contents(t, dir))
			}
			next(t, s)
		})
	}
}

// TestFailedArrivalLeavesNothing: what has come of a snapshot that is given up goes with it,
// and what another snapshot has stays.
func TestFailedArrivalLeavesNothing(t *testing.T) {
	for what, end := range map[string]func(m *sending, w *arrival) error{
		"given up": func(_ *sending, w *arrival) error { return w.Abort() },
		"not what it should be": func(m *sending, w *arrival) error {
			want := m.meta
			want.Checksum++
			if _, err := w.Commit(want); err == nil {
				t.Error("it is taken")
			}
			return nil
		},
	} {
		t.Run(what, func(t *testing.T) {
			dir := t.TempDir()
			s := mustOpen(t, dir)
			old := sources(t, "s common")
			create(t, s, 5, old)
			before := contents(t, dir)
			m := sendingOf(t, 6, append(old, sources(t, "", "s new")[1:]...))
			w := m.resume(t, s)
			m.send(t, w, 100, m.meta.SizeBytes)
			if len(contents(t, dir)) != 2 {
				t.Fatalf("%v are there", contents(t, dir))
			}
			if err := end(&m, w); err != nil {
				t.Error(err)
			}
			if after := contents(t, dir); len(after) != 1 || after[0] != before[0] {
				t.Errorf("%v are left, and %v were there", after, before)
			}
		})
	}
}

// TestListIsNotSweptAwayWhileItIsWritten: the list of an arrival is written aside, and nobody
// removes it there before it has its name. What a crash has left there goes.
func TestListIsNotSweptAwayWhileItIsWritten(t *testing.T) {
	s := mustOpen(t, t.TempDir())
	m := sendingOf(t, 6, sources(t, "s one"))
	w := m.resume(t, s)
	aside := w.name + listSuffix + unfinishedSuffix
	if err := os.WriteFile(aside, m.content[:m.head], 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.RemoveBelow(t.Context(), 7, 3); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(aside); err != nil {
		t.Errorf("while it is written: %v", err)
	}
	abandon(t, w)
	if err := s.RemoveBelow(t.Context(), 7, 3); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(aside); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after that: %v", err)
	}
}

// TestListMayGoBeforeItIsRead: an arrival that ends takes its list away while a sweep is
// looking for lists.
func TestListMayGoBeforeItIsRead(t *testing.T) {
	s := mustOpen(t, t.TempDir())
	m := sendingOf(t, 6, sources(t, "s one", "s two"))
	create(t, s, 5, sources(t, "s kept"))
	w := m.resume(t, s)
	m.send(t, w, 100, m.head+3)
	found, err := os.ReadDir(s.groupDir(7))
	if err != nil {
		t.Fatal(err)
	}
	if needed, err := s.neededBy(7, found); err != nil || len(needed) != 3 {
		t.Errorf("%d files are needed, %v", len(needed), err)
	}
	abandon(t, w)
	if needed, err := s.neededBy(7, found); err != nil || len(needed) != 1 {
		t.Errorf("%d files are needed, %v", len(needed), err)
	}
}

// TestSlowFileIsKept: what has come of a single file that takes longer than KeptFor is there
// after the transfer is let go of, and after a crash. What nothing was added to goes.
func TestSlowFileIsKept(t *testing.T) {
	m := sendingOf(t, 6, sources(t, "s"+strings.Repeat("a large file ", 2*syncBytes/13)))
	long := time.Now().Add(-KeptFor - time.Minute)
	begun := func(t *testing.T, s *Store, bytes uint64) *arrival {
		w := m.resume(t, s)
		m.send(t, w, 1<<20, m.head+bytes)
		if err := os.Chtimes(w.name+listSuffix, long, long); err != nil {
			t.Fatal(err)
		}
		return w
	}
	for what, test := range map[string]struct {
		end  func(t *testing.T, s *Store, dir string) (after string)
		want uint64
	}{
		"let go of": {func(t *testing.T, s *Store, dir string) string {
			w := begun(t, s, 1<<20)
			m.send(t, w, 1<<20, m.head+2<<20)
			if err := w.Suspend(); err != nil {
				t.Fatal(err)
			}
			return dir
		}, 2 << 20},
		"killed": {func(t *testing.T, s *Store, dir string) string {
			w := begun(t, s, 1<<20)
			m.send(t, w, 1<<20, m.head+syncBytes+1<<20)
			after := copyOf(t, dir)
			// A copy has its own time.
			info, err := os.Stat(w.name + listSuffix)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.Chtimes(filepath.Join(after, "7", filepath.Base(w.name)+listSuffix), info.ModTime(), info.ModTime()); err != nil {
				t.Fatal(err)
			}
			abandon(t, w)
			return after
		}, syncBytes},
		"nothing more": {func(t *testing.T, s *Store, dir string) string {
			w := begun(t, s, 1<<20)
			if err := w.Suspend(); err != nil {
				t.Fatal(err)
			}
			if err := os.Chtimes(w.name+listSuffix, long, long); err != nil {
				t.Fatal(err)
			}
			return dir
		}, 0},
	} {
		t.Run(what, func(t *testing.T) {
			dir := t.TempDir()
			s := mustOpen(t, dir)
			after := test.end(t, s, dir)
			_ = s.Close()
			s = mustOpen(t, after)
			w := m.resume(t, s)
			defer abandon(t, w)
			if w.At() < m.head {
				m.send(t, w, m.head, m.head)
			}
			if had := w.At() - m.head; had != test.want {
				t.Errorf("%d bytes are there, want %d", had, test.want)
			}
		})
	}
}

// TestOpeningElsewhereHoldsNothing: who is about to say which files of one group he needs
// keeps none of another group, which would stay for as long as nothing else was swept there.
func TestOpeningElsewhereHoldsNothing(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir)
	create(t, s, 5, sources(t, "s one"))
	if _, err := s.CreateFiles(t.Context(), 8, at(5), sources(t, "s another")); err != nil {
		t.Fatal(err)
	}
	r, err := s.openFile(8, at(5).LogID)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.RemoveBelow(t.Context(), 7, 6); err != nil {
		t.Error(err)
	}
	if err := s.RemoveBelow(t.Context(), 8, 6); err != nil {
		t.Error(err)
	}
	if names := contents(t, dir); len(names) > 0 {
		t.Errorf("%v are left", names)
	}
	kept, err := os.ReadDir(s.contentDir(8))
	if err != nil || len(kept) != 1 {
		t.Errorf("%d files are there that somebody may need, %v", len(kept), err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	s.opened(8)
	if kept, err = os.ReadDir(s.contentDir(8)); err != nil || len(kept) != 0 || len(s.opening) != 0 {
		t.Errorf("after that: %d files, %v", len(kept), err)
	}
}

// TestPartOfAWholeFileGoes: what has come of a file that is whole meanwhile, by another way,
// goes once nobody uses it. What has come of one that is not whole stays.
func TestPartOfAWholeFileGoes(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir)
	files := sources(t, "s a large file", "s another")
	m := sendingOf(t, 6, files)
	w := m.resume(t, s)
	m.send(t, w, 3, m.head+5)
	if err := w.Suspend(); err != nil {
		t.Fatal(err)
	}
	parts := func(want int) {
		t.Helper()
		n := 0
		for _, name := range contents(t, dir) {
			if strings.HasSuffix(name, partSuffix) || strings.HasSuffix(name, marksSuffix) {
				n++
			}
		}
		if n != want {
			t.Errorf("%v are there: %d of them of files that are not whole, want %d", contents(t, dir), n, want)
		}
	}
	s.sweepQuietly(7)
	parts(2)
	create(t, s, 5, files[:1])
	w = m.resume(t, s)
	s.sweepQuietly(7)
	parts(2) // somebody uses it
	m.send(t, w, 100, m.meta.SizeBytes)
	m.commit(t, s, w)
	if err := s.RemoveBelow(t.Context(), 7, 6); err != nil {
		t.Error(err)
	}
	parts(0)
	m.check(t, s)
}
