package cli

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"hash/crc32"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/examples/kv/internal/machine"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/storage"
	"github.com/trouperaft/troupe/storage/badger"
	"github.com/trouperaft/troupe/storage/files"
)

// written makes a data directory with 8 entries, of which a snapshot holds 5 and the
// machine 6, and returns the stores that are open.
func written(t *testing.T, data string) (closeAll func()) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	log, err := badger.Open(filepath.Join(data, raftDir), badger.Options{Node: 3, FreeBytesMin: -1})
	must(err)
	snapshots, err := files.Open(filepath.Join(data, snapshotsDir), nil)
	must(err)
	kept, err := machine.OpenBadger(filepath.Join(data, machineDir), slog.New(slog.DiscardHandler))
	must(err)
	self := membership.Identity{ID: 3, Incarnation: log.Header().Incarnation}
	c := membership.Configuration{Members: []membership.Member{{Identity: self, Address: "a:1"}}, Voters: []membership.Identity{self}}
	entries := []core.Entry{{LogID: core.LogID{Term: 1, Index: 1}, Kind: core.EntryConfiguration, Data: c.Encode()}}
	for i := core.Index(2); i <= 8; i++ {
		entries = append(entries, core.Entry{LogID: core.LogID{Term: core.Term(1 + i/5), Index: i}, Kind: core.EntryCommand, Data: machine.Put("key", []byte("value"))})
	}
	cluster := core.ClusterID{1}
	hard := &core.HardState{Term: 4, Vote: self, Cluster: cluster}
	must(log.Write(t.Context(), &storage.Batch{Operations: []storage.Operation{{Group: 1, HardState: hard, Append: entries, Commit: 7}}}))
	_, err = kept.Apply(t.Context(), entries[:5])
	must(err)
	view, err := kept.View()
	must(err)
	w, err := snapshots.Create(t.Context(), 1, core.SnapshotMeta{
		LogID: entries[4].LogID, Cluster: cluster, Configuration: core.ConfigurationAt{LogID: entries[0].LogID, Configuration: c},
	})
	must(err)
	_, err = view.WriteTo(w)
	must(err)
	must(view.Close())
	_, err = w.Commit(core.SnapshotMeta{})
	must(err)
	_, err = kept.Apply(t.Context(), entries[5:6])
	must(err)
	return func() {
		t.Helper()
		must(log.Close())
		must(snapshots.Close())
		must(kept.Close())
	}
}

// content is what the files of a directory hold.
func content(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := make(map[string]string)
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		b, err := os.ReadFile(path)
		files[path] = info.ModTime().String() + string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func inspectedAs(t *testing.T, want int, args ...string) (found inspected, stderr string) {
	t.Helper()
	code, stdout, stderr := run(t, append([]string{"inspect", "--json"}, args...)...)
	if code != want {
		t.Fatalf("kv inspect %q: exit code %d, want %d: %s", args, code, want, stderr)
	}
	if code != 1 {
		if err := json.Unmarshal([]byte(stdout), &found); err != nil {
			t.Fatalf("%v: %s", err, stdout)
		}
	}
	return found, stderr
}

// TestInspect: what a node keeps is shown, of one that has stopped and of one that was
// killed, and no file is changed.
func TestInspect(t *testing.T) {
	data := t.TempDir()
	closeAll := written(t, data)
	killed := t.TempDir()
	if err := os.CopyFS(killed, os.DirFS(data)); err != nil {
		t.Fatal(err)
	}
	closeAll()
	for _, dir := range []string{data, killed} {
		before := content(t, dir)
		f, _ := inspectedAs(t, 0, "--data", dir, "--verify", "--entries", "5-6")
		if f.Identity == nil || f.Identity.Node != 3 || f.HardState.Term != 4 || f.HardState.Commit != 7 || f.FirstIndex != 1 || f.LastIndex != 8 {
			t.Errorf("%+v", f)
		}
		if len(f.Terms) != 2 || f.Terms[1] != (inspectedTerm{2, 5}) || len(f.Configurations) != 1 {
			t.Errorf("terms %v, configurations %v", f.Terms, f.Configurations)
		}
		if len(f.Snapshots) != 1 || f.Snapshots[0].Index != 5 || !f.Snapshots[0].Verified {
			t.Errorf("snapshots %+v", f.Snapshots)
		}
		if m := f.Machine; m == nil || *m != (inspectedMachine{2, 6, 1, true}) {
			t.Errorf("machine %+v", f.Machine)
		}
		if len(f.Entries) != 2 || f.Entries[1].Index != 6 || f.Entries[1].Text != `put "key", 5 bytes` || f.Damage == nil {
			t.Errorf("entries %+v, damage %v", f.Entries, f.Damage)
		}
		if code, out, stderr := run(t, "inspect", "--data", dir); code != 0 || !strings.Contains(out, "log         1 to 8") {
			t.Errorf("%d %s %s", code, out, stderr)
		}
		if !maps.Equal(before, content(t, dir)) {
			t.Errorf("files of %s were changed", dir)
		}
	}
}

// TestInspectDamage: what is damaged is named, with what can be done, and the exit code
// is 3.
func TestInspectDamage(t *testing.T) {
	data := t.TempDir()
	written(t, data)()
	for name, damage := range map[string]struct {
		pattern string
		verify  bool
	}{
		"log":       {raftDir + "/log/*.sst", false},
		"watermark": {raftDir + "/WATERMARK", false},
		"snapshot":  {snapshotsDir + "/1/*.snap", true},
		"machine":   {machineDir + "/*.sst", true},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.CopyFS(dir, os.DirFS(data)); err != nil {
				t.Fatal(err)
			}
			found, err := filepath.Glob(filepath.Join(dir, damage.pattern))
			if err != nil || len(found) == 0 {
				t.Fatal(found, err)
			}
			b, err := os.ReadFile(found[0])
			if err == nil {
				b[len(b)/4] ^= 1
				err = os.WriteFile(found[0], b, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
			args := []string{"--data", dir}
			if damage.verify {
				args = append(args, "--verify")
			}
			before := content(t, dir)
			f, stderr := inspectedAs(t, 3, args...)
			if len(f.Damage) == 0 || f.Damage[0].Advice == "" || !strings.Contains(stderr, f.Damage[0].Error) {
				t.Errorf("damage %+v, %s", f.Damage, stderr)
			}
			if !maps.Equal(before, content(t, dir)) {
				t.Error("files were changed")
			}
		})
	}
}

// TestInspectUnreadable: what the system does not let be read may be good. It is told, with
// the exit code of what cannot be looked at, and nobody is advised to move it elsewhere.
func TestInspectUnreadable(t *testing.T) {
	data := t.TempDir()
	written(t, data)()
	for name, hide := range map[string]func(dir string) error{
		"machine": func(dir string) error {
			manifest := filepath.Join(dir, machineDir, "MANIFEST")
			return errors.Join(os.Remove(manifest), os.Mkdir(manifest, 0o700)) // reading it is refused
		},
		"a snapshot of a later version": func(dir string) error {
			found, err := filepath.Glob(filepath.Join(dir, snapshotsDir, "1", "*.snap"))
			if err != nil || len(found) == 0 {
				return errors.Join(err, errors.New("no snapshot"))
			}
			b, err := os.ReadFile(found[0])
			if err != nil {
				return err
			}
			body := 8 + 1 + 4 + binary.LittleEndian.Uint32(b[9:]) // magic, version, length and what it tells
			b[8] = 99
			binary.LittleEndian.PutUint32(b[body:], crc32.Checksum(b[:body], crc32.MakeTable(crc32.Castagnoli)))
			return os.WriteFile(found[0], b, 0o600)
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := errors.Join(os.CopyFS(dir, os.DirFS(data)), hide(dir)); err != nil {
				t.Fatal(err)
			}
			code, stdout, stderr := run(t, "inspect", "--data", dir, "--json")
			var f inspected
			if err := json.Unmarshal([]byte(stdout), &f); code != 1 || err != nil || len(f.Damage) != 1 || f.LastIndex != 8 {
				t.Fatalf("exit code %d, %v: %+v, %s", code, err, f, stderr)
			}
			if advice := f.Damage[0].Advice; strings.Contains(advice, "elsewhere") || !strings.Contains(stderr, advice) || !strings.Contains(stderr, "not all of") {
				t.Errorf("%q: %s", advice, stderr)
			}
		})
	}
	loop := t.TempDir()
	if err := os.Symlink(raftDir, filepath.Join(loop, raftDir)); err != nil {
		t.Fatal(err)
	}
	if _, stderr := inspectedAs(t, 1, "--data", loop); strings.Contains(stderr, "is no data directory") {
		t.Errorf("a directory that cannot be read: %s", stderr)
	}
}

// TestInspectRefuses: what is no data directory of a node that does not run is refused by
// name, with exit code 1.
func TestInspectRefuses(t *testing.T) {
	used := t.TempDir()
	closeAll := written(t, used)
	defer closeAll()
	foreign := t.TempDir()
	if err := os.WriteFile(filepath.Join(foreign, "notes"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	unborn := t.TempDir()
	if err := os.Mkdir(filepath.Join(unborn, raftDir), 0o700); err != nil {
		t.Fatal(err)
	}
	for dir, want := range map[string]string{
		used: "is in use", foreign: "is no data directory of kv", t.TempDir(): "is empty", filepath.Join(foreign, "none"): "no such file", unborn: "there is no store",
	} {
		before := content(t, filepath.Dir(dir))
		if _, stderr := inspectedAs(t, 1, "--data", dir); !strings.Contains(stderr, want) || !strings.Contains(stderr, dir) {
			t.Errorf("%s: %s, want %q", dir, stderr, want)
		}
		if !maps.Equal(before, content(t, filepath.Dir(dir))) {
			t.Errorf("%s: files were made", dir)
		}
	}
	for _, bad := range []string{"0-3", "5-4", "x", "-3", "3"} {
		if code, _, stderr := run(t, "inspect", "--data", used, "--entries", bad); code != 1 || !strings.Contains(stderr, "--entries") {
			t.Errorf("--entries %s: %d, %s", bad, code, stderr)
		}
	}
}

// TestInspectOfARecord: a record holds nothing: in place of the snapshot and the machine
// it does not do. Damaged, it is told.
func TestInspectOfARecord(t *testing.T) {
	data := t.TempDir()
	written(t, data)()
	store, err := files.Open(filepath.Join(data, snapshotsDir), nil)
	if err != nil {
		t.Fatal(err)
	}
	meta, err := store.Newest(t.Context(), 1)
	meta.LogID = core.LogID{Term: 2, Index: 6}
	log, errLog := badger.Open(filepath.Join(data, raftDir), badger.Options{Node: 3, FreeBytesMin: -1})
	if err := errors.Join(err, errLog, store.Record(t.Context(), 1, meta), store.Close()); err != nil {
		t.Fatal(err)
	}
	op := storage.Operation{Group: 1, Purge: core.LogID{Term: 2, Index: 6}}
	if err := errors.Join(log.Write(t.Context(), &storage.Batch{Operations: []storage.Operation{op}}), log.Close()); err != nil {
		t.Fatal(err)
	}
	f, _ := inspectedAs(t, 0, "--data", data)
	if len(f.Snapshots) != 2 || f.Snapshots[0].Record || !f.Snapshots[1].Record || f.Snapshots[1].Index != 6 || !f.Snapshots[1].Verified {
		t.Errorf("%+v", f.Snapshots)
	}
	name := filepath.Join(data, snapshotsDir, "1", "record")
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, b[:len(b)-1], 0o600); err != nil {
		t.Fatal(err)
	}
	if f, stderr := inspectedAs(t, 3, "--data", data); len(f.Damage) != 1 || !strings.Contains(stderr, "the record ") || !strings.Contains(f.Damage[0].Advice, "the node writes another") {
		t.Errorf("%+v, %s", f.Damage, stderr)
	}
	if err := errors.Join(os.WriteFile(name, b, 0o600), os.RemoveAll(filepath.Join(data, machineDir))); err != nil {
		t.Fatal(err)
	}
	if f, _ := inspectedAs(t, 3, "--data", data); len(f.Damage) != 1 || !strings.Contains(f.Damage[0].Error, "neither the machine nor a good snapshot") {
		t.Errorf("%+v", f.Damage)
	}
}
