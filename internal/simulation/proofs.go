package simulation

import (
	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/network"
)

// Rule 29 in the simulation. A proof is a flight like any other: it keeps its
// place among the messages of its direction, and is lost with its connection. In
// it stands the cluster id itself, which the receiver only compares with its
// own; the MAC and the nonces of a real network are that network's to test.

// SetCluster proves the cluster on every connection, from now on.
func (n *endpoint) SetCluster(_ membership.GroupID, cluster core.ClusterID) {
	if n.closed || n.cluster == cluster {
		return
	}
	n.cluster = cluster
	if cluster.IsZero() {
		return
	}
	for _, c := range n.fabric.connections {
		if !c.up {
			continue // it is proved when it is made
		}
		if c.dialer == n || c.acceptor == n {
			c.from(n).append(flight{proof: cluster})
			n.learn(c) // the other's proof may have come before
		}
	}
}

// from is the direction in which one of the two sends.
func (c *connection) from(n *endpoint) *pipe {
	if n == c.dialer {
		return &c.forth
	}
	return &c.back
}

// other is who is at the other end.
func (c *connection) other(n *endpoint) *endpoint {
	if n == c.dialer {
		return c.acceptor
	}
	return c.dialer
}

// introduce proves, on a connection that was just made, what both sides know.
// What waited for the connection comes behind it.
func (c *connection) introduce() {
	if id := c.dialer.cluster; !id.IsZero() {
		at := c.fabric.sim.clock.now.Add(c.fabric.delay(c.forth.from, c.forth.to))
		c.forth.flights = append([]flight{{proof: id, at: at}}, c.forth.flights...)
	}
	if id := c.acceptor.cluster; !id.IsZero() {
		c.back.append(flight{proof: id})
	}
}

// proves reports whether whoever sends on p has proved on it to know the cluster
// of who receives.
func (p *pipe) proves(receiver *endpoint) bool {
	return !receiver.cluster.IsZero() && p.proved == receiver.cluster
}

// learn tells the handler of a life that has proved itself and is new.
func (n *endpoint) learn(c *connection) {
	peer := c.other(n)
	if n.closed || !c.from(peer).proves(n) {
		return
	}
	known := n.known[peer.local.Identity]
	if known.Nonce == peer.local.Nonce || known.StartCounter > peer.local.StartCounter {
		return
	}
	learned := network.Peer{Local: peer.local, Address: address(peer.local.ID)}
	n.known[peer.local.Identity] = learned
	n.fabric.sim.trace.add(traceConnection, uint64(n.local.ID), uint64(peer.local.ID), peer.local.StartCounter, 2)
	n.handler.Learned(learned)
}

// received is m as the receiver is given it: its cluster is what was proved, else
// with Introduces what it claims.
func (p *pipe) received(receiver *endpoint, m core.Message) core.Message {
	return claimed(m, p.proves(receiver), receiver.cluster)
}

// claimed gives a message the header that a network gives it.
func claimed(m core.Message, proved bool, cluster core.ClusterID) core.Message {
	h := *m.Head()
	switch {
	case proved:
		h.Cluster, h.Introduces = cluster, false
	case !h.Introduces:
		h.Cluster = core.ClusterID{}
	}
	chunk, ok := m.(*core.SnapshotChunk)
	if h == *m.Head() && (!ok || chunk.Meta.Cluster == h.Cluster) {
		return m
	}
	m = core.WithHeader(m, h)
	if ok {
		m.(*core.SnapshotChunk).Meta.Cluster = h.Cluster
	}
	return m
}
