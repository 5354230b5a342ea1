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

// sent is what has left. Writers count what the system below has taken; a system
// buffers megabytes, so that a slow link would seem to stand still for as long as
// they take. What waits there and was not acknowledged has not left yet.
type sent struct {
	written atomic.Uint64

	// The rest is guarded by Network.sentMu. shown is what Sent said last; of the
	// connection that was looked at last, at lookedAt, waiting bytes were not
	// acknowledged; lost are those of connections that ended.
	shown         uint64
	connection    *connection
	waiting, lost uint64
	lookedAt      time.Duration
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
	s := n.sent[sentKey{node, class}]
	if s == nil {
		return 0
	}
	if now := clock(); c != s.connection || now-s.lookedAt >= lookAgainAfter {
		s.look(c, now)
	}
	return s.shown
}

// look takes how much of what was written to c is still here.
func (s *sent) look(c *connection, now time.Duration) {
	if c != s.connection {
		s.lost += s.waiting
		s.connection, s.waiting = c, 0
	}
	s.lookedAt = now
	written := s.written.Load()
	if c != nil && !c.over.Load() {
		// After written: what is written meanwhile makes this too much, never too
		// little.
		s.waiting = unacknowledgedBytes(c.raw.Conn)
	}
	s.shown = max(s.shown, written-min(written, s.waiting+s.lost))
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

// sentTo is where writers to a node count.
func (n *Network) sentTo(node membership.NodeID, class core.Class) *atomic.Uint64 {
	n.sentMu.Lock()
	defer n.sentMu.Unlock()
	key := sentKey{node, class}
	s := n.sent[key]
	if s == nil {
		s = new(sent)
		n.sent[key] = s
	}
	return &s.written
}
