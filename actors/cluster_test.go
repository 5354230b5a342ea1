package actors

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.opentelemetry.io/otel/metric"
	"go.uber.org/goleak"

	"github.com/trouperaft/troupe/actors/stage"
	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/network"
	"github.com/trouperaft/troupe/network/inproc"
	"github.com/trouperaft/troupe/storage"
	"github.com/trouperaft/troupe/storage/memory"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait of these tests.
const patience = 30 * time.Second

// listMachine keeps every command that it applied, in order.
type listMachine struct {
	storage.Volatile
	mu       sync.Mutex
	commands [][]byte
	applied  core.Index
	// onApply, if set, is called with each command first.
	onApply  func(command []byte) error
	restored int
}

func (m *listMachine) Apply(_ context.Context, entries []core.Entry) ([][]byte, error) {
	results := make([][]byte, len(entries))
	for i, e := range entries {
		if e.Index != m.applied+1 {
			return nil, fmt.Errorf("entry %d after %d", e.Index, m.applied)
		}
		m.applied = e.Index
		if e.Kind != core.EntryCommand {
			continue
		}
		if m.onApply != nil {
			if err := m.onApply(e.Data); err != nil {
				return nil, err
			}
		}
		m.mu.Lock()
		m.commands = append(m.commands, bytes.Clone(e.Data))
		m.mu.Unlock()
		results[i] = append([]byte("did "), e.Data...)
	}
	return results, nil
}

func (m *listMachine) list() [][]byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.commands[:len(m.commands):len(m.commands)]
}

type listView struct {
	applied  core.Index
	commands [][]byte
}

func (m *listMachine) View() (storage.SnapshotView, error) {
	return &listView{m.applied, m.list()}, nil
}

func (v *listView) WriteTo(w io.Writer) (int64, error) {
	var b bytes.Buffer
	_ = binary.Write(&b, binary.LittleEndian, uint64(v.applied))
	for _, c := range v.commands {
		_ = binary.Write(&b, binary.LittleEndian, uint32(len(c)))
		b.Write(c)
	}
	return b.WriteTo(w)
}

func (v *listView) Close() error { return nil }

func (m *listMachine) Restore(_ context.Context, r io.Reader) error {
	all, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.applied = core.Index(binary.LittleEndian.Uint64(all))
	m.commands = nil
	for rest := all[8:]; len(rest) > 0; {
		n := binary.LittleEndian.Uint32(rest)
		m.commands = append(m.commands, rest[4:4+n])
		rest = rest[4+n:]
	}
	m.restored++
	return nil
}

// host is one node of a test cluster.
type host struct {
	t         *testing.T
	hub       *inproc.Hub
	id        membership.NodeID
	store     *memory.Store
	logs      storage.LogStore // store, or something around it
	snapshots *memory.Snapshots
	node      *Node
	group     *Group
	machine   *listMachine
	configure func(*GroupConfig)
	// kept, if not nil, is where the machine keeps its state.
	kept *savedState
	// meter, foldsGroups and around, which puts something around the network, are
	// set before start.
	meter       metric.MeterProvider
	foldsGroups bool
	around      func(network.Network) network.Network
	env         stage.Environment // nil: production's
}

func address(id membership.NodeID) string { return fmt.Sprintf("host-%d", id) }

func newHost(t *testing.T, hub *inproc.Hub, id membership.NodeID, configure func(*GroupConfig)) *host {
	h := &host{t: t, hub: hub, id: id, store: memory.New(id), snapshots: memory.NewSnapshots(), configure: configure}
	h.logs = h.store
	t.Cleanup(h.shutdown)
	return h
}

func testLogger() *slog.Logger {
	if os.Getenv("TROUPE_TEST_LOG") == "" {
		return nil
	}
	return slog.New(slog.NewTextHandler(os.Stderr, nil))
}

func (h *host) start() {
	h.t.Helper()
	var err error
	var n network.Network = h.hub.Network(address(h.id))
	if h.around != nil {
		n = h.around(n)
	}
	h.node, err = NewNode(NodeConfig{
		ID: h.id, Store: h.logs, Snapshots: h.snapshots, Network: n,
		Environment: h.env, Logger: testLogger(), Meter: h.meter, MeterFoldsGroups: h.foldsGroups, MeterGroupHistograms: true,
	})
	if err != nil {
		h.t.Fatal(err)
	}
	h.machine = &listMachine{}
	var machine storage.StateMachine = h.machine
	if h.kept != nil {
		machine = h.kept.open(h.machine)
	}
	h.group = h.startGroup(1, machine)
}

func groupConfig(group membership.GroupID, machine storage.StateMachine) GroupConfig {
	return GroupConfig{
		Group: group, StateMachine: machine,
		Settings: core.Settings{
			ElectionTimeout: 3 * time.Second, HeartbeatInterval: 50 * time.Millisecond, HungLimit: 20 * time.Second, ClockDriftMax: 0.1, UncommittedBytesMax: 64 << 20,
		},
		CommandBytesMax: 1 << 20, InflightProposalsMax: 4096, InflightBytesMax: 64 << 20,
		LogCacheBytesMax: 64 << 20,
		MessageBytesMax:  1 << 20, EntriesPerMessageMax: 1024, WindowMessagesMax: 64, WindowBytesMax: 16 << 20,
		ApplyBatchEntriesMax: 1024, ApplyBatchBytesMax: 4 << 20,
		SnapshotChunkBytes: 1 << 20,
	}
}

func (h *host) startGroup(group membership.GroupID, machine storage.StateMachine) *Group {
	h.t.Helper()
	cfg := groupConfig(group, machine)
	cfg.Witness = Invariants{}
	if h.configure != nil {
		h.configure(&cfg)
	}
	g, err := h.node.Start(h.t.Context(), cfg)
	if err != nil {
		h.t.Fatal(err)
	}
	return g
}

// shutdown stops the node and closes its store, which keeps its data.
func (h *host) shutdown() {
	if h.node == nil {
		return
	}
	done := make(chan struct{})
	h.node.Stop(func() { close(done) })
	await(h.t, done, "the node to stop")
	h.node = nil
	if err := h.store.Close(); err != nil {
		h.t.Error(err)
	}
}

// restart starts a node that was shut down, on its old data.
func (h *host) restart() {
	h.t.Helper()
	if err := h.store.Reopen(); err != nil {
		h.t.Fatal(err)
	}
	h.start()
}

func await(t testing.TB, done <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(patience):
		t.Errorf("waited %v for %s", patience, what)
		panic("a test waited too long for " + what)
	}
}

// until waits until a status of the group says so.
func until(t testing.TB, g *Group, what string, ok func(Status) bool) Status {
	t.Helper()
	found := make(chan Status, 1)
	check := func(s Status) {
		if ok(s) {
			select {
			case found <- s:
			default:
			}
		}
	}
	cancel := g.Watch(check)
	defer cancel()
	check(g.Status())
	select {
	case s := <-found:
		return s
	case <-time.After(patience):
		t.Fatalf("waited %v for %s: %+v", patience, what, g.Status())
		return Status{}
	}
}

// call proposes and waits for the result.
func call(t testing.TB, g *Group, p *Proposal) *Proposal {
	t.Helper()
	done := make(chan struct{})
	p.Completed = func(*Proposal) { close(done) }
	g.Propose(p)
	await(t, done, "a proposal's result")
	return p
}

// quickElections is for tests that wait for a new leader. On a busy machine they
// may see one more often than they ask for, and have to insist.
func quickElections(c *GroupConfig) {
	c.ElectionTimeout, c.HeartbeatInterval = 300*time.Millisecond, 20*time.Millisecond
}

// insist proposes until the command is acknowledged. It returns how often it may
// have been applied before.
func insist(t testing.TB, g *Group, data []byte) (doubts int) {
	t.Helper()
	for {
		p := call(t, g, &Proposal{Data: data, WaitForRoom: true})
		var lost *core.LostError
		switch {
		case p.Err == nil:
			return doubts
		case core.MayHaveHappened(p.Err):
			doubts++
		case !errors.As(p.Err, &lost):
			t.Errorf("a proposal that waits: %v", p.Err)
			return doubts
		}
	}
}

func read(t testing.TB, g *Group) *Read {
	t.Helper()
	done := make(chan struct{})
	r := &Read{Completed: func(*Read) { close(done) }}
	g.ReadIndex(r)
	await(t, done, "a read's index")
	return r
}

func bootstrap(t testing.TB, g *Group, timeout time.Duration, members ...membership.Member) error {
	t.Helper()
	var result error
	done := make(chan struct{})
	g.Bootstrap(members, timeout, func(err error) { result = err; close(done) })
	await(t, done, "the bootstrap")
	return result
}

func members(ids ...membership.NodeID) []membership.Member {
	var ms []membership.Member
	for _, id := range ids {
		ms = append(ms, membership.Member{Identity: membership.Identity{ID: id}, Address: address(id)})
	}
	return ms
}

// newCluster starts hosts 1 to n and forms a cluster of them.
func newCluster(t *testing.T, n int, configure func(*GroupConfig)) []*host {
	t.Helper()
	return newClusterOf(t, n, configure, nil)
}

// newClusterOf is newCluster with something around the network of each host.
func newClusterOf(t *testing.T, n int, configure func(*GroupConfig), around func(network.Network) network.Network) []*host {
	t.Helper()
	hub := inproc.NewHub()
	var hosts []*host
	var ids []membership.NodeID
	for i := range n {
		id := membership.NodeID(i + 1)
		h := newHost(t, hub, id, configure)
		h.around = around
		h.start()
		hosts = append(hosts, h)
		ids = append(ids, id)
	}
	if err := bootstrap(t, hosts[0].group, patience, members(ids...)...); err != nil {
		t.Fatal(err)
	}
	leaderOf(t, hosts)
	return hosts
}

// leaderOf waits until one of the hosts leads and admits proposals.
func leaderOf(t testing.TB, hosts []*host) *host {
	t.Helper()
	ready := make(chan *host, 64)
	for _, h := range hosts {
		check := func(s Status) {
			if s.Ready {
				select {
				case ready <- h:
				default:
				}
			}
		}
		cancel := h.group.Watch(check)
		defer cancel()
		check(h.group.Status())
	}
	deadline := time.After(patience)
	for {
		select {
		case h := <-ready:
			if h.group.Status().Ready {
				return h
			}
		case <-deadline:
			t.Fatal("no leader")
		}
	}
}

func others(hosts []*host, h *host) []*host {
	var rest []*host
	for _, o := range hosts {
		if o != h {
			rest = append(rest, o)
		}
	}
	return rest
}

// converge waits until all machines hold the same number of commands, and
// compares them.
func converge(t *testing.T, hosts []*host) {
	t.Helper()
	leader := leaderOf(t, hosts)
	last := until(t, leader.group, "the leader to apply", func(s Status) bool { return s.Applied == s.Last }).Last
	for _, h := range hosts {
		until(t, h.group, fmt.Sprintf("node %d to apply %d", h.id, last), func(s Status) bool { return s.Applied >= last })
	}
	want := leader.machine.list()
	for _, h := range hosts {
		got := h.machine.list()
		if len(got) != len(want) {
			t.Fatalf("node %d has %d commands, the leader %d", h.id, len(got), len(want))
		}
		for i := range want {
			if !bytes.Equal(got[i], want[i]) {
				t.Fatalf("node %d, command %d: %q, the leader has %q", h.id, i, got[i], want[i])
			}
		}
	}
}

func TestClusterServesAllNodes(t *testing.T) {
	hosts := newCluster(t, 3, nil)
	for i, h := range hosts {
		p := call(t, h.group, &Proposal{Data: fmt.Appendf(nil, "command %d", i)})
		if p.Err != nil {
			t.Fatalf("node %d: %v", h.id, p.Err)
		}
		if want := fmt.Sprintf("did command %d", i); string(p.Value) != want {
			t.Errorf("node %d: value %q, want %q", h.id, p.Value, want)
		}
		if p.LogID.Index == 0 {
			t.Errorf("node %d: no LogID", h.id)
		}
		for _, o := range hosts {
			r := read(t, o.group)
			if r.Err != nil || r.Index < p.LogID.Index {
				t.Errorf("a read on node %d after a write at %v: index %d, %v", o.id, p.LogID, r.Index, r.Err)
			}
			if got := len(o.machine.list()); got != i+1 {
				t.Errorf("node %d has %d commands after a linearizable read, want %d", o.id, got, i+1)
			}
		}
	}
	converge(t, hosts)
}

func TestManyClients(t *testing.T) {
	hosts := newCluster(t, 3, nil)
	const clients, each = 64, 10_000 / 64
	var wg sync.WaitGroup
	var doubts atomic.Int64
	for c := range clients {
		wg.Go(func() {
			for i := range each {
				doubts.Add(int64(insist(t, hosts[c%3].group, fmt.Appendf(nil, "%d/%d", c, i))))
			}
		})
	}
	wg.Wait()
	converge(t, hosts)
	checkCommands(t, hosts[0], clients*each, int(doubts.Load()))
	for _, h := range hosts {
		allRoomReturned(t, h.group)
	}
}

// checkCommands checks that a machine holds so many different commands, and
// none twice that was not in doubt.
func checkCommands(t *testing.T, h *host, want, doubts int) {
	t.Helper()
	seen := make(map[string]int)
	twice := 0
	for _, c := range h.machine.list() {
		if seen[string(c)]++; seen[string(c)] > 1 {
			twice++
		}
	}
	if len(seen) != want || twice > doubts {
		t.Errorf("%d different commands, want %d; %d were applied again, %d were in doubt", len(seen), want, twice, doubts)
	}
}

func TestLeaderDiesAndComesBack(t *testing.T) {
	hosts := newCluster(t, 3, quickElections)
	first := leaderOf(t, hosts)
	doubts := insist(t, first.group, []byte("one"))
	first.shutdown()
	rest := others(hosts, first)
	// A proposal on a survivor waits for the new leader.
	doubts += insist(t, rest[0].group, []byte("two"))
	leaderOf(t, rest)
	first.restart()
	doubts += insist(t, first.group, []byte("three"))
	converge(t, hosts)
	checkCommands(t, first, 3, doubts)
}

// TestGroupStartsAnewBesideItsNode: a follower whose group was started again
// catches up although no connection broke and nobody writes.
func TestGroupStartsAnewBesideItsNode(t *testing.T) {
	hosts := newCluster(t, 3, nil)
	leader := leaderOf(t, hosts)
	for i := range 10 {
		insist(t, leader.group, []byte{byte(i)})
	}
	converge(t, hosts)
	h := others(hosts, leader)[0]
	ended := make(chan struct{})
	h.group.Stop(func(error) { close(ended) })
	await(t, ended, "the group to stop")
	h.machine = &listMachine{}
	h.group = h.startGroup(1, h.machine)
	converge(t, hosts)
	read(t, h.group)
}

func TestBootstrapNamesWhoIsInTheWay(t *testing.T) {
	hub := inproc.NewHub()
	h := newHost(t, hub, 1, nil)
	h.start()
	for name, list := range map[string]struct {
		members []membership.Member
		node    membership.NodeID
	}{
		"unreachable":     {members(1, 2), 2},
		"without oneself": {members(2, 3), 1},
		"twice":           {members(1, 2, 2), 2},
		"no address":      {append(members(1), membership.Member{Identity: membership.Identity{ID: 3}}), 3},
	} {
		err := bootstrap(t, h.group, 100*time.Millisecond, list.members...)
		var b *core.BootstrapError
		if !errors.As(err, &b) || b.Node != list.node {
			t.Errorf("%s: %v, want a BootstrapError of node %d", name, err, list.node)
		}
		if s := h.group.Status(); s.Last != 0 || s.Term != 0 {
			t.Errorf("%s: something was written: %+v", name, s)
		}
	}
	if err := bootstrap(t, h.group, patience, members(1)...); err != nil {
		t.Fatal(err)
	}
	if err := bootstrap(t, h.group, patience, members(1)...); err != nil {
		t.Errorf("the same list again: %v", err)
	}
	var b *core.BootstrapError
	if err := bootstrap(t, h.group, patience, members(1, 2)...); !errors.As(err, &b) {
		t.Errorf("another list: %v", err)
	}
	leaderOf(t, []*host{h})
	other := newHost(t, hub, 2, nil)
	other.start()
	if err := bootstrap(t, other.group, patience, members(1, 2)...); !errors.As(err, &b) || b.Node != 1 {
		t.Errorf("a member that is not empty: %v", err)
	}
}

// takesAll is a network that takes messages of any size.
func takesAll(core.NodeID, core.Class) int { return 0 }
