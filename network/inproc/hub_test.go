package inproc_test

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/network"
	"github.com/trouperaft/troupe/network/inproc"
)

const limit = 20 * time.Second

// events is a handler that hands on what it is told.
type events struct {
	received     chan core.Message
	connected    chan membership.Identity
	disconnected chan error
	receive      func(m core.Message)
	onConnected  func()
}

func newEvents() *events {
	return &events{received: make(chan core.Message, 10000), connected: make(chan membership.Identity, 100), disconnected: make(chan error, 100)}
}

func (e *events) Receive(_ membership.Identity, m core.Message) {
	if e.receive != nil {
		e.receive(m)
		return
	}
	e.received <- m
}

func (e *events) Connected(peer membership.Identity, _ core.Class) {
	if e.onConnected != nil {
		e.onConnected()
	}
	e.connected <- peer
}

func (e *events) Disconnected(_ membership.NodeID, _ core.Class, cause error) {
	e.disconnected <- cause
}

func (e *events) Learned(network.Peer)         {}
func (e *events) Outlived(membership.Identity) {}

func await[T any](t *testing.T, what string, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(limit):
		t.Fatalf("%s: not within %v", what, limit)
		panic("unreachable")
	}
}

func local(id uint64) network.Local {
	return network.Local{Identity: membership.Identity{ID: membership.NodeID(id), Incarnation: membership.Incarnation(100 * id)}, StartCounter: 1, Nonce: id}
}

func start(t *testing.T, hub *inproc.Hub, id uint64, e *events) *inproc.Network {
	t.Helper()
	n := hub.Network("")
	t.Cleanup(func() { _ = n.Close() })
	if err := n.Start(local(id), nil, e); err != nil {
		t.Fatal(err)
	}
	return n
}

// pair starts nodes 1 and 2, which know each other.
func pair(t *testing.T) (hub *inproc.Hub, a, b *inproc.Network, ea, eb *events) {
	t.Helper()
	hub, ea, eb = inproc.NewHub(), newEvents(), newEvents()
	a, b = start(t, hub, 1, ea), start(t, hub, 2, eb)
	a.SetAddress(2, b.Address())
	b.SetAddress(1, a.Address())
	return hub, a, b, ea, eb
}

func heartbeat(from, to, round uint64) *core.Heartbeat {
	return &core.Heartbeat{Header: core.Header{Group: 1, From: local(from).Identity, To: local(to).Identity}, Round: round}
}

func response(from, to, round uint64) *core.HeartbeatResponse {
	return &core.HeartbeatResponse{Header: heartbeat(from, to, 0).Header, Round: round}
}

func TestAddresses(t *testing.T) {
	hub := inproc.NewHub()
	if n := start(t, hub, 7, newEvents()); n.Address() != "node-7" {
		t.Errorf("the default address is %q", n.Address())
	}
	if err := hub.Network("node-7").Start(local(8), nil, newEvents()); err == nil {
		t.Error("an address was given twice")
	}
}

// TestHandedOver: a message arrives as it is.
func TestHandedOver(t *testing.T) {
	_, a, _, _, eb := pair(t)
	m := heartbeat(1, 2, 1)
	if !a.Send(m) {
		t.Fatal("refused")
	}
	if got := await(t, "a message", eb.received); got != core.Message(m) {
		t.Errorf("received %+v", got)
	}
}

func TestCutIsOneWay(t *testing.T) {
	hub, a, b, ea, eb := pair(t)
	a.Send(heartbeat(1, 2, 1))
	b.Send(heartbeat(2, 1, 1))
	await(t, "a message", eb.received)
	await(t, "a message", ea.received)

	hub.Cut(1, 2)
	if err := await(t, "a disconnection", ea.disconnected); !errors.Is(err, inproc.ErrCut) {
		t.Errorf("disconnected because of %v", err)
	}
	for range 10 {
		if a.Send(heartbeat(1, 2, 2)) || a.Send(response(1, 2, 1)) {
			t.Error("a message was taken over a link that is cut")
		}
	}
	if !b.Send(heartbeat(2, 1, 2)) {
		t.Error("the other way was cut too")
	}
	await(t, "a message", ea.received)
	b.Break(1, core.ClassControl)
	await(t, "a disconnection", eb.disconnected)
	if !b.Send(heartbeat(2, 1, 3)) || a.Send(response(1, 2, 3)) {
		t.Error("a new connection is not cut in the same way")
	}
	await(t, "a message", ea.received)

	hub.Heal(1, 2)
	if !a.Send(response(1, 2, 3)) || !a.Send(heartbeat(1, 2, 4)) {
		t.Error("the link was not healed")
	}
	await(t, "a message", eb.received)
	await(t, "a message", eb.received)
	if len(ea.disconnected)+len(eb.disconnected) > 0 {
		t.Error("a disconnection was reported again")
	}
}

func TestHold(t *testing.T) {
	hub, a, b, ea, eb := pair(t)
	b.Send(heartbeat(2, 1, 1))
	await(t, "a message", ea.received)
	hub.Hold(1, 2)
	for round := range uint64(100) {
		if !a.Send(heartbeat(1, 2, round)) {
			t.Fatal("refused")
		}
	}
	if !a.Send(response(1, 2, 100)) {
		t.Fatal("the response was refused")
	}
	await(t, "a connection, which is not held", ea.connected)
	if len(eb.received) > 0 {
		t.Error("messages passed")
	}
	hub.Release(1, 2)
	rounds := make(map[bool]uint64)
	for range 101 {
		switch m := await(t, "a message", eb.received).(type) {
		case *core.Heartbeat:
			if m.Round != rounds[false] {
				t.Fatalf("round %d came instead of %d", m.Round, rounds[false])
			}
			rounds[false]++
		case *core.HeartbeatResponse:
			rounds[true]++
		}
	}

	// What is held is lost with its connection.
	hub.Hold(1, 2)
	a.Send(heartbeat(1, 2, 200))
	hub.Disconnect(1, 2, core.ClassControl)
	await(t, "a disconnection", ea.disconnected)
	hub.Release(1, 2)
	a.Send(heartbeat(1, 2, 201))
	if m := await(t, "a message", eb.received).(*core.Heartbeat); m.Round != 201 {
		t.Errorf("round %d came", m.Round)
	}
}

// TestQueueIsBounded in messages.
func TestQueueIsBounded(t *testing.T) {
	hub, a, _, _, eb := pair(t)
	hub.Hold(1, 2)
	taken := 0
	for a.Send(heartbeat(1, 2, uint64(taken))) {
		if taken++; taken > inproc.QueueMessagesMax {
			break
		}
	}
	if taken != inproc.QueueMessagesMax {
		t.Errorf("%d messages were taken, want %d", taken, inproc.QueueMessagesMax)
	}
	hub.Release(1, 2)
	for range taken {
		await(t, "a message", eb.received)
	}
	if !a.Send(heartbeat(1, 2, 0)) {
		t.Error("no room came back")
	}
}

// TestSenderIsNotCaptured: each delivery leaves another message to deliver, and
// Send returns all the same.
func TestSenderIsNotCaptured(t *testing.T) {
	hub, ea, eb := inproc.NewHub(), newEvents(), newEvents()
	a := start(t, hub, 1, ea)
	var stop atomic.Bool
	received := make(chan struct{}, 1)
	eb.receive = func(core.Message) {
		if !stop.Load() {
			a.Send(heartbeat(1, 2, 2))
		}
		select {
		case received <- struct{}{}:
		default:
		}
	}
	b := start(t, hub, 2, eb)
	a.SetAddress(2, b.Address())
	returned := make(chan struct{})
	go func() {
		a.Send(heartbeat(1, 2, 1))
		close(returned)
	}()
	await(t, "the return of Send", returned)
	for range 1000 {
		await(t, "a message", received)
	}
	stop.Store(true)
}

// TestConnectedDoesNotRunWithinSend: a sender may hold a lock that its own
// Connected and Disconnected take.
func TestConnectedDoesNotRunWithinSend(t *testing.T) {
	hub, ea, eb := inproc.NewHub(), newEvents(), newEvents()
	var mu sync.Mutex
	ea.onConnected = func() { mu.Lock(); defer mu.Unlock() }
	a, b := start(t, hub, 1, ea), start(t, hub, 2, eb)
	a.SetAddress(2, b.Address())
	mu.Lock()
	a.Send(heartbeat(1, 2, 1))
	mu.Unlock()
	await(t, "a connection", ea.connected)
	await(t, "a message", eb.received)
}

// TestCloseWaits for the handler, and for nobody else's.
func TestCloseWaits(t *testing.T) {
	hub, ea, eb := inproc.NewHub(), newEvents(), newEvents()
	entered, leave := make(chan struct{}), make(chan struct{})
	eb.receive = func(core.Message) { close(entered); <-leave }
	a, b := start(t, hub, 1, ea), start(t, hub, 2, eb)
	a.SetAddress(2, b.Address())
	sent, closed := make(chan struct{}), make(chan struct{})
	go func() {
		a.Send(heartbeat(1, 2, 1))
		close(sent)
	}()
	await(t, "a message", entered)
	if err := a.Close(); err != nil {
		t.Error(err)
	}
	go func() {
		_ = b.Close()
		close(closed)
	}()
	select {
	case <-closed:
		t.Error("Close did not wait")
	case <-time.After(20 * time.Millisecond):
	}
	close(leave)
	await(t, "the return of Close", closed)
	await(t, "the return of Send", sent)
}

func BenchmarkSend(b *testing.B) {
	hub, e := inproc.NewHub(), newEvents()
	e.receive = func(core.Message) {}
	sender, receiver := hub.Network(""), hub.Network("")
	defer sender.Close()
	defer receiver.Close()
	if err := errors.Join(sender.Start(local(1), nil, newEvents()), receiver.Start(local(2), nil, e)); err != nil {
		b.Fatal(err)
	}
	sender.SetAddress(2, receiver.Address())
	m := heartbeat(1, 2, 1)
	b.ReportAllocs()
	for b.Loop() {
		if !sender.Send(m) {
			b.Fatal("refused")
		}
	}
}

// TestMarkedIsACopy: who sent a message still owns it, and what it says of its
// cluster is not changed in its hands.
func TestMarkedIsACopy(t *testing.T) {
	_, a, b, _, eb := pair(t)
	secret := core.ClusterID{1, 15: 2}
	chunk := &core.SnapshotChunk{Header: heartbeat(1, 2, 1).Header, Data: []byte("data")}
	chunk.Cluster, chunk.Meta.Cluster = secret, secret
	a.SetCluster(1, secret)
	a.Send(chunk)
	got := await(t, "a message", eb.received).(*core.SnapshotChunk)
	if !got.Cluster.IsZero() || !got.Meta.Cluster.IsZero() || string(got.Data) != "data" || chunk.Cluster != secret || chunk.Meta.Cluster != secret {
		t.Errorf("unproved: it arrives as %+v, and is now %+v", got, chunk)
	}
	b.SetCluster(1, secret)
	a.Send(chunk)
	if got := await(t, "a message", eb.received); got != core.Message(chunk) {
		t.Errorf("proved: it was copied: %+v", got)
	}
}
