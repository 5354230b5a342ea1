//go:build unix

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/trouperaft/troupe/examples/kv/internal/api"
)

// movingCluster is one of nodes that have addresses and keep their data.
func movingCluster(t *testing.T) *cluster {
	t.Helper()
	c := newCluster(t, "--election-timeout", "500ms")
	c.complete()
	c.nodes[0].mustKV("put", "before", "x")
	return c
}

// together wants a leader that all know, and a write through each node.
func (c *cluster) together() {
	c.t.Helper()
	c.leader()
	for _, n := range c.nodes {
		n.mustKV("put", fmt.Sprint("after on ", n.id), "x")
	}
	c.caughtUp()
	for _, n := range c.nodes {
		if got := n.mustKV("get", "before", "--read", "stale"); got != "x" {
			c.t.Fatalf("node %d reads %q", n.id, got)
		}
	}
}

// TestOneNodeMoves: it comes back at another port, and is found.
func TestOneNodeMoves(t *testing.T) {
	c := movingCluster(t)
	moved := c.others(c.leader())[0]
	moved.kill()
	moved.raftAddress = freeAddress(t)
	moved.start()
	c.together()
}

// TestLostSnapshotsElsewhere: a node has lost its snapshots and its record, while its log is
// purged and its pairs are whole, and comes back at another address. It knows no members any
// more, is found by those whom it has met, and is told the rest by a snapshot.
func TestLostSnapshotsElsewhere(t *testing.T) {
	c := newCluster(t, "--election-timeout", "500ms", "--snapshot-entries", "20", "--keep-entries", "5")
	c.complete()
	c.nodes[0].mustKV("put", "before", "x")
	lost := c.others(c.leader())[0]
	for i := range 60 {
		lost.mustKV("put", fmt.Sprint("key ", i), "x")
	}
	eventually(t, "its log is purged", func() error {
		if s := statusOf(t, lost); s.FirstIndex < 30 {
			return fmt.Errorf("it begins at %d", s.FirstIndex)
		}
		return nil
	})
	lost.kill()
	if err := os.RemoveAll(filepath.Join(lost.dir, "snapshots")); err != nil {
		t.Fatal(err)
	}
	lost.raftAddress = freeAddress(t)
	lost.start()
	eventually(t, "it is told", func() error {
		if s := statusOf(t, lost); s.LacksMachine || s.SnapshotIndex == 0 {
			return fmt.Errorf("%+v", s)
		}
		return nil
	})
	c.together()
}

// TestTwoNodesSwap: at each one's address answers the other, while the third
// goes on. One change says so of both.
func TestTwoNodesSwap(t *testing.T) {
	c := movingCluster(t)
	a, b := c.leader(), c.others(c.leader())[0]
	a.kill()
	b.kill()
	a.raftAddress, b.raftAddress = b.raftAddress, a.raftAddress
	startAll(t, []*node{a, b})
	c.together()
	order := `{"changes":[{"op":"set_address","id":%d,"address":%q},{"op":"set_address","id":%d,"address":%q}]}`
	wantCode(t, a, "POST", "/cluster/members", fmt.Sprintf(order, a.id, a.raftAddress, b.id, b.raftAddress), 200, "")
	// The other two may have committed it without b.
	eventually(t, "b to know it", func() error {
		m, err := b.client.Members(t.Context())
		if err != nil {
			return err
		}
		for _, member := range m.Members {
			if member.Address != c.nodes[member.ID-1].raftAddress {
				return fmt.Errorf("node %d is at %s by the members, and at %s", member.ID, member.Address, c.nodes[member.ID-1].raftAddress)
			}
		}
		return nil
	})
	c.together()
	wantCode(t, a, "POST", "/cluster/members", fmt.Sprintf(order, a.id, b.raftAddress, 6-a.id-b.id, closedPort(t)), 400, api.BadRequest)
}

// TestAllNodesMove: nobody is where anybody knows. One hint brings them together.
func TestAllNodesMove(t *testing.T) {
	c := movingCluster(t)
	for _, n := range c.nodes {
		n.kill()
		n.raftAddress = freeAddress(t)
	}
	first := c.nodes[0]
	for _, n := range c.nodes[1:] {
		n.flags = append(n.flags, "--peer", fmt.Sprintf("%d=%s", first.id, first.raftAddress))
	}
	startAll(t, c.nodes)
	c.together()
	// It is not needed any more: what was learned is kept.
	for _, n := range c.nodes {
		n.kill()
		n.flags = []string{"--election-timeout", "500ms"}
	}
	startAll(t, c.nodes)
	c.together()
}

// TestDialOverridesAll: a node that dials its peers at an address where they are
// not reaches nobody, whatever it learns.
func TestDialOverridesAll(t *testing.T) {
	c := movingCluster(t)
	alone := c.others(c.leader())[0]
	alone.kill()
	closed := closedPort(t)
	for _, n := range c.others(alone) {
		alone.flags = append(alone.flags, "--dial", fmt.Sprintf("%d=%s", n.id, closed), "--peer", fmt.Sprintf("%d=%s", n.id, n.raftAddress))
	}
	alone.start()
	// The others dial it, and what they ask it answers on their connections.
	c.leader()
	// What it asks of its own accord, to carry out a write for instance, has no way.
	if r := kv(t, "put", "k", "v", "--timeout", "1s", "--http", alone.httpAddress); r.code != 1 {
		t.Errorf("a write through it: %+v", r)
	}
}

// TestNewcomerAmongMovedNodes: all voters but one have moved when a node joins, whose
// configuration tells where they were. When that one is gone, it has to win an election
// by the votes of those that have moved, and again after a restart.
func TestNewcomerAmongMovedNodes(t *testing.T) {
	c := movingCluster(t)
	stays := c.nodes[0]
	for _, n := range c.nodes[1:] {
		n.kill()
		n.raftAddress = freeAddress(t)
		n.start()
		c.leader()
	}
	newcomer := newNode(t, 4, "--election-timeout", "500ms", "--join", "http://"+stays.httpAddress)
	newcomer.start()
	newcomer.membersAre("1 voter, 2 voter, 3 voter, 4 voter")
	for _, m := range newcomer.changes("1 voter, 2 voter, 3 voter, 4 voter", "set-tags", "1").Members {
		for _, n := range c.nodes[1:] {
			if m.Address == n.raftAddress {
				t.Fatalf("the configuration has the new address of node %d already: the test is worthless", n.id)
			}
		}
	}
	stays.kill()
	left := append([]*node{newcomer}, c.nodes[1:]...)
	for range 2 {
		eventually(t, "the newcomer leads", func() error {
			// A transfer that has timed out may happen yet.
			if c.leader(left...) == newcomer {
				return nil
			}
			if r := kv(t, "transfer", "--to", "4", "--http", c.nodes[1].httpAddress); r.code != 0 {
				return fmt.Errorf("%s", r.stderr)
			}
			return nil
		})
		newcomer.mustKV("put", "by the newcomer", "x")
		newcomer.kill()
		newcomer.start()
	}
}
