package networktest

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/network"
)

// limit is when a test gives up waiting.
const limit = 30 * time.Second

// node is a started network with a handler that writes down what it is told.
type node struct {
	network.Network
	t     *testing.T
	local network.Local
	// receive, if set, is called within Receive.
	receive func(m core.Message)

	mu           sync.Mutex
	changed      chan struct{}
	received     []core.Message
	connected    map[core.Class][]membership.Identity
	disconnected map[core.Class][]error
	learned      []network.Peer
	outlived     []membership.Identity
	busy         map[string]bool
	closed       atomic.Bool
}

// start starts the next network of a medium for a node. Its incarnation is 100
// times its id.
func (m Medium) start(t *testing.T, id, startCounter, nonce uint64) *node {
	t.Helper()
	return m.startWith(t, id, startCounter, nonce, nil)
}

func (m Medium) startWith(t *testing.T, id, startCounter, nonce uint64, receive func(n *node, m core.Message)) *node {
	t.Helper()
	n := m.startStranger(t, id, startCounter, nonce, nil, receive)
	for _, group := range groups {
		n.SetCluster(group, cluster(7))
	}
	return n
}

// groups are those of which every node of the suite knows the cluster.
var groups = []core.GroupID{1, 4}

// cluster makes an id.
func cluster(n byte) core.ClusterID { return core.ClusterID{0xc, 15: n} }

// startStranger starts a node that knows no cluster.
func (m Medium) startStranger(t *testing.T, id, startCounter, nonce uint64, known []network.Peer, receive func(n *node, m core.Message)) *node {
	t.Helper()
	n := &node{
		Network: m.New(membership.NodeID(id)), t: t,
		local:        network.Local{Identity: identity(id), StartCounter: startCounter, Nonce: nonce},
		changed:      make(chan struct{}),
		connected:    make(map[core.Class][]membership.Identity),
		disconnected: make(map[core.Class][]error),
		busy:         make(map[string]bool),
	}
	if receive != nil {
		n.receive = func(m core.Message) { receive(n, m) }
	}
	t.Cleanup(n.close)
	if err := n.Start(n.local, known, n); err != nil {
		t.Fatalf("node %d: Start: %v", id, err)
	}
	return n
}

// pair starts nodes 1 and 2, of which 1 knows the address of 2.
func (m Medium) pair(t *testing.T) (a, b *node) {
	t.Helper()
	a, b = m.start(t, 1, 1, 11), m.start(t, 2, 1, 22)
	a.SetAddress(2, b.Address())
	return a, b
}

func identity(id uint64) membership.Identity {
	return membership.Identity{ID: membership.NodeID(id), Incarnation: membership.Incarnation(100 * id)}
}

func (n *node) close() {
	if err := n.Close(); err != nil && !n.closed.Load() {
		n.t.Errorf("node %d: Close: %v", n.local.ID, err)
	}
	n.closed.Store(true)
}

// enter writes a call down, and complains of one after Close, or beside another
// of the same connection.
func (n *node) enter(connection string) (leave func()) {
	if n.closed.Load() {
		n.t.Errorf("node %d: the handler is called after Close", n.local.ID)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.busy[connection] {
		n.t.Errorf("node %d: two calls at a time for %s", n.local.ID, connection)
	}
	n.busy[connection] = true
	return func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.busy[connection] = false
		close(n.changed)
		n.changed = make(chan struct{})
	}
}

// Receive implements network.Handler.
func (n *node) Receive(from membership.Identity, m core.Message) {
	side := "requests of"
	if m.Response() {
		side = "the connection to"
	}
	leave := n.enter(fmt.Sprintf("%s %v %v", side, from.ID, m.Class()))
	defer leave()
	if !m.Head().From.SameStore(from) || m.Head().To.ID != n.local.ID {
		n.t.Errorf("node %d: a message of %v to %v came from %v", n.local.ID, m.Head().From, m.Head().To, from)
	}
	if n.receive != nil {
		n.receive(m)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.received = append(n.received, m)
}

// Connected implements network.Handler.
func (n *node) Connected(peer membership.Identity, class core.Class) {
	defer n.enter(fmt.Sprintf("the connection to %v %v", peer.ID, class))()
	n.mu.Lock()
	defer n.mu.Unlock()
	n.connected[class] = append(n.connected[class], peer)
}

// Disconnected implements network.Handler.
func (n *node) Disconnected(peer membership.NodeID, class core.Class, cause error) {
	defer n.enter(fmt.Sprintf("the connection to %v %v", peer, class))()
	if cause == nil {
		n.t.Errorf("node %d: disconnected from %d without a cause", n.local.ID, peer)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.disconnected[class] = append(n.disconnected[class], cause)
}

// Learned implements network.Handler.
func (n *node) Learned(peer network.Peer) {
	defer n.enter("what is learned")()
	n.mu.Lock()
	defer n.mu.Unlock()
	n.learned = append(n.learned, peer)
}

// Outlived implements network.Handler.
func (n *node) Outlived(by membership.Identity) {
	defer n.enter("what is learned")()
	n.mu.Lock()
	defer n.mu.Unlock()
	n.outlived = append(n.outlived, by)
}

// await waits until a condition holds on what was written down. It gives up when nothing
// was received for the limit: many large messages take their time on a busy machine. Ten
// limits are enough for any of them.
func (n *node) await(what string, holds func() bool) {
	n.t.Helper()
	timer, begun := time.NewTimer(limit), time.Now()
	defer timer.Stop()
	for before := 0; ; {
		n.mu.Lock()
		ok, changed, received := holds(), n.changed, len(n.received)
		n.mu.Unlock()
		if ok {
			return
		}
		if received > before {
			before = received
			timer.Reset(min(limit, 10*limit-time.Since(begun)))
		}
		select {
		case <-changed:
		case <-timer.C:
			n.mu.Lock()
			defer n.mu.Unlock()
			n.t.Fatalf("node %d: %s: not within %v; received %d, connected %v, disconnected %v",
				n.local.ID, what, limit, len(n.received), n.connected, n.disconnected)
		}
	}
}

func (n *node) awaitReceived(count int) []core.Message {
	n.t.Helper()
	n.await(fmt.Sprintf("%d messages", count), func() bool { return len(n.received) >= count })
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.received) > count {
		n.t.Errorf("node %d: received %d messages, want %d", n.local.ID, len(n.received), count)
	}
	return n.received[:count]
}

func (n *node) awaitConnected(class core.Class, count int) {
	n.t.Helper()
	n.await(fmt.Sprintf("connection %d", count), func() bool { return len(n.connected[class]) >= count })
}

// awaitDisconnected returns the cause of the count-th disconnection.
func (n *node) awaitDisconnected(class core.Class, count int) error {
	n.t.Helper()
	n.await(fmt.Sprintf("disconnection %d", count), func() bool { return len(n.disconnected[class]) >= count })
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.disconnected[class][count-1]
}

// awaitLearned waits until the node was told count times what it learned, and
// returns all of it.
func (n *node) awaitLearned(count int) []network.Peer {
	n.t.Helper()
	n.await(fmt.Sprintf("%d peers are learned", count), func() bool { return len(n.learned) >= count })
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.learned)
}

// awaitOutlived waits until the node was told that it has been outlived.
func (n *node) awaitOutlived() membership.Identity {
	n.t.Helper()
	n.await("notice that it has been outlived", func() bool { return len(n.outlived) > 0 })
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.outlived[0]
}

// notOutlived asserts that the node was not told that it has been outlived.
func (n *node) notOutlived() {
	n.t.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.outlived) > 0 {
		n.t.Errorf("node %d was told that it has been outlived, by %v", n.local.ID, n.outlived)
	}
}

// counts returns how often the handler was told of connections of a class.
func (n *node) counts(class core.Class) (connected, disconnected int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.connected[class]), len(n.disconnected[class])
}

// sendUntil sends a message until it is taken.
func (n *node) sendUntil(m core.Message) {
	n.t.Helper()
	n.until(fmt.Sprintf("a %T is taken", m), func() bool { return n.Send(m) })
}

// until tries again and again, for what no handler is told of.
func (n *node) until(what string, holds func() bool) {
	n.t.Helper()
	deadline := time.Now().Add(limit)
	for !holds() {
		if time.Now().After(deadline) {
			n.t.Fatalf("node %d: %s: not within %v", n.local.ID, what, limit)
		}
		time.Sleep(100 * time.Microsecond)
	}
}

// refused asserts that nothing takes a message.
func (n *node) refused(m core.Message) {
	n.t.Helper()
	if n.Send(m) {
		n.t.Errorf("node %d: a %T to %v was taken", n.local.ID, m, m.Head().To)
	}
}

func (n *node) head(to *node, group uint64) core.Header {
	return core.Header{Group: core.GroupID(group), Cluster: cluster(7), From: n.local.Identity, To: to.local.Identity, Term: 3}
}

// request makes a request of a class with a number in it.
func (n *node) request(to *node, class core.Class, number uint64) core.Message {
	switch class {
	case core.ClassBulk:
		return &core.AppendEntries{Header: n.head(to, 1), Stream: number}
	case core.ClassSnapshot:
		return &core.SnapshotChunk{Header: n.head(to, 1), Transfer: number}
	}
	return &core.Heartbeat{Header: n.head(to, 1), Round: number}
}

// response makes the answer to a request, with its number.
func (n *node) response(m core.Message) core.Message {
	h := core.Header{Group: m.Head().Group, Cluster: cluster(7), From: m.Head().To, To: m.Head().From, Term: 3}
	switch m := m.(type) {
	case *core.AppendEntries:
		return &core.AppendResponse{Header: h, Stream: m.Stream}
	case *core.SnapshotChunk:
		return &core.SnapshotResponse{Header: h, Transfer: m.Transfer}
	case *core.Heartbeat:
		return &core.HeartbeatResponse{Header: h, Round: m.Round}
	}
	n.t.Errorf("no response to a %T", m)
	return nil
}

// number reads the number of a message that request or response made.
func number(m core.Message) uint64 {
	switch m := m.(type) {
	case *core.AppendEntries:
		return m.Stream
	case *core.AppendResponse:
		return m.Stream
	case *core.SnapshotChunk:
		return m.Transfer
	case *core.SnapshotResponse:
		return m.Transfer
	case *core.Heartbeat:
		return m.Round
	case *core.HeartbeatResponse:
		return m.Round
	}
	return 0
}
