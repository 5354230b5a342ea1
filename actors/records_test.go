package actors

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"testing"

	"go.opentelemetry.io/otel/metric"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/metrics"
	"github.com/trouperaft/troupe/network/inproc"
	"github.com/trouperaft/troupe/storage"
	"github.com/trouperaft/troupe/storage/memory"
)

// savedState is what a machine keeps over a restart: not with each batch, but with every
// so many.
type savedState struct {
	every int

	mu       sync.Mutex
	applied  core.LogID
	commands [][]byte
	// asked is what the machine has said that it keeps, views how many were taken of it.
	asked []core.LogID
	views int
}

func (k *savedState) open(m *listMachine) *savedMachine {
	k.mu.Lock()
	defer k.mu.Unlock()
	m.commands, m.applied = k.commands[:len(k.commands):len(k.commands)], k.applied.Index
	return &savedMachine{list: m, disk: k, last: k.applied}
}

func (k *savedState) figures() (applied core.LogID, asked []core.LogID, views int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.applied, k.asked[:len(k.asked):len(k.asked)], k.views
}

// savedMachine is a listMachine that is not volatile.
type savedMachine struct {
	list    *listMachine
	disk    *savedState
	last    core.LogID
	batches int
}

func (m *savedMachine) save() {
	m.disk.mu.Lock()
	defer m.disk.mu.Unlock()
	m.disk.applied, m.disk.commands = m.last, m.list.list()
}

func (m *savedMachine) Applied() (core.LogID, error) {
	m.disk.mu.Lock()
	defer m.disk.mu.Unlock()
	m.disk.asked = append(m.disk.asked, m.disk.applied)
	return m.disk.applied, nil
}

func (m *savedMachine) Apply(ctx context.Context, entries []core.Entry) ([][]byte, error) {
	results, err := m.list.Apply(ctx, entries)
	m.last = entries[len(entries)-1].LogID
	if m.batches++; err == nil && m.batches%m.disk.every == 0 {
		m.save()
	}
	return results, err
}

func (m *savedMachine) View() (storage.SnapshotView, error) {
	m.disk.mu.Lock()
	m.disk.views++
	m.disk.mu.Unlock()
	v, err := m.list.View()
	return &savedView{v, m.last.Term}, err
}

// savedView tells the term, too.
type savedView struct {
	storage.SnapshotView
	term core.Term
}

func (v *savedView) WriteTo(w io.Writer) (int64, error) {
	if err := binary.Write(w, binary.LittleEndian, v.term); err != nil {
		return 0, err
	}
	n, err := v.SnapshotView.WriteTo(w)
	return n + 8, err
}

func (m *savedMachine) Restore(ctx context.Context, r io.Reader) error {
	var term core.Term
	err := binary.Read(r, binary.LittleEndian, &term)
	if err == nil {
		err = m.list.Restore(ctx, r)
	}
	if err == nil {
		m.last = core.LogID{Term: term, Index: m.list.applied}
		m.save()
	}
	return err
}

// newSavedCluster is a cluster of machines that keep their state.
func newSavedCluster(t *testing.T, n int, every int, configure func(*GroupConfig)) []*host {
	t.Helper()
	return newSavedClusterOf(t, n, every, configure, nil)
}

func newSavedClusterOf(t *testing.T, n int, every int, configure func(*GroupConfig), meter metric.MeterProvider) []*host {
	t.Helper()
	hub := inproc.NewHub()
	var hosts []*host
	var ids []membership.NodeID
	for i := range membership.NodeID(n) {
		h := newHost(t, hub, i+1, configure)
		h.kept, h.meter = &savedState{every: every}, meter
		h.start()
		hosts = append(hosts, h)
		ids = append(ids, h.id)
	}
	if err := bootstrap(t, hosts[0].group, patience, members(ids...)...); err != nil {
		t.Fatal(err)
	}
	leaderOf(t, hosts)
	return hosts
}

// recordEvents takes the events of records.
type recordEvents struct{ last atomic.Uint64 }

func (r *recordEvents) take(e Event) {
	if e.Kind == core.NoticeRecorded {
		r.last.Store(uint64(e.Index))
	}
}

func (r *recordEvents) highest() uint64 { return r.last.Load() }

// TestRecordIsOfWhatIsDurable: a record says what the machine keeps, though it has applied
// more, with time and configuration of that entry, and is durable before the log is purged.
func TestRecordIsOfWhatIsDurable(t *testing.T) {
	m, provider := newMeters(t)
	hosts := newSavedClusterOf(t, 1, 7, func(c *GroupConfig) {
		quickElections(c)
		c.SnapshotEntries, c.KeepEntries, c.ApplyBatchEntriesMax, c.LogCacheBytesMax = 10, 0, 1, 1
	}, provider)
	h := hosts[0]
	var events recordEvents
	defer h.group.Events(events.take)()
	for i := range 100 {
		insist(t, h.group, fmt.Appendf(nil, "command %d", i))
	}
	s := until(t, h.group, "the log to be purged", func(s Status) bool { return s.Purged >= 50 })
	record, err := h.snapshots.Recorded(t.Context(), 1)
	keeps, asked, views := h.kept.figures()
	if err != nil || record.Index < s.Purged || record.Index > keeps.Index || record.Cluster != s.Cluster || len(record.Configuration.Configuration.Voters) != 1 {
		t.Errorf("a record of %+v, %v; purged %d, the machine keeps %v", record, err, s.Purged, keeps)
	}
	behind := false
	for _, id := range asked {
		behind = behind || id.Index%7 == 0 && id.Index > 0
	}
	if views != 0 || !behind {
		t.Errorf("%d views, %v", views, asked)
	}
	entries, err := h.store.Read(t.Context(), 1, record.Index+1, record.Index+1, 1)
	if err != nil || record.Time > entries[0].Time || record.Time <= 0 {
		t.Errorf("a record of the time %d, and the next entry has %v, %v", record.Time, entries, err)
	}
	found := m.read()
	done := []string{metrics.KeyOperation, "record", metrics.KeyOutcome, "done"}
	if n := sum(found["raft.snapshots"], done...).sum; n == 0 || events.highest() == 0 || sum(found["raft.snapshot.duration"], done[:2]...).count == 0 || sum(found["raft.index.record"]).sum < 50 {
		t.Errorf("%v records were counted, the highest that was told is %d", n, events.highest())
	}
	// What it has applied and not kept is applied again.
	h.shutdown()
	h.restart()
	until(t, h.group, "the rest to be applied", func(s Status) bool { return s.Applied >= 102 })
	if got := len(h.machine.list()); got != 100 || h.machine.restored != 0 {
		t.Errorf("%d commands, restored %d times", got, h.machine.restored)
	}
}

// TestDurableMachinesMakeNoSnapshot: the logs of durable machines stay bounded, and nobody
// copies anything until a follower that was away needs it: the leader builds a snapshot for
// it, once, and keeps the log behind that.
func TestDurableMachinesMakeNoSnapshot(t *testing.T) {
	hosts := newSavedCluster(t, 3, 3, func(c *GroupConfig) {
		quickElections(c)
		c.SnapshotEntries, c.KeepEntries, c.SnapshotChunkBytes = 50, 10, 64
		c.HoldBytesMax, c.HoldTimeMax = 8<<10, patience
		c.LogCacheBytesMax = 4 << 10
	})
	leader := leaderOf(t, hosts)
	away := others(hosts, leader)[0]
	away.shutdown()
	doubts := 0
	for i := range 400 {
		doubts += insist(t, leader.group, fmt.Appendf(nil, "command %d", i))
	}
	until(t, leader.group, "the log to be purged", func(s Status) bool { return s.Purged > 100 && s.SnapshotIndex == 0 && s.RecordIndex >= s.Purged })
	for _, h := range hosts {
		if _, _, views := h.kept.figures(); views != 0 {
			t.Errorf("node %d: %d views", h.id, views)
		}
	}
	away.restart()
	until(t, away.group, "the follower to catch up", func(s Status) bool { return s.Applied >= 400 })
	if away.machine.restored != 1 {
		t.Errorf("restored %d times", away.machine.restored)
	}
	doubts += insist(t, away.group, []byte("last"))
	converge(t, hosts)
	checkCommands(t, away, 401, doubts)
	for i := range 200 {
		doubts += insist(t, leader.group, fmt.Appendf(nil, "later %d", i))
	}
	until(t, leader.group, "the snapshot to be passed", func(s Status) bool { return s.RecordIndex > s.SnapshotIndex && s.Purged > s.SnapshotIndex })
}

// TestMachineIsLostBehindARecord: rule 24: the record does not stand in for the machine. It
// gets a snapshot; alone it stops.
func TestMachineIsLostBehindARecord(t *testing.T) {
	configure := func(c *GroupConfig) {
		quickElections(c)
		c.SnapshotEntries, c.KeepEntries = 50, 10
	}
	hosts := newSavedCluster(t, 3, 1, configure)
	leader := leaderOf(t, hosts)
	lost := others(hosts, leader)[0]
	for i := range 200 {
		insist(t, leader.group, fmt.Appendf(nil, "command %d", i))
	}
	until(t, lost.group, "the log to be purged", func(s Status) bool { return s.Purged > 100 && s.Applied >= 200 })
	lost.shutdown()
	lost.kept = &savedState{every: 1}
	lost.restart()
	after := until(t, lost.group, "the machine to be restored", func(s Status) bool { return s.Applied >= 200 })
	if after.LacksMachine || lost.machine.restored != 1 {
		t.Errorf("lacks its machine %t, restored %d times", after.LacksMachine, lost.machine.restored)
	}
	converge(t, hosts)

	alone := newSavedCluster(t, 1, 1, configure)[0]
	for i := range 200 {
		insist(t, alone.group, fmt.Appendf(nil, "command %d", i))
	}
	until(t, alone.group, "the log to be purged", func(s Status) bool { return s.Purged > 100 })
	alone.shutdown()
	if err := alone.store.Reopen(); err != nil {
		t.Fatal(err)
	}
	node, err := NewNode(NodeConfig{ID: 1, Store: alone.logs, Snapshots: alone.snapshots, Network: alone.hub.Network(address(1))})
	if err != nil {
		t.Fatal(err)
	}
	alone.node = node
	cfg := groupConfig(1, (&savedState{every: 1}).open(&listMachine{}))
	configure(&cfg)
	if _, err := node.Start(t.Context(), cfg); !errors.Is(err, core.ErrCorrupt) {
		t.Errorf("a sole voter without its machine starts: %v", err)
	}
}

// TestMachineThatDoesNotSay: one whose Applied stays where it was is copied, as before; one
// that says more than it was given has broken its contract.
func TestMachineThatDoesNotSay(t *testing.T) {
	hosts := newSavedCluster(t, 1, 1_000_000, func(c *GroupConfig) {
		quickElections(c)
		c.SnapshotEntries, c.KeepEntries = 20, 5
	})
	for i := range 100 {
		insist(t, hosts[0].group, fmt.Appendf(nil, "command %d", i))
	}
	until(t, hosts[0].group, "the log to be purged", func(s Status) bool { return s.Purged > 50 && s.SnapshotIndex > 50 && s.RecordIndex == 0 })
	hosts[0].shutdown()
	hosts[0].restart()
	until(t, hosts[0].group, "the machine to be restored", func(s Status) bool { return s.Applied > 100 })
	if hosts[0].machine.restored != 1 {
		t.Errorf("restored %d times", hosts[0].machine.restored)
	}

	a := &applyActor{applyNeeds: applyNeeds{machine: (&savedState{applied: id(2, 9)}).open(&listMachine{}), store: memory.New(1), group: 1}}
	for _, applied := range []core.LogID{id(2, 8), id(3, 9)} {
		if made, err := a.askDurable(core.Entry{LogID: applied}, 1); err == nil {
			t.Errorf("%v of %v", made.id, applied)
		}
	}
	if made, err := a.askDurable(core.Entry{LogID: id(2, 9), Time: 5}, 1); err != nil || made.id != id(2, 9) || made.time != 5 {
		t.Errorf("%+v, %v", made, err)
	}
	if _, err := a.askDurable(core.Entry{LogID: id(2, 12)}, 1); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("of an entry that the log has lost: %v", err)
	}
}

// plainSnapshots keeps no records.
type plainSnapshots struct{ storage.SnapshotStore }

// TestStoreWithoutRecords: a durable machine is copied as before.
func TestStoreWithoutRecords(t *testing.T) {
	n := &Node{snapshots: plainSnapshots{memory.NewSnapshots()}}
	durable, volatile := GroupConfig{StateMachine: &savedMachine{}}, GroupConfig{StateMachine: &listMachine{}}
	if n.records(durable) {
		t.Error("records without a store for them")
	}
	if record, err := n.loadRecord(t.Context(), durable, recovery{}); err != nil || record.Index != 0 {
		t.Errorf("%v, %v", record, err)
	}
	n.snapshots = memory.NewSnapshots()
	if !n.records(durable) || n.records(volatile) {
		t.Error("a volatile machine has no records, a durable one has")
	}
}
