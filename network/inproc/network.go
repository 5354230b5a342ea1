package inproc

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/network"
	"github.com/trouperaft/troupe/network/internal/seen"
)

// Network implements network.Network within a process. Its fields are guarded
// by the hub's lock, calls apart.
type Network struct {
	hub       *Hub
	address   string
	started   bool
	closed    bool
	local     network.Local
	handler   network.Handler
	lives     *seen.Lives
	addresses map[membership.NodeID]string
	// learned are the peers that have proved themselves, with their addresses.
	learned map[membership.NodeID]network.Peer
	// former is where those were learned to be who have another address since.
	former   map[membership.NodeID]string
	clusters map[core.GroupID]core.ClusterID
	sent     map[linkKey]*atomic.Uint64
	links    map[linkKey]*link
	// accepted are in the order in which they were made.
	accepted map[acceptedKey][]*connection

	// notices are what the handler is told of peers.
	notices queue
	calls   calls
}

var _ network.Network = (*Network)(nil)

type linkKey struct {
	node  membership.NodeID
	class core.Class
}

type acceptedKey struct {
	peer  membership.Identity
	class core.Class
}

// link is a network's side of the connections it makes to a node, one after the
// other. It stays, so that what its handler is told of them keeps its order.
type link struct {
	owner      *Network
	node       membership.NodeID
	class      core.Class
	connection *connection
	// reported: the handler knows that the node cannot be reached.
	reported bool
	// outbound holds requests; inbound responses, and what the handler is told
	// of the link.
	outbound, inbound queue
}

// connection is one connection, from the link that made it to a network.
type connection struct {
	link     *link
	acceptor *Network
	sequence uint64
	// proven: both sides have proved to know a cluster of the other.
	proven bool
	// outboundSent and inboundSent count what has left either way.
	outboundSent, inboundSent *atomic.Uint64
}

// Start implements network.Network. It fails if another network of the hub has
// the address.
func (n *Network) Start(local network.Local, known []network.Peer, handler network.Handler) error {
	n.hub.mu.Lock()
	defer n.hub.mu.Unlock()
	if n.address == "" {
		n.address = fmt.Sprintf("node-%d", local.ID)
	}
	switch {
	case n.closed:
		return errors.New("inproc: the network is closed")
	case n.started:
		return errors.New("inproc: the network was started before")
	case local.ID == 0 || local.Incarnation == 0:
		return fmt.Errorf("inproc: the node %v lacks an id or an incarnation", local.Identity)
	case n.hub.networks[n.address] != nil:
		return fmt.Errorf("inproc: address %q is in use", n.address)
	}
	n.started = true
	n.local, n.handler, n.lives = local, handler, seen.NewLives(local, known)
	for i := range known {
		if known[i].ID != local.ID {
			n.learned[known[i].ID] = known[i]
		}
	}
	n.hub.networks[n.address] = n
	return nil
}

// Send implements network.Network.
func (n *Network) Send(m core.Message) bool {
	h, class := m.Head(), m.Class()
	n.hub.mu.RLock()
	if !n.started || n.closed || !h.From.SameStore(n.local.Identity) {
		n.hub.mu.RUnlock()
		return false
	}
	var c *connection
	if m.Response() {
		c = n.answering(acceptedKey{h.To.Store(), class}, h.Group)
	} else if l := n.links[linkKey{h.To.ID, class}]; l != nil {
		c = l.connection
	}
	n.hub.mu.RUnlock()
	if c == nil && !m.Response() {
		c = n.connect(linkKey{h.To.ID, class})
	}
	if c == nil {
		return false
	}
	q, target, sent := &c.link.outbound, c.acceptor, c.outboundSent
	if m.Response() {
		q, target, sent = &c.link.inbound, c.link.owner, c.inboundSent
	}
	if !q.push(c, item{target: target, kind: itemMessage, message: m, from: n.local.Identity, bytes: network.SizeBytes(m), sender: n, sent: sent}) {
		return false
	}
	q.deliver(deliveredBySenderMax)
	return true
}

// connect returns the connection of a link, made if need be, or nil.
func (n *Network) connect(key linkKey) *connection {
	n.hub.mu.Lock()
	defer n.hub.mu.Unlock()
	if n.closed || n.addresses[key.node] == "" {
		return nil
	}
	l := n.links[key]
	if l == nil {
		l = &link{owner: n, node: key.node, class: key.class}
		n.links[key] = l
	}
	if l.connection != nil {
		return l.connection
	}
	if err := n.hub.connect(n, l); err != nil {
		if !l.reported {
			l.reported = true
			l.inbound.disconnected(l, err)
		}
		return nil
	}
	l.reported = false
	return l.connection
}

// disconnect ends the link's connection, if there is one, and tells the
// handler. What was not delivered is lost. The hub's lock is held.
func (l *link) disconnect(cause error) {
	c := l.connection
	if c == nil {
		return
	}
	l.connection = nil
	// One that was broken on request can be made again at once.
	l.reported = cause != ErrBroken && cause != ErrAddressChanged
	key := acceptedKey{l.owner.local.Store(), l.class}
	rest := slices.DeleteFunc(c.acceptor.accepted[key], func(o *connection) bool { return o == c })
	if c.acceptor.accepted[key] = rest; len(rest) == 0 {
		delete(c.acceptor.accepted, key)
	}
	l.outbound.close()
	l.inbound.disconnected(l, cause)
}

// SetAddress implements network.Network.
func (n *Network) SetAddress(node membership.NodeID, address string) {
	n.hub.mu.Lock()
	defer n.hub.mu.Unlock()
	if n.closed || n.addresses[node] == address {
		return
	}
	if n.addresses[node] != "" {
		// Rule 30: a newer address goes before what was learned.
		if learned := n.learned[node].Address; learned != "" {
			n.former[node] = learned
		}
		delete(n.learned, node)
	}
	if n.addresses[node] = address; address == "" {
		delete(n.addresses, node)
		delete(n.former, node)
	}
	for key, l := range n.links {
		if key.node == node {
			l.reported = false
			l.disconnect(ErrAddressChanged)
		}
	}
}

// MessageBytesMax implements network.Network: a message of any size is taken.
func (n *Network) MessageBytesMax() int { return 0 }

// Break implements network.Network.
func (n *Network) Break(node membership.NodeID, class core.Class) {
	n.hub.mu.Lock()
	defer n.hub.mu.Unlock()
	if l := n.links[linkKey{node, class}]; l != nil {
		l.disconnect(ErrBroken)
	}
}

// Address implements network.Network. Before Start it may be empty.
func (n *Network) Address() string {
	n.hub.mu.RLock()
	defer n.hub.mu.RUnlock()
	return n.address
}

// Close implements network.Network. Peers are told that their connections are
// gone, the network's own handler is told nothing. A handler must not call it.
func (n *Network) Close() error {
	n.hub.mu.Lock()
	if !n.closed {
		n.closed = true
		n.calls.close()
		for _, l := range n.links {
			l.disconnect(ErrClosed)
		}
		for _, c := range n.allAccepted() {
			c.link.disconnect(ErrClosed)
		}
		if n.started {
			delete(n.hub.networks, n.address)
		}
	}
	n.hub.mu.Unlock()
	n.calls.wait()
	return nil
}

// calls counts what runs on behalf of a network's handler.
type calls struct {
	mu     sync.Mutex
	idle   sync.Cond
	count  int
	closed bool
}

// enter reports whether the handler may be called; leave has to follow.
func (c *calls) enter() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	c.count++
	return true
}

func (c *calls) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.count--; c.count == 0 {
		c.idle.Broadcast()
	}
}

func (c *calls) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
}

func (c *calls) wait() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.count > 0 {
		c.idle.Wait()
	}
}
