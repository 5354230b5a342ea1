package files

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/storage"
	"github.com/trouperaft/troupe/storage/fileset"
)

// sending is a snapshot of files as its sender has it.
type sending struct {
	meta    core.SnapshotMeta
	content []byte
	head    uint64
	files   []storage.File
}

func sendingOf(t *testing.T, index core.Index, files []storage.File) sending {
	t.Helper()
	s := mustOpen(t, t.TempDir())
	meta := create(t, s, index, files)
	content, err := readAll(t, s, index)
	if err != nil {
		t.Fatal(err)
	}
	head, list, err := fileset.ReadHead(bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	return sending{meta, content, uint64(len(head)), list}
}

func (m *sending) resume(t *testing.T, s *Store, own ...storage.File) *arrival {
	t.Helper()
	w, have, err := s.ResumeFiles(t.Context(), 7, m.meta, m.head, func() []storage.File { return own })
	if err != nil {
		t.Fatal(err)
	}
	if have != w.At() {
		t.Fatalf("it has %d bytes, and goes on at %d", have, w.At())
	}
	return w.(*arrival)
}

// send sends what the receiver wants, in pieces, up to an offset, and returns how much that
// was.
func (m *sending) send(t *testing.T, w *arrival, piece, upTo uint64) (sent uint64) {
	t.Helper()
	for w.At() < upTo {
		from := w.At()
		to := min(from+piece, upTo)
		if from < m.head {
			to = min(to, m.head)
		}
		for _, part := range w.Had() {
			if part.From > from {
				to = min(to, part.From)
				break
			}
		}
		if n, err := w.Write(m.content[from:to]); err != nil || uint64(n) != to-from {
			t.Fatalf("%d of %d bytes at %d: %v", n, to-from, from, err)
		}
		sent += to - from
	}
	return sent
}

func (m *sending) commit(t *testing.T, s *Store, w *arrival) {
	t.Helper()
	meta, err := w.Commit(m.meta)
	if err != nil || meta.SizeBytes != m.meta.SizeBytes || meta.Checksum != m.meta.Checksum {
		t.Fatalf("%+v, %v", meta, err)
	}
	m.check(t, s)
}

func (m *sending) check(t *testing.T, s *Store) {
	t.Helper()
	if b, err := readAll(t, s, m.meta.Index); err != nil || !bytes.Equal(b, m.content) {
		t.Errorf("%d bytes of %d, or others: %v", len(b), len(m.content), err)
	}
	if len(s.claims) != 0 || len(s.writing) != 0 {
		t.Errorf("%d claims and %v are left", len(s.claims), s.writing)
	}
}

// TestOnlyWhatLacksArrives: of a snapshot that has most of its files in common with an older
// one, or with the machine, the others come.
func TestOnlyWhatLacksArrives(t *testing.T) {
	big := strings.Repeat("x", 1000)
	old := sources(t, "s common"+big, "s old", "tail common"+big, "s lost"+big, "")
	files := append([]storage.File(nil), old...)
	files[1] = sources(t, "", "s new")[1]
	mine := sources(t, "s of the machine"+big, "s rotten here"+big, "s not sealed here"+big)
	for i := range mine {
		mine[i].Name = fmt.Sprintf("own/%d", i)
	}
	files = append(files, mine...)
	m := sendingOf(t, 6, files)

	dir := t.TempDir()
	s := mustOpen(t, dir)
	create(t, s, 5, old)
	oldStream := streamOf(t, old)
	// One of the receiver's files is rotten, and so is one of its machine's.
	lost := m.files[slices.IndexFunc(m.files, func(f storage.File) bool { return f.Name == "dir/3" })]
	if err := os.WriteFile(s.contentPath(7, lost.SHA256), []byte("s tosl"+big), 0o600); err != nil {
		t.Fatal(err)
	}
	own := sources(t, "s of the machine"+big, "s rotten where"+big, "s not sealed here"+big)
	for i := range own {
		own[i].Name = fmt.Sprintf("own/%d", i)
	}
	own[2].Sealed = false
	w := m.resume(t, s, own...)
	sent := m.send(t, w, 64, m.meta.SizeBytes)
	wanted := m.head
	for _, f := range m.files {
		if slices.Contains([]string{"dir/1", "dir/3", "own/1", "own/2"}, f.Name) {
			wanted += f.SizeBytes
		}
	}
	if sent != wanted {
		t.Errorf("%d bytes were sent, and %d are wanted", sent, wanted)
	}
	m.commit(t, s, w)
	// What was rotten is good again, and so is the older snapshot.
	if b, err := readAll(t, s, 5); err != nil || !bytes.Equal(b, oldStream) {
		t.Errorf("the older one: %d bytes, %v", len(b), err)
	}
	// All is there now.
	again := m.resume(t, s)
	if sent := m.send(t, again, 1<<20, m.meta.SizeBytes); sent != m.head {
		t.Errorf("%d bytes are sent again", sent-m.head)
	}
	if err := again.Abort(); err != nil {
		t.Error(err)
	}
	m.check(t, s)
}

// TestKilledWhileFilesArrive kills the receiver at each step of a transfer: what it had is
// whole, the new one is whole or not there, and the transfer goes on with all files that were
// whole.
func TestKilledWhileFilesArrive(t *testing.T) {
	old := sources(t, "s common", "s old", "tail")
	m := sendingOf(t, 6, append(old[:1:1], sources(t, "-", "s new", "longer tail", "s last", "")[1:]...))
	dir := t.TempDir()
	s := mustOpen(t, dir)
	create(t, s, 5, old)
	oldStream := streamOf(t, old)
	var left, steps []string
	s.onStep = func(step string) {
		steps = append(steps, step)
		left = append(left, copyOf(t, dir))
	}
	w := m.resume(t, s)
	m.send(t, w, 3, m.meta.SizeBytes)
	m.commit(t, s, w)
	if want := []string{"list kept", "file begun", "file whole", "file begun", "file whole", "file begun", "file whole", "content synced", "list written", "published"}; !slices.Equal(steps, want) {
		t.Fatalf("the steps are %v, want %v", steps, want)
	}
	whole := 0
	for i, step := range steps {
		if step == "file whole" {
			whole++
		}
		after := mustOpen(t, left[i])
		want := core.Index(5)
		if step == "published" {
			want = 6
		}
		if meta, err := after.Newest(t.Context(), 7); err != nil || meta.Index != want {
			t.Errorf("%d, %s: the newest is %v, %v", i, step, meta.LogID, err)
		}
		if b, err := readAll(t, after, 5); err != nil || !bytes.Equal(b, oldStream) {
			t.Errorf("%d, %s: the older one has %d bytes, %v", i, step, len(b), err)
		}
		w := m.resume(t, after)
		lacks := uint64(0)
		for _, f := range m.files[1+min(whole, 3):] {
			lacks += f.SizeBytes
		}
		if sent := m.send(t, w, 100, m.meta.SizeBytes); sent != lacks {
			t.Errorf("%d, %s: %d bytes are sent again, and %d are wanted", i, step, sent, lacks)
		}
		m.commit(t, after, w)
		if err := after.RemoveBelow(t.Context(), 7, 7); err != nil {
			t.Error(err)
		}
		if names := contents(t, left[i]); len(names) != 0 {
			t.Errorf("%d, %s: %v are left", i, step, names)
		}
	}
}

// TestFileGoesOnInItsMiddle: a transfer that is let go of goes on in the middle of a file, and
// begins it anew where that is not what was written.
func TestFileGoesOnInItsMiddle(t *testing.T) {
	files := sources(t, "s"+strings.Repeat("a large file", 1000), "s another")
	m := sendingOf(t, 6, files)
	part := hexName(m.files[0].SHA256) + partSuffix
	for what, test := range map[string]struct {
		damage func(t *testing.T, name string)
		kept   bool
	}{
		"as it was": {func(*testing.T, string) {}, true},
		"flipped": {func(t *testing.T, name string) {
			b, err := os.ReadFile(name)
			b[7] ^= 1
			if err = errors.Join(err, os.WriteFile(name, b, 0o600)); err != nil {
				t.Fatal(err)
			}
		}, false},
		"cut": {func(t *testing.T, name string) {
			if err := os.Truncate(name, 100); err != nil {
				t.Fatal(err)
			}
		}, false},
	} {
		t.Run(what, func(t *testing.T) {
			dir := t.TempDir()
			s := mustOpen(t, dir)
			w := m.resume(t, s)
			m.send(t, w, 50, m.head+5000)
			if err := w.Suspend(); err != nil {
				t.Fatal(err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			test.damage(t, filepath.Join(dir, "7", contentName, part))
			s = mustOpen(t, dir)
			w = m.resume(t, s)
			want := m.meta.SizeBytes - m.head
			if test.kept {
				want -= 5000
			}
			if sent := m.send(t, w, 700, m.meta.SizeBytes); sent != want {
				t.Errorf("%d bytes are sent again, want %d", sent, want)
			}
			m.commit(t, s, w)
		})
	}
}

// TestArrivalIsRefused: what does not fit, what leads elsewhere, and what is not what the
// list says.
func TestArrivalIsRefused(t *testing.T) {
	m := sendingOf(t, 6, sources(t, "s one", "s two"))
	dir := t.TempDir()
	s := mustOpen(t, dir)
	for what, change := range map[string]func(*core.SnapshotMeta, *uint64){
		"no index":           func(m *core.SnapshotMeta, _ *uint64) { m.Index = 0 },
		"no list":            func(_ *core.SnapshotMeta, head *uint64) { *head = 0 },
		"a list beyond all":  func(m *core.SnapshotMeta, head *uint64) { *head = m.SizeBytes + 1 },
		"a list without end": func(m *core.SnapshotMeta, head *uint64) { m.SizeBytes, *head = 1<<40, fileset.HeadBytesMax+1 },
	} {
		meta, head := m.meta, m.head
		change(&meta, &head)
		if _, _, err := s.ResumeFiles(t.Context(), 7, meta, head, nil); err == nil {
			t.Errorf("%s is taken", what)
		}
	}
	nothing := func(what string) {
		t.Helper()
		if meta, err := s.Newest(t.Context(), 7); err != nil || meta.Index != 0 {
			t.Errorf("%s: there is %v, %v", what, meta.LogID, err)
		}
		left, err := filepath.Glob(filepath.Join(dir, "7", "*.*"))
		if names := contents(t, dir); err != nil || len(left) > 0 || len(names) > 0 || len(s.claims) > 0 || len(s.writing) > 0 {
			t.Errorf("%s: %v, %v, %v are left", what, left, names, err)
		}
	}
	// The list of another snapshot.
	meta := m.meta
	meta.SizeBytes++
	w, _, err := s.ResumeFiles(t.Context(), 7, meta, m.head, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(m.content[:m.head]); !errors.Is(err, core.ErrCorrupt) {
		t.Errorf("the list of another: %v", err)
	}
	abandon(t, w)
	nothing("the list of another")
	// A list with a name that leads out: a byte of it is another, and the checksum right.
	evil := forgedHead("../evil", sha256.Sum256([]byte("evil")), 4)
	meta = m.meta
	meta.SizeBytes = uint64(len(evil)) + 4
	if w, _, err = s.ResumeFiles(t.Context(), 7, meta, uint64(len(evil)), nil); err != nil {
		t.Fatal(err)
	}
	var name *fileset.NameError
	if _, err := w.Write(append(evil, "evil"...)); !errors.As(err, &name) {
		t.Errorf("a name that leads out: %v", err)
	}
	abandon(t, w)
	nothing("a name that leads out")
	// A file that is not what the list says.
	w = m.resume(t, s)
	if _, err := w.Write(append(bytes.Clone(m.content[:m.head]), "s eno"...)); !errors.Is(err, core.ErrCorrupt) {
		t.Errorf("another file: %v", err)
	}
	abandon(t, w)
	nothing("another file")
	// More than there is, and less.
	w = m.resume(t, s)
	if _, err := w.Write(append(bytes.Clone(m.content), 1)); err == nil {
		t.Error("a byte behind the end is taken")
	}
	abandon(t, w)
	w = m.resume(t, s)
	if _, err := w.Commit(m.meta); !errors.Is(err, core.ErrCorrupt) {
		t.Errorf("the end before the end: %v", err)
	}
	// No room.
	s.freeBytes = func(string) (uint64, error) { return roomBytes, nil }
	m = sendingOf(t, 6, sources(t, "s three"))
	w = m.resume(t, s)
	var space *storage.NoSpaceError
	if _, err := w.Write(m.content[:m.head]); !errors.As(err, &space) {
		t.Errorf("without room: %v", err)
	}
	abandon(t, w)
}

// TestFileWithoutChecksumIsRefused: with none a file of the machine would be taken for any.
func TestFileWithoutChecksumIsRefused(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir)
	own := sources(t, "s own")
	sum := sha256.Sum256([]byte("s own"))
	head := forgedHead(own[0].Name, sum, own[0].SizeBytes)
	head = bytes.Replace(head[:len(head)-4], sum[:], make([]byte, sha256.Size), 1)
	head = binary.LittleEndian.AppendUint32(head, crc32.Checksum(head, castagnoli))
	meta := at(6)
	meta.SizeBytes = uint64(len(head)) + own[0].SizeBytes
	w, _, err := s.ResumeFiles(t.Context(), 7, meta, uint64(len(head)), func() []storage.File { return own })
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(head); !errors.Is(err, core.ErrCorrupt) {
		t.Errorf("it is taken: %v", err)
	}
	abandon(t, w)
	if names := contents(t, dir); len(names) > 0 || len(s.claims) > 0 {
		t.Errorf("%v are left", names)
	}
}

func abandon(t *testing.T, w storage.FileWriter) {
	t.Helper()
	if err := w.Abort(); err != nil {
		t.Error(err)
	}
}

func hexName(sum [sha256.Size]byte) string { return hex.EncodeToString(sum[:]) }

// forgedHead is the list of one file with a name that no list has.
func forgedHead(name string, sum [sha256.Size]byte, size uint64) []byte {
	good := strings.Repeat("x", len(name))
	head, err := fileset.Head([]storage.File{{Name: good, SHA256: sum, SizeBytes: size}})
	if err != nil {
		panic(err)
	}
	body := bytes.Replace(head[:len(head)-4], []byte(good), []byte(name), 1)
	return binary.LittleEndian.AppendUint32(body, crc32.Checksum(body, castagnoli))
}
