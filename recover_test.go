package troupe_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/trouperaft/troupe"
)

// recover recovers a member that does not run, and starts it again.
func (c *cluster) recover(m *member, settings troupe.Config, change ...func(*troupe.RecoverConfig)) []troupe.GroupRecovery {
	c.t.Helper()
	groups, err := c.tryRecover(m, change...)
	if err != nil || len(groups) != 1 || !groups[0].Done {
		c.t.Fatalf("recovery of node %d: %+v, %v", m.id, groups, err)
	}
	c.restart(m, settings)
	return groups
}

func (c *cluster) tryRecover(m *member, change ...func(*troupe.RecoverConfig)) ([]troupe.GroupRecovery, error) {
	c.t.Helper()
	config := troupe.RecoverConfig{Log: m.store, Snapshots: m.snapshots, Network: c.hub.Network(fmt.Sprintf("recover-%d", m.id)), AskLimit: 500 * time.Millisecond}
	for _, f := range change {
		f(&config)
	}
	return troupe.Recover(c.t.Context(), config)
}

// patiently gives who is there the time to answer.
func patiently(r *troupe.RecoverConfig) { r.AskLimit = 3 * time.Second }

// leads waits until a member leads and is ready.
func (m *member) leads(t *testing.T) {
	t.Helper()
	if err := m.raft.Wait(within(t, 20*time.Second), func(s troupe.Status) bool { return s.Role == troupe.RoleLeader && s.Ready }); err != nil {
		t.Fatalf("node %d does not lead: %v: %+v", m.id, err, m.raft.Status())
	}
}

// TestRecover: of three members a survivor goes on alone, with all that was acknowledged.
// Then the majority that was lost comes back: it leads itself, and reaches nothing here.
// One of it comes in with an empty store.
func TestRecover(t *testing.T) {
	settings := config()
	settings.SnapshotEntries, settings.KeepEntries = 5, 1
	c := formed(t, 3, settings)
	for i := range 12 {
		c.members[i%3].propose(t, fmt.Sprint("before ", i))
	}
	survivor, old := c.members[2], c.members[:2]
	want := survivor.read(t)
	was := survivor.raft.Status()
	for _, m := range c.members {
		m.raft.Kill()
	}

	if err := errors.Join(survivor.store.Close(), survivor.store.Inspect()); err != nil {
		t.Fatal(err)
	}
	plan, err := c.tryRecover(survivor, func(r *troupe.RecoverConfig) { r.DryRun = true })
	if err != nil || len(plan) != 1 || plan[0].Done || plan[0].Alone || len(plan[0].Others) != 2 || plan[0].Last.Index < was.Last || plan[0].MayAppear() > 12 ||
		plan[0].Before != was.Cluster || plan[0].Cluster == was.Cluster || plan[0].NewTerm != plan[0].Term+1<<20 || !plan[0].Others[0].Voter || plan[0].Address != address(3) {
		t.Fatalf("the plan is %+v, %v", plan, err)
	}
	if err := errors.Join(survivor.store.Close(), survivor.store.Reopen()); err != nil {
		t.Fatal(err)
	}
	got := c.recover(survivor, settings)
	survivor.leads(t)
	if s := survivor.raft.Status(); s.Cluster != got[0].Cluster || s.Term <= got[0].NewTerm || !s.Configuration.IsSoleVoter(got[0].Self) {
		t.Errorf("the survivor is %+v", s)
	}
	if there := survivor.read(t); !slices.Equal(there, want) {
		t.Errorf("it has %q, want %q", there, want)
	}

	events := make(chan troupe.Event, 100)
	for _, m := range old {
		// It is told once, and not before somebody listens.
		c.hub.Cut(m.id, survivor.id)
		c.restart(m, settings)
		told := m.raft.Events(t.Context())
		c.hub.Heal(m.id, survivor.id)
		go func() {
			for e := range told {
				if e.Kind == troupe.EventLeftBehind {
					events <- e
				}
			}
		}()
	}
	select {
	case e := <-events:
		if e.Peer != got[0].Self {
			t.Errorf("left behind by %v", e.Peer)
		}
	case <-time.After(20 * time.Second):
		t.Error("no old member says that it was left behind")
	}
	old[0].propose(t, "of the old majority")
	survivor.propose(t, "of the survivor")
	if there := survivor.read(t); !slices.Equal(there, append(slices.Clone(want), "of the survivor")) {
		t.Errorf("the survivor has %q", there)
	}
	if there := old[1].read(t); !slices.Contains(there, "of the old majority") || slices.Contains(there, "of the survivor") {
		t.Errorf("the old majority has %q", there)
	}
	_, err = survivor.raft.ChangeMembers(within(t, 20*time.Second), []troupe.Change{troupe.Add(1, address(1))})
	if refused := asError[*troupe.ChangeError](t, err); refused.Reason != troupe.ChangeOtherCluster {
		t.Errorf("an old member with its data: %v", err)
	}

	old[0].raft.Kill()
	old[0].empty()
	c.start(old[0], settings)
	members, err := survivor.raft.ChangeMembers(within(t, 20*time.Second), []troupe.Change{troupe.Add(1, address(1))})
	if err != nil || !votersAre(&members, 1, 3) {
		t.Fatalf("%v, %v", members, err)
	}
	if there := old[0].read(t); !slices.Equal(there, append(slices.Clone(want), "of the survivor")) {
		t.Errorf("the newcomer has %q", there)
	}
}

// TestTwoSurvivorsRecovered: each goes on in a cluster of its own, and neither counts in
// the other's.
func TestTwoSurvivorsRecovered(t *testing.T) {
	c := formed(t, 3, config())
	c.members[0].propose(t, "before")
	two, three := c.members[1], c.members[2]
	three.read(t)
	for _, m := range c.members {
		m.raft.Kill()
	}
	a, b := c.recover(two, config()), []troupe.GroupRecovery(nil)
	if _, err := c.tryRecover(three, patiently); asError[*troupe.RecoverError](t, err).Node != 2 {
		t.Errorf("a survivor that was recovered answers: %v", err)
	}
	b = c.recover(three, config(), func(r *troupe.RecoverConfig) { r.Force = true })
	two.leads(t)
	three.leads(t)
	if a[0].Cluster == b[0].Cluster {
		t.Fatal("both are one cluster")
	}
	two.propose(t, "two")
	three.propose(t, "three")
	for m, other := range map[*member]*member{two: three, three: two} {
		_, err := m.raft.ChangeMembers(within(t, 20*time.Second), []troupe.Change{troupe.Add(other.id, address(other.id))})
		if asError[*troupe.ChangeError](t, err).Reason != troupe.ChangeOtherCluster {
			t.Errorf("node %d takes node %d in: %v", m.id, other.id, err)
		}
	}
	for m, want := range map[*member][]string{two: {"before", "two"}, three: {"before", "three"}} {
		if got := m.read(t); !slices.Equal(got, want) {
			t.Errorf("node %d has %q", m.id, got)
		}
	}
}

// TestRecoverRefuses: what stands in the way is named, and nothing is written.
func TestRecoverRefuses(t *testing.T) {
	c := formed(t, 3, config())
	c.members[0].propose(t, "before")
	survivor := c.members[2]
	survivor.read(t)
	if _, err := c.tryRecover(survivor); err == nil || !errors.As(err, new(*troupe.StillRunningError)) {
		t.Errorf("beside a node that runs: %v", err)
	}
	survivor.raft.Kill()
	c.members[0].raft.Kill()
	groups, err := c.tryRecover(survivor, patiently)
	if refused := asError[*troupe.RecoverError](t, err); refused.Node != 2 || refused.Group != 1 || len(groups) != 1 || groups[0].Done || !groups[0].Others[1].Alive || groups[0].Others[0].Alive {
		t.Errorf("beside a member that answers: %v, %+v", err, groups)
	}
	c.members[1].raft.Kill()
	// One that has lost its data holds nothing that could be missed.
	c.members[1].empty()
	c.start(c.members[1], config())
	if groups, err := c.tryRecover(survivor, patiently, func(r *troupe.RecoverConfig) { r.DryRun = true }); err != nil || groups[0].Others[1].Alive || !strings.Contains(groups[0].Others[1].Said, "holds nothing") {
		t.Errorf("beside one that is empty: %v, %+v", err, groups)
	}
	for name, change := range map[string]func(*troupe.RecoverConfig){
		"Log":                   func(r *troupe.RecoverConfig) { r.Log = nil },
		"Snapshots":             func(r *troupe.RecoverConfig) { r.Snapshots = nil },
		"Network":               func(r *troupe.RecoverConfig) { r.Network = nil },
		"AskLimit":              func(r *troupe.RecoverConfig) { r.AskLimit = -1 },
		"Address":               func(r *troupe.RecoverConfig) { r.Address = "0.0.0.0:1" },
		"Groups, and the store": func(r *troupe.RecoverConfig) { r.Log = struct{ troupe.LogStore }{r.Log} },
	} {
		_, err := c.tryRecover(survivor, change)
		if field, _, _ := strings.Cut(name, ","); asError[*troupe.ConfigError](t, err).Field != "RecoverConfig."+field {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err = c.tryRecover(survivor, func(r *troupe.RecoverConfig) { r.Groups = []troupe.GroupID{7} })
	if !errors.Is(err, troupe.ErrNoCluster) || asError[*troupe.RecoverError](t, err).Group != 7 {
		t.Errorf("a group that holds nothing: %v", err)
	}
	// Nothing of it was written: the node is the member that it was.
	c.restart(survivor, config())
	c.restart(c.members[0], config())
	survivor.propose(t, "after")
}

// TestPinnedClusterIsRecovered: who pins the id of the cluster before is told that it was
// recovered.
func TestPinnedClusterIsRecovered(t *testing.T) {
	settings := config()
	settings.Cluster = troupe.ClusterID{7}
	c := formed(t, 3, settings)
	survivor := c.members[0]
	for _, m := range c.members {
		m.raft.Kill()
	}
	groups, err := c.tryRecover(survivor)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(survivor.store.Close(), survivor.store.Reopen()); err != nil {
		t.Fatal(err)
	}
	settings.StateMachine = &ledger{}
	_, err = troupe.Start(t.Context(), troupe.NodeConfig{ID: 1, Network: c.hub.Network(address(1)), Log: survivor.store, Snapshots: survivor.snapshots}, settings)
	for _, says := range []string{"pinned to " + settings.Cluster.String(), "belongs to cluster " + groups[0].Cluster.String(), "recovered"} {
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("the error does not say %q: %v", says, err)
		}
	}
	settings.Cluster, settings.StateMachine = groups[0].Cluster, nil
	c.restart(survivor, settings)
	survivor.leads(t)
}

// cutNetwork fails.
type cutNetwork struct{ troupe.Network }

func (cutNetwork) Close() error { return io.ErrClosedPipe }

// TestRecoverEndsWithItsContext, and tells what the network could not do.
func TestRecoverEndsWithItsContext(t *testing.T) {
	c := formed(t, 2, config())
	for _, m := range c.members {
		m.raft.Kill()
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	m := c.members[0]
	config := troupe.RecoverConfig{Log: m.store, Snapshots: m.snapshots, Network: c.hub.Network("recover"), AskLimit: time.Hour}
	if _, err := troupe.Recover(ctx, config); !errors.Is(err, context.Canceled) {
		t.Errorf("its context has ended: %v", err)
	}
	config.Network, config.AskLimit = cutNetwork{c.hub.Network("recover")}, time.Millisecond
	groups, err := troupe.Recover(t.Context(), config)
	if !errors.Is(err, io.ErrClosedPipe) || len(groups) != 1 || groups[0].Done {
		t.Errorf("its network fails: %v, %+v", err, groups)
	}
	config.Network.(cutNetwork).Network.Close()
}
