package badger

import (
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/internal/badgerwal"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/storage"
)

var writeSamples = flag.Bool("samples", false, "write samples of this version, if there are none")

// firstVersions are the versions of groups' records, and what samples of them hold: of
// version 3 are those of nodes that were removed.
var firstVersions = map[string]core.HardState{"version-2": firstHardState, "version-3": firstRemoved}

// TestFirstStoresAreRead reads what builds of these versions have written since each was
// the newest: one of a process that has ended, and one of a process that was killed.
func TestFirstStoresAreRead(t *testing.T) {
	if *writeSamples {
		writeFirst(t)
	}
	for version, hard := range firstVersions {
		for _, name := range []string{"ended", "killed"} {
			dir := t.TempDir()
			if err := os.CopyFS(dir, os.DirFS(filepath.Join("testdata", version, name))); err != nil {
				t.Fatal(err)
			}
			name = version + " " + name
			checkFirst(t, name, dir, hard, inspecting(), 1)
			checkFirst(t, name, dir, hard, small(3), 2)
		}
	}
}

func checkFirst(t *testing.T, name, dir string, hard core.HardState, o Options, starts uint64) {
	t.Helper()
	s := mustOpen(t, dir, o)
	defer mustClose(t, s)
	if h := s.Header(); h.Node != 3 || h.Promise != 1500*time.Millisecond || h.StartCounter != starts {
		t.Errorf("%s: header %+v", name, h)
	}
	if peers := s.Peers(); len(peers) != 1 || peers[0] != firstPeer {
		t.Errorf("%s: peers %+v", name, peers)
	}
	state, err := s.Load(t.Context(), 7)
	if err != nil || state.HardState != hard || state.Commit != 5 || state.Purged != (core.LogID{Term: 1, Index: 2}) || state.Last != (core.LogID{Term: 2, Index: 6}) {
		t.Errorf("%s: %+v, %v", name, state, err)
	}
	got, err := s.Read(t.Context(), 7, 3, 6, 1<<20)
	if err != nil || len(got) != 4 {
		t.Fatalf("%s: %d entries, %v", name, len(got), err)
	}
	for i, want := range firstEntries()[2:] {
		if e := got[i]; e.LogID != want.LogID || e.Kind != want.Kind || e.Time != want.Time || string(e.Data) != string(want.Data) {
			t.Errorf("%s: entry %+v, want %+v", name, e, want)
		}
	}
}

// TestFirstChunkWithVersionsIsRead: the same of entries that need versions of the state
// machine.
func TestFirstChunkWithVersionsIsRead(t *testing.T) {
	kept := filepath.Join("testdata", "chunk-machine-versions")
	want := firstEntries()
	want[1].Version, want[3].Version = 7, 1<<63
	if _, err := os.Stat(kept); *writeSamples && err != nil {
		if err := os.WriteFile(kept, appendChunk(nil, 7, &chain{sum: 9}, want), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(kept)
	if err != nil {
		t.Fatal(err)
	}
	h, err := decodeChunkHeader(7, b)
	if err != nil {
		t.Fatal(err)
	}
	got, _, err := decodeEntries(nil, 7, &h, b[chunkHeaderBytes:])
	if err != nil || len(got) != len(want) {
		t.Fatalf("%d entries, %v", len(got), err)
	}
	for i, want := range want {
		if e := got[i]; e.LogID != want.LogID || e.Version != want.Version || string(e.Data) != string(want.Data) {
			t.Errorf("entry %+v, want %+v", e, want)
		}
	}
	// Another version is another entry.
	for _, at := range []int{chunkHeaderBytes + 5, len(b) - 1} {
		b[at]++
		if _, _, err := decodeEntries(nil, 7, &h, b[chunkHeaderBytes:]); err == nil {
			t.Errorf("byte %d is another, and nothing is noticed", at)
		}
		b[at]--
	}
}

var (
	firstHardState = core.HardState{
		Term: 4, Vote: membership.Identity{ID: 2, Incarnation: 22}, Cluster: core.ClusterID{1, 15: 16},
		Grant: core.Grant{To: membership.Identity{ID: 1, Incarnation: 11}, Attempt: 9, List: membership.Founding{3}, LengthMillis: 10_000},
	}
	firstRemoved = core.HardState{
		Term: 4, Vote: membership.Identity{ID: 2, Incarnation: 22}, Cluster: core.ClusterID{1, 15: 16}, Removed: core.LogID{Term: 3, Index: 1 << 40},
	}
	firstPeer = storage.Peer{Identity: membership.Identity{ID: 2, Incarnation: 22}, StartCounter: 5, Nonce: 77, Address: "host:1"}
)

func firstEntries() []core.Entry {
	id := membership.Identity{ID: 3, Incarnation: 33}
	c := membership.Configuration{Members: []membership.Member{{Identity: id, Address: "host:1"}}, Voters: []membership.Identity{id}}
	entries := []core.Entry{{LogID: core.LogID{Term: 1, Index: 1}, Kind: core.EntryBlank, Time: 10}}
	for i := core.Index(2); i <= 6; i++ {
		e := core.Entry{LogID: core.LogID{Term: 1, Index: i}, Kind: core.EntryCommand, Time: int64(10 * i), Data: []byte(strings.Repeat("data ", int(i)))}
		if i > 4 {
			e.Term = 2
		}
		if i == 5 {
			e.Kind, e.Data = core.EntryConfiguration, c.Encode()
		}
		entries = append(entries, e)
	}
	return entries
}

// writeFirst makes the samples that are not there. Those that are never change.
func writeFirst(t *testing.T) {
	t.Helper()
	wrote := false
	for version, hard := range firstVersions {
		into := filepath.Join("testdata", version)
		if _, err := os.Stat(into); err != nil {
			writeSample(t, into, hard)
			wrote = true
		}
	}
	if !wrote {
		t.Fatal("all samples are there: they never change")
	}
}

// writeSample makes one: small copies, without what a store makes anew.
func writeSample(t *testing.T, into string, hard core.HardState) {
	t.Helper()
	s := mustOpen(t, t.TempDir(), small(3))
	all := firstEntries()
	mustWrite(t, s, storage.Operation{Group: 7, HardState: &hard, Append: all[:4], Commit: 3})
	mustWrite(t, s, storage.Operation{Group: 7, Append: all[4:], Purge: all[1].LogID, Commit: 5})
	if err := errors.Join(s.RecordPromise(t.Context(), 1500*time.Millisecond), s.KeepPeer(t.Context(), firstPeer)); err != nil {
		t.Fatal(err)
	}
	killed := leftBehind(t, s)
	mustClose(t, s)
	for name, dir := range map[string]string{"ended": s.dir, "killed": killed} {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || d.Name() == "LOCK" || d.Name() == "DISCARD" || strings.HasSuffix(path, valueLogSuffix) {
				return err
			}
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			if strings.HasSuffix(path, walSuffix) {
				content = content[:walLimits.End(content)+badgerwal.RecordHeaderMax]
			}
			relative, err := filepath.Rel(dir, path)
			if err != nil {
				return err
			}
			to := filepath.Join(into, name, relative)
			return errors.Join(os.MkdirAll(filepath.Dir(to), 0o700), os.WriteFile(to, content, 0o600))
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
