package troupe_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/trouperaft/troupe"
)

func TestWatch(t *testing.T) {
	c := newCluster(t, 1, config())
	m := c.members[0]
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	started := make(chan struct{})
	seen := make(chan []troupe.Index, 1)
	go func() {
		var indexes []troupe.Index
		for s := range m.raft.Watch(ctx) {
			if len(indexes) == 0 {
				close(started)
			}
			indexes = append(indexes, s.Applied)
		}
		seen <- indexes
	}()
	<-started
	if err := m.raft.Bootstrap(within(t, 20*time.Second), c.list()...); err != nil {
		t.Fatal(err)
	}
	last := m.propose(t, "a").LogID.Index
	if err := m.raft.Wait(within(t, 20*time.Second), func(s troupe.Status) bool { return s.Applied >= last }); err != nil {
		t.Fatal(err)
	}
	m.raft.Kill()
	select {
	case indexes := <-seen:
		if indexes[0] != 0 || indexes[len(indexes)-1] < last || !slices.IsSorted(indexes) {
			t.Errorf("applied was seen at %v, the last write at %d", indexes, last)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("the watch does not end with the group")
	}
}

// TestSlowWatcher asserts that one who does not come back holds up nobody, and
// then sees the newest.
func TestSlowWatcher(t *testing.T) {
	c := formed(t, 1, config())
	m := c.members[0]
	var last troupe.Index
	turns := 0
	for s := range m.raft.Watch(within(t, 20*time.Second)) {
		if turns++; turns == 1 {
			for range 100 {
				last = m.propose(t, "a").LogID.Index
			}
			continue
		}
		if s.Applied >= last {
			break
		}
	}
	if turns > 50 {
		t.Errorf("the newest came after %d turns", turns)
	}
}

func TestWaitEnds(t *testing.T) {
	c := newCluster(t, 1, config())
	raft := c.members[0].raft
	answer := make(chan error, 1)
	go func() { answer <- raft.Wait(t.Context(), func(s troupe.Status) bool { return s.Leader != 0 }) }()
	raft.Kill()
	if err := <-answer; !errors.Is(err, troupe.ErrStopped) {
		t.Errorf("a wait that the stop ended says %v", err)
	}
}

func TestEvents(t *testing.T) {
	c := formed(t, 3, config())
	old := c.leader()
	follower := c.follower()
	ctx := within(t, 20*time.Second)
	events := follower.raft.Events(ctx)
	kinds := make(chan troupe.EventKind, 1)
	go func() {
		defer close(kinds)
		first := true
		for e := range events {
			if e.Node != follower.id || e.Group != 1 || e.At == 0 {
				t.Errorf("the event is %+v", e)
			}
			if first && (e.Kind == troupe.EventElected || e.Kind == troupe.EventNewLeader) {
				kinds <- e.Kind
				first = false
			}
		}
	}()
	old.raft.Kill()
	select {
	case <-kinds:
	case <-ctx.Done():
		t.Error("no event tells of the new leader")
	}
	follower.raft.Kill()
	select {
	case _, open := <-kinds:
		if open {
			t.Error("told twice")
		}
	case <-ctx.Done():
		t.Error("the events do not end with the group")
	}
}
