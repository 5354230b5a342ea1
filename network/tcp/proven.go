package tcp

import (
	"slices"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/network"
	"github.com/trouperaft/troupe/network/wire"
)

// This file has what a proof brings: until then a connection is that of a
// stranger who may say anything (rule 29).

// SetCluster implements network.Network.
func (n *Network) SetCluster(group membership.GroupID, cluster core.ClusterID) {
	if !n.clusters.set(group, cluster) {
		return
	}
	n.mu.RLock()
	live := make([]*connection, 0, len(n.live))
	for c := range n.live {
		live = append(live, c)
	}
	n.mu.RUnlock()
	for _, c := range live {
		if c.proofs.recheck(group, n.clusters) {
			c.proved()
		}
	}
}

// receiveProof takes a proof. Where it comes too late, because the connection has failed or a
// newer one has proved itself, nothing that follows is received: it would come in beside what
// is still received on the others.
func (c *connection) receiveProof(p *wire.Proof) error {
	verified, err := c.proofs.receive(p, c.network.clusters)
	if verified && !c.proved() {
		return ErrReplaced
	}
	return err
}

// proved is called whenever a proof of the peer has verified, by the reader or
// by SetCluster, and reports whether it has come in time. It never waits: the reader does,
// before the next message.
func (c *connection) proved() bool {
	if !c.proven.Load() && !c.proveOnce() {
		return false
	}
	// The answer is this node's own proof.
	c.queue.wake()
	return true
}

// proveOnce makes the peer known as who it says it is.
func (c *connection) proveOnce() bool {
	n := c.network
	n.proving.Lock()
	defer n.proving.Unlock()
	switch {
	case c.proven.Load():
		return true
	case c.over.Load():
		return false
	}
	isNew, err := n.lives.Meet(c.peer)
	if err != nil {
		// Rule 17: a later life has proved itself meanwhile.
		c.fail(err)
		return false
	}
	if !n.replaceOlder(c) {
		c.fail(ErrReplaced)
		return false
	}
	if c.inbound {
		c.countResponses()
	}
	c.proven.Store(true)
	if isNew {
		n.dropOlderLives(c)
	}
	c.learn(isNew)
	if c.class == core.ClassControl {
		c.telling.Store(true)
	}
	return true
}

// replaceOlder ends the older proved connections of the same process and class,
// all of which is received before the next message of c. It reports whether c
// itself is the newest.
func (n *Network) replaceOlder(c *connection) bool {
	if !c.inbound {
		return true
	}
	var older []*connection
	n.mu.RLock()
	newest := true
	for _, o := range n.accepted[c.key()] {
		switch {
		case o == c || !o.proven.Load() || o.peer != c.peer:
		case o.sequence > c.sequence:
			newest = false
		default:
			older = append(older, o)
		}
	}
	n.mu.RUnlock()
	if !newest {
		return false
	}
	if len(older) > 0 {
		for _, o := range older {
			o.fail(ErrReplaced)
		}
		c.yielding.Store(&older)
	}
	return true
}

// learn takes the address at which the peer has proved itself.
func (c *connection) learn(newLife bool) {
	n := c.network
	said := c.said
	if c.dialled != "" {
		said = ""
	}
	known := n.addresses.learn(c.peer, c.dialled, said)
	n.hint(c.peer.ID, c.guess, true)
	if known.moved && known.address != "" {
		n.log.Info("learned where a peer is", "peer", c.peer.ID, "address", known.address)
		n.passOn(c)
		n.redirect(c.peer.ID, known.address)
	}
	if newLife || known.moved {
		peer := network.Peer{Local: c.peer, Address: known.address}
		n.tell(func() { n.handler.Learned(peer) })
	}
	if h, wants := n.handler.(network.Reaching); wants && (newLife || known.moved || known.confirmed) {
		who, at := c.peer.Identity, ""
		if known.reached {
			at = known.address
		}
		n.tell(func() { h.Reached(who, at) })
	}
}

// passOn has all proved peers told of the addresses, but the one whose it is.
func (n *Network) passOn(besides *connection) {
	n.mu.RLock()
	defer n.mu.RUnlock()
	for c := range n.live {
		if c.class == core.ClassControl && c.proven.Load() && c.peer.ID != besides.peer.ID {
			c.telling.Store(true)
			c.queue.wake()
		}
	}
}

// receiveAddresses takes hints. Those of strangers are not heeded.
func (c *connection) receiveAddresses(all []wire.Address) {
	if !c.proven.Load() {
		return
	}
	for i := range all {
		c.network.hint(all[i].ID, all[i].Address, true)
	}
}

// hint takes an address at which a node may be, and has it tried if the node is
// looked for.
func (n *Network) hint(node membership.NodeID, address string, fromProved bool) {
	if address != "" && n.addresses.hint(node, address, fromProved) {
		n.mu.RLock()
		defer n.mu.RUnlock()
		n.retry(node)
	}
}

// retry ends the waits for the next attempt to reach a node. The lock is held.
func (n *Network) retry(node membership.NodeID) {
	if p := n.peers[node]; p != nil {
		for _, l := range p.links {
			l.retry()
		}
	}
}

// redirect has a node looked for at an address first.
func (n *Network) redirect(node membership.NodeID, address string) {
	n.mu.RLock()
	defer n.mu.RUnlock()
	if p := n.peers[node]; p != nil {
		for _, l := range p.links {
			l.redirect(address)
		}
	}
}

// dropOlderLives ends the connections with earlier processes of a peer. They
// are dead, or run on the same directory.
func (n *Network) dropOlderLives(c *connection) {
	n.mu.RLock()
	defer n.mu.RUnlock()
	for key, all := range n.accepted {
		if key.peer != c.peer.Store() {
			continue
		}
		for _, o := range all {
			if o.olderThan(c) {
				o.fail(ErrReplaced)
			}
		}
	}
	if p := n.peers[c.peer.ID]; p != nil {
		for _, l := range p.links {
			l.dropOlder(c)
		}
	}
}

// olderThan reports whether c is with an earlier process of the same store.
func (c *connection) olderThan(o *connection) bool {
	return c.peer.Identity == o.peer.Identity && c.peer.StartCounter < o.peer.StartCounter
}

func (c *connection) key() acceptedKey { return acceptedKey{c.peer.Store(), c.class} }

// answering is the connection by which a response to a peer goes: the newest
// that has proved the group, else any group, else the newest (rule 30). The lock
// is held.
func (n *Network) answering(key acceptedKey, group core.GroupID) *connection {
	all := n.accepted[key]
	if len(all) == 1 {
		return all[0]
	}
	var proven, newest *connection
	for _, c := range slices.Backward(all) {
		switch {
		case c.over.Load():
			continue
		case !c.proofs.of(group).IsZero():
			return c
		case proven == nil && c.proven.Load():
			proven = c
		}
		if newest == nil {
			newest = c
		}
	}
	if proven != nil {
		return proven
	}
	return newest
}
