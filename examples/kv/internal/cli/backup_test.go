package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/trouperaft/troupe"
	"github.com/trouperaft/troupe/examples/kv/internal/machine"
	"github.com/trouperaft/troupe/examples/kv/internal/server"
)

// opened starts a node of kv on a directory.
func opened(t *testing.T, data string, id uint64) *node {
	t.Helper()
	s := &settings{
		id: id, raftAddress: "127.0.0.1:0", data: data, store: storeBadger, electionTimeout: 300 * time.Millisecond,
		snapshotEntries: 1000, traces: traceSettings{},
	}
	n, err := openNode(t.Context(), s, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func shut(t *testing.T, n *node) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := n.close(ctx); err != nil {
		t.Error(err)
	}
}

// backedUpFile makes the backup of a cluster of one with 100 pairs, by way of HTTP.
func backedUpFile(t *testing.T, out string) {
	t.Helper()
	n := opened(t, t.TempDir(), 1)
	defer shut(t, n)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := n.raft.Bootstrap(ctx, troupe.At(1, n.raft.Node().Address())); err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		if _, err := n.raft.Propose(ctx, machine.Put(fmt.Sprint("key ", i), bytes.Repeat([]byte{byte(i)}, 20_000))); err != nil {
			t.Fatal(err)
		}
	}
	front := httptest.NewServer(server.New(n.raft, n.machine, slog.New(slog.DiscardHandler)))
	defer front.Close()
	code, stdout, stderr := run(t, "backup", "--http", front.URL, "--out", out)
	var made backedUp
	if err := json.Unmarshal([]byte(stdout), &made); code != 0 || err != nil || made.Index < 101 || made.Bytes < 2_000_000 || made.File != out {
		t.Fatalf("%d %q %q", code, stdout, stderr)
	}
	if code, _, stderr := run(t, "backup", "--http", front.URL, "--out", out); code != 1 || !strings.Contains(stderr, "is there already") {
		t.Errorf("over a file: %d %q", code, stderr)
	}
}

// TestBackupAndRestore: a backup becomes a cluster of its own, with all pairs, and a crash
// at any step of it leaves nothing in the way of another try.
func TestBackupAndRestore(t *testing.T) {
	file := filepath.Join(t.TempDir(), "backup")
	backedUpFile(t, file)
	if left, err := os.ReadDir(filepath.Dir(file)); err != nil || len(left) != 1 {
		t.Errorf("%v, %v are beside the backup", left, err)
	}
	data := filepath.Join(t.TempDir(), "restored")
	steps := []string{}
	for reached := 0; ; reached++ {
		seen := 0
		r := restoring{from: file, data: data, id: 7, address: "127.0.0.1:9", bumpTerm: troupe.RestoreBumpTerm, step: func(step string) error {
			if seen++; seen > reached {
				return errors.New("crash before " + step)
			}
			return nil
		}}
		_, err := r.run(t.Context())
		if err == nil {
			break
		}
		steps = append(steps, err.Error())
		if _, err := os.Stat(data); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("after a %s there is a directory", steps[reached])
		}
	}
	if len(steps) != 5 {
		t.Errorf("steps %q", steps)
	}
	n := opened(t, data, 7)
	runs := true
	defer func() {
		if runs {
			shut(t, n)
		}
	}()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if _, err := n.raft.ReadIndex(ctx, troupe.Linearizable); err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		if value, found, err := n.machine.Get(fmt.Sprint("key ", i)); err != nil || !found || !bytes.Equal(value, bytes.Repeat([]byte{byte(i)}, 20_000)) {
			t.Fatalf("key %d: %t, %v", i, found, err)
		}
	}
	if term := n.raft.Status().Term; term <= troupe.RestoreBumpTerm {
		t.Errorf("term %d", term)
	}
	if _, stderr := inspectedAs(t, 1, "--data", data); !strings.Contains(stderr, "in use") {
		t.Error(stderr)
	}
	// What holds a node's data is refused, whether the node runs or not.
	refused := func() {
		t.Helper()
		code, _, stderr := run(t, "restore", "--from", file, "--data", data, "--id", "7", "--raft", "127.0.0.1:9")
		if code != 1 || !strings.Contains(stderr, "is not empty") {
			t.Errorf("over a node's data: %d %q", code, stderr)
		}
	}
	refused()
	runs = false
	shut(t, n)
	before := content(t, data)
	refused()
	if !maps.Equal(before, content(t, data)) {
		t.Error("a refused restore has changed files")
	}
}

// TestRestoreRaisesTheTerm: fencing tokens of the old cluster would be given out again.
func TestRestoreRaisesTheTerm(t *testing.T) {
	data := filepath.Join(t.TempDir(), "restored")
	code, _, stderr := run(t, "restore", "--from", "none", "--data", data, "--id", "7", "--raft", "127.0.0.1:9", "--bump-term", "0")
	if code != 1 || !strings.Contains(stderr, "--bump-term") || !strings.Contains(stderr, "1048576") {
		t.Errorf("%d %q", code, stderr)
	}
	if code, stdout, _ := run(t, "restore", "--help"); code != 0 || !strings.Contains(stdout, "at least 1") {
		t.Errorf("%d %q", code, stdout)
	}
}

// TestRestoreIntoAnEmptyDirectory: it may be there, also under another name.
func TestRestoreIntoAnEmptyDirectory(t *testing.T) {
	file := filepath.Join(t.TempDir(), "backup")
	backedUpFile(t, file)
	data := t.TempDir()
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(data, link); err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := run(t, "restore", "--from", file, "--data", link, "--id", "7", "--raft", "127.0.0.1:9", "--bump-term", "5", "--bump-index", "100")
	var made restoredLine
	if err := json.Unmarshal([]byte(stdout), &made); code != 0 || err != nil || made.ID != 7 || made.Term < 6 || made.Term > 20 || made.Index < 201 {
		t.Fatalf("%d %q %q", code, stdout, stderr)
	}
	if f, _ := inspectedAs(t, 0, "--data", data, "--verify"); f.HardState.Term != made.Term || f.LastIndex != made.Index || f.FirstIndex != made.Index-99 || f.Identity.Cluster != made.Cluster {
		t.Errorf("%+v, made %+v", f, made)
	}
	if _, err := os.Stat(data + restoringSuffix); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("something is left: %v", err)
	}
}

// TestRestoreOntoAMountPoint: no directory can take its place, and that is said before
// anything is made.
func TestRestoreOntoAMountPoint(t *testing.T) {
	const mountPoint = "/dev/shm"
	if names, err := os.ReadDir(mountPoint); err != nil || len(names) > 0 || !mounted(mountPoint) {
		t.Skipf("%s is no empty file system: %v", mountPoint, err)
	}
	r := restoring{from: "none", data: mountPoint}
	if _, err := r.run(t.Context()); err == nil || !strings.Contains(err.Error(), "a file system is mounted at "+mountPoint) {
		t.Errorf("%v", err)
	}
	if dir := t.TempDir(); mounted(dir) {
		t.Errorf("%s is no mount point", dir)
	}
}

// TestRestoreOfABadFile: it is refused by name, and leaves nothing.
func TestRestoreOfABadFile(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "backup")
	backedUpFile(t, file)
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	flipped, version := bytes.Clone(whole), bytes.Clone(whole)
	flipped[len(flipped)/2] ^= 1
	version[8]++
	for want, content := range map[string][]byte{
		"empty": nil, "no backup": []byte("#!/bin/sh\n# nothing of ours\n"), "cut off": whole[:len(whole)-1], "damaged": flipped, "unknown version": version,
	} {
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
		data := filepath.Join(dir, "data")
		code, stdout, stderr := run(t, "restore", "--from", file, "--data", data, "--id", "7", "--raft", "127.0.0.1:9")
		if code != 1 || stdout != "" || !strings.Contains(stderr, "--from") || !strings.Contains(stderr, want) {
			t.Errorf("%s: %d %q %q", want, code, stdout, stderr)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
			t.Errorf("%s: %v are left, %v", want, left, err)
		}
	}
}

// TestBackupThatBreaksOff leaves no file.
func TestBackupThatBreaksOff(t *testing.T) {
	dir := t.TempDir()
	for name, answer := range map[string]http.HandlerFunc{
		"the connection breaks": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "troupeBK")
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		},
		"it is cut off": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "troupeBK") },
		"there is no leader": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(503)
			_, _ = io.WriteString(w, `{"code":"no_leader","error":"none"}`)
		},
	} {
		front := httptest.NewServer(answer)
		code, stdout, stderr := run(t, "backup", "--http", front.URL, "--out", filepath.Join(dir, "backup"))
		front.Close()
		if code != 1 || stdout != "" || stderr == "" {
			t.Errorf("%s: %d %q %q", name, code, stdout, stderr)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
			t.Errorf("%s: %v are left, %v", name, left, err)
		}
	}
}
