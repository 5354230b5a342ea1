package tcp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/internal/foreign"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/network"
	"github.com/trouperaft/troupe/network/internal/seen"
	"github.com/trouperaft/troupe/network/wire"
)

// Network implements network.Network over TCP.
type Network struct {
	config      Config
	log         *slog.Logger
	lines       *foreign.Queue[foreign.Line] // of the log
	credentials *credentials
	listener    net.Listener
	address     string
	troubles    troubles
	// context ends with Close.
	context context.Context
	cancel  context.CancelFunc
	// running are all goroutines of the network.
	running sync.WaitGroup

	// Set by Start.
	local   network.Local
	handler network.Handler
	lives   *seen.Lives

	clusters  *clusters
	addresses *addresses
	resolving resolving
	teller    teller
	// proving is held while a connection becomes a proved one. It comes before mu.
	proving sync.Mutex

	// sentMu comes after all others.
	sentMu sync.Mutex
	sent   map[sentKey]*sent

	// mu comes before the locks of links and connections.
	mu      sync.RWMutex
	started bool
	closed  bool
	peers   map[membership.NodeID]*peer
	// accepted are the connections by which responses go back, as they were
	// accepted: the newest is the last.
	accepted map[acceptedKey][]*connection
	// live are all connections that run.
	live     map[*connection]struct{}
	inbound  int
	sequence uint64
}

var (
	_ network.Network   = (*Network)(nil)
	_ network.Logging   = (*Network)(nil)
	_ network.Recycling = (*Network)(nil)
)

// peer is a node that an address was set for. It stays when the address is
// taken back.
type peer struct{ links [core.Classes]*link }

type acceptedKey struct {
	peer  membership.Identity
	class core.Class
}

// Listen opens the port and returns a network that is to be started. Nothing is
// accepted before that.
func Listen(config Config) (*Network, error) {
	config, err := config.withDefaults()
	if err != nil {
		return nil, err
	}
	credentials, err := newCredentials(config.TLS)
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", config.Address)
	if err != nil {
		return nil, fmt.Errorf("tcp: cannot listen on %s: %w", config.Address, err)
	}
	n := &Network{
		config: config, credentials: credentials, listener: listener,
		address:  advertised(config.Advertise, listener.Addr().String()),
		clusters: newClusters(), addresses: newAddresses(&config),
		sent:     make(map[sentKey]*sent),
		peers:    make(map[membership.NodeID]*peer),
		accepted: make(map[acceptedKey][]*connection),
		live:     make(map[*connection]struct{}),
	}
	n.log, n.lines = foreign.NewLogger(config.Logger)
	n.context, n.cancel = context.WithCancel(context.Background())
	return n, nil
}

// advertised puts the real port into an address that leaves it open.
func advertised(advertise, listening string) string {
	host, port, err := net.SplitHostPort(advertise)
	switch {
	case advertise == "":
		return listening
	case err != nil || port != "0":
		return advertise
	}
	_, port, _ = net.SplitHostPort(listening)
	return net.JoinHostPort(host, port)
}

// Start implements network.Network.
func (n *Network) Start(local network.Local, known []network.Peer, handler network.Handler) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case n.closed:
		return ErrClosed
	case n.started:
		return errors.New("tcp: the network was started before")
	case local.ID == 0 || local.Incarnation == 0:
		return fmt.Errorf("tcp: the node %v lacks an id or an incarnation", local.Identity)
	case handler == nil:
		return errors.New("tcp: no handler")
	}
	n.started = true
	n.local, n.handler, n.lives = local, handler, seen.NewLives(local, known)
	n.addresses.start(local.ID, known)
	n.running.Go(n.accept)
	return nil
}

// start runs f on a goroutine that Close waits for, and reports whether it
// does: not after Close.
func (n *Network) start(f func()) bool {
	if n.context.Err() != nil {
		return false
	}
	n.running.Go(f)
	return true
}

// Send implements network.Network.
func (n *Network) Send(m core.Message) bool {
	h, class := m.Head(), m.Class()
	n.mu.RLock()
	defer n.mu.RUnlock()
	if !n.started || n.closed {
		return false
	}
	bytes := network.SizeBytes(m)
	switch {
	case !h.From.SameStore(n.local.Identity):
		n.refuse(m, fmt.Errorf("tcp: a %T from node %v, and this is node %v", m, h.From, n.local.Identity))
		return false
	case bytes > n.config.FrameBytesMax:
		n.refuse(m, fmt.Errorf("%w: a %T of %d bytes, at most %d", network.ErrFrameTooLarge, m, bytes, n.config.FrameBytesMax))
		return false
	}
	if m.Response() {
		c := n.answering(acceptedKey{h.To.Store(), class}, h.Group)
		return c != nil && n.within(m, bytes, int64(c.takes)) && c.queue.put(m, bytes)
	}
	p := n.peers[h.To.ID]
	return p != nil && n.within(m, bytes, p.links[class-1].takes.Load()) && p.links[class-1].send(m, bytes)
}

// within reports whether the peer takes a message of so many bytes, where 0 is an unknown
// limit. What it does not take would end the connection.
func (n *Network) within(m core.Message, bytes int, most int64) bool {
	if most == 0 || int64(bytes) <= most {
		return true
	}
	n.refuse(m, fmt.Errorf("%w: a %T of %d bytes, and the peer takes at most %d", network.ErrFrameTooLarge, m, bytes, most))
	return false
}

// PeerMessageBytesMax implements network.PeerLimits.
func (n *Network) PeerMessageBytesMax(node membership.NodeID, class core.Class) int {
	n.mu.RLock()
	defer n.mu.RUnlock()
	if p := n.peers[node]; p != nil && class >= 1 && class <= core.Classes {
		return int(p.links[class-1].takes.Load())
	}
	return 0
}

// MessageBytesMax implements network.Network.
func (n *Network) MessageBytesMax() int { return n.config.FrameBytesMax }

// refuse logs a message that cannot be sent.
func (n *Network) refuse(m core.Message, err error) {
	if n.troubles.tell(fmt.Sprintf("%T %s", m, name(err))) {
		n.log.Error("message not sent", "peer", m.Head().To.ID, "class", m.Class(), "cause", err)
	}
}

// SetAddress implements network.Network.
func (n *Network) SetAddress(node membership.NodeID, address string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return
	}
	p := n.peers[node]
	if p == nil {
		if address == "" {
			return
		}
		p = new(peer)
		for i := range p.links {
			p.links[i] = &link{network: n, node: node, class: core.Class(i + 1), wake: make(chan struct{}, 1)}
		}
		n.peers[node] = p
	}
	if n.addresses.configured(node) == address {
		return
	}
	// Connections first: what is proved on those that end here says nothing new
	// about the address.
	for _, l := range p.links {
		l.setAddress(address != "")
	}
	n.addresses.configure(node, address)
}

// Break implements network.Network.
func (n *Network) Break(node membership.NodeID, class core.Class) {
	n.mu.RLock()
	defer n.mu.RUnlock()
	if p := n.peers[node]; p != nil && class >= 1 && class <= core.Classes {
		p.links[class-1].breakConnection()
	}
}

// Address implements network.Network: the address to advertise, or the one
// that is listened on. The latter is of use to others only if it names a host.
func (n *Network) Address() string { return n.address }

// Close implements network.Network. Connections end at once: what is queued is
// not sent. The handler is told nothing, and must not call it. Close waits a moment
// for what is left to be logged.
func (n *Network) Close() error {
	n.mu.Lock()
	var err error
	if !n.closed {
		n.closed = true
		n.cancel()
		err = n.listener.Close()
		for _, p := range n.peers {
			for _, l := range p.links {
				l.close()
			}
		}
		for c := range n.live {
			c.fail(ErrClosed)
		}
	}
	n.mu.Unlock()
	n.running.Wait()
	n.lines.Close(foreign.LinesPatience)
	return err
}

func (n *Network) newQueue() *queue {
	return newQueue(n.config.QueueMessagesMax, n.config.QueueBytesMax)
}

// enlist counts a connection among those that run, unless the network is
// closed.
func (n *Network) enlist(c *connection) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return false
	}
	n.live[c] = struct{}{}
	return true
}

func (n *Network) delist(c *connection) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.live, c)
}

// Recycle implements network.Recycling.
func (n *Network) Recycle(data []byte) { wire.Recycle(data) }
