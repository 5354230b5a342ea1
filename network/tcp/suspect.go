package tcp

import "time"

// Rule 30: half a link. That nothing was heard on a control connection although
// an answer was due says that the path, or this one of its flows, is dark: what
// was sent left, and nobody acknowledges it. The other connections made to the
// same process took the same path. They may be dark too, and nobody would notice
// for SilenceMax, for an append's answer may wait for a disk and an idle
// connection owes nothing. So they are asked for a sign of life, which waits for
// nothing. One that is only slow, or busy with a large message, is known by
// bytes that move: those that came, those that left, or those that the other
// side's system acknowledged. A process that was stopped for a while
// loses connections this way without need; it finds new ones when it goes on.

// suspect is called when a control connection was given up for its silence.
func (n *Network) suspect(control *connection) {
	n.mu.RLock()
	defer n.mu.RUnlock()
	p := n.peers[control.peer.ID]
	if p == nil || n.closed {
		return
	}
	for _, l := range p.links {
		l.mu.Lock()
		c := l.connection
		l.mu.Unlock()
		if c != nil && c != control && c.peer == control.peer {
			n.start(c.probe)
		}
	}
}

// probeBytes is more than a ping, and what else leaves into a buffer beside it.
const probeBytes = 64 << 10

// probe breaks a connection on which nothing moves for the time of an answer.
func (c *connection) probe() {
	c.probing.Store(true)
	c.queue.wake()
	patience := c.network.config.AnswerTimeout
	heard, written := c.raw.heard.Load(), c.raw.written.Load()
	acked, _ := c.raw.taken()
	for {
		until := time.Now().Add(patience)
		if !c.lasts(patience) {
			return
		}
		if time.Since(until) > patience/4 {
			// This process was held up itself: what came meanwhile is read first.
			continue
		}
		if c.raw.heard.Load() != heard {
			return
		}
		// The ping itself leaves, into a buffer: a peer that takes bytes has them
		// acknowledged. Where the system does not tell, all that left counts.
		nowAcked, waiting := c.raw.taken()
		nowWritten := c.raw.written.Load()
		moves := waiting && nowAcked > acked || nowWritten > written+probeBytes
		if !moves {
			c.fail(ErrUnanswered)
			return
		}
		acked, written = nowAcked, nowWritten
	}
}
