package troupe_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/trouperaft/troupe"
	"github.com/trouperaft/troupe/storage/memory"
)

// askingOf is a JoinConfig that asks a member, and counts how often.
func askingOf(of func() *troupe.Raft, count *atomic.Int64) troupe.JoinConfig {
	return troupe.JoinConfig{
		RetryMin: 10 * time.Millisecond, RetryMax: 100 * time.Millisecond,
		Ask: func(ctx context.Context, request troupe.JoinRequest) error {
			count.Add(1)
			_, err := of().Admit(ctx, request)
			return err
		},
	}
}

// TestJoin: a node asks until it is in, as what it wants to be, and not again.
func TestJoin(t *testing.T) {
	c := formedOf(t, 3, 1, config())
	one, two, three := c.members[0].raft, c.members[1].raft, c.members[2].raft
	var asked atomic.Int64
	// The one that is asked first belongs to no cluster.
	whom := []*troupe.Raft{three, one}
	if err := two.Join(within(t, 20*time.Second), askingOf(func() *troupe.Raft { return whom[min(asked.Load()-1, 1)] }, &asked)); err != nil || asked.Load() < 2 {
		t.Fatalf("asked %d times: %v", asked.Load(), err)
	}
	if s := two.Status(); !votersAre(&s.Configuration, 1, 2) || s.Joining != "" || s.Cluster != one.Status().Cluster {
		t.Fatalf("%v, %q", s.Configuration, s.Joining)
	}
	learns := askingOf(func() *troupe.Raft { return two }, &asked)
	learns.Standby = true
	if err := three.Join(within(t, 20*time.Second), learns); err != nil {
		t.Fatal(err)
	}
	s := three.Status()
	if m, member := s.Configuration.Member(s.Self); !member || s.Configuration.IsVoter(s.Self) || !m.Standby {
		t.Fatalf("%v", s.Configuration)
	}
	asked.Store(0)
	for _, member := range []*troupe.Raft{one, two, three} {
		// A learner that was one before is left to who made it one.
		if err := member.Join(within(t, 20*time.Second), askingOf(func() *troupe.Raft { return one }, &asked)); err != nil {
			t.Error(err)
		}
	}
	if asked.Load() != 0 {
		t.Errorf("members have asked %d times", asked.Load())
	}
	// To be admitted again changes nothing.
	at := one.Status().ConfigurationAt
	request := troupe.JoinRequest{Node: s.Self.ID, Incarnation: s.Self.Incarnation, Address: "elsewhere:1", Learner: true}
	if _, err := two.Admit(within(t, 20*time.Second), request); err != nil || one.Status().ConfigurationAt != at {
		t.Errorf("%v, and the configuration is that of %v", err, one.Status().ConfigurationAt)
	}
}

// TestJoinOfARemovedNode: it asks only if it is told to, and comes back with its data.
func TestJoinOfARemovedNode(t *testing.T) {
	c := formedOf(t, 3, 3, config())
	leader, gone := c.leader(), c.follower()
	if _, err := leader.raft.ChangeMembers(within(t, 20*time.Second), []troupe.Change{troupe.Remove(gone.id)}); err != nil {
		t.Fatal(err)
	}
	if err := gone.raft.Wait(within(t, 20*time.Second), func(s troupe.Status) bool { return s.Removed }); err != nil {
		t.Fatal(err)
	}
	var asked atomic.Int64
	rejoins := askingOf(func() *troupe.Raft { return leader.raft }, &asked)
	if err := gone.raft.Join(within(t, 20*time.Second), rejoins); !errors.Is(err, troupe.ErrRemoved) || asked.Load() != 0 {
		t.Fatalf("asked %d times: %v", asked.Load(), err)
	}
	rejoins.Rejoin = true
	if err := gone.raft.Join(within(t, 20*time.Second), rejoins); err != nil {
		t.Fatal(err)
	}
	if s := gone.raft.Status(); !votersAre(&s.Configuration, 1, 2, 3) || s.Removed {
		t.Errorf("%+v", s)
	}
}

// TestJoinIsRefused: by name, and for good, where asking again is of no use.
func TestJoinIsRefused(t *testing.T) {
	c := formedOf(t, 3, 3, config())
	leader, lost := c.leader(), c.follower()
	var asked atomic.Int64
	of := func() *troupe.Raft { return leader.raft }

	other := formedOf(t, 1, 1, config())
	s := other.members[0].raft.Status()
	_, err := leader.raft.Admit(within(t, 20*time.Second), troupe.JoinRequest{Node: 9, Incarnation: s.Self.Incarnation, Address: "other:9", Cluster: s.Cluster.String()})
	if wrong := asError[*troupe.ChangeError](t, err); wrong.Reason != troupe.ChangeOtherCluster || !strings.Contains(wrong.Text, s.Cluster.String()) {
		t.Errorf("a node of another cluster: %v", err)
	}

	lost.raft.Kill()
	<-lost.raft.Done()
	if err := lost.store.Close(); err != nil {
		t.Fatal(err)
	}
	lost.store, lost.snapshots = memory.New(lost.id), memory.NewSnapshots()
	c.start(lost, config())
	if wrong := asError[*troupe.ChangeError](t, lost.raft.Join(within(t, 20*time.Second), askingOf(of, &asked))); wrong.Reason != troupe.ChangeEmptied {
		t.Errorf("a node that lost its data: %v", wrong)
	}
	for name, config := range map[string]troupe.JoinConfig{
		"JoinConfig.Ask":      {},
		"JoinConfig.Address":  {Ask: askingOf(of, &asked).Ask, Address: "0.0.0.0:1"},
		"JoinConfig.RetryMin": {Ask: askingOf(of, &asked).Ask, RetryMin: 2, RetryMax: 1},
	} {
		if wrong := asError[*troupe.ConfigError](t, lost.raft.Join(t.Context(), config)); wrong.Field != name {
			t.Errorf("%s: %v", name, wrong)
		}
	}
	if _, err := lost.raft.Admit(t.Context(), troupe.JoinRequest{Node: 9, Incarnation: 9, Address: "x"}); !errors.Is(err, troupe.ErrNoCluster) {
		t.Errorf("asked of a node without a cluster: %v", err)
	}
}

// TestJoinWaits: while nobody answers, the status says what for; the end of the context
// ends it.
func TestJoinWaits(t *testing.T) {
	c := newCluster(t, 1, config())
	alone := c.members[0].raft
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	refusals := 0
	err := alone.Join(ctx, troupe.JoinConfig{RetryMin: time.Millisecond, Ask: func(context.Context, troupe.JoinRequest) error {
		if refusals++; refusals == 3 {
			if text := alone.Status().Joining; !strings.Contains(text, "nobody is there") {
				t.Errorf("it waits for %q", text)
			}
			cancel()
		}
		return errors.New("nobody is there")
	}})
	if !errors.Is(err, context.Canceled) || alone.Status().Joining != "" {
		t.Errorf("%v, %q", err, alone.Status().Joining)
	}
}

// TestUnreachableNodeIsNotLetIn: nothing is appended for it, and somebody's change by hand
// goes before it.
func TestUnreachableNodeIsNotLetIn(t *testing.T) {
	c := formedOf(t, 3, 2, slowElections())
	leads := func(s troupe.Status) bool { return s.Role == troupe.RoleLeader }
	leader := c.members[0].raft
	if err := leader.Wait(within(t, 20*time.Second), func(s troupe.Status) bool { return s.Leader != 0 }); err != nil {
		t.Fatal(err)
	}
	if !leads(leader.Status()) {
		leader = c.members[1].raft
	}
	at := leader.Status().ConfigurationAt
	nowhere := troupe.JoinRequest{Node: 9, Incarnation: 9, Address: "nowhere"}
	_, err := leader.Admit(within(t, 20*time.Second), nowhere, troupe.CatchUpLimit(time.Millisecond))
	if behind := asError[*troupe.NotCaughtUpError](t, err); behind.Node != 9 || leader.Status().ConfigurationAt != at {
		t.Errorf("%v, and the configuration is that of %v", err, leader.Status().ConfigurationAt)
	}
	ended := make(chan error, 1)
	go func() {
		_, err := leader.Admit(within(t, 20*time.Second), nowhere, troupe.CatchUpLimit(0))
		ended <- err
	}()
	if err := leader.Wait(within(t, 20*time.Second), func(s troupe.Status) bool { return s.Change.State == troupe.ChangeAsking }); err != nil {
		t.Fatal(err)
	}
	got, err := leader.ChangeMembers(within(t, 20*time.Second), []troupe.Change{troupe.Add(3, address(3))})
	if err != nil || !votersAre(&got, 1, 2, 3) {
		t.Fatalf("%v, %v", got, err)
	}
	select {
	case err := <-ended:
		if cancelled := asError[*troupe.ChangeCancelledError](t, err); !cancelled.Yielded {
			t.Error(err)
		}
	case <-time.After(20 * time.Second):
		t.Error("the join does not yield")
	}
}
