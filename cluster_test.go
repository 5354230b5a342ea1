package troupe_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/metric"

	"github.com/trouperaft/troupe"
	"github.com/trouperaft/troupe/network/inproc"
	"github.com/trouperaft/troupe/storage/memory"
	"github.com/trouperaft/troupe/tracing"
)

// ledger is the state machine of the tests: the commands in their order. Its
// results say how many there are.
type ledger struct {
	troupe.Volatile

	// before, if not nil, is called before each command is applied.
	before func(command string) error

	// version is what it says of itself.
	version uint64

	mu       sync.Mutex
	commands []string
}

// Version implements storage.Versioned.
func (l *ledger) Version() uint64 { return l.version }

func (l *ledger) Apply(_ context.Context, entries []troupe.Entry) ([][]byte, error) {
	results := make([][]byte, len(entries))
	for i, e := range entries {
		if e.Kind != troupe.EntryCommand {
			continue
		}
		if l.before != nil {
			if err := l.before(string(e.Data)); err != nil {
				return nil, err
			}
		}
		l.mu.Lock()
		l.commands = append(l.commands, string(e.Data))
		results[i] = fmt.Append(nil, len(l.commands))
		l.mu.Unlock()
	}
	return results, nil
}

func (l *ledger) content() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.commands)
}

func (l *ledger) View() (troupe.SnapshotView, error) {
	return ledgerView{strings.NewReader(strings.Join(l.content(), "\n"))}, nil
}

func (l *ledger) Restore(_ context.Context, r io.Reader) error {
	text, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.commands = nil
	if len(text) > 0 {
		l.commands = strings.Split(string(text), "\n")
	}
	return nil
}

type ledgerView struct{ *strings.Reader }

func (ledgerView) Close() error { return nil }

// member is one node of a test's cluster, with a single group.
type member struct {
	id        troupe.NodeID
	store     *memory.Store
	snapshots *memory.Snapshots
	machine   *ledger
	raft      *troupe.Raft
	version   uint64 // of machines that are made from now on
	tracing   tracing.Config
	logger    *slog.Logger

	// log and network, if not nil, stand before the member's own.
	log     func(troupe.LogStore) troupe.LogStore
	network func(troupe.Network) troupe.Network
	// keeps and machineOf, if not nil, are in place of snapshots and machine.
	keeps     troupe.SnapshotStore
	machineOf func() troupe.StateMachine
	meter     metric.MeterProvider
}

// cluster is some nodes in one process that keep everything in memory.
type cluster struct {
	t       *testing.T
	hub     *inproc.Hub
	members []*member
}

const electionTimeout = 300 * time.Millisecond

func config() troupe.Config { return troupe.Config{ElectionTimeout: electionTimeout} }

func newMember(id troupe.NodeID) *member {
	return &member{id: id, store: memory.New(id), snapshots: memory.NewSnapshots()}
}

// newCluster starts nodes with ids from 1 on, and does not bootstrap them.
func newCluster(t *testing.T, nodes int, settings troupe.Config, prepare ...func(*member)) *cluster {
	t.Helper()
	c := &cluster{t: t, hub: inproc.NewHub()}
	for i := range nodes {
		id := troupe.NodeID(i + 1)
		m := newMember(id)
		for _, p := range prepare {
			p(m)
		}
		c.start(m, settings)
		c.members = append(c.members, m)
	}
	t.Cleanup(func() {
		for _, m := range c.members {
			m.raft.Kill()
		}
	})
	return c
}

func address(id troupe.NodeID) string { return fmt.Sprintf("node-%d", id) }

func (c *cluster) start(m *member, settings troupe.Config) {
	c.t.Helper()
	if m.machineOf != nil {
		settings.StateMachine = m.machineOf()
	}
	if settings.StateMachine == nil {
		m.machine = &ledger{version: m.version}
		settings.StateMachine = m.machine
	}
	node := troupe.NodeConfig{
		ID:              m.id,
		Network:         c.hub.Network(address(m.id)),
		Log:             m.store,
		Snapshots:       m.snapshots,
		Tracing:         m.tracing,
		Logger:          m.logger,
		Meter:           m.meter,
		CheckInvariants: true,
	}
	if m.keeps != nil {
		node.Snapshots = m.keeps
	}
	if m.log != nil {
		node.Log = m.log(node.Log)
	}
	if m.network != nil {
		node.Network = m.network(node.Network)
	}
	raft, err := troupe.Start(c.t.Context(), node, settings)
	if err != nil {
		c.t.Fatalf("node %d: %v", m.id, err)
	}
	m.raft = raft
}

// restart starts a member that was stopped, with what it has kept.
func (c *cluster) restart(m *member, settings troupe.Config) {
	c.t.Helper()
	if err := errors.Join(m.store.Close(), m.store.Reopen()); err != nil {
		c.t.Fatal(err)
	}
	c.start(m, settings)
}

// empty takes the data of a member that was stopped away.
func (m *member) empty() { m.store, m.snapshots = memory.New(m.id), memory.NewSnapshots() }

// list is what Bootstrap is given.
func (c *cluster) list() []troupe.Member {
	var list []troupe.Member
	for _, m := range c.members {
		list = append(list, troupe.At(m.id, address(m.id)))
	}
	return list
}

// formed starts a cluster and bootstraps it.
func formed(t *testing.T, nodes int, settings troupe.Config, prepare ...func(*member)) *cluster {
	t.Helper()
	c := newCluster(t, nodes, settings, prepare...)
	if err := c.members[0].raft.Bootstrap(within(t, 20*time.Second), c.list()...); err != nil {
		t.Fatalf("bootstrap: %v", err)
	}
	return c
}

// leader waits until the running members agree on one that runs.
func (c *cluster) leader() *member {
	c.t.Helper()
	var leader *member
	for _, m := range c.running() {
		err := m.raft.Wait(within(c.t, 20*time.Second), func(s troupe.Status) bool {
			i := slices.IndexFunc(c.running(), func(m *member) bool { return m.id == s.Leader })
			if i >= 0 {
				leader = c.running()[i]
			}
			return i >= 0 && len(s.Configuration.Voters) == len(c.members)
		})
		if err != nil {
			c.t.Fatalf("node %d knows no leader: %v", m.id, err)
		}
	}
	return leader
}

func (c *cluster) running() []*member {
	return slices.DeleteFunc(slices.Clone(c.members), func(m *member) bool {
		select {
		case <-m.raft.Done():
			return true
		default:
			return false
		}
	})
}

// follower is a running member that does not lead.
func (c *cluster) follower() *member {
	leader := c.leader()
	running := c.running()
	return running[slices.IndexFunc(running, func(m *member) bool { return m != leader })]
}

func (m *member) propose(t *testing.T, command string) troupe.Result {
	t.Helper()
	result, err := m.raft.Propose(within(t, 20*time.Second), []byte(command))
	if err != nil {
		t.Fatalf("propose %q on node %d: %v", command, m.id, err)
	}
	return result
}

// read returns what the node's machine holds at a linearizable read.
func (m *member) read(t *testing.T) []string {
	t.Helper()
	if _, err := m.raft.ReadIndex(within(t, 20*time.Second), troupe.Linearizable); err != nil {
		t.Fatalf("read on node %d: %v", m.id, err)
	}
	return m.machine.content()
}

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// saying is a context that says it ends after d. Of that a call takes a part for what it
// waits for. It ends much later: a busy machine is to have time to answer what became of it.
func saying(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	return saysDeadline{within(t, 20*time.Second), time.Now().Add(d)}
}

type saysDeadline struct {
	context.Context
	at time.Time
}

func (c saysDeadline) Deadline() (time.Time, bool) { return c.at, true }

// asError asserts that err is or wraps a T, and returns it.
func asError[T error](t *testing.T, err error) T {
	t.Helper()
	var target T
	if !errors.As(err, &target) {
		t.Fatalf("the error is %T %v, want a %T", err, err, target)
	}
	return target
}
