// Package peers is the list of other nodes that a store keeps.
package peers

import (
	"fmt"
	"slices"

	"github.com/trouperaft/troupe/storage"
)

// Max is how many peers a List holds.
const Max = storage.PeersMin

// List is what is kept, the one kept last at the end. A List is never changed:
// Keep returns another one.
type List []storage.Peer

// Keep returns the list with p in it, as storage.LogStore's KeepPeer says.
// changed is false if the list says the same of the same peers, only in another
// order.
func (l List) Keep(p storage.Peer) (next List, changed bool, _ error) {
	if err := Check(p); err != nil {
		return nil, false, err
	}
	next = make(List, 0, len(l)+1)
	changed = true
	for _, k := range l {
		if k.Identity != p.Identity {
			next = append(next, k)
			continue
		}
		// Rule 17: below the highest counter that was seen, or at it with another
		// nonce, is a copy of an old directory.
		switch {
		case p.StartCounter < k.StartCounter:
			return nil, false, fmt.Errorf("start counter %d of node %v is below %d, which is kept", p.StartCounter, p.Identity, k.StartCounter)
		case p.StartCounter == k.StartCounter && p.Nonce != k.Nonce:
			return nil, false, fmt.Errorf("start %d of node %v is kept with another nonce", p.StartCounter, p.Identity)
		}
		changed = k != p
	}
	next = append(next, p)
	return next[max(0, len(next)-Max):], changed, nil
}

// Check returns an error that names why p cannot be kept by any store.
func Check(p storage.Peer) error {
	switch {
	case p.ID == 0 || p.Incarnation == 0:
		return fmt.Errorf("a peer with identity %v", p.Identity)
	case len(p.Address) > storage.PeerAddressBytesMax:
		return fmt.Errorf("an address of %d bytes of node %v, at most %d", len(p.Address), p.Identity, storage.PeerAddressBytesMax)
	}
	return nil
}

// Sorted returns a copy in the order of the identities.
func (l List) Sorted() []storage.Peer {
	sorted := slices.Clone(l)
	slices.SortFunc(sorted, func(a, b storage.Peer) int { return a.Compare(b.Identity) })
	return sorted
}
