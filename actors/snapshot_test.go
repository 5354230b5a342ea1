package actors

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/network"
	"github.com/trouperaft/troupe/network/inproc"
	"github.com/trouperaft/troupe/storage"
	"github.com/trouperaft/troupe/storage/memory"
)

func TestSnapshotBringsALaggingFollowerUp(t *testing.T) {
	hosts := newCluster(t, 3, func(c *GroupConfig) {
		quickElections(c)
		c.SnapshotEntries, c.KeepEntries = 100, 10
		c.SnapshotChunkBytes = 64
		c.LogCacheBytesMax = 4 << 10
		c.EntriesPerMessageMax = 7
		c.ApplyBatchEntriesMax = 11
	})
	leader := leaderOf(t, hosts)
	lagging := others(hosts, leader)[0]
	lagging.shutdown()
	doubts := 0
	for i := range 500 {
		doubts += insist(t, leader.group, fmt.Appendf(nil, "command %d", i))
	}
	until(t, leader.group, "the log to be purged", func(s Status) bool { return s.Purged > 300 })
	lagging.restart()
	until(t, lagging.group, "the follower to catch up", func(s Status) bool { return s.Applied >= 500 })
	if lagging.machine.restored == 0 {
		t.Error("the follower caught up without a snapshot")
	}
	doubts += insist(t, lagging.group, []byte("last"))
	converge(t, hosts)
	// Everybody restarts from snapshot and log.
	for _, h := range hosts {
		h.shutdown()
	}
	for _, h := range hosts {
		h.restart()
	}
	converge(t, hosts)
	checkCommands(t, hosts[0], 501, doubts)
}

// takesBack is a network that takes the memory of pieces back.
type takesBack struct {
	network.Network
	pieces *atomic.Int64
}

// Recycle implements network.Recycling.
func (n takesBack) Recycle([]byte) { n.pieces.Add(1) }

// TestPiecesGoBackToTheNetwork: what the node has around its network does not hide that it takes
// the memory of pieces back.
func TestPiecesGoBackToTheNetwork(t *testing.T) {
	var back atomic.Int64
	hosts := newClusterOf(t, 3, func(c *GroupConfig) {
		quickElections(c)
		c.SnapshotEntries, c.KeepEntries, c.LogCacheBytesMax = 10, 1, 1
	}, func(n network.Network) network.Network { return takesBack{n, &back} })
	leader := leaderOf(t, hosts)
	lagging := others(hosts, leader)[0]
	lagging.shutdown()
	for i := range 40 {
		insist(t, leader.group, fmt.Appendf(nil, "command %d", i))
	}
	until(t, leader.group, "the log to be purged", func(s Status) bool { return s.Purged > 20 })
	lagging.restart()
	until(t, lagging.group, "the follower to catch up", func(s Status) bool { return s.Applied >= leader.group.Status().Applied })
	if lagging.machine.restored == 0 || back.Load() == 0 {
		t.Errorf("%d snapshots were restored, and %d pieces have gone back", lagging.machine.restored, back.Load())
	}
}

// viewed lets an apply actor take a view, and returns what it says of that.
func (r *applyRig) viewed(t *testing.T) core.SnapshotMeta {
	t.Helper()
	r.apply.giveView()
	r.run()
	for _, item := range r.apply.core.(*coreActor).inbox.Take() {
		if v, ok := item.(*snapshotViewed); ok {
			return v.meta
		}
	}
	t.Fatal("no view was taken")
	return core.SnapshotMeta{}
}

// votersAt is a configuration of voters 1 to n, brought by an entry.
func votersAt(at core.LogID, n membership.NodeID) core.ConfigurationAt {
	var c membership.Configuration
	for i := membership.NodeID(1); i <= n; i++ {
		c.Members = append(c.Members, membership.Member{Identity: member(i)})
		c.Voters = append(c.Voters, member(i))
	}
	return core.ConfigurationAt{LogID: at, Configuration: c}
}

// timedEntries are 1.first to 1.last, each at ten times its index; one brings a
// configuration.
func timedEntries(first, last core.Index, brought core.ConfigurationAt) []core.Entry {
	entries := entriesOf(1, first, last, 100)
	for i := range entries {
		entries[i].Time = 10 * int64(entries[i].Index)
		if entries[i].LogID == brought.LogID {
			entries[i].Kind, entries[i].Data = core.EntryConfiguration, brought.Configuration.Encode()
		}
	}
	return entries
}

// TestSnapshotSaysWhatItIsOf: a snapshot carries time and configuration of the entry
// that it ends with, whether that was applied here or restored: whoever is given it has
// them from nowhere else.
func TestSnapshotSaysWhatItIsOf(t *testing.T) {
	before, now := votersAt(id(1, 1), 1), votersAt(id(1, 4), 3)
	r := newApplyRig(t)
	r.apply.cluster = func() core.ClusterID { return core.ClusterID{7} }
	expect := func(at core.LogID, time int64, in core.ConfigurationAt) {
		t.Helper()
		r.run()
		got := r.viewed(t)
		if got.LogID != at || got.Time != time || got.Configuration.LogID != in.LogID || !slices.Equal(got.Configuration.Configuration.Voters, in.Configuration.Voters) {
			t.Errorf("a snapshot of %v at %d with the configuration %v, %v; want %v at %d with %v", got.LogID, got.Time,
				got.Configuration.LogID, got.Configuration.Configuration.Voters, at, time, in.LogID)
		}
	}
	r.apply.memoryLog.Submit(&core.Write{IOID: 1, Append: timedEntries(1, 2, before)})
	r.apply.memoryLog.Submit(&core.Write{IOID: 2, Append: timedEntries(3, 6, now)})
	r.apply.applyUpTo(3)
	expect(id(1, 3), 30, before)
	r.apply.applyUpTo(5)
	expect(id(1, 5), 50, now)

	meta := core.SnapshotMeta{LogID: id(2, 9), Time: 90, Cluster: core.ClusterID{7}, Configuration: votersAt(id(2, 8), 2)}
	r.install(t, &meta)
	expect(id(2, 9), 90, meta.Configuration)
}

// install stores a snapshot and has it restored.
func (r *applyRig) install(t *testing.T, meta *core.SnapshotMeta) {
	t.Helper()
	w, err := r.apply.files.Create(t.Context(), 1, *meta)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := (&listView{applied: meta.Index}).WriteTo(w); err != nil {
		t.Fatal(err)
	}
	if *meta, err = w.Commit(core.SnapshotMeta{}); err != nil {
		t.Fatal(err)
	}
	r.apply.memoryLog.Submit(&core.Write{IOID: 3, Reset: meta.LogID})
	r.apply.installNow(*meta)
}

// keepsAll is a snapshot store that cannot remove anything.
type keepsAll struct{ storage.SnapshotStore }

func (keepsAll) RemoveBelow(context.Context, membership.GroupID, core.Index) error {
	return errors.New("somebody's directory")
}

// TestRemovalFailsNoFollower: a snapshot is restored, though the older ones cannot be
// removed.
func TestRemovalFailsNoFollower(t *testing.T) {
	r := newApplyRig(t)
	r.apply.Failed = func(err error) { t.Error(err) }
	r.keepSnapshots(keepsAll{memory.NewSnapshots()})
	r.install(t, &core.SnapshotMeta{LogID: id(2, 9), Time: 90})
	r.run()
	if r.apply.applied != id(2, 9) {
		t.Errorf("%v is applied", r.apply.applied)
	}
}

// keptMachine keeps its state over a restart, up to applied.
type keptMachine struct {
	storage.StateMachine
	applied core.LogID
}

func (m *keptMachine) Applied() (core.LogID, error) { return m.applied, nil }

// TestStartKnowsWhatWasApplied: after a start, the next snapshot may be due before
// anything is applied. It carries time and configuration of what was applied last, not
// of the end of the log.
func TestStartKnowsWhatWasApplied(t *testing.T) {
	h := newHost(t, inproc.NewHub(), 1, nil)
	entries := append(timedEntries(1, 3, votersAt(id(1, 1), 3)), timedEntries(4, 6, votersAt(id(1, 4), 2))...)
	hard := core.HardState{Term: 1, Cluster: core.ClusterID{7}}
	batch := storage.Batch{Operations: []storage.Operation{{Group: 2, HardState: &hard, Append: entries, Commit: 3}}}
	if err := h.store.Write(t.Context(), &batch); err != nil {
		t.Fatal(err)
	}
	h.start()
	for applied, found := range map[core.Index]core.Index{0: 0, 1: 1, 3: 1, 4: 4, 6: 4} {
		want := int64(10 * applied)
		machine := &keptMachine{&listMachine{}, core.LogID{Term: core.Term(min(applied, 1)), Index: applied}}
		g, err := h.node.load(t.Context(), groupConfig(2, machine), false, h.node.recover(t.Context(), 2))
		if err != nil {
			t.Fatal(err)
		}
		if a := g.apply; a.applied != machine.applied || a.appliedTime != want || a.config.Index != found {
			t.Errorf("applied %v: it says %v at %d with the configuration of %d; want %d and %d", machine.applied, a.applied, a.appliedTime, a.config.Index, want, found)
		}
		g.cancel()
	}
}

// TestTimeOfWhatWasApplied: a node that starts finds the time of the entry that its
// machine applied last, wherever that entry is.
func TestTimeOfWhatWasApplied(t *testing.T) {
	store := memory.New(1)
	if err := store.Write(t.Context(), &storage.Batch{Operations: []storage.Operation{{Group: 1, Reset: id(1, 4), Append: timedEntries(5, 9, core.ConfigurationAt{})}}}); err != nil {
		t.Fatal(err)
	}
	n := &Node{cfg: NodeConfig{Store: store}, store: store}
	for _, test := range []struct {
		name     string
		applied  core.LogID
		snapshot core.SnapshotMeta
		want     int64
		unknown  bool
	}{
		{"the last entry", id(1, 9), core.SnapshotMeta{}, 90, false},
		{"the purged entry, which the snapshot ends with", id(1, 4), core.SnapshotMeta{LogID: id(1, 4), Time: 40}, 40, false},
		{"a snapshot that the log lacks", id(2, 12), core.SnapshotMeta{LogID: id(2, 12), Time: 120}, 120, false},
		{"an entry behind the snapshot", id(1, 7), core.SnapshotMeta{LogID: id(1, 4), Time: 40}, 70, false},
		{"the purged entry, whose snapshot is lost", id(1, 4), core.SnapshotMeta{}, 0, true},
		{"the purged entry, and a later snapshot", id(1, 4), core.SnapshotMeta{LogID: id(1, 6), Time: 60}, 0, true},
	} {
		state := core.State{Applied: test.applied, Snapshot: test.snapshot, Purged: id(1, 4), Last: id(1, 9), LastTime: 90}
		if got, known, err := n.appliedTime(t.Context(), GroupConfig{Group: 1}, &state); err != nil || got != test.want || known == test.unknown {
			t.Errorf("%s: %d, known %t, %v; want %d", test.name, got, known, err, test.want)
		}
	}
}

func TestSmallLimitsAndALogCacheThatForgets(t *testing.T) {
	hosts := newCluster(t, 3, func(c *GroupConfig) {
		quickElections(c)
		c.LogCacheBytesMax = 1 // everything that is flushed and applied is read from the store
		c.EntriesPerMessageMax = 1
		c.WindowMessagesMax = 2
		c.ApplyBatchEntriesMax = 1
		c.MessageBytesMax = 1
	})
	leader := leaderOf(t, hosts)
	lagging := others(hosts, leader)[1]
	lagging.shutdown()
	doubts := 0
	for i := range 200 {
		doubts += insist(t, leader.group, fmt.Appendf(nil, "command %d", i))
	}
	lagging.restart()
	converge(t, hosts)
	checkCommands(t, lagging, 200, doubts)
}
