package inproc

import (
	"errors"
	"slices"
	"sync/atomic"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/network"
)

// Rule 29 within a process: two networks that were told the same cluster of a
// group have proved it to each other, on all their connections.

// SetCluster implements network.Network.
func (n *Network) SetCluster(group membership.GroupID, cluster core.ClusterID) {
	n.hub.mu.Lock()
	defer n.hub.mu.Unlock()
	if n.clusters[group] = cluster; cluster.IsZero() {
		delete(n.clusters, group)
		return
	}
	for _, l := range n.links {
		if c := l.connection; c != nil && c.acceptor.clusters[group] == cluster {
			c.prove()
		}
	}
	for _, c := range n.allAccepted() {
		if c.link.connection == c && c.link.owner.clusters[group] == cluster {
			c.prove()
		}
	}
}

// allAccepted are the connections that others made to n, older ones first. The
// hub's lock is held.
func (n *Network) allAccepted() []*connection {
	var all []*connection
	for _, some := range n.accepted {
		all = append(all, some...)
	}
	slices.SortFunc(all, func(a, b *connection) int { return int(a.sequence) - int(b.sequence) })
	return all
}

// shares reports whether both know the same cluster of any group. The hub's lock
// is held.
func (n *Network) shares(peer *Network) bool {
	for group, cluster := range n.clusters {
		if peer.clusters[group] == cluster {
			return true
		}
	}
	return false
}

// refuses checks what a peer shows, and proves to an old copy that it is one
// (rule 17). The hub's lock is held.
func (n *Network) refuses(peer *Network) error {
	err := n.lives.Check(peer.local)
	if errors.Is(err, network.ErrStale) && n.shares(peer) {
		peer.tell(item{kind: itemOutlived, from: n.local.Identity})
	}
	return err
}

// prove makes both sides of a connection known to each other, and replaces the
// older ones. The hub's lock is held.
func (c *connection) prove() {
	if c.proven {
		return
	}
	caller, acceptor := c.link.owner, c.acceptor
	if !caller.meet(acceptor) || !acceptor.meet(caller) {
		c.link.disconnect(network.ErrStale)
		return
	}
	c.proven = true
	key := acceptedKey{caller.local.Store(), c.link.class}
	for _, o := range slices.Clone(acceptor.accepted[key]) {
		if o != c && o.proven && o.link.owner.local == caller.local && o.sequence < c.sequence {
			o.link.disconnect(ErrReplaced)
		}
	}
}

// meet takes what a peer has proved, and reports whether it is not outlived.
func (n *Network) meet(peer *Network) bool {
	newLife, err := n.lives.Meet(peer.local)
	if err != nil {
		return false
	}
	if newLife {
		n.dropOlderLives(peer)
	}
	now := network.Peer{Local: peer.local, Address: peer.address}
	if before := n.learned[peer.local.ID]; newLife || before.Address != now.Address {
		n.tell(item{kind: itemLearned, peer: now})
	}
	n.learned[peer.local.ID] = now
	return true
}

// dropOlderLives ends the connections with earlier processes of a node, some
// of which may still run. The hub's lock is held.
func (n *Network) dropOlderLives(peer *Network) {
	older := func(o *Network) bool {
		return o.local.Identity == peer.local.Identity && o.local.StartCounter < peer.local.StartCounter
	}
	for _, c := range n.allAccepted() {
		if older(c.link.owner) {
			c.link.disconnect(ErrReplaced)
		}
	}
	for _, l := range n.links {
		if c := l.connection; c != nil && older(c.acceptor) {
			l.disconnect(ErrReplaced)
		}
	}
}

// answering is the connection by which a response to a peer goes: the newest
// that has proved the group, else any group, else the newest. The hub's lock is
// held.
func (n *Network) answering(key acceptedKey, group core.GroupID) *connection {
	all := n.accepted[key]
	var proven *connection
	for _, c := range slices.Backward(all) {
		if len(all) == 1 || n.proves(c.link.owner, group) {
			return c
		}
		if proven == nil && c.proven {
			proven = c
		}
	}
	if proven == nil && len(all) > 0 {
		return all[len(all)-1]
	}
	return proven
}

// proves reports whether a peer knows the same cluster of a group. The hub's
// lock is held.
func (n *Network) proves(peer *Network, group core.GroupID) bool {
	cluster := n.clusters[group]
	return !cluster.IsZero() && peer.clusters[group] == cluster
}

// marked returns the message of an item with the cluster that its sender has
// proved; as it is if that is what it says.
func (h *Hub) marked(i *item) core.Message {
	header := *i.message.Head()
	h.mu.RLock()
	if i.target.proves(i.sender, header.Group) {
		header.Cluster, header.Introduces = i.target.clusters[header.Group], false
	} else if !header.Introduces {
		header.Cluster = core.ClusterID{}
	}
	h.mu.RUnlock()
	chunk, isChunk := i.message.(*core.SnapshotChunk)
	isChunk = isChunk && chunk.Meta.Cluster != header.Cluster
	if header == *i.message.Head() && !isChunk {
		return i.message
	}
	m := core.WithHeader(i.message, header)
	if isChunk {
		m.(*core.SnapshotChunk).Meta.Cluster = header.Cluster
	}
	return m
}

// Sent implements network.Network. What waits to be delivered has not left.
func (n *Network) Sent(node membership.NodeID, class core.Class) uint64 {
	n.hub.mu.RLock()
	defer n.hub.mu.RUnlock()
	if counter := n.sent[linkKey{node, class}]; counter != nil {
		return counter.Load()
	}
	return 0
}

func (n *Network) sentTo(node membership.NodeID, class core.Class) *atomic.Uint64 {
	counter := n.sent[linkKey{node, class}]
	if counter == nil {
		counter = new(atomic.Uint64)
		n.sent[linkKey{node, class}] = counter
	}
	return counter
}
