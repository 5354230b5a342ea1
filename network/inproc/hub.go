// Package inproc is a network within one process. Messages are handed over as
// they are. It is for several nodes in one process, in tests and in examples,
// and can be told to fail.
//
// It starts no goroutines that stay. The goroutine that sends a message also
// delivers it. If another goroutine is delivering on the same connection at
// that moment, that one delivers this message too, in order. So Handler.Receive
// of the receiver may run inside Send, and so may whatever that sends in turn.
// The depth is bounded by the number of connections, because no two goroutines
// deliver on one connection at a time. A sender delivers a bounded number of
// messages of others, and leaves more to a goroutine that ends when it is done.
// Connected and Disconnected always come on a goroutine of their own. No lock
// of this package is held while a handler runs. A caller of Send must hold no
// lock that a Receive takes.
package inproc

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/network"
)

// Bounds of what one direction of a connection holds before it is delivered.
const (
	QueueMessagesMax = 8192
	QueueBytesMax    = 64 << 20
)

// Causes of a disconnection.
var (
	// ErrCut: the hub was told to cut the link.
	ErrCut = errors.New("inproc: the link is cut")
	// ErrClosed: the other network was closed.
	ErrClosed = errors.New("inproc: the peer has closed")
	// ErrNobody: no network has been started at the address.
	ErrNobody = errors.New("inproc: nobody is at the address")
	// ErrBroken: the connection was broken on request.
	ErrBroken = errors.New("inproc: the connection was broken on request")
	// ErrAddressChanged: SetAddress was called.
	ErrAddressChanged = errors.New("inproc: the peer's address was changed")
	// ErrReplaced: a later life of the peer has connected.
	ErrReplaced = errors.New("inproc: the connection was replaced")
)

// Hub is the medium between networks: those of one hub reach each other. All
// its methods may be called at any time, by anyone. Its lock guards the
// connections of all its networks; the queues have their own.
type Hub struct {
	mu       sync.RWMutex
	networks map[string]*Network
	cut      map[direction]bool
	held     map[direction]bool
	// made counts the connections.
	made uint64
}

type direction struct{ from, to membership.NodeID }

// NewHub returns a hub without networks.
func NewHub() *Hub {
	return &Hub{networks: make(map[string]*Network), cut: make(map[direction]bool), held: make(map[direction]bool)}
}

// Network returns a new network of the hub, to be started. The address is any
// string; empty, it becomes "node-" and the id of the node that starts it.
func (h *Hub) Network(address string) *Network {
	n := &Network{
		hub: h, address: address,
		addresses: make(map[membership.NodeID]string),
		learned:   make(map[membership.NodeID]network.Peer),
		former:    make(map[membership.NodeID]string),
		clusters:  make(map[core.GroupID]core.ClusterID),
		sent:      make(map[linkKey]*atomic.Uint64),
		links:     make(map[linkKey]*link),
		accepted:  make(map[acceptedKey][]*connection),
	}
	n.calls.idle.L = &n.calls.mu
	return n
}

// Cut stops what from sends to to, and only that: connections that from made to
// to break and cannot be made; on those that to made to from, requests still
// arrive and every response is dropped, with false from Send.
func (h *Hub) Cut(from, to membership.NodeID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.cut[direction{from, to}] = true
	for _, n := range h.networks {
		for key, l := range n.links {
			if n.local.ID == from && key.node == to {
				l.disconnect(ErrCut)
			}
			if n.local.ID == to && key.node == from {
				l.inbound.set(func(q *queue) { q.cut = true })
			}
		}
	}
}

// Heal undoes Cut. The next request makes a connection again.
func (h *Hub) Heal(from, to membership.NodeID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.cut, direction{from, to})
	for _, n := range h.networks {
		for key, l := range n.links {
			if n.local.ID == to && key.node == from {
				l.inbound.set(func(q *queue) { q.cut = false })
			}
		}
	}
}

// Hold stops the delivery of what from sends to to; it queues up, and when the
// queues are full Send returns false.
func (h *Hub) Hold(from, to membership.NodeID) { h.hold(from, to, true) }

// Release undoes Hold: what was held is delivered, by other goroutines.
func (h *Hub) Release(from, to membership.NodeID) { h.hold(from, to, false) }

func (h *Hub) hold(from, to membership.NodeID, held bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.held[direction{from, to}] = held
	for _, n := range h.networks {
		for key, l := range n.links {
			switch {
			case l.connection == nil:
			case n.local.ID == from && key.node == to:
				l.outbound.set(func(q *queue) { q.held = held })
				l.outbound.deliverElsewhere(l.connection.acceptor)
			case n.local.ID == to && key.node == from:
				l.inbound.set(func(q *queue) { q.held = held })
				l.inbound.deliverElsewhere(n)
			}
		}
	}
}

// Disconnect breaks the connection of a class that from made to to, as a fault
// of the network. What was not yet delivered on it is lost.
func (h *Hub) Disconnect(from, to membership.NodeID, class core.Class) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, n := range h.networks {
		if l := n.links[linkKey{to, class}]; n.local.ID == from && l != nil {
			l.disconnect(ErrBroken)
		}
	}
}

// connect makes the connection of a link, or says why none can be made: at the
// address where the node has proved itself last, else at that of SetAddress, else, if
// nobody is there, where it had proved itself before that. The hub's lock is held.
func (h *Hub) connect(n *Network, l *link) error {
	if h.cut[direction{n.local.ID, l.node}] {
		return ErrCut
	}
	learned, configured := n.learned[l.node].Address, n.addresses[l.node]
	if learned != "" && learned != configured && h.connectAt(n, l, learned) == nil {
		return nil
	}
	err := h.connectAt(n, l, configured)
	if former := n.former[l.node]; errors.Is(err, ErrNobody) && former != "" && h.connectAt(n, l, former) == nil {
		return nil
	}
	return err
}

func (h *Hub) connectAt(n *Network, l *link, address string) error {
	peer := h.networks[address]
	switch {
	case peer == nil:
		return fmt.Errorf("%w %q", ErrNobody, address)
	case peer.local.ID != l.node || peer == n:
		return &network.WrongPeerError{Address: address, Want: l.node, Got: peer.local.ID}
	}
	if err := peer.refuses(n); err != nil {
		return err
	}
	if err := n.refuses(peer); err != nil {
		return err
	}
	key := acceptedKey{n.local.Store(), l.class}
	h.made++
	c := &connection{
		link: l, acceptor: peer, sequence: h.made,
		outboundSent: n.sentTo(l.node, l.class), inboundSent: peer.sentTo(n.local.ID, l.class),
	}
	l.connection = c
	peer.accepted[key] = append(peer.accepted[key], c)
	there, back := direction{n.local.ID, l.node}, direction{l.node, n.local.ID}
	l.outbound.openFor(c, false, h.held[there])
	l.inbound.openFor(c, h.cut[back], h.held[back])
	l.inbound.connected(c)
	if n.shares(peer) {
		c.prove()
	}
	if l.connection != c {
		return ErrReplaced
	}
	return nil
}
