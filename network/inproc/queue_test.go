package inproc

import (
	"testing"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/network"
)

// relay sends another message for each that it receives, until it is done.
type relay struct {
	receive func()
}

func (r relay) Receive(membership.Identity, core.Message)       { r.receive() }
func (relay) Connected(membership.Identity, core.Class)         {}
func (relay) Disconnected(membership.NodeID, core.Class, error) {}
func (relay) Learned(network.Peer)                              {}
func (relay) Outlived(membership.Identity)                      {}

// TestQueueStaysSmall while it is never empty: it holds what waits, and not all
// that ever did.
func TestQueueStaysSmall(t *testing.T) {
	const waiting, messages = 3, 100_000
	hub := NewHub()
	a, b := hub.Network(""), hub.Network("")
	defer a.Close()
	defer b.Close()
	local := func(id uint64) network.Local {
		return network.Local{Identity: membership.Identity{ID: membership.NodeID(id), Incarnation: 1}, StartCounter: 1, Nonce: id}
	}
	send := func() {
		if !a.Send(&core.Heartbeat{Header: core.Header{From: local(1).Identity, To: local(2).Identity}}) {
			t.Error("refused")
		}
	}
	received, done := 0, make(chan struct{})
	nothing := relay{func() {}}
	if err := a.Start(local(1), nil, nothing); err != nil {
		t.Fatal(err)
	}
	err := b.Start(local(2), nil, relay{func() {
		switch received++; {
		case received < messages:
			send()
		case received == messages:
			close(done)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	a.SetAddress(2, b.Address())
	hub.Hold(1, 2)
	for range waiting {
		send()
	}
	hub.Release(1, 2)
	<-done
	q := &a.links[linkKey{2, core.ClassControl}].outbound
	q.mu.Lock()
	defer q.mu.Unlock()
	if cap(q.items) > 16*waiting {
		t.Errorf("the queue has room for %d messages, and %d were ever in it at once", cap(q.items), waiting)
	}
}
