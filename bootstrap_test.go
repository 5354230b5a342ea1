package troupe_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/trouperaft/troupe"
	"github.com/trouperaft/troupe/network/tcp"
	"github.com/trouperaft/troupe/storage/memory"
)

// overTCP starts nodes with ids from 1 on that reach each other over TCP, and
// returns the list by which they may be bootstrapped. Prepare, if not nil, changes
// what a node is started with.
func overTCP(t *testing.T, nodes int, settings troupe.Config, network tcp.Config, prepare func(*troupe.NodeConfig)) (rafts []*troupe.Raft, list []troupe.Member) {
	t.Helper()
	for id := troupe.NodeID(1); id <= troupe.NodeID(nodes); id++ {
		network.Address = "127.0.0.1:0"
		net, err := tcp.Listen(network)
		if err != nil {
			t.Fatal(err)
		}
		node := troupe.NodeConfig{ID: id, Network: net, Log: memory.New(id), Snapshots: memory.NewSnapshots(), CheckInvariants: true}
		if prepare != nil {
			prepare(&node)
		}
		settings.StateMachine = &ledger{}
		raft, err := troupe.Start(t.Context(), node, settings)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(raft.Kill)
		rafts, list = append(rafts, raft), append(list, troupe.At(id, net.Address()))
	}
	return rafts, list
}

// everywhere bootstraps with a list on all nodes at once, on each twice, and
// returns the errors.
func everywhere(t *testing.T, rafts []*troupe.Raft, list []troupe.Member) []error {
	t.Helper()
	ctx := within(t, 20*time.Second)
	told := make(chan error)
	for _, raft := range slices.Concat(rafts, rafts) {
		go func() { told <- raft.Bootstrap(ctx, list...) }()
	}
	var errs []error
	for range 2 * len(rafts) {
		errs = append(errs, <-told)
	}
	return errs
}

// oneCluster asserts that all belong to the same cluster of all.
func oneCluster(t *testing.T, rafts []*troupe.Raft) troupe.ClusterID {
	t.Helper()
	first := rafts[0].Status().Cluster
	for _, raft := range rafts {
		s := raft.Status()
		if s.Cluster != first || first.IsZero() || len(s.Configuration.Voters) != len(rafts) || s.Bootstrapping || s.Role == troupe.RoleNone {
			t.Errorf("node %v is %v in cluster %v of %v, forming: %v; node 1 is in cluster %v", s.Self, s.Role, s.Cluster, s.Configuration, s.Bootstrapping, first)
		}
	}
	return first
}

// TestBootstrapEverywhere: the same list on all nodes at the same time, in
// whatever order, is one cluster, and each call returns nil once it is complete.
func TestBootstrapEverywhere(t *testing.T) {
	for name, start := range map[string]func(*testing.T) ([]*troupe.Raft, []troupe.Member){
		"inproc": func(t *testing.T) (rafts []*troupe.Raft, list []troupe.Member) {
			c := newCluster(t, 3, config())
			for _, m := range c.members {
				rafts = append(rafts, m.raft)
			}
			return rafts, c.list()
		},
		"tcp": func(t *testing.T) ([]*troupe.Raft, []troupe.Member) {
			return overTCP(t, 3, config(), tcp.Config{}, nil)
		},
	} {
		t.Run(name, func(t *testing.T) {
			for range 3 {
				rafts, list := start(t)
				for _, raft := range rafts {
					if s := raft.Status(); s.Role != troupe.RoleNone || !s.Cluster.IsZero() {
						t.Errorf("before it is formed: %+v", s)
					}
				}
				if err := errors.Join(everywhere(t, rafts, list)...); err != nil {
					t.Fatal(err)
				}
				cluster := oneCluster(t, rafts)
				if _, err := rafts[2].Propose(within(t, 20*time.Second), []byte("a")); err != nil {
					t.Error(err)
				}
				slices.Reverse(list)
				if err := errors.Join(everywhere(t, rafts, list)...); err != nil {
					t.Errorf("the same list again: %v", err)
				}
				for i, err := range everywhere(t, rafts, list[:2]) {
					var refused *troupe.BootstrapError
					if !errors.As(err, &refused) {
						t.Errorf("call %d of another list: %v", i, err)
					}
				}
				if got := oneCluster(t, rafts); got != cluster {
					t.Errorf("cluster %v has become %v", cluster, got)
				}
				for _, raft := range rafts {
					raft.Kill()
				}
			}
		})
	}
}

// TestBootstrapComparesWholeLists: priorities and tags belong to a list as ids
// and addresses do.
func TestBootstrapComparesWholeLists(t *testing.T) {
	c, list := taggedCluster(t, 2)
	if err := c.members[1].raft.Bootstrap(within(t, 20*time.Second), list...); err != nil {
		t.Errorf("the same list: %v", err)
	}
	for name, change := range map[string]func(*troupe.Member){
		"tag":      func(m *troupe.Member) { m.Tags = map[string]string{"zone": "b"} },
		"priority": func(m *troupe.Member) { m.Priority++ },
		"address":  func(m *troupe.Member) { m.Address = "elsewhere" },
		"id":       func(m *troupe.Member) { m.ID = 7 },
	} {
		other := slices.Clone(list)
		change(&other[1])
		err := c.members[0].raft.Bootstrap(within(t, 20*time.Second), other...)
		if e := asError[*troupe.BootstrapError](t, err); e.Node != 1 || !strings.Contains(e.Reason, "another list") {
			t.Errorf("another %s: %v", name, err)
		}
	}
}

// TestBootstrapIsLeft: whoever stops to wait is told for whom, and why; the same
// list may be tried again at once, and another one too.
func TestBootstrapIsLeft(t *testing.T) {
	c := newCluster(t, 2, config())
	raft := c.members[0].raft
	list := append(c.list(), troupe.At(3, "nowhere"))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	told := make(chan error, 1)
	go func() { told <- raft.Bootstrap(ctx, list...) }()
	waits := func(s troupe.Status) bool {
		return len(s.WaitsFor) == 1 && s.WaitsFor[0].Node == 3 && strings.HasPrefix(s.WaitsFor[0].Why, "unreachable: ")
	}
	if err := raft.Wait(within(t, 20*time.Second), waits); err != nil {
		t.Fatalf("%v: the status is %+v", err, raft.Status())
	}
	if s := raft.Status(); s.Bootstrapping || s.Role != troupe.RoleNone {
		t.Errorf("nothing was begun, and the status is %+v", s)
	}
	another := append(c.list(), troupe.At(4, "nowhere"))
	asError[*troupe.BootstrapError](t, raft.Bootstrap(within(t, 20*time.Second), another...))
	cancel()
	err := <-told
	e := asError[*troupe.FormingError](t, err)
	if e.Begun || len(e.WaitsFor) != 1 || e.WaitsFor[0].Node != 3 || !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "node 3: unreachable: ") {
		t.Errorf("the caller that left is told %+v: %v", e, err)
	}
	err = raft.Bootstrap(saying(t, 2*time.Second), list...)
	if e := asError[*troupe.BootstrapError](t, err); e.Node != 3 || !strings.Contains(e.Reason, "does not answer") {
		t.Errorf("the same list again: %v", err)
	}
	if err := raft.Bootstrap(within(t, 20*time.Second), c.list()...); err != nil {
		t.Errorf("a list of those who are there: %v", err)
	}
}

// TestBootstrapOfAnEmptiedMember: a node that lost its data is told that the
// cluster knows it as another, and does not take part.
func TestBootstrapOfAnEmptiedMember(t *testing.T) {
	c := formed(t, 3, config())
	leader, emptied := c.leader(), c.follower()
	leader.propose(t, "a")
	emptied.raft.Kill()
	emptied.store, emptied.snapshots = memory.New(emptied.id), memory.NewSnapshots()
	c.start(emptied, config())
	err := emptied.raft.Bootstrap(within(t, 20*time.Second), c.list()...)
	if e := asError[*troupe.BootstrapError](t, err); e.Node != emptied.id || !strings.Contains(e.Reason, "lost") {
		t.Errorf("an emptied member is told %v", err)
	}
	if s := emptied.raft.Status(); s.Role != troupe.RoleNone || !s.Cluster.IsZero() {
		t.Errorf("it is %v in cluster %v", s.Role, s.Cluster)
	}
	if _, err := emptied.raft.Propose(t.Context(), []byte("b"), troupe.FailWithoutLeader()); !errors.Is(err, troupe.ErrNoCluster) {
		t.Errorf("a write there is told %v", err)
	}
	leader.propose(t, "c")
}

// TestBootstrapIsDurable: a cluster of one is not formed before its configuration is on
// the disk.
func TestBootstrapIsDurable(t *testing.T) {
	held := &heldStore{kind: troupe.EntryConfiguration, begun: make(chan struct{}), release: make(chan struct{})}
	held.armed.Store(true)
	c := newCluster(t, 1, config(), func(m *member) {
		m.log = func(s troupe.LogStore) troupe.LogStore {
			held.LogStore = s
			return held
		}
	})
	raft, formed := c.members[0].raft, make(chan error, 1)
	go func() { formed <- raft.Bootstrap(within(t, 20*time.Second), c.list()...) }()
	<-held.begun
	if err := raft.Wait(within(t, 20*time.Second), func(s troupe.Status) bool { return s.Last > 0 }); err != nil {
		t.Error(err)
	}
	select {
	case err := <-formed:
		t.Errorf("it ended with %v, and nothing is on the disk", err)
		formed <- err
	case <-time.After(50 * time.Millisecond): // it has nothing left to wait for but the disk
	}
	held.armed.Store(false)
	close(held.release)
	if err := <-formed; err != nil || raft.Status().Committed == 0 {
		t.Errorf("%v, committed %d", err, raft.Status().Committed)
	}
}

// TestPinnedCluster: a cluster is begun under the id that is pinned, and a node
// that is pinned to another does not take part in it.
func TestPinnedCluster(t *testing.T) {
	pin, err := troupe.ParseClusterID(strings.Repeat("a7", 16))
	if err != nil {
		t.Fatal(err)
	}
	settings := config()
	settings.Cluster = pin
	c := formed(t, 2, settings)
	for _, m := range c.members {
		if got := m.raft.Status().Cluster; got != pin || got.Secret() != strings.Repeat("a7", 16) {
			t.Errorf("node %d belongs to cluster %v, want %v", m.id, got, pin)
		}
		if text := fmt.Sprintf("%v %s %x %+v", pin, pin, pin, m.raft.Status()); strings.Contains(text, "a7a7") {
			t.Errorf("the id is printed: %s", text)
		}
	}
	member := c.members[1]
	member.raft.Kill()
	settings.Cluster = troupe.ClusterID{1}
	settings.StateMachine = &ledger{}
	if err := errors.Join(member.store.Close(), member.store.Reopen()); err != nil {
		t.Fatal(err)
	}
	_, err = troupe.Start(t.Context(), troupe.NodeConfig{ID: member.id, Network: c.hub.Network("elsewhere"), Log: member.store, Snapshots: member.snapshots}, settings)
	if err == nil || !strings.Contains(err.Error(), "pinned") {
		t.Errorf("pinned to another cluster than its data: %v", err)
	}
}
