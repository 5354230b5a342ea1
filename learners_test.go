package troupe_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/trouperaft/troupe"
)

// kindsAre compares the kinds of a configuration's members, in the order of their ids.
func kindsAre(c *troupe.Configuration, kinds ...string) bool {
	var got []string
	for _, m := range c.Members {
		got = append(got, c.Kind(m.Identity).String())
	}
	return slices.Equal(got, kinds)
}

// TestAddLearner: a learner gets all entries and votes for nothing, is promoted later, and
// demoted again.
func TestAddLearner(t *testing.T) {
	c := formedOf(t, 2, 1, config())
	change := func(want []string, changes ...troupe.Change) {
		t.Helper()
		got, err := c.members[1].raft.ChangeMembers(within(t, 20*time.Second), changes)
		if err != nil || !kindsAre(&got, want...) {
			t.Fatalf("%v: %v, %v", changes, got, err)
		}
	}
	first, second := c.members[0], c.members[1]
	if got, err := first.raft.ChangeMembers(within(t, 20*time.Second), []troupe.Change{troupe.AddLearner(2, address(2))}); err != nil || !kindsAre(&got, "voter", "learner") {
		t.Fatalf("%v, %v", got, err)
	}
	first.propose(t, "a")
	if got := second.read(t); !slices.Equal(got, []string{"a"}) {
		t.Errorf("the learner has %q", got)
	}
	if s := second.raft.Status(); s.Role != troupe.RoleLearner {
		t.Errorf("its role is %v", s.Role)
	}
	change([]string{"voter", "learner"}, troupe.AddLearner(2, address(2))) // it is one
	change([]string{"voter", "voter"}, troupe.Promote(2))
	change([]string{"voter", "learner"}, troupe.Demote(2))
}

// TestKeepLearners: a newcomer that does not catch up ends the change. The others of it are
// learners by then, and stay so only where that was asked for.
func TestKeepLearners(t *testing.T) {
	for name, test := range map[string]struct {
		options []troupe.ChangeOption
		left    []string
	}{
		"kept":     {[]troupe.ChangeOption{troupe.KeepLearners()}, []string{"voter", "learner", "learner"}},
		"not kept": {nil, []string{"voter"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			held := newGate()
			defer close(held.open)
			c := newCluster(t, 3, config(), func(m *member) {
				if m.id == 3 {
					m.log = func(log troupe.LogStore) troupe.LogStore { return gatedLog{log, held.pass} }
				}
			})
			first := c.members[0]
			if err := first.raft.Bootstrap(within(t, 20*time.Second), c.list()[:1]...); err != nil {
				t.Fatal(err)
			}
			first.propose(t, "hang") // node 3 does not get it onto its disk
			options := append(test.options, troupe.CatchUpLimit(3*time.Second))
			_, err := first.raft.ChangeMembers(within(t, 20*time.Second), []troupe.Change{troupe.Add(2, address(2)), troupe.Add(3, address(3))}, options...)
			if behind := asError[*troupe.NotCaughtUpError](t, err); behind.Node != 3 {
				t.Errorf("%+v", behind)
			}
			if s := first.raft.Status(); !kindsAre(&s.Configuration, test.left...) || s.Configuration.Target != nil {
				t.Errorf("what is left is %v, want %v", s.Configuration, test.left)
			}
		})
	}
}

// TestReadsWithoutRoom: as many reads are under way as there is room for. Another one waits
// until its context ends, or is refused at once where that was asked for.
func TestReadsWithoutRoom(t *testing.T) {
	const most = 4
	held := newGate()
	settings := config()
	settings.InflightProposalsMax = most
	c := newCluster(t, 1, func() troupe.Config {
		settings.StateMachine = &ledger{before: held.pass}
		return settings
	}())
	raft := c.members[0].raft
	if err := raft.Bootstrap(within(t, 20*time.Second), c.list()...); err != nil {
		t.Fatal(err)
	}
	written := asks(func(ctx context.Context) error {
		_, err := raft.Propose(ctx, []byte("hang"))
		return err
	})
	comesTrue(t, "Apply", held.reached)
	var reads []<-chan error
	for range most {
		reads = append(reads, asks(func(ctx context.Context) error {
			_, err := raft.ReadIndex(ctx, troupe.Linearizable)
			return err
		}))
	}
	limit := within(t, 20*time.Second)
	for {
		short, cancel := context.WithTimeout(limit, 10*time.Millisecond)
		_, err := raft.ReadIndex(short, troupe.Linearizable, troupe.FailReadWithoutRoom())
		cancel()
		if errors.Is(err, troupe.ErrOverloaded) {
			break
		}
		if limit.Err() != nil {
			t.Fatalf("%d reads are under way, and another one is told: %v", most, err)
		}
	}
	short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := raft.ReadIndex(short, troupe.Linearizable); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, troupe.ErrOverloaded) {
		t.Errorf("without the option: %v", err)
	}
	close(held.open)
	for _, r := range append(reads, written) {
		if err := comesTrue(t, "an answer", r); err != nil {
			t.Error(err)
		}
	}
}

// TestReadsOfARemovedNode: it answers what needs nobody else: from its own state, as old as
// that is, and as long as that is young enough.
func TestReadsOfARemovedNode(t *testing.T) {
	c := formedOf(t, 3, 3, config())
	written := c.leader().propose(t, "a")
	gone := c.follower()
	gone.read(t)
	if _, err := c.leader().raft.ChangeMembers(within(t, 20*time.Second), []troupe.Change{troupe.Remove(gone.id)}); err != nil {
		t.Fatal(err)
	}
	if err := gone.raft.Wait(within(t, 20*time.Second), func(s troupe.Status) bool { return s.Removed }); err != nil {
		t.Fatal(err)
	}
	for _, mode := range []troupe.ReadMode{troupe.AtLeast(written.LogID.Index), troupe.Stale(time.Hour)} {
		if index, err := gone.raft.ReadIndex(within(t, 20*time.Second), mode); err != nil || index < written.LogID.Index {
			t.Errorf("%v: %d, %v", mode, index, err)
		}
	}
	for _, mode := range []troupe.ReadMode{troupe.Linearizable, troupe.Lease, troupe.Stale(time.Nanosecond)} {
		if _, err := gone.raft.ReadIndex(within(t, 20*time.Second), mode); !errors.Is(err, troupe.ErrRemoved) {
			t.Errorf("%v: %v", mode, err)
		}
	}
}
