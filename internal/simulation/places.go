package simulation

import (
	"fmt"
	"slices"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/network"
)

// Rule 30 in the simulation: a node may come back at another address. Others find
// it when it dials them and proves itself, or by what a third passes on.

// place is where an endpoint looks for a node.
type place struct {
	// configured is what SetAddress said last, learned where the life that has
	// proved itself last was, who that is, and hint what a proved peer has said.
	configured, learned, hint string
	// former was learned before configured was said.
	former string
	who    network.Local
	// dialled: it was reached at the learned address, in this life.
	dialled bool
	// turn is which of them is dialled next.
	turn int
}

func address(id core.NodeID) string { return fmt.Sprintf("node-%d", id) }

// candidates are the addresses, the most likely first.
func (p *place) candidates() []string {
	var all []string
	for _, a := range []string{p.learned, p.configured, p.hint, p.former} {
		if a != "" && !slices.Contains(all, a) {
			all = append(all, a)
		}
	}
	return all
}

// next returns where to dial, "" if nowhere.
func (p *place) next() string {
	all := p.candidates()
	if len(all) == 0 {
		return ""
	}
	return all[p.turn%len(all)]
}

// SetAddress implements network.Network. The first address is not newer than what an
// earlier life has learned.
func (n *endpoint) SetAddress(node membership.NodeID, address string) {
	if node < 1 || node > nodesMax || n.places[node].configured == address {
		return
	}
	p := &n.places[node]
	if p.configured != "" {
		if p.learned != "" {
			p.former = p.learned
		}
		p.learned, p.hint, p.dialled = "", "", false
	}
	p.configured = address
	for class := range n.out[node] {
		if c := n.out[node][class]; c != nil {
			c.abort(errReset)
		}
	}
}

// at returns who listens at an address, nil if nobody does.
func (f *fabric) at(address string) *endpoint {
	for _, n := range f.sim.nodes {
		if l := n.life; l != nil && !l.dead && !l.endpoint.closed && l.endpoint.handler != nil && l.endpoint.address == address {
			return l.endpoint
		}
	}
	for _, e := range f.squatters {
		if e != nil && e.address == address {
			return e
		}
	}
	return nil
}

// learn tells the handler of a life that has proved itself, and is new or at
// another address.
func (n *endpoint) learn(c *connection) {
	peer := c.other(n)
	if n.closed || !c.from(peer).provesAny(n) {
		return
	}
	p, who := &n.places[peer.local.ID], peer.local
	if p.outlives(who) {
		n.refuses(c, peer)
		return
	}
	n.reach(c, peer, p)
	if p.who.Nonce == who.Nonce && p.learned == peer.address {
		return
	}
	s := n.fabric.sim
	if before := p.learned; peer.address != before && (before != "" || peer.address != p.configured) {
		s.saw(memberMoved)
		n.moves++
		if c.dialer == n && p.hint == peer.address {
			s.saw(movedByHint)
		}
	}
	p.who, p.learned = who, peer.address
	s.trace.add(traceConnection, uint64(n.local.ID), uint64(who.ID), who.StartCounter, 2)
	s.trace.say("n%d learns that n%d is at %s", n.local.ID, who.ID, peer.address)
	n.handler.Learned(network.Peer{Local: who, Address: peer.address})
}

// reach tells the handler that a peer was reached where it listens, by a connection that
// this node has made; or that it is elsewhere now.
func (n *endpoint) reach(c *connection, peer *endpoint, p *place) {
	h, wants := n.handler.(network.Reaching)
	dialled := c.dialer == n || p.dialled && p.learned == peer.address
	if !wants || dialled && p.dialled && p.learned == peer.address || !dialled && p.learned == peer.address {
		return
	}
	if p.dialled = dialled; dialled {
		h.Reached(peer.local.Identity, peer.address)
	} else {
		h.Reached(peer.local.Identity, "")
	}
}

// passOn tells who has been told before where peers are that have moved since.
func (p *pipe) passOn(receiver *endpoint) {
	if moves := p.connection.other(receiver).moves; p.told != moves {
		p.told = moves
		receiver.takeHints(p.connection)
	}
}

// takeHints takes what a peer that has proved itself has learned of others.
func (n *endpoint) takeHints(c *connection) {
	peer := c.other(n)
	if !c.from(peer).provesAny(n) {
		return
	}
	for id := range peer.places {
		told, p := peer.places[id].learned, &n.places[id]
		if core.NodeID(id) != n.local.ID && told != "" && told != p.learned && told != p.configured {
			p.hint = told
		}
	}
}

// found reports whether all others know where a node is, and will after their next
// start.
func (s *sim) found(n *node) bool {
	return !slices.ContainsFunc(s.nodes, func(other *node) bool {
		if s.plan.changes && !s.all(func(g *group) bool { return g.belongs(other) }) {
			return false // whoever adds it again names the address
		}
		return other != n && !other.emptied && n.address != address(n.id) && !other.disk.locates(n)
	})
}

// locates reports whether a node is kept with its address.
func (d *disk) locates(n *node) bool {
	for i := range d.peers {
		if p := &d.peers[i]; p.Identity == n.member && p.Address == n.address {
			return true
		}
	}
	return false
}

// knowsMembers reports whether a node knows after its next start who the members are. One
// that has lost its snapshots may know only whom it has met: it campaigns no more until a
// leader has told it.
func (d *disk) knowsMembers() bool {
	return !slices.ContainsFunc(d.stores, func(s *store) bool { return s.purged.Index > 0 && !s.tellsMembers() })
}

// saysRemoved reports whether a node believes after its next start that it is no member. If it
// is one again, whoever added it has named its address: it shows itself to nobody before it
// hears of that.
func (d *disk) saysRemoved() bool {
	return slices.ContainsFunc(d.stores, func(s *store) bool {
		newer := func(at core.LogID) bool { return s.hard.Removed.Less(at) }
		return s.hard.Removed.Index > 0 && !newer(s.record.Configuration.LogID) &&
			!slices.ContainsFunc(s.snapshots, func(f *snapshot) bool { return newer(f.meta.Configuration.LogID) }) &&
			!slices.ContainsFunc(s.entries, func(e core.Entry) bool { return e.Kind == core.EntryConfiguration && newer(e.LogID) })
	})
}

// tellsMembers reports whether a log, a good snapshot or a record has a configuration.
func (d *store) tellsMembers() bool {
	return d.record.Index > 0 || slices.ContainsFunc(d.snapshots, func(f *snapshot) bool { return !f.rotten }) ||
		slices.ContainsFunc(d.entries, func(e core.Entry) bool { return e.Kind == core.EntryConfiguration })
}

// knowsAnybody reports whether a node finds others after its next start: it has met
// them, or has a configuration.
func (d *disk) knowsAnybody() bool {
	return len(d.peers) > 0 || d.knowsMembers() && slices.ContainsFunc(d.stores, func(s *store) bool { return s.last().Index > 0 })
}
