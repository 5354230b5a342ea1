package troupe_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/trouperaft/troupe"
)

// follow takes entries until done says so, and returns what it was given and the error that
// ended it.
func follow(ctx context.Context, r *troupe.Raft, from troupe.Index, done func(troupe.Entry) bool, options ...troupe.EntriesOption) (all []troupe.Entry, err error) {
	for e, err := range r.Entries(ctx, from, options...) {
		if err != nil {
			return all, err
		}
		if all = append(all, e); done(e) {
			break
		}
	}
	return all, nil
}

func until(command string) func(troupe.Entry) bool {
	return func(e troupe.Entry) bool { return string(e.Data) == command }
}

// TestEntriesFollowTheLog: any member yields each entry once, in order, those that are there
// and those that come.
func TestEntriesFollowTheLog(t *testing.T) {
	settings := config()
	settings.LogCacheBytesMax, settings.CommandBytesMax, settings.MessageBytesMax = 1000, 500, 600 // most is read from the store
	c := formed(t, 3, settings)
	leader := c.leader()
	for i := range 100 {
		leader.propose(t, fmt.Sprintf("old %d", i))
	}
	type end struct {
		all []troupe.Entry
		err error
	}
	ends := make(chan end, len(c.members))
	for _, m := range c.members {
		go func() {
			all, err := follow(within(t, 20*time.Second), m.raft, 0, until("last"))
			ends <- end{all, err}
		}()
	}
	for i := range 100 {
		leader.propose(t, fmt.Sprintf("new %d", i))
	}
	leader.propose(t, "last")
	for range c.members {
		got := <-ends
		if got.err != nil {
			t.Fatal(got.err)
		}
		commands, kinds := 0, map[troupe.EntryKind]int{}
		for i, e := range got.all {
			if e.Index != troupe.Index(i+1) {
				t.Fatalf("entry %d is %v", i+1, e.LogID)
			}
			kinds[e.Kind]++
			if e.Kind == troupe.EntryCommand {
				commands++
			}
		}
		if commands != 201 || kinds[troupe.EntryBlank] == 0 || kinds[troupe.EntryConfiguration] == 0 {
			t.Errorf("%v", kinds)
		}
	}
}

// TestEntriesOfACompactedLog: an index that is gone is an error that tells where the log
// begins, also under a loop that works too slowly.
func TestEntriesOfACompactedLog(t *testing.T) {
	settings := config()
	settings.HoldBytesMax, settings.LogCacheBytesMax, settings.CommandBytesMax, settings.MessageBytesMax = 1, 1000, 500, 600
	c := formed(t, 1, settings)
	m := c.members[0]
	for i := range 100 {
		m.propose(t, fmt.Sprintf("%60d", i))
	}
	ctx := within(t, 20*time.Second)
	shrink := func() troupe.Index {
		t.Helper()
		meta, err := m.raft.Snapshot(ctx)
		if err != nil {
			t.Fatal(err)
		}
		first, err := m.raft.Purge(ctx, meta.Index)
		if err != nil || first != meta.Index+1 {
			t.Fatalf("the log begins at %d, %v", first, err)
		}
		return first
	}
	var begins troupe.Index
	all, err := follow(ctx, m.raft, 1, func(e troupe.Entry) bool {
		if e.Index == 3 {
			begins = shrink()
		}
		return false
	})
	if gone := asError[*troupe.CompactedError](t, err); gone.First != begins || len(all) < 3 || len(all) > 50 {
		t.Errorf("after %d entries: %v, and the log begins at %d", len(all), err, begins)
	}
	all, err = follow(ctx, m.raft, 1, until(""))
	if gone := asError[*troupe.CompactedError](t, err); gone.First != begins || len(all) != 0 {
		t.Errorf("from the beginning: %d entries, %v", len(all), err)
	}
	m.propose(t, "next")
	if all, err = follow(ctx, m.raft, begins, until("next")); err != nil || len(all) == 0 {
		t.Errorf("from where the log begins: %d entries, %v", len(all), err)
	}
}

// TestEntriesHoldTheLog: what a loop has yet to be given is kept for it, and goes when the
// loop ends.
func TestEntriesHoldTheLog(t *testing.T) {
	settings := config()
	settings.LogCacheBytesMax, settings.CommandBytesMax, settings.MessageBytesMax = 1000, 500, 600
	c := formed(t, 1, settings)
	m := c.members[0]
	for i := range 100 {
		m.propose(t, fmt.Sprintf("%60d", i))
	}
	ctx := within(t, 20*time.Second)
	last := m.propose(t, "last").LogID.Index
	all, err := follow(ctx, m.raft, 1, func(e troupe.Entry) bool {
		if e.Index == 3 {
			if _, err := m.raft.Snapshot(ctx); err != nil {
				t.Fatal(err)
			}
			if first, err := m.raft.Purge(ctx, last); err != nil || first > 50 {
				t.Fatalf("the log begins at %d, %v", first, err)
			}
			if s := m.raft.Status(); s.HeldBytes == 0 {
				t.Error("nothing is said to be held")
			}
		}
		return e.Index == last
	})
	if err != nil || len(all) != int(last) {
		t.Fatalf("%d of %d entries, %v", len(all), last, err)
	}
	if err := m.raft.Wait(ctx, func(s troupe.Status) bool { return s.FirstIndex == last+1 && s.HeldBytes == 0 }); err != nil {
		t.Errorf("the loop has ended, and the log begins at %d", m.raft.Status().FirstIndex)
	}
}

// TestEntriesEnd: with the context, with the group, and at once in another cluster.
func TestEntriesEnd(t *testing.T) {
	c := formed(t, 1, config())
	m := c.members[0]
	m.propose(t, "a")
	_, err := follow(within(t, 20*time.Second), m.raft, 1, until(""), troupe.OfCluster(troupe.ClusterID{9}))
	if other := asError[*troupe.OtherClusterError](t, err); other.Have != m.raft.Status().Cluster {
		t.Errorf("%v", err)
	}
	if _, err := follow(within(t, 20*time.Second), m.raft, 1, until("a"), troupe.OfCluster(m.raft.Status().Cluster)); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	_, err = follow(ctx, m.raft, 1, func(e troupe.Entry) bool {
		if string(e.Data) == "a" {
			cancel()
		}
		return false
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("a context that ends: %v", err)
	}
	_, err = follow(within(t, 20*time.Second), m.raft, 1, func(e troupe.Entry) bool {
		if string(e.Data) == "a" {
			m.raft.Kill()
		}
		return false
	})
	if !errors.Is(err, troupe.ErrStopped) {
		t.Errorf("a group that ends: %v", err)
	}
}
