package tcp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"time"
)

// acceptPause is how long the network waits after a failure to accept, such as
// a lack of file descriptors.
const acceptPause = 100 * time.Millisecond

// accept takes connections in until Close.
func (n *Network) accept() {
	for {
		raw, err := n.listener.Accept()
		switch {
		case n.context.Err() != nil:
			if err == nil {
				_ = raw.Close()
			}
			return
		case err != nil:
			if n.troubles.tell("accept") {
				n.log.Error("cannot accept connections", "address", n.address, "cause", err)
			}
			select {
			case <-time.After(acceptPause):
			case <-n.context.Done():
			}
			continue
		}
		sequence, ok := n.admit()
		if !ok {
			n.refused(raw, greeted{}, fmt.Errorf("%w: %d", ErrInboundFull, n.config.InboundConnectionsMax))
			_ = raw.Close()
			continue
		}
		n.running.Go(func() {
			defer n.dismiss()
			n.serve(raw, sequence)
		})
	}
}

// admit counts an inbound connection, if there is room for it.
func (n *Network) admit() (sequence uint64, ok bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.inbound >= n.config.InboundConnectionsMax {
		return 0, false
	}
	n.inbound++
	n.sequence++
	return n.sequence, true
}

func (n *Network) dismiss() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.inbound--
}

// serve shakes hands on an inbound connection and serves it until it ends.
func (n *Network) serve(accepted net.Conn, sequence uint64) {
	raw := &paced{Conn: accepted}
	ctx, cancel := context.WithTimeout(n.context, n.config.HandshakeTimeout)
	g, err := n.welcome(ctx, raw)
	if err != nil {
		err = n.late(ctx, err)
	}
	cancel()
	if err != nil {
		_ = raw.Close()
		n.refused(raw, g, err)
		return
	}
	c := n.newConnection(g, raw)
	c.sequence = sequence
	n.hint(c.peer.ID, c.said, false)
	n.hint(c.peer.ID, c.guess, false)
	if !n.register(c) {
		c.abandon()
		return
	}
	n.log.Debug("accepted", "peer", c.peer.ID, "class", c.class, "from", raw.RemoteAddr())
	cause := c.run()
	n.unregister(c)
	if name(cause) != "" {
		n.refused(raw, g, cause)
	}
}

// register makes c a connection by which responses may go back. It replaces
// none: that takes a proof.
func (n *Network) register(c *connection) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed || n.lives.Overtaken(c.peer) {
		return false
	}
	key := c.key()
	all := n.accepted[key]
	at := len(all)
	for at > 0 && all[at-1].sequence > c.sequence {
		at--
	}
	n.accepted[key] = slices.Insert(all, at, c)
	n.retry(c.peer.ID)
	return true
}

func (n *Network) unregister(c *connection) {
	n.mu.Lock()
	defer n.mu.Unlock()
	key := c.key()
	rest := slices.DeleteFunc(n.accepted[key], func(o *connection) bool { return o == c })
	if n.accepted[key] = rest; len(rest) == 0 {
		delete(n.accepted, key)
	}
}

// refused logs why an inbound connection was closed.
func (n *Network) refused(raw net.Conn, g greeted, err error) {
	from := raw.RemoteAddr()
	switch {
	case n.context.Err() != nil:
		return
	case errors.Is(err, io.EOF):
		// Whoever looks whether the port is open does this.
		n.log.Debug("inbound connection closed early", "from", from)
		return
	}
	host, _, splitErr := net.SplitHostPort(from.String())
	if splitErr != nil {
		host = from.String()
	}
	if n.troubles.tell(fmt.Sprintf("%s %v %s", host, g.peer.Identity, name(err))) {
		n.log.Warn("inbound connection refused", "peer", g.peer.ID, "class", g.class, "from", from, "cause", err)
	}
}
