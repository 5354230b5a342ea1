package tcp

import (
	"sync/atomic"
	"time"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
)

// sentKey names what has left for a node on connections of a class.
type sentKey struct {
	node  membership.NodeID
	class core.Class
}

// sent is what has left. Of responses it is what the system below has taken, of
// requests what the other side's has.
type sent struct {
	responses atomic.Uint64
	// ended is what has left on connections that have ended. Network.sentMu guards
	// it.
	ended uint64
}

// leaving is what leaves on one connection that this node made. A system buffers
// megabytes, so that a slow link would seem to stand still for as long as they
// take. What waits there and was not acknowledged has not left yet.
type leaving struct {
	// taken counts what the system below has taken.
	taken atomic.Uint64

	// The rest is guarded by Network.sentMu. left is what had left at the last
	// look, at lookedAt; over says that it is part of sent.ended.
	left     uint64
	lookedAt time.Duration
	over     bool
}

// lookAgainAfter is for how long one look at a system's buffer serves: many
// groups ask for the same peer.
const lookAgainAfter = 20 * time.Millisecond

// Sent implements network.Network. It counts messages with their proofs, and no
// keep-alives: those of a path that has gone dark still fit into a buffer. On
// Linux bytes have left when the other side's system has acknowledged them,
// elsewhere when this one has taken them. Responses count from when the peer has
// proved itself, and as soon as they are taken.
func (n *Network) Sent(node membership.NodeID, class core.Class) uint64 {
	c := n.connectionTo(node, class)
	n.sentMu.Lock()
	defer n.sentMu.Unlock()
	left := uint64(0)
	if s := n.sent[sentKey{node, class}]; s != nil {
		left = s.responses.Load() + s.ended
	}
	if c == nil || c.leaving.over {
		return left
	}
	if now := clock(); now-c.leaving.lookedAt >= lookAgainAfter {
		c.look(now)
	}
	return left + c.leaving.left
}

// look takes how much of what was written has left. Network.sentMu is held.
func (c *connection) look(now time.Duration) {
	l := &c.leaving
	taken := l.taken.Load()
	// After taken: what is taken meanwhile makes this too much, never too little.
	// A keep-alive that waits does too, so that this may even become less.
	waiting := unacknowledgedBytes(c.raw.Conn)
	l.left, l.lookedAt = max(l.left, taken-min(taken, waiting)), now
}

// settle takes what has left on a connection that ends. It comes before the close:
// afterwards nobody can tell what was not acknowledged.
func (c *connection) settle() {
	if c.inbound {
		return
	}
	n := c.network
	n.sentMu.Lock()
	defer n.sentMu.Unlock()
	if !c.leaving.over {
		c.look(clock())
		n.sentTo(c.peer.ID, c.class).ended += c.leaving.left
		c.leaving.over = true
	}
}

// countResponses is called when the peer that made a connection has proved itself:
// what was and will be written there counts.
func (c *connection) countResponses() {
	n := c.network
	n.sentMu.Lock()
	defer n.sentMu.Unlock()
	s := n.sentTo(c.peer.ID, c.class)
	s.responses.Add(c.counter.Swap(&s.responses).Load())
}

// connectionTo is the connection that this node has made to another, if any.
func (n *Network) connectionTo(node membership.NodeID, class core.Class) *connection {
	n.mu.RLock()
	defer n.mu.RUnlock()
	p := n.peers[node]
	if p == nil || class < 1 || class > core.Classes {
		return nil
	}
	l := p.links[class-1]
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.connection
}

// sentTo is what has left for a node. Network.sentMu is held.
func (n *Network) sentTo(node membership.NodeID, class core.Class) *sent {
	key := sentKey{node, class}
	s := n.sent[key]
	if s == nil {
		s = new(sent)
		n.sent[key] = s
	}
	return s
}
