package simulation

import (
	"iter"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
)

// Rule 29 in the simulation. A proof is a flight like any other: it keeps its
// place among the messages of its direction, and is lost with its connection. In
// it stands the cluster id itself, which the receiver only compares with its
// own; the MAC and the nonces of a real network are that network's to test.

// SetCluster proves the cluster on every connection, from now on.
func (n *endpoint) SetCluster(group membership.GroupID, cluster core.ClusterID) {
	if n.closed || n.clusters[group] == cluster {
		return
	}
	n.clusters[group] = cluster
	if cluster.IsZero() {
		return
	}
	for _, c := range n.fabric.connections {
		if !c.up {
			continue // it is proved when it is made
		}
		if c.dialer == n || c.acceptor == n {
			c.from(n).append(flight{group: group, proof: cluster})
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
	at := c.fabric.sim.clock.now.Add(c.fabric.delay(c.forth.from, c.forth.to))
	var first []flight
	for group := range c.dialer.clusters.all() {
		first = append(first, flight{group: group, proof: c.dialer.clusters[group], at: at})
	}
	c.forth.flights = append(first, c.forth.flights...)
	for group := range c.acceptor.clusters.all() {
		c.back.append(flight{group: group, proof: c.acceptor.clusters[group]})
	}
}

// clusters are the clusters of groups, zero where a group has none.
type clusters [groupsMax + 1]core.ClusterID

// all yields the groups that have one.
func (c *clusters) all() iter.Seq[membership.GroupID] {
	return func(yield func(membership.GroupID) bool) {
		for i := range c {
			if !c[i].IsZero() && !yield(membership.GroupID(i)) {
				return
			}
		}
	}
}

// proves reports whether whoever sends on p has proved on it to know the cluster
// that a group has at who receives.
func (p *pipe) proves(receiver *endpoint, group membership.GroupID) bool {
	return !receiver.clusters[group].IsZero() && p.proved[group] == receiver.clusters[group]
}

// provesAny reports the same of any group.
func (p *pipe) provesAny(receiver *endpoint) bool {
	for group := range receiver.clusters.all() {
		if p.proves(receiver, group) {
			return true
		}
	}
	return false
}

// received is m as the receiver is given it: its cluster is what was proved, else
// with Introduces what it claims.
func (p *pipe) received(receiver *endpoint, m core.Message) core.Message {
	group := m.Head().Group
	return claimed(m, p.proves(receiver, group), receiver.clusters[group])
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
