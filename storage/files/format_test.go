package files

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/internal/foreign"
	"github.com/trouperaft/troupe/membership"
)

func write(t *testing.T, s *Store, index core.Index, content string) {
	t.Helper()
	w, err := s.Create(t.Context(), 7, core.SnapshotMeta{LogID: core.LogID{Term: 3, Index: index}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte(content)); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Commit(core.SnapshotMeta{}); err != nil {
		t.Fatal(err)
	}
}

func TestLayout(t *testing.T) {
	dir := t.TempDir()
	var log bytes.Buffer
	s, err := Open(dir, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	write(t, s, 11, "the content")
	name := filepath.Join(dir, "7", "3-11.snap")
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	// Without its middle, the file has a good header and a good trailer.
	middle := bytes.Index(b, []byte("content"))
	if err := os.WriteFile(name, append(bytes.Clone(b[:middle]), b[middle+1:]...), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Open(t.Context(), 7, core.LogID{Term: 3, Index: 11}); !errors.Is(err, core.ErrCorrupt) {
		t.Errorf("Open without the middle: %v", err)
	}
	// A snapshot under the name of another.
	if err := os.WriteFile(filepath.Join(dir, "7", "3-12.snap"), b, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Newest(t.Context(), 7); !errors.Is(err, core.ErrCorrupt) {
		t.Errorf("Newest: %v", err)
	}
	s.lines.Close(foreign.LinesPatience)
	if !strings.Contains(log.String(), "snapshot=3.12") {
		t.Errorf("the log says %q", log.String())
	}
	// What is none of its files is left alone.
	for _, other := range []string{"notes.txt", "x-1.snap", "1.snap"} {
		if err := os.WriteFile(filepath.Join(dir, "7", other), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.RemoveBelow(t.Context(), 7, 100); err != nil {
		t.Fatal(err)
	}
	// The two that were damaged are kept, too.
	if left, err := os.ReadDir(filepath.Join(dir, "7")); err != nil || len(left) != 5 {
		t.Errorf("%v, %v are left", left, err)
	}
}

// FuzzHeader decodes anything as a header, and FuzzTrailer as a trailer. What
// is accepted must be written again as it was.
func FuzzHeader(f *testing.F) {
	id := membership.Identity{ID: 1, Incarnation: 2}
	c := membership.Configuration{Members: []membership.Member{{Identity: id, Address: "a"}}, Voters: []membership.Identity{id}}
	f.Add([]byte{})
	f.Add(encodeHeader(version, 1, &core.SnapshotMeta{LogID: core.LogID{Term: 1, Index: 2}}))
	f.Add(encodeHeader(versionOfFiles, 1<<63, &core.SnapshotMeta{Time: -1, Configuration: core.ConfigurationAt{Configuration: c}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := readHeader(bytes.NewReader(b))
		if err != nil {
			return
		}
		again := encodeHeader(h.version, h.group, &h.meta)
		if same, err := readHeader(bytes.NewReader(again)); err != nil || same.meta.LogID != h.meta.LogID || same.version != h.version || h.bytes > len(b) {
			t.Errorf("%+v, %+v, %v", h, same, err)
		}
	})
}

func FuzzTrailer(f *testing.F) {
	f.Add(uint32(1), encodeTrailer(1, 2, 3))
	f.Add(uint32(1), []byte{})
	f.Fuzz(func(t *testing.T, header uint32, b []byte) {
		if size, sum, err := decodeTrailer(header, b); err == nil && !bytes.Equal(encodeTrailer(header, size, sum), b) {
			t.Errorf("%d bytes, checksum %x", size, sum)
		}
	})
}
