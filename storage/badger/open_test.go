package badger

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"github.com/dgraph-io/badger/v4"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/storage"
	"github.com/trouperaft/troupe/storage/internal/disk"
	"github.com/trouperaft/troupe/storage/internal/exhaust"
)

// TestLockedWithoutItsFile: a store in use is known as such when its file LOCK was
// removed, and nothing of it is touched.
func TestLockedWithoutItsFile(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a file in use cannot be removed here")
	}
	dir := t.TempDir()
	s := seeded(t, dir)
	if err := os.Remove(filepath.Join(dir, "LOCK")); err != nil {
		t.Fatal(err)
	}
	second, err := Open(dir, small(1))
	var locked *LockedError
	if !errors.As(err, &locked) || locked.Dir != dir || errors.Is(err, core.ErrCorrupt) {
		t.Errorf("Open of a store in use: %v", err)
	}
	if err == nil {
		mustClose(t, second)
	}
	mustWrite(t, s, storage.Operation{Group: 1, Append: entries(1, 10, 1, 20)})
	mustClose(t, s)
	if state, err := reload(t, dir); err != nil || state.Last.Index != 10 {
		t.Errorf("last %v, %v", state.Last, err)
	}
}

// TestNamesOfOthers: what stands in the directory under a name of badger's and is
// none of its files is named, and not taken for damage. The rest is of no concern.
func TestNamesOfOthers(t *testing.T) {
	for _, c := range []struct {
		name    string
		dir     bool
		refused bool
	}{
		{name: "old.mem", refused: true},
		{name: "copy of 00001.mem", refused: true},
		{name: "1.mem", refused: true},
		{name: "x.vlog", refused: true},
		{name: "7.sst", refused: true},
		{name: "00009.mem", dir: true, refused: true},
		{name: "000009.sst", dir: true, refused: true},
		{name: "DISCARD", dir: true, refused: true},
		{name: "LOCK", dir: true, refused: true},
		{name: "000099.sst"},
		{name: "notes.txt"},
		{name: "00001.mem.bak"},
		{name: "lost+found", dir: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			mustClose(t, seeded(t, dir))
			path := filepath.Join(dir, logDir, c.name)
			if err := os.RemoveAll(path); err != nil {
				t.Fatal(err)
			}
			err := os.WriteFile(path, []byte("somebody's"), 0o600)
			if c.dir {
				err = errors.Join(os.Remove(path), os.MkdirAll(filepath.Join(path, "something"), 0o700))
			}
			if err != nil {
				t.Fatal(err)
			}
			_, err = reload(t, dir)
			switch {
			case !c.refused && err != nil:
				t.Error(err)
			case c.refused && (err == nil || errors.Is(err, core.ErrCorrupt) || !strings.Contains(err.Error(), path)):
				t.Errorf("Open: %v", err)
			}
			if !c.refused {
				return
			}
			if err := os.RemoveAll(path); err != nil {
				t.Fatal(err)
			}
			if state, err := reload(t, dir); err != nil || state.Last.Index != 9 {
				t.Errorf("without it: last %v, %v", state.Last, err)
			}
		})
	}
}

// TestFilesThatHoldNothing: what badger keeps for others is made anew, whatever has
// become of it.
func TestFilesThatHoldNothing(t *testing.T) {
	dir := t.TempDir()
	mustClose(t, seeded(t, dir))
	logs, err := filepath.Glob(filepath.Join(dir, logDir, "*"+valueLogSuffix))
	if err != nil || len(logs) == 0 {
		t.Fatalf("%v, %v", logs, err)
	}
	for _, name := range append([]string{filepath.Base(logs[0])}, emptyFiles...) {
		if err := os.WriteFile(filepath.Join(dir, logDir, name), bytes.Repeat([]byte("damaged"), 100), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if state, err := reload(t, dir); err != nil || state.Last.Index != 9 {
		t.Errorf("last %v, %v", state.Last, err)
	}
}

// TestRefusalsAreNoDamage: badger's errors wrap nothing, and yet what the system has
// refused is told from damage.
func TestRefusalsAreNoDamage(t *testing.T) {
	for _, c := range []struct {
		err     error
		refused error
	}{
		{fmt.Errorf("while opening fid: 1 err: %v", &os.PathError{Op: "open", Path: "1.mem", Err: syscall.EMFILE}), syscall.EMFILE},
		{fmt.Errorf("read MANIFEST: %v", syscall.EIO), syscall.EIO},
		{&os.PathError{Op: "read", Path: "MANIFEST", Err: syscall.EIO}, syscall.EIO},
		{fmt.Errorf("flock: %v", syscall.EAGAIN), syscall.EAGAIN},
		{errors.New("manifest has bad magic"), nil},
	} {
		err := openError("log", c.err)
		if damage := errors.Is(err, core.ErrCorrupt); damage != (c.refused == nil) || c.refused != nil && !errors.Is(err, c.refused) {
			t.Errorf("%v: damage %v, refused %v", err, damage, c.refused)
		}
		if !strings.Contains(err.Error(), c.err.Error()) {
			t.Errorf("%v lacks %v", err, c.err)
		}
	}
}

// TestFailedOpenLeavesNothing counts what is left of openings that fail, each at
// another place.
func TestFailedOpenLeavesNothing(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("counts in /proc")
	}
	overwrite := func(t *testing.T, pattern string) {
		names, err := filepath.Glob(pattern)
		if err != nil || len(names) == 0 {
			t.Fatalf("%s: %v, %v", pattern, names, err)
		}
		if err := os.WriteFile(names[0], []byte("something else"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		spoil func(t *testing.T, dir string)
		node  membership.NodeID
	}{
		"another node": {node: 2, spoil: func(*testing.T, string) {}},
		"a stray name": {spoil: func(t *testing.T, dir string) {
			if err := os.WriteFile(filepath.Join(dir, logDir, "old.mem"), []byte("something else"), 0o600); err != nil {
				t.Fatal(err)
			}
		}},
		"a damaged manifest":  {spoil: func(t *testing.T, dir string) { overwrite(t, filepath.Join(dir, logDir, "MANIFEST")) }},
		"a damaged table":     {spoil: func(t *testing.T, dir string) { overwrite(t, filepath.Join(dir, logDir, "*.sst")) }},
		"a damaged watermark": {spoil: func(t *testing.T, dir string) { overwrite(t, filepath.Join(dir, watermarkName)) }},
		"a record that is off": {spoil: func(t *testing.T, dir string) {
			tamper(t, dir, func(txn *badger.Txn) error { return txn.Delete(headerKey) })
		}},
		"damaged peers": {spoil: func(t *testing.T, dir string) {
			if err := os.WriteFile(filepath.Join(dir, peersName), []byte("something else"), 0o600); err != nil {
				t.Fatal(err)
			}
		}},
		"a directory": {spoil: func(t *testing.T, dir string) {
			if err := errors.Join(os.Remove(filepath.Join(dir, logDir, "MANIFEST")), os.Mkdir(filepath.Join(dir, logDir, "MANIFEST"), 0o700)); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			mustClose(t, seeded(t, dir))
			c.spoil(t, dir)
			failing := func() {
				s, err := Open(dir, small(max(1, c.node)))
				if err == nil {
					mustClose(t, s)
					t.Fatal("opened")
				}
			}
			failing()
			running, descriptors, mappings := goleak.IgnoreCurrent(), exhaust.InUse(t), countMappings(t, dir)
			for range 5 {
				failing()
			}
			goleak.VerifyNone(t, running)
			if d, m := exhaust.InUse(t), countMappings(t, dir); d > descriptors || m > mappings {
				t.Errorf("%d descriptors and %d mappings are left", d-descriptors, m-mappings)
			}
		})
	}
}

func countMappings(t *testing.T, dir string) int {
	t.Helper()
	b, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Count(b, []byte(dir))
}

// TestNoDescriptorsForOpen: an opening that finds too few descriptors says so, leaves
// nothing, and harms nothing.
func TestNoDescriptorsForOpen(t *testing.T) {
	dir := t.TempDir()
	mustClose(t, seeded(t, dir))
	running := goleak.IgnoreCurrent()
	for _, left := range []int{0, 2, 5, 10} {
		descriptors := exhaust.InUse(t)
		free := exhaust.Descriptors(t, left)
		s, err := Open(dir, small(1))
		free()
		if err == nil {
			mustClose(t, s)
			t.Fatalf("opened with %d descriptors", left)
		}
		if !disk.Passing(err) || errors.Is(err, core.ErrCorrupt) {
			t.Errorf("with %d descriptors: %v", left, err)
		}
		if d := exhaust.InUse(t); d > descriptors {
			t.Errorf("%d descriptors are left of an opening with %d", d-descriptors, left)
		}
	}
	goleak.VerifyNone(t, running)
	if state, err := reload(t, dir); err != nil || state.Last.Index != 9 {
		t.Errorf("last %v, %v", state.Last, err)
	}
}
