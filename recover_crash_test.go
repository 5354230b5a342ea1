package troupe_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/trouperaft/troupe"
	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/network/inproc"
	"github.com/trouperaft/troupe/storage"
	"github.com/trouperaft/troupe/storage/badger"
	"github.com/trouperaft/troupe/storage/files"
)

// directory is a node's data on the disk.
type directory struct {
	*testing.T
	dir       string
	log       *badger.Store
	snapshots *files.Store
}

func openDirectory(t *testing.T, dir string, node troupe.NodeID) *directory {
	t.Helper()
	log, err := badger.Open(filepath.Join(dir, "log"), badger.Options{Node: node, FreeBytesMin: -1, MemTableBytes: 8 << 20})
	if err != nil {
		t.Fatal(err)
	}
	snapshots, err := files.Open(filepath.Join(dir, "snapshots"), nil)
	if err != nil {
		t.Fatal(err)
	}
	return &directory{t, dir, log, snapshots}
}

func (d *directory) close() {
	d.Helper()
	if err := errors.Join(d.log.Close(), d.snapshots.Close()); err != nil {
		d.Error(err)
	}
}

// copied is what a process that is killed now leaves.
func (d *directory) copied() string {
	d.Helper()
	dir := d.TempDir()
	if err := os.CopyFS(dir, os.DirFS(d.dir)); err != nil {
		d.Fatal(err)
	}
	return dir
}

const crashGroups = 2

// write makes the directory that of node 1, a member of three in each group, with some
// entries of which only the first are known to be committed, and with a snapshot.
func (d *directory) write() {
	d.Helper()
	self := membership.Identity{ID: 1, Incarnation: d.log.Header().Incarnation}
	c := membership.Configuration{Voters: []membership.Identity{self, {ID: 2, Incarnation: 22}, {ID: 3, Incarnation: 33}}}
	for _, id := range c.Voters {
		c.Members = append(c.Members, membership.Member{Identity: id, Address: address(id.ID)})
	}
	for group := troupe.GroupID(1); group <= crashGroups; group++ {
		cluster := troupe.ClusterID{byte(group)}
		entries := []core.Entry{{LogID: core.LogID{Term: 1, Index: 1}, Kind: core.EntryConfiguration, Data: c.Encode()}}
		for i := core.Index(2); i <= 9; i++ {
			entries = append(entries, core.Entry{LogID: core.LogID{Term: 2, Index: i}, Kind: core.EntryCommand, Time: int64(i), Data: fmt.Append(nil, i)})
		}
		err := d.log.Write(d.Context(), &storage.Batch{Operations: []storage.Operation{{
			Group: group, HardState: &core.HardState{Term: 3, Cluster: cluster}, Append: entries, Purge: entries[3].LogID, Commit: 6,
		}}})
		if err != nil {
			d.Fatal(err)
		}
		w, err := d.snapshots.Create(d.Context(), group, core.SnapshotMeta{LogID: entries[4].LogID, Time: 5, Cluster: cluster,
			Configuration: core.ConfigurationAt{LogID: entries[0].LogID, Configuration: c}})
		if err == nil {
			_, err = w.Write([]byte("2\n3\n4\n5"))
		}
		if err == nil {
			_, err = w.Commit(core.SnapshotMeta{})
		}
		if err != nil {
			d.Fatal(err)
		}
	}
}

// steps are what a recovery does to the stores, with a moment before and behind each.
type steps struct{ moment func(what string) }

type steppedLog struct {
	*badger.Store
	steps
}

func (s steppedLog) Write(ctx context.Context, b *storage.Batch) error {
	s.moment("before the log is written")
	err := s.Store.Write(ctx, b)
	s.moment("behind it")
	return err
}

type steppedSnapshots struct {
	*files.Store
	steps
}

func (s steppedSnapshots) Create(ctx context.Context, group membership.GroupID, meta core.SnapshotMeta) (storage.SnapshotWriter, error) {
	s.moment("before the snapshot's copy")
	w, err := s.Store.Create(ctx, group, meta)
	s.moment("behind its making")
	return steppedWriter{w, s.steps}, err
}

type steppedWriter struct {
	storage.SnapshotWriter
	steps
}

func (w steppedWriter) Write(b []byte) (int, error) {
	n, err := w.SnapshotWriter.Write(b)
	w.moment("behind its content")
	return n, err
}

func (w steppedWriter) Commit(want core.SnapshotMeta) (core.SnapshotMeta, error) {
	w.moment("before the snapshot's new name")
	meta, err := w.SnapshotWriter.Commit(want)
	w.moment("behind it")
	return meta, err
}

// TestRecoverAndCrash: whatever moment of a recovery a crash comes at, each group is
// recovered or is not, its node starts, and a second recovery does the rest.
func TestRecoverAndCrash(t *testing.T) {
	d := openDirectory(t, t.TempDir(), 1)
	d.write()
	type crash struct{ what, dir string }
	var crashes []crash
	moments := steps{func(what string) {
		crashes = append(crashes, crash{fmt.Sprintf("%d, %s", len(crashes), what), d.copied()})
	}}
	groups, err := troupe.Recover(t.Context(), troupe.RecoverConfig{Log: steppedLog{d.log, moments}, Snapshots: steppedSnapshots{d.snapshots, moments}, Force: true})
	if err != nil || len(groups) != crashGroups || !groups[0].Done || !groups[1].Done {
		t.Fatalf("%+v, %v", groups, err)
	}
	d.close()
	if len(crashes) != crashGroups*7 {
		t.Fatalf("a recovery has %d moments", len(crashes))
	}
	seen := map[string]bool{}
	for _, at := range crashes {
		t.Run(at.what, func(t *testing.T) { seen[recoverAgain(t, at.dir)] = true })
	}
	if len(seen) != 3 {
		t.Errorf("of the groups these were recovered by a crash: %v", seen)
	}
}

// recoverAgain starts what a crash has left, recovers it, and starts it again. It returns
// which groups were recovered before.
func recoverAgain(t *testing.T, dir string) string {
	was := ""
	startCrashed(t, dir, func(group troupe.GroupID, raft *troupe.Raft) {
		self := raft.Node().Identity()
		if s := raft.Status(); s.Configuration.IsSoleVoter(self) {
			was += fmt.Sprint(group)
			checkRecovered(t, group, raft)
		} else if s.Cluster != (troupe.ClusterID{byte(group)}) || len(s.Configuration.Voters) != 3 || s.Term != 3 {
			t.Errorf("group %d is neither recovered nor what it was: %+v", group, s)
		}
	})
	d := openDirectory(t, dir, 1)
	groups, err := troupe.Recover(t.Context(), troupe.RecoverConfig{Log: d.log, Snapshots: d.snapshots, Force: true})
	if err != nil || len(groups) != crashGroups {
		t.Fatalf("%+v, %v", groups, err)
	}
	clusters := make(map[troupe.GroupID]troupe.ClusterID)
	for _, g := range groups {
		if g.Done == g.Alone {
			t.Errorf("%+v", g)
		}
		state, err := d.log.Load(t.Context(), g.Group)
		if err != nil {
			t.Fatal(err)
		}
		clusters[g.Group] = state.HardState.Cluster
		if meta, err := d.snapshots.Newest(t.Context(), g.Group); err != nil || meta.Cluster != state.HardState.Cluster || meta.SizeBytes != 7 {
			t.Errorf("group %d of cluster %v has the snapshot %+v, %v", g.Group, state.HardState.Cluster, meta, err)
		}
	}
	if clusters[1] == clusters[2] {
		t.Error("two groups have one cluster id")
	}
	d.close()
	startCrashed(t, dir, func(group troupe.GroupID, raft *troupe.Raft) { checkRecovered(t, group, raft) })
	return was
}

// startCrashed starts all groups of a directory, and stops them again.
func startCrashed(t *testing.T, dir string, check func(troupe.GroupID, *troupe.Raft)) {
	t.Helper()
	d := openDirectory(t, dir, 1)
	defer d.close()
	node, err := troupe.NewNode(troupe.NodeConfig{ID: 1, Network: inproc.NewHub().Network(address(1)), Log: d.log, Snapshots: d.snapshots, CheckInvariants: true})
	if err != nil {
		t.Fatal(err)
	}
	defer node.Kill()
	for group := troupe.GroupID(1); group <= crashGroups; group++ {
		raft, err := node.Start(t.Context(), troupe.Config{Group: group, StateMachine: &ledger{}, ElectionTimeout: 50 * time.Millisecond, CommandBytesMax: 64 << 10})
		if err != nil {
			t.Errorf("group %d does not start: %v", group, err)
			continue
		}
		check(group, raft)
	}
}

// checkRecovered wants a group to lead alone, with all its entries.
func checkRecovered(t *testing.T, group troupe.GroupID, raft *troupe.Raft) {
	t.Helper()
	leads := func(s troupe.Status) bool { return s.Role == troupe.RoleLeader && s.Applied >= 11 }
	if err := raft.Wait(within(t, 20*time.Second), leads); err != nil {
		t.Fatalf("group %d: %v", group, errors.Join(err, raft.Err()))
	}
	if s := raft.Status(); s.Term <= 1<<20 || s.Cluster == (troupe.ClusterID{byte(group)}) || !slices.Equal(s.Configuration.Voters, []troupe.Identity{raft.Node().Identity()}) {
		t.Errorf("group %d is %+v", group, s)
	}
	if _, err := raft.Propose(within(t, 20*time.Second), []byte("after")); err != nil {
		t.Errorf("group %d: %v", group, err)
	}
}
