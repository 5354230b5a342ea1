package actors

import (
	"container/heap"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/trouperaft/troupe/actors/calls"
	"github.com/trouperaft/troupe/actors/stage"
	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/network"
	"github.com/trouperaft/troupe/storage/memory"
)

// virtual is a cluster of nodes with many groups in virtual time: one goroutine runs
// all actors, in the order in which they asked for it. Package internal/simulation has
// one group and everything that can go wrong; this one has a shared disk on each node,
// which hangs when a test says so.
type virtual struct {
	t      *testing.T
	rand   *rand.Rand
	system *stage.System
	now    stage.Instant
	events virtualEvents
	count  uint64
	runs   []func()
	nodes  []*virtualNode
}

// virtualNode is a node with its clock, its disk and its network.
type virtualNode struct {
	*virtual
	node   *Node
	local  network.Local
	groups []*Group
	// writes is what a write to the disk takes, and hangs until when none ends.
	writes time.Duration
	hangs  stage.Instant

	handler   network.Handler
	clusters  map[membership.GroupID]core.ClusterID
	connected map[virtualLink]bool
}

type virtualLink struct {
	to    membership.NodeID
	class core.Class
}

var (
	_ stage.Environment = (*virtualNode)(nil)
	_ network.Network   = (*virtualNode)(nil)
)

// newVirtual starts nodes, each with so many groups.
func newVirtual(t *testing.T, nodes, groups int, configure func(*GroupConfig)) *virtual {
	t.Helper()
	v := &virtual{t: t, rand: rand.New(rand.NewPCG(1, 2)), system: stage.NewSystem()}
	for i := range nodes {
		id := membership.NodeID(i + 1)
		n := &virtualNode{virtual: v, writes: 2 * time.Millisecond, clusters: map[membership.GroupID]core.ClusterID{}, connected: map[virtualLink]bool{}}
		v.nodes = append(v.nodes, n)
		var err error
		if n.node, err = NewNode(NodeConfig{ID: id, Store: memory.New(id), Snapshots: memory.NewSnapshots(), Network: n, Environment: n}); err != nil {
			t.Fatal(err)
		}
		for g := range groups {
			cfg := groupConfig(membership.GroupID(g+1), &listMachine{})
			configure(&cfg)
			group, err := n.node.Start(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			n.groups = append(n.groups, group)
		}
	}
	return v
}

// virtualEvent is something that happens later, in the order of its making.
type virtualEvent struct {
	at    stage.Instant
	count uint64
	run   func()
}

type virtualEvents []*virtualEvent

func (e virtualEvents) Len() int { return len(e) }
func (e virtualEvents) Less(i, j int) bool {
	return e[i].at < e[j].at || e[i].at == e[j].at && e[i].count < e[j].count
}
func (e virtualEvents) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e *virtualEvents) Push(x any)   { *e = append(*e, x.(*virtualEvent)) }
func (e *virtualEvents) Pop() any {
	last := len(*e) - 1
	event := (*e)[last]
	(*e)[last] = nil
	*e = (*e)[:last]
	return event
}

func (v *virtual) after(d time.Duration, run func()) {
	v.count++
	heap.Push(&v.events, &virtualEvent{v.now + stage.Instant(max(d, 1)), v.count, run})
}

// pass lets so much time pass.
func (v *virtual) pass(d time.Duration) {
	end := v.now + stage.Instant(d)
	for {
		for i := 0; i < len(v.runs); i++ {
			v.runs[i]()
		}
		clear(v.runs)
		v.runs = v.runs[:0]
		if len(v.events) == 0 || v.events[0].at > end {
			v.now = end
			return
		}
		event := heap.Pop(&v.events).(*virtualEvent)
		v.now = event.at
		event.run()
	}
}

func (v *virtual) Now() stage.Instant                      { return v.now + stage.Instant(time.Hour) }
func (v *virtual) ClockStops() bool                        { return false }
func (v *virtual) WallTime() int64                         { return int64(v.now) }
func (v *virtual) Rand() uint64                            { return v.rand.Uint64() }
func (v *virtual) System() *stage.System                   { return v.system }
func (v *virtual) Schedule(run func())                     { v.runs = append(v.runs, run) }
func (v *virtual) Yield()                                  {}
func (v *virtual) Sleep(time.Duration, <-chan struct{})    {}
func (v *virtual) Secret(b []byte)                         { putRandom(v.rand, b) }
func (n *virtualNode) Address() string                     { return address(n.local.ID) }
func (n *virtualNode) MessageBytesMax() int                { return 0 }
func (n *virtualNode) Close() error                        { return nil }
func (n *virtualNode) Break(membership.NodeID, core.Class) {}

func putRandom(r *rand.Rand, b []byte) {
	for i := range b {
		b[i] = byte(r.Uint64())
	}
}

// AfterFunc implements stage.Environment.
func (v *virtual) AfterFunc(d time.Duration, f func()) stage.Timer {
	t := &virtualTimer{v: v, f: f}
	t.Reset(d)
	return t
}

// virtualTimer fires for its last setting only.
type virtualTimer struct {
	v   *virtual
	f   func()
	set uint64
}

func (t *virtualTimer) Stop() { t.set++ }

func (t *virtualTimer) Reset(d time.Duration) {
	t.set++
	set := t.set
	t.v.after(d, func() {
		if t.set == set {
			t.f()
		}
	})
}

// Do implements stage.Environment. What goes to the disk waits while that hangs.
func (n *virtualNode) Do(c *stage.Call) {
	run, done := c.Run, c.Done
	takes := 10 * time.Microsecond
	switch c.Kind {
	case calls.Observe, calls.Close:
		run()
		done()
		return
	case calls.Write, calls.Keep, calls.SnapshotWrite:
		takes = n.writes + time.Duration(max(n.hangs-n.now, 0))
	}
	n.after(takes, func() {
		run()
		done()
	})
}

// Start implements network.Network.
func (n *virtualNode) Start(local network.Local, _ []network.Peer, h network.Handler) error {
	n.local, n.handler = local, h
	return nil
}

// SetCluster implements network.Network: what a node says of it is believed.
func (n *virtualNode) SetCluster(group membership.GroupID, cluster core.ClusterID) {
	n.clusters[group] = cluster
}

// SetAddress implements network.Network: a node is found by its id.
func (n *virtualNode) SetAddress(membership.NodeID, string) {}

// Sent implements network.Network: nobody counts.
func (n *virtualNode) Sent(membership.NodeID, core.Class) uint64 { return 0 }

// Send implements network.Network: every way takes a millisecond.
func (n *virtualNode) Send(m core.Message) bool {
	h := *m.Head()
	to := n.nodes[h.To.ID-1]
	n.after(time.Millisecond, func() {
		if link := (virtualLink{h.To.ID, m.Class()}); !m.Response() && !n.connected[link] {
			n.connected[link] = true
			n.handler.Connected(to.local.Identity, link.class)
		}
		switch cluster := to.clusters[h.Group]; {
		case !cluster.IsZero() && cluster == n.clusters[h.Group]:
			h.Cluster, h.Introduces = cluster, false
		case !h.Introduces:
			h.Cluster = core.ClusterID{}
		}
		to.handler.Receive(n.local.Identity, core.WithHeader(m, h))
	})
	return true
}
