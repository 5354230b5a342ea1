package actors

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/trouperaft/troupe/actors/snapshots"
	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/network"
	"github.com/trouperaft/troupe/storage"
	"github.com/trouperaft/troupe/storage/memory"
)

// TestSnapshotsAreLost: rule 24: a node that comes back without its snapshots, and with a
// log that begins behind them, starts, gets a snapshot of the leader's, restores its
// machine and keeps its log. With all snapshots of a sole voter gone there is nobody to ask.
func TestSnapshotsAreLost(t *testing.T) {
	hosts := newCluster(t, 3, func(c *GroupConfig) {
		quickElections(c)
		c.SnapshotEntries, c.KeepEntries = 100, 10
		c.LogCacheBytesMax = 4 << 10
	})
	leader := leaderOf(t, hosts)
	lost := others(hosts, leader)[0]
	doubts := 0
	for i := range 250 {
		doubts += insist(t, leader.group, fmt.Appendf(nil, "command %d", i))
	}
	before := until(t, lost.group, "the log to be purged", func(s Status) bool { return s.Purged > 100 && s.Applied >= 250 })
	lost.keeps(t, leader)
	lost.shutdown()
	lost.snapshots = memory.NewSnapshots()
	lost.restart()
	after := until(t, lost.group, "the machine to be restored", func(s Status) bool { return s.Applied >= 250 })
	if after.LacksMachine || after.Purged < before.Purged || after.Purged > before.Last || lost.machine.restored == 0 {
		t.Errorf("lacks its machine: %t, purged %d, before %d; restored %d times", after.LacksMachine, after.Purged, before.Purged, lost.machine.restored)
	}
	doubts += insist(t, lost.group, []byte("last"))
	converge(t, hosts)
	checkCommands(t, lost, 251, doubts)
}

// keeps waits until a host has kept where another one is: it is what it asks without snapshots.
func (h *host) keeps(t *testing.T, other *host) {
	t.Helper()
	eventually(t, "a peer to be kept", func() bool {
		return slices.ContainsFunc(h.logs.Peers(), func(p storage.Peer) bool { return p.ID == other.id && p.Address != "" })
	})
}

// TestRecordIsLost: rule 24: a durable machine has kept everything, and its record is lost,
// which told the members and the time of what the log has purged. The node starts, makes
// nothing of what it does not know, is told by a snapshot of the leader's, also at another
// address, and keeps its log. A sole voter has nobody to ask.
func TestRecordIsLost(t *testing.T) {
	configure := func(c *GroupConfig) {
		quickElections(c)
		c.SnapshotEntries, c.KeepEntries = 10, 0
	}
	hosts := newSavedCluster(t, 3, 1, configure)
	leader := leaderOf(t, hosts)
	lost := others(hosts, leader)[0]
	fill := func(h *host) Status {
		for i := range 120 {
			insist(t, h.group, fmt.Appendf(nil, "command %d", i))
		}
		return until(t, h.group, "the log to be purged", func(s Status) bool { return s.Purged > 100 })
	}
	fill(leader)
	before := until(t, lost.group, "the log to be purged", func(s Status) bool { return s.Purged > 100 && s.Applied >= 120 })
	lost.keeps(t, leader)
	lost.shutdown()
	lost.snapshots = memory.NewSnapshots()
	lost.around = func(network.Network) network.Network { return lost.hub.Network("elsewhere") }
	lost.restart()
	after := until(t, lost.group, "a snapshot", func(s Status) bool { return s.SnapshotIndex >= before.Applied && !s.LacksMachine })
	if after.Purged < before.Purged || after.Configuration.Index == 0 {
		t.Errorf("purged %d, before %d; the configuration of %d", after.Purged, before.Purged, after.Configuration.Index)
	}
	insist(t, lost.group, []byte("last"))
	converge(t, hosts)
	if lost.machine.restored != 1 { // it has applied something since
		t.Errorf("restored %d times", lost.machine.restored)
	}

	alone := newSavedCluster(t, 1, 1, configure)[0]
	fill(alone)
	alone.shutdown()
	if err := alone.store.Reopen(); err != nil {
		t.Fatal(err)
	}
	node, err := NewNode(NodeConfig{ID: 1, Store: alone.logs, Snapshots: memory.NewSnapshots(), Network: alone.hub.Network(address(1))})
	if err != nil {
		t.Fatal(err)
	}
	alone.node = node
	cfg := groupConfig(1, alone.kept.open(&listMachine{}))
	configure(&cfg)
	if _, err := node.Start(t.Context(), cfg); !errors.Is(err, core.ErrCorrupt) || !strings.Contains(err.Error(), "configuration in force") {
		t.Errorf("a sole voter without its record starts: %v", err)
	}
}

// TestNothingIsMadeOfWhatIsUnknown: rule 24: whoever does not know the time or the
// configuration of what was applied last makes neither a snapshot nor a record nor a backup
// of it. The next entries tell the time.
func TestNothingIsMadeOfWhatIsUnknown(t *testing.T) {
	config := votersAt(id(1, 1), 3)
	for name, test := range map[string]struct {
		undated bool
		config  core.ConfigurationAt
	}{"the time": {true, config}, "the configuration": {false, core.ConfigurationAt{}}} {
		r := newApplyRig(t)
		a := r.apply
		a.applied, a.undated, a.config = id(1, 4), test.undated, test.config
		a.giveView()
		a.giveRecord(core.BuildSnapshot{Record: true})
		var ended error
		a.export(&snapshots.Export{Begun: func(core.SnapshotMeta) { t.Errorf("without %s: a backup is made", name) }, Ended: func(err error) { ended = err }})
		r.run()
		built := 0
		for _, item := range r.apply.core.(*coreActor).inbox.Take() {
			if b, ok := item.(*core.SnapshotBuilt); ok && errors.Is(b.Err, core.ErrNotNow) {
				built++
			} else {
				t.Errorf("without %s: %T", name, item)
			}
		}
		if built != 2 || !errors.Is(ended, core.ErrNotNow) {
			t.Errorf("without %s: %d answers, the backup ended with %v", name, built, ended)
		}
		a.wasApplied(timedEntries(5, 5, core.ConfigurationAt{}), nil)
		if err := a.describes(); (err == nil) != test.undated {
			t.Errorf("without %s, after the next entry: %v", name, err)
		}
	}
}

// TestIntroducedNodeStaysWhereItIs: where a node once was is no news to a network that was
// told where it is, by whichever group.
func TestIntroducedNodeStaysWhereItIs(t *testing.T) {
	n := &placesNetwork{at: make(map[membership.NodeID]string)}
	o := &outbox{Network: n}
	o.SetAddress(2, "new")
	o.Introduce(2, "old")
	o.Introduce(3, "old")
	o.Introduce(3, "older")
	if n.at[2] != "new" || n.at[3] != "old" {
		t.Errorf("%v", n.at)
	}
	if o.SetAddress(3, "new"); n.at[3] != "new" {
		t.Errorf("%v", n.at)
	}
}

// TestKeptPeers: a node keeps each other one once, at the newest address that is known, and
// those of whom an old snapshot tells.
func TestKeptPeers(t *testing.T) {
	store := memory.New(1)
	for i, p := range []storage.Peer{
		{Identity: membership.Identity{ID: 2, Incarnation: 1}, Address: "a"},
		{Identity: membership.Identity{ID: 2, Incarnation: 2}, Address: "b"},
		{Identity: membership.Identity{ID: 2, Incarnation: 3}},
		{Identity: membership.Identity{ID: 3, Incarnation: 1}},
		{Identity: membership.Identity{ID: 3, Incarnation: 2}, Address: "c"},
	} {
		p.StartCounter, p.Nonce = 1, uint64(i)
		if err := store.KeepPeer(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	n := &Node{cfg: NodeConfig{ID: 1, Store: store}}
	old := core.SnapshotMeta{LogID: id(1, 4), Configuration: votersAt(id(1, 1), 4)}
	var got []string
	for _, m := range n.keptPeers(&old) {
		got = append(got, fmt.Sprintf("%d/%d %s", m.ID, m.Incarnation, m.Address))
	}
	if want := []string{"2/2 b", "3/2 c", "4/1 "}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
