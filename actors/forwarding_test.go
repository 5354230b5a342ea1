package actors

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/trouperaft/troupe/actors/disk"
	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/storage/memory"
)

// TestForwardedOverABrokenConnection: what was handed to the leader over a
// connection that breaks may or may not take effect, and the client is told so.
func TestForwardedOverABrokenConnection(t *testing.T) {
	hosts := newCluster(t, 3, nil)
	leader := leaderOf(t, hosts)
	follower := others(hosts, leader)[0]
	until(t, follower.group, "the follower to know the leader", func(s Status) bool { return s.Leader == leader.id })
	if p := call(t, follower.group, &Proposal{Data: []byte("warm")}); p.Err != nil {
		t.Fatal(p.Err)
	}
	// The leader's machine holds the answer back.
	working, release := make(chan struct{}, 1), make(chan struct{})
	leader.machine.onApply = func([]byte) error { working <- struct{}{}; <-release; return nil }
	done := make(chan struct{})
	p := &Proposal{Data: []byte("in doubt"), Completed: func(*Proposal) { close(done) }}
	follower.group.Propose(p)
	await(t, working, "the leader to apply")
	follower.hub.Disconnect(follower.id, leader.id, core.ClassBulk)
	await(t, done, "the client to be told")
	if !core.MayHaveHappened(p.Err) || !errors.Is(p.Err, errConnectionLost) {
		t.Errorf("the connection broke, and the client was told %v", p.Err)
	}
	close(release)
	converge(t, hosts)
	if got := leader.machine.list(); len(got) != 2 {
		t.Errorf("applied %q", got)
	}
}

// TestNarrowLimits: nothing is refused or lost when every bound is tight, if the
// clients are ready to wait.
func TestNarrowLimits(t *testing.T) {
	hosts := newCluster(t, 3, func(c *GroupConfig) {
		c.InflightProposalsMax, c.InflightBytesMax, c.CommandBytesMax = 4, 400, 100
		c.UncommittedBytesMax = 120
		c.WindowMessagesMax, c.EntriesPerMessageMax = 1, 2
	})
	const clients, each = 12, 40
	left := clients * len(hosts)
	finished := make(chan struct{}, left)
	var doubts atomic.Int64
	for _, h := range hosts {
		for c := range clients {
			// Each completion proposes again, from within.
			n := 0
			var p *Proposal
			p = &Proposal{WaitForRoom: true, Data: fmt.Appendf(nil, "%d/%d/0", h.id, c), Completed: func(*Proposal) {
				var lost *core.LostError
				switch {
				case core.MayHaveHappened(p.Err):
					doubts.Add(1)
				case errors.As(p.Err, &lost):
				case p.Err != nil:
					t.Errorf("node %d, client %d: %v", h.id, c, p.Err)
					n = each
				default:
					n++
				}
				if n == each {
					finished <- struct{}{}
					return
				}
				p.Data = fmt.Appendf(nil, "%d/%d/%d", h.id, c, n)
				h.group.Propose(p)
			}}
			h.group.Propose(p)
		}
	}
	for range left {
		await(t, finished, "all clients")
	}
	converge(t, hosts)
	checkCommands(t, hosts[0], left*each, int(doubts.Load()))
	for _, h := range hosts {
		allRoomReturned(t, h.group)
	}
}

func TestQuietPeriod(t *testing.T) {
	const timeout = 200 * time.Millisecond
	for _, test := range []struct {
		name     string
		opened   int
		promised time.Duration
		again    bool
		want     time.Duration
	}{
		{"first life of the store", 1, 0, false, 0},
		{"second run of the group in it", 1, 0, true, timeout},
		{"second life", 2, 0, false, timeout},
		{"second life after a longer promise", 2, time.Second, false, time.Second},
		{"second run in a second life", 2, time.Second, true, time.Second},
	} {
		store := memory.New(1)
		if test.promised > 0 {
			if err := store.RecordPromise(t.Context(), test.promised); err != nil {
				t.Fatal(err)
			}
		}
		for range test.opened - 1 {
			if err := store.Close(); err != nil {
				t.Fatal(err)
			}
			if err := store.Reopen(); err != nil {
				t.Fatal(err)
			}
		}
		n := &Node{cfg: NodeConfig{ID: membership.NodeID(1), Store: store}, promises: disk.NewPromises(store, store.Header().Promise)}
		if err := n.promises.Raise(t.Context(), timeout); err != nil {
			t.Fatal(err)
		}
		if got := n.quietPeriod(timeout, test.again); got != test.want {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}
