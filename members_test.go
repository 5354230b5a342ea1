package troupe_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/trouperaft/troupe"
	"github.com/trouperaft/troupe/storage/memory"
)

// formedOf is a cluster of all nodes of which only the first so many were asked for.
func formedOf(t *testing.T, nodes, founders int, settings troupe.Config) *cluster {
	t.Helper()
	c := newCluster(t, nodes, settings)
	if err := c.members[0].raft.Bootstrap(within(t, 20*time.Second), c.list()[:founders]...); err != nil {
		t.Fatal(err)
	}
	return c
}

// votersAre compares the voters of a configuration.
func votersAre(c *troupe.Configuration, ids ...troupe.NodeID) bool {
	var got []troupe.NodeID
	for _, v := range c.Voters {
		got = append(got, v.ID)
	}
	return !c.Joint() && c.Target == nil && slices.Equal(got, ids)
}

// TestChangeMembers grows a cluster from one to three to five, replaces some, and shrinks
// it to one that did not lead, each time asked of another node, while writes go on.
func TestChangeMembers(t *testing.T) {
	c := formedOf(t, 5, 1, config())
	writes := newWriter(c)
	defer writes.stop(t)
	change := func(asked int, want []troupe.NodeID, changes ...troupe.Change) {
		t.Helper()
		got, err := c.members[asked-1].raft.ChangeMembers(within(t, 20*time.Second), changes)
		if err != nil || !votersAre(&got, want...) {
			t.Fatalf("%v: %v, %v; want %v", changes, got, err, want)
		}
	}
	change(1, []troupe.NodeID{1, 2, 3}, troupe.Add(2, address(2)), troupe.Add(3, address(3)))
	change(3, []troupe.NodeID{1, 2, 3, 4, 5}, troupe.Add(5, address(5)), troupe.Add(4, address(4)))
	change(2, []troupe.NodeID{2, 3, 4, 5}, troupe.Remove(1))
	change(5, []troupe.NodeID{2, 4, 5}, troupe.SetVoters(2, 4, 5))
	change(4, []troupe.NodeID{1, 2, 4}, troupe.Add(1, address(1)), troupe.Demote(5))
	change(4, []troupe.NodeID{4}, troupe.SetVoters(4))
	if _, err := c.members[1].raft.Propose(within(t, 20*time.Second), []byte("late")); !errors.Is(err, troupe.ErrRemoved) || troupe.MayHaveHappened(err) {
		t.Errorf("a write on a node that was removed: %v", err)
	}
	if _, err := c.members[1].raft.ReadIndex(within(t, 20*time.Second), troupe.Linearizable); !errors.Is(err, troupe.ErrRemoved) {
		t.Errorf("a read on a node that was removed: %v", err)
	}
	if _, err := c.members[1].raft.ChangeMembers(within(t, 20*time.Second), []troupe.Change{troupe.Remove(4)}); !errors.Is(err, troupe.ErrRemoved) {
		t.Errorf("a change on a node that was removed: %v", err)
	}
	if s := c.members[1].raft.Status(); !s.Removed || s.Role == troupe.RoleLeader {
		t.Errorf("its status is %+v", s)
	}
	written := writes.stop(t)
	if got := c.members[3].read(t); !containsAll(got, written) {
		t.Errorf("%d were acknowledged, and %d are there", len(written), len(got))
	}
}

// writer writes one command after the other, on any node that does not refuse.
type writer struct {
	c       *cluster
	end     context.CancelFunc
	done    sync.WaitGroup
	written []string
	longest time.Duration
}

func newWriter(c *cluster) *writer {
	ctx, end := context.WithCancel(context.Background())
	w := &writer{c: c, end: end}
	w.done.Go(func() {
		last := time.Now()
		for i := 0; ctx.Err() == nil; i++ {
			command := fmt.Sprintf("write %d", i)
			_, err := c.members[i%len(c.members)].raft.Propose(ctx, []byte(command), troupe.FailWithoutLeader())
			if err == nil {
				w.written = append(w.written, command)
				w.longest = max(w.longest, time.Since(last))
				last = time.Now()
			}
		}
	})
	return w
}

// stop ends it, and returns what was acknowledged.
func (w *writer) stop(t *testing.T) []string {
	w.end()
	w.done.Wait()
	t.Logf("%d writes, the longest pause was %v", len(w.written), w.longest)
	return w.written
}

func containsAll(got, want []string) bool {
	there := make(map[string]bool, len(got))
	for _, command := range got {
		there[command] = true
	}
	return !slices.ContainsFunc(want, func(command string) bool { return !there[command] })
}

// TestChangeMatrix: openraft's list, from each set to the other, while writes go on.
func TestChangeMatrix(t *testing.T) {
	for _, test := range []struct{ from, to []troupe.NodeID }{
		{[]troupe.NodeID{1}, []troupe.NodeID{1, 2}}, {[]troupe.NodeID{1}, []troupe.NodeID{2, 3}}, {[]troupe.NodeID{1}, []troupe.NodeID{2, 3, 4}},
		{[]troupe.NodeID{1, 2}, []troupe.NodeID{2, 3}}, {[]troupe.NodeID{1, 2}, []troupe.NodeID{2}}, {[]troupe.NodeID{1, 2}, []troupe.NodeID{3}}, {[]troupe.NodeID{1, 2}, []troupe.NodeID{4}},
		{[]troupe.NodeID{1, 2, 3}, []troupe.NodeID{5}}, {[]troupe.NodeID{1, 2, 3}, []troupe.NodeID{5, 6, 7}}, {[]troupe.NodeID{1, 2, 3, 4, 5}, []troupe.NodeID{1, 2, 3, 4}},
	} {
		t.Run(fmt.Sprintf("%v to %v", test.from, test.to), func(t *testing.T) {
			t.Parallel()
			c := formedOf(t, int(max(slices.Max(test.from), slices.Max(test.to))), len(test.from), config())
			writes := newWriter(c)
			defer writes.stop(t)
			var changes []troupe.Change
			for _, id := range test.to {
				if !slices.Contains(test.from, id) {
					changes = append(changes, troupe.Add(id, address(id)))
				}
			}
			for _, id := range test.from {
				if !slices.Contains(test.to, id) {
					changes = append(changes, troupe.Remove(id))
				}
			}
			asked := test.from[len(test.from)-1]
			last := c.members[test.to[len(test.to)-1]-1]
			got, err := c.members[asked-1].raft.ChangeMembers(within(t, 30*time.Second), changes)
			if err != nil || !votersAre(&got, test.to...) {
				t.Fatalf("%v, %v", got, err)
			}
			last.propose(t, "after")
			written := writes.stop(t)
			if there := last.read(t); !containsAll(there, written) || there[len(there)-1] != "after" && !slices.Contains(there, "after") {
				t.Errorf("%d were acknowledged, and %d are there", len(written), len(there))
			}
		})
	}
}

// TestChangeErrors: each says what is wrong, on the leader and on a follower, and nothing
// is appended.
func TestChangeErrors(t *testing.T) {
	c := formedOf(t, 3, 3, config())
	before := c.leader().raft.Status().ConfigurationAt
	for name, test := range map[string]struct {
		changes []troupe.Change
		reason  troupe.ChangeReason
	}{
		"nothing":                 {nil, troupe.ChangeNothing},
		"the last voters removed": {[]troupe.Change{troupe.Remove(1), troupe.Remove(2), troupe.Remove(3)}, troupe.ChangeLastVoter},
		"an empty set":            {[]troupe.Change{troupe.SetVoters()}, troupe.ChangeLastVoter},
		"an id of 0":              {[]troupe.Change{troupe.Remove(0)}, troupe.ChangeIDZero},
		"an id twice":             {[]troupe.Change{troupe.Remove(1), troupe.Demote(1)}, troupe.ChangeIDTwice},
		"an address twice":        {[]troupe.Change{troupe.Add(4, address(1))}, troupe.ChangeAddressTwice},
		"any interface":           {[]troupe.Change{troupe.Add(4, "0.0.0.0:4000")}, troupe.ChangeAddress},
		"any interface as IPv6":   {[]troupe.Change{troupe.Add(4, "[::ffff:0.0.0.0]:4000")}, troupe.ChangeAddress},
		"any of one interface":    {[]troupe.Change{troupe.Add(4, "[::%lo]:4000")}, troupe.ChangeAddress},
		"any port":                {[]troupe.Change{troupe.SetAddress(1, "host:0")}, troupe.ChangeAddress},
		"a stranger":              {[]troupe.Change{troupe.SetTags(9, nil)}, troupe.ChangeNotMember},
		"promote a voter":         {[]troupe.Change{troupe.Promote(1)}, troupe.ChangeIsVoter},
		"a priority":              {[]troupe.Change{troupe.SetPriority(1, 2000)}, troupe.ChangeLimit},
		"replace the living":      {[]troupe.Change{troupe.Replace(c.follower().id, 0)}, troupe.ChangeAlive},
	} {
		for _, m := range []*member{c.leader(), c.follower()} {
			_, err := m.raft.ChangeMembers(within(t, 20*time.Second), test.changes)
			if wrong := asError[*troupe.ChangeError](t, err); wrong.Reason != test.reason || troupe.MayHaveHappened(err) {
				t.Errorf("%s, asked of node %d: %v", name, m.id, err)
			}
		}
	}
	for _, m := range []*member{c.leader(), c.follower()} {
		_, err := m.raft.ChangeMembers(within(t, 20*time.Second), []troupe.Change{troupe.Remove(3)}, troupe.ExpectedIndex(before.Index+1))
		if changed := asError[*troupe.ConfigurationChangedError](t, err); changed.Index != before.Index || changed.Expected != before.Index+1 {
			t.Errorf("%+v", changed)
		}
		if _, err := m.raft.ChangeMembers(within(t, 20*time.Second), []troupe.Change{troupe.Remove(3)}, troupe.IfTerm(before.Term+9)); !errors.Is(err, troupe.ErrTermChanged) {
			t.Errorf("%v", err)
		}
		if err := m.raft.CancelChange(within(t, 20*time.Second)); !errors.Is(err, troupe.ErrNoChange) {
			t.Errorf("%v", err)
		}
		var steps []troupe.Configuration
		if _, err := m.raft.ChangeMembers(within(t, 20*time.Second), []troupe.Change{troupe.Add(4, "host:4"), troupe.Remove(1)}, troupe.DryRun(&steps)); err != nil || len(steps) != 3 || !votersAre(&steps[2], 2, 3, 4) {
			t.Errorf("%v, %v", steps, err)
		}
		_, err = m.raft.ChangeMembers(within(t, 20*time.Second), []troupe.Change{troupe.Add(4, "nowhere")}, troupe.CatchUpLimit(time.Millisecond))
		if behind := asError[*troupe.NotCaughtUpError](t, err); behind.Node != 4 || behind.LastContact >= 0 {
			t.Errorf("%+v", behind)
		}
	}
	if after := c.leader().raft.Status().ConfigurationAt; after != before {
		t.Errorf("the configuration is that of %v, and was that of %v", after, before)
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.leader().raft.ChangeMembers(over, []troupe.Change{troupe.Remove(1)}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// TestChangeGoesOn: a wait that ends early ends no change; it is seen in the status, can be
// joined by asking again, and can be given up.
func TestChangeGoesOn(t *testing.T) {
	c := formedOf(t, 3, 3, config())
	asked := c.follower()
	changes := []troupe.Change{troupe.Add(4, "nowhere")}
	before := asked.raft.Status().ConfigurationAt.Index
	var report troupe.ChangeReport
	got, err := asked.raft.ChangeMembers(within(t, 20*time.Second), changes, troupe.NoWait(), troupe.ReportChange(&report))
	if err != nil || got.Target == nil || got.Target.ID == 0 || got.Target.Since == 0 || !report.GoesOn {
		t.Fatalf("%v, %+v, %v", got, report, err)
	}
	// Each member says for whom it waits.
	for _, n := range c.members {
		if err := n.raft.Wait(within(t, 20*time.Second), func(s troupe.Status) bool {
			return s.Change.State == troupe.ChangeAsking && s.Change.ID == got.Target.ID && len(s.WaitsFor) == 1 && s.WaitsFor[0].Node == 4 && s.Change.Since == got.Target.Since
		}); err != nil {
			t.Fatalf("node %d: %v: %+v", n.id, err, n.raft.Status().Change)
		}
	}
	leader := c.leader()
	beside := troupe.ChangeReport{GoesOn: true}
	tagged, err := asked.raft.ChangeMembers(within(t, 20*time.Second), []troupe.Change{troupe.SetTags(1, map[string]string{"a": "b"})}, troupe.ReportChange(&beside))
	if err != nil || tagged.Members[0].Tags["a"] != "b" || beside.GoesOn || beside.Entry.Index <= before {
		t.Errorf("beside another change: %v, %+v, %v", tagged, beside, err)
	}
	_, err = leader.raft.ChangeMembers(within(t, 20*time.Second), []troupe.Change{troupe.Remove(asked.id)})
	if other := asError[*troupe.ChangeInProgressError](t, err); other.Change != got.Target.ID || other.Joint || other.What == "" {
		t.Errorf("%+v", other)
	}
	again := make(chan error, 1)
	go func() {
		_, err := leader.raft.ChangeMembers(within(t, 20*time.Second), changes)
		again <- err
	}()
	for len(again) == 0 {
		if err := asked.raft.CancelChange(within(t, 20*time.Second)); err != nil && !errors.Is(err, troupe.ErrNoChange) {
			t.Fatal(err)
		}
		if len(again) == 0 {
			_ = leader.raft.Wait(within(t, 20*time.Second), func(s troupe.Status) bool { return s.Change.State == troupe.ChangeAsking || len(again) > 0 })
		}
	}
	if cancelled := asError[*troupe.ChangeCancelledError](t, <-again); cancelled.Yielded {
		t.Errorf("%+v", cancelled)
	}
	leader.propose(t, "x")
}

// TestReplaceMember: a member that lost its data is replaced in one call, by its id.
func TestReplaceMember(t *testing.T) {
	c := formedOf(t, 3, 3, config())
	leader, lost := c.leader(), c.follower()
	leader.propose(t, "before")
	lost.raft.Kill()
	<-lost.raft.Done()
	if err := lost.store.Close(); err != nil {
		t.Fatal(err)
	}
	lost.store, lost.snapshots = memory.New(lost.id), memory.NewSnapshots()
	c.start(lost, config())
	got, err := leader.raft.ChangeMembers(within(t, 20*time.Second), []troupe.Change{troupe.Replace(lost.id, 0)})
	for err != nil && asError[*troupe.ChangeError](t, err).Reason == troupe.ChangeAlive {
		got, err = leader.raft.ChangeMembers(within(t, 20*time.Second), []troupe.Change{troupe.Replace(lost.id, 0)})
	}
	if err != nil || !votersAre(&got, 1, 2, 3) {
		t.Fatalf("%v, %v", got, err)
	}
	if got := lost.read(t); !slices.Equal(got, []string{"before"}) {
		t.Errorf("it has %q", got)
	}
}
