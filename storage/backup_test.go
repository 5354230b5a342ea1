package storage

import (
	"bytes"
	"errors"
	"flag"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"testing/iotest"
	"time"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
)

var writeSamples = flag.Bool("samples", false, "write samples of this version, if there are none")

func sampleMeta() BackupMeta {
	id := membership.Identity{ID: 3, Incarnation: 33}
	return BackupMeta{
		Group: 7, LogID: core.LogID{Term: 5, Index: 99}, Time: -12, Cluster: "0123456789abcdef", HardTerm: 6, Node: id, Taken: time.Unix(0, 1_800_000_000_000_000_001).UTC(),
		Configuration: core.ConfigurationAt{LogID: core.LogID{Term: 4, Index: 90}, Configuration: membership.Configuration{
			Members: []membership.Member{{Identity: id, Address: "host:1"}}, Voters: []membership.Identity{id},
		}},
	}
}

func sameBackup(t *testing.T, got, want BackupMeta) {
	t.Helper()
	equal := got.Configuration.Configuration.Equal(&want.Configuration.Configuration)
	got.Configuration.Configuration, want.Configuration.Configuration = membership.Configuration{}, membership.Configuration{}
	if !equal || got.Group != want.Group || got.LogID != want.LogID || got.Time != want.Time || got.Configuration.LogID != want.Configuration.LogID ||
		got.Version != want.Version || got.Cluster != want.Cluster || got.HardTerm != want.HardTerm || got.Node != want.Node || !got.Taken.Equal(want.Taken) {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func written(t *testing.T, content []byte, piece int) []byte {
	t.Helper()
	return writtenOf(t, sampleMeta(), content, piece)
}

func writtenOf(t *testing.T, meta BackupMeta, content []byte, piece int) []byte {
	t.Helper()
	var file bytes.Buffer
	w, err := NewBackupWriter(&file, meta)
	if err != nil {
		t.Fatal(err)
	}
	for rest := content; len(rest) > 0; {
		n := min(piece, len(rest))
		if _, err := w.Write(rest[:n]); err != nil {
			t.Fatal(err)
		}
		rest = rest[n:]
	}
	if meta, err := w.Finish(); err != nil || meta.SizeBytes != uint64(len(content)) {
		t.Fatalf("%+v, %v", meta, err)
	}
	return file.Bytes()
}

// TestBackupFile: what was written is read, in pieces of whatever size.
func TestBackupFile(t *testing.T) {
	content := make([]byte, 2*backupPieceBytes+5)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(content)
	for _, size := range []int{0, 1, backupPieceBytes - 1, backupPieceBytes, backupPieceBytes + 1, len(content)} {
		meta := sampleMeta()
		meta.Version = uint64(size)
		file := writtenOf(t, meta, content[:size], 99_991)
		for _, from := range []io.Reader{bytes.NewReader(file), iotest.HalfReader(bytes.NewReader(file)), iotest.DataErrReader(bytes.NewReader(file))} {
			r, err := NewBackupReader(from)
			if err != nil {
				t.Fatal(err)
			}
			sameBackup(t, r.Meta(), meta)
			if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, content[:size]) {
				t.Errorf("%d of %d bytes, %v", len(got), size, err)
			}
		}
	}
}

// TestBackupUnreadable: what the disk does not give is no damage.
func TestBackupUnreadable(t *testing.T) {
	file := written(t, []byte("content"), 3)
	refused := errors.New("input/output error")
	for at := range file {
		_, err := VerifyBackup(io.MultiReader(bytes.NewReader(file[:at]), iotest.ErrReader(refused)))
		if bad := (*BackupError)(nil); !errors.Is(err, refused) || errors.As(err, &bad) {
			t.Errorf("unreadable from byte %d on: %v", at, err)
		}
	}
}

// TestFirstBackupIsRead reads what the first builds have written.
func TestFirstBackupIsRead(t *testing.T) {
	versioned := sampleMeta()
	versioned.Version = 1<<40 + 3
	for name, want := range map[string]BackupMeta{"version-1.backup": sampleMeta(), "version-1-machine.backup": versioned} {
		name = filepath.Join("testdata", name)
		if _, err := os.Stat(name); *writeSamples && err != nil {
			if err := errors.Join(os.MkdirAll("testdata", 0o700), os.WriteFile(name, writtenOf(t, want, []byte("the content"), 4), 0o600)); err != nil {
				t.Fatal(err)
			}
		}
		readFirst(t, name, want)
	}
}

func readFirst(t *testing.T, name string, want BackupMeta) {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := NewBackupReader(f)
	if err != nil {
		t.Fatal(err)
	}
	sameBackup(t, r.Meta(), want)
	if got, err := io.ReadAll(r); err != nil || string(got) != "the content" {
		t.Errorf("%q, %v", got, err)
	}
}

func FuzzBackup(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte(backupMagic + "\x01\xff\xff\xff\x01"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := NewBackupReader(bytes.NewReader(b))
		if err != nil {
			return
		}
		if _, err := io.Copy(io.Discard, r); err == nil && r.Meta().SizeBytes > uint64(len(b)) {
			t.Errorf("%d bytes hold %d", len(b), r.Meta().SizeBytes)
		}
	})
}
