package simulation

import (
	"errors"
	"maps"
	"slices"

	"github.com/trouperaft/troupe/network"
	"github.com/trouperaft/troupe/storage"
)

// This file is about old copies of a directory (rule 17): an operator keeps one, and puts it
// in the place of the directory that has gone on.

// copied returns a directory as it is now, on which another process may live.
func (d *disk) copied() *disk {
	c := *d
	c.peers, c.stores = slices.Clone(d.peers), nil
	for _, held := range d.stores {
		s := *held
		s.disk = &c
		s.entries, s.snapshots, s.removed = slices.Clone(held.entries), slices.Clone(held.snapshots), maps.Clone(held.removed)
		c.stores = append(c.stores, &s)
	}
	return &c
}

// outlives reports whether a peer that has proved itself runs on an old copy: this node
// has met another life of its directory, which was a later one or has the same number.
func (p *place) outlives(who network.Local) bool {
	return p.who.Identity == who.Identity && (p.who.StartCounter > who.StartCounter || p.who.StartCounter == who.StartCounter && p.who.Nonce != who.Nonce)
}

// refuses ends the connection with a process that runs on an old copy, and proves to it
// that it does. One that has ended meanwhile need not be told.
func (n *endpoint) refuses(c *connection, peer *endpoint) {
	if peer.life == nil || peer.life.dead || peer.closed {
		return
	}
	s := n.fabric.sim
	s.trace.add(traceConnection, uint64(n.local.ID), uint64(peer.local.ID), peer.local.StartCounter, 3)
	s.trace.say("n%d refuses n%d, which runs on an old copy", n.local.ID, peer.local.ID)
	by := n.local.Identity
	s.clock.after(n.fabric.delay(n.local.ID, peer.local.ID), peer.life, func() {
		if !peer.closed {
			peer.handler.Outlived(by)
		}
	})
	c.abort(errReset)
}

// refused reports whether a life ends because its directory was refused, and lets it end
// when all its groups have. Nobody starts it again.
func (l *life) refused(err error) bool {
	var refused *storage.RefusedError
	if l.disk.refused == "" || !errors.As(err, &refused) {
		return false
	}
	for _, r := range l.replicas {
		if !r.ended && r.failed() == nil {
			return true
		}
	}
	l.answeredAll()
	l.crash()
	return true
}
