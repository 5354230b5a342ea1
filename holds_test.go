package troupe_test

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/trouperaft/troupe"
	"github.com/trouperaft/troupe/network/inproc"
	"github.com/trouperaft/troupe/storage/memory"
)

// fillingLog is a log store whose disk is said to be nearly full, or not.
type fillingLog struct {
	troupe.LogStore
	full *atomic.Bool
}

func (f fillingLog) NearlyFull() bool { return f.full.Load() }

// TestHoldsGoAtTheFreeSpaceGuard: what is kept for a loop over the entries, and for a
// member that is away, goes while the disk is nearly full, and is told.
func TestHoldsGoAtTheFreeSpaceGuard(t *testing.T) {
	var full atomic.Bool
	settings := slowElections() // the leader of the beginning is asked for all
	settings.KeepEntries, settings.LogCacheBytesMax, settings.CommandBytesMax, settings.MessageBytesMax = 1, 1000, 500, 600
	settings.HoldTimeMax = time.Hour
	c := formed(t, 3, settings, func(m *member) {
		m.log = func(l troupe.LogStore) troupe.LogStore { return fillingLog{l, &full} }
	})
	ctx := within(t, 30*time.Second)
	leader := c.leader()
	var away *member
	for _, m := range c.members {
		if m != leader {
			away = m
		}
	}
	away.raft.Kill()
	who, happens := make(chan troupe.NodeID, 16), leader.raft.Events(ctx)
	go func() {
		for e := range happens {
			if e.Kind == troupe.EventLogLetGo && strings.Contains(e.Text, "nearly full") {
				who <- e.Peer.ID
			}
		}
	}()
	for i := range 100 {
		leader.propose(t, fmt.Sprintf("%60d", i))
	}
	_, err := follow(ctx, leader.raft, 1, func(e troupe.Entry) bool {
		if e.Index != 3 {
			return false
		}
		meta, err := leader.raft.Snapshot(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if s := leader.raft.Status(); s.FirstIndex > 50 || s.HeldBytes == 0 || s.LetGo != "" {
			t.Fatalf("the log begins at %d, %d bytes are held, %q", s.FirstIndex, s.HeldBytes, s.LetGo)
		}
		full.Store(true)
		if err := leader.raft.Wait(ctx, func(s troupe.Status) bool { return s.FirstIndex >= meta.Index && s.HeldBytes == 0 }); err != nil {
			t.Fatalf("%v: %+v", err, leader.raft.Status())
		}
		return false
	})
	asError[*troupe.CompactedError](t, err)
	if s := leader.raft.Status(); !strings.Contains(s.LetGo, "nearly full") {
		t.Errorf("the status says %q", s.LetGo)
	}
	var told []troupe.NodeID
	for told = nil; len(told) < 2; {
		select {
		case id := <-who:
			told = append(told, id)
		case <-ctx.Done():
			t.Fatalf("told of %v, want of node %d and of the loop", told, away.id)
		}
	}
	if !slices.Contains(told, away.id) || !slices.Contains(told, 0) {
		t.Errorf("told of %v, want of node %d and of the loop", told, away.id)
	}
}

// TestHoldsOfAllGroups: the bound of a node is for its groups together.
func TestHoldsOfAllGroups(t *testing.T) {
	node, err := troupe.NewNode(troupe.NodeConfig{
		ID: 1, Network: inproc.NewHub().Network(address(1)), Log: memory.New(1), Snapshots: memory.NewSnapshots(), HoldBytesMax: 6000,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(node.Kill)
	settings := config()
	settings.KeepEntries, settings.LogCacheBytesMax, settings.CommandBytesMax, settings.MessageBytesMax = 1, 1000, 500, 600
	ctx := within(t, 30*time.Second)
	var groups []*troupe.Raft
	for id := troupe.GroupID(1); id <= 2; id++ {
		settings.Group, settings.StateMachine = id, &ledger{}
		raft, err := node.Start(ctx, settings)
		if err != nil {
			t.Fatal(err)
		}
		if err := raft.Bootstrap(ctx, troupe.Member{Identity: troupe.Identity{ID: 1}, Address: node.Address()}); err != nil {
			t.Fatal(err)
		}
		groups = append(groups, raft)
	}
	for i, raft := range groups {
		for n := range 20 + 120*i {
			if _, err := raft.Propose(ctx, fmt.Appendf(nil, "%52d", n)); err != nil {
				t.Fatal(err)
			}
		}
	}
	held := make(chan struct{})
	go func() {
		_, _ = follow(ctx, groups[0], 1, func(e troupe.Entry) bool {
			if e.Index == 3 {
				close(held)
				<-ctx.Done()
			}
			return false
		})
	}()
	<-held
	if _, err := groups[0].Snapshot(ctx); err != nil {
		t.Fatal(err)
	}
	_, err = follow(ctx, groups[1], 1, func(e troupe.Entry) bool {
		if e.Index == 3 {
			if _, err := groups[1].Snapshot(ctx); err != nil {
				t.Fatal(err)
			}
			if err := groups[1].Wait(ctx, func(s troupe.Status) bool { return s.HeldBytes == 0 && s.FirstIndex > 100 }); err != nil {
				t.Fatalf("%v: %+v", err, groups[1].Status())
			}
		}
		return false
	})
	asError[*troupe.CompactedError](t, err)
	if s := groups[0].Status(); s.HeldBytes == 0 || s.FirstIndex != 1 || s.LetGo != "" {
		t.Errorf("who keeps little keeps it: %+v", s)
	}
	if s := groups[1].Status(); !strings.Contains(s.LetGo, "groups of this node") {
		t.Errorf("the status says %q", s.LetGo)
	}
}
