package troupe_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/trouperaft/troupe"
)

// TestEveryReadMode asserts that each mode reads, on each member, what was acknowledged
// before.
func TestEveryReadMode(t *testing.T) {
	c := formed(t, 3, slowElections())
	c.leader()
	for i, command := range []string{"a", "b", "c"} {
		result := c.members[i].propose(t, command)
		for _, m := range c.members {
			for _, mode := range []troupe.ReadMode{troupe.Linearizable, troupe.Lease, troupe.Stale(time.Nanosecond), troupe.AtLeast(result.LogID.Index)} {
				index, err := m.raft.ReadIndex(within(t, 20*time.Second), mode)
				if err != nil || index < result.LogID.Index || len(m.machine.content()) != i+1 {
					t.Errorf("%v on node %d: %q at %d, %v, after a write at %v", mode, m.id, m.machine.content(), index, err, result.LogID)
				}
			}
		}
	}
}

// TestReadsOutliveTheirLeader asserts that reads which were asked of a leader that is
// gone are asked again, and see what it had acknowledged.
func TestReadsOutliveTheirLeader(t *testing.T) {
	c := formed(t, 3, config())
	leader, follower := c.leader(), c.follower()
	result := leader.propose(t, "a")
	leader.raft.Kill()
	answers := make(chan error, 3)
	for _, mode := range []troupe.ReadMode{troupe.Linearizable, troupe.Lease, troupe.Stale(time.Nanosecond)} {
		ctx := within(t, 20*time.Second)
		go func() {
			index, err := follower.raft.ReadIndex(ctx, mode)
			if err == nil && (index < result.LogID.Index || len(follower.machine.content()) == 0) {
				err = fmt.Errorf("%v: at %d, after a write at %v", mode, index, result.LogID)
			}
			answers <- err
		}()
	}
	for range cap(answers) {
		if err := <-answers; err != nil {
			t.Error(err)
		}
	}
}

func TestReadModeStrings(t *testing.T) {
	for want, mode := range map[string]troupe.ReadMode{
		"linearizable": troupe.Linearizable, "lease": troupe.Lease, "stale 1.5s": troupe.Stale(1500 * time.Millisecond), "at least 7": troupe.AtLeast(7),
	} {
		if mode.String() != want {
			t.Errorf("%q, want %q", mode, want)
		}
	}
}

// TestReadsThatCannotBe asserts that a bound that is none is refused by name,
// whatever the group does.
func TestReadsThatCannotBe(t *testing.T) {
	raft := newCluster(t, 1, config()).members[0].raft
	for _, max := range []time.Duration{0, -1, -time.Hour, 24*time.Hour + 1, 1<<63 - 1} {
		_, err := raft.ReadIndex(t.Context(), troupe.Stale(max))
		if wrong := asError[*troupe.ConfigError](t, err); wrong.Field != "Stale" {
			t.Errorf("a bound of %v: %v", max, err)
		}
	}
}

// TestTooStale asserts what a member answers that is cut off: from a state that is
// current enough, and else with its age when the time is over.
func TestTooStale(t *testing.T) {
	c := formed(t, 3, config())
	alone := c.follower()
	c.leader().propose(t, "a")
	if _, err := alone.raft.ReadIndex(within(t, 20*time.Second), troupe.Stale(time.Nanosecond)); err != nil {
		t.Fatal(err)
	}
	for _, m := range c.members {
		if m != alone {
			m.raft.Kill()
		}
	}
	if index, err := alone.raft.ReadIndex(t.Context(), troupe.Stale(time.Hour)); err != nil || index == 0 {
		t.Errorf("an hour: at %d, %v", index, err)
	}
	ctx := within(t, 30*time.Millisecond)
	_, err := alone.raft.ReadIndex(ctx, troupe.Stale(time.Nanosecond))
	stale := asError[*troupe.TooStaleError](t, err)
	if stale.Age <= 0 || stale.Age > time.Minute || stale.LagEntries != 0 || !errors.Is(err, context.DeadlineExceeded) || troupe.MayHaveHappened(err) ||
		!strings.Contains(err.Error(), "no leader said in time") {
		t.Errorf("a nanosecond: %v", err)
	}
	// Other modes have no bound that the state could break.
	for _, mode := range []troupe.ReadMode{troupe.Linearizable, troupe.Lease, troupe.AtLeast(1 << 40)} {
		_, err := alone.raft.ReadIndex(within(t, 30*time.Millisecond), mode)
		if errors.As(err, &stale) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v: %v", mode, err)
		}
	}
}

// TestTooStaleFromTheStart asserts that a member says so that never knew its state
// to be current.
func TestTooStaleFromTheStart(t *testing.T) {
	c := formed(t, 3, config())
	c.leader().propose(t, "a")
	first := c.members[0]
	for _, m := range c.members {
		m.raft.Kill()
	}
	c.restart(first, config())
	_, err := first.raft.ReadIndex(within(t, 30*time.Millisecond), troupe.Stale(time.Hour))
	if stale := asError[*troupe.TooStaleError](t, err); stale.Age != -1 {
		t.Errorf("%v", err)
	}
}

// TestTooStaleMachine asserts that a stale read says so if it knew what is current, and
// its own machine has not applied that in time.
func TestTooStaleMachine(t *testing.T) {
	c := formed(t, 3, slowElections())
	leader := c.leader()
	leader.read(t) // all is applied
	applies, release := make(chan struct{}, 1), make(chan struct{})
	leader.machine.before = func(string) error {
		applies <- struct{}{}
		<-release
		return nil
	}
	written := make(chan error, 1)
	ctx := within(t, 20*time.Second)
	go func() {
		_, err := leader.raft.Propose(ctx, []byte("a"))
		written <- err
	}()
	<-applies
	_, err := leader.raft.ReadIndex(within(t, time.Second), troupe.Stale(time.Nanosecond))
	asError[*troupe.TooStaleError](t, err)
	if !strings.Contains(err.Error(), "the state machine did not apply in time") {
		t.Error(err)
	}
	close(release)
	if err := <-written; err != nil {
		t.Error(err)
	}
}

// TestMaxLag asserts that a read fails at once on a member whose machine lags, if it
// asks for that.
func TestMaxLag(t *testing.T) {
	release := make(chan struct{})
	c := formed(t, 3, slowElections())
	leader, slow := c.leader(), c.follower()
	slow.read(t)
	slow.machine.before = func(string) error { <-release; return nil }
	for range 5 {
		leader.propose(t, "a")
	}
	_, err := slow.raft.ReadIndex(within(t, 20*time.Second), troupe.Linearizable, troupe.MaxLag(4))
	if stale := asError[*troupe.TooStaleError](t, err); stale.LagEntries < 5 {
		t.Errorf("%v", err)
	}
	close(release)
	if _, err := slow.raft.ReadIndex(within(t, 20*time.Second), troupe.Linearizable, troupe.MaxLag(1000)); err != nil {
		t.Errorf("a lag that is allowed: %v", err)
	}
}

// TestLeaseInStatus asserts that the leader tells its lease, and nobody else has one.
func TestLeaseInStatus(t *testing.T) {
	settings := slowElections()
	c := formed(t, 3, settings)
	leader := c.leader()
	for _, m := range c.members {
		err := m.raft.Wait(within(t, 20*time.Second), func(s troupe.Status) bool {
			leads := m == leader
			return s.Lease > 0 == leads && s.Lease <= settings.ElectionTimeout && s.LastQuorumContact >= 0 == leads && (s.NoLease == "" || leads && s.Lease == 0)
		})
		if err != nil {
			t.Errorf("node %d: %+v", m.id, m.raft.Status())
		}
	}
}
