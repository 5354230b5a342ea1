package tcp

import (
	"net"
	"slices"
	"sync"

	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/network"
	"github.com/trouperaft/troupe/network/wire"
)

const (
	// placesMax bounds the nodes that hints are kept for.
	placesMax = 4096
	// hintsMax bounds the hints for a node, of either kind; the newest stay.
	hintsMax = 4
)

// addresses knows where nodes are looked for (rule 30).
type addresses struct {
	self    membership.NodeID
	startup map[membership.NodeID]string

	mu     sync.Mutex
	places map[membership.NodeID]*place
}

// place is what is known of one node.
type place struct {
	// configured is what SetAddress said last.
	configured string
	// who has proved itself last under this id, zero if nobody has; learned is
	// its address, empty if it is not known.
	who     network.Local
	learned string
	// said: this very process told the address itself. dialled: this node has reached
	// it there.
	said, dialled bool
	// reached is where a connection was made last on which it proved itself.
	reached string
	// hints are of peers that had proved themselves, claims of connections that
	// had not: they come last.
	hints, claims []string
}

func newAddresses(config *Config) *addresses {
	return &addresses{startup: config.Peers, places: make(map[membership.NodeID]*place)}
}

// start takes what earlier lives of this node learned.
func (a *addresses) start(self membership.NodeID, known []network.Peer) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.self = self
	for i := range known {
		peer := &known[i]
		if peer.ID == self {
			continue
		}
		p := a.place(peer.ID)
		if p == nil {
			return
		}
		if p.learned != "" {
			p.hints = newestFirst(p.hints, p.learned)
		}
		p.who, p.learned = peer.Local, peer.Address
	}
}

// place returns what is known of a node, nil if there is no room. The lock is
// held.
func (a *addresses) place(node membership.NodeID) *place {
	p := a.places[node]
	if p == nil && len(a.places) < placesMax {
		p = new(place)
		a.places[node] = p
	}
	return p
}

// configured is what SetAddress said last.
func (a *addresses) configured(node membership.NodeID) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	if p := a.places[node]; p != nil {
		return p.configured
	}
	return ""
}

// configure is SetAddress.
func (a *addresses) configure(node membership.NodeID, address string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	p := a.places[node]
	if p == nil {
		// The bound is for strangers, not for the configuration.
		p = new(place)
		a.places[node] = p
	}
	if p.configured != "" {
		// Rule 30: a newer address goes before older ones. Where the node proved itself
		// stays as a hint: it may be there still, and while it lives and has its
		// connections it says so to nobody again. The first address since the start is
		// not newer than what the node kept.
		former := p.learned
		p.learned, p.reached, p.dialled, p.hints, p.claims = "", "", false, nil, nil
		if address != "" && former != "" && former != address {
			p.hints = []string{former}
		}
	}
	p.configured = address
}

// candidates are the addresses at which a node is looked for, by turns, the most
// likely first.
func (a *addresses) candidates(node membership.NodeID) []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	p := a.places[node]
	if p == nil {
		return nil
	}
	var all []string
	add := func(addresses ...string) {
		for _, address := range addresses {
			if address != "" && !slices.Contains(all, address) {
				all = append(all, address)
			}
		}
	}
	add(p.reached, p.learned, p.configured, a.startup[node])
	add(p.hints...)
	add(p.claims...)
	return all
}

// learn takes an address at which a process has proved itself: dialled is where
// this node reached it, said where it says that it listens; one of them is
// empty, or both. It returns the address that is known from now on, whether this node
// has reached the peer there, and whether the address is a new one, or only reached now.
//
// A process that is reached at one address and tells another would have a new
// address with each connection. So what it told itself stays as long as it lives.
func (a *addresses) learn(who network.Local, dialled, said string) (known learnedAddress) {
	a.mu.Lock()
	defer a.mu.Unlock()
	p := a.place(who.ID)
	if p == nil {
		return learnedAddress{address: said}
	}
	before, reached := p.learned, p.dialled
	if p.who.Identity != who.Identity {
		p.learned = ""
	}
	if p.who != who {
		p.who, p.said = who, false
	}
	switch {
	case said != "":
		if p.learned != said {
			p.reached = said
		}
		p.learned, p.said = said, true
	case dialled != "":
		p.reached = dialled
		// That it is where the configuration says is nothing new.
		if p.learned == "" || !p.said && dialled != p.configured {
			p.learned = dialled
		}
	}
	switch {
	case dialled != "" && dialled == p.learned:
		p.dialled = true
	case p.learned != before:
		p.dialled = false
	}
	return learnedAddress{p.learned, p.dialled, p.learned != before, p.dialled && !reached}
}

// learnedAddress is what came of learn.
type learnedAddress struct {
	address string
	// reached: this node has reached the peer there.
	reached bool
	// moved: it is another address than before. confirmed: it is reached now, and was
	// not before.
	moved, confirmed bool
}

// hint takes an address that nobody has proved, and reports whether it is new.
func (a *addresses) hint(node membership.NodeID, address string, fromProved bool) bool {
	if !dialable(address) {
		return false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if node == a.self || node == 0 {
		return false
	}
	p := a.places[node]
	if p == nil && fromProved {
		p = a.place(node)
	}
	if p == nil || slices.Contains(p.hints, address) || address == p.learned || address == p.configured {
		return false
	}
	if fromProved {
		p.hints = newestFirst(p.hints, address)
		return true
	}
	known := slices.Contains(p.claims, address)
	if !known {
		p.claims = newestFirst(p.claims, address)
	}
	return !known
}

func newestFirst(all []string, address string) []string {
	return slices.Insert(all[:min(len(all), hintsMax-1)], 0, address)
}

// proven reports whether anyone under this id has proved itself.
func (a *addresses) proven(node membership.NodeID) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	p := a.places[node]
	return p != nil && p.who.ID != 0
}

// learned are the addresses that are passed on to a peer, of others than itself.
func (a *addresses) learned(besides membership.NodeID) []wire.Address {
	a.mu.Lock()
	defer a.mu.Unlock()
	var all []wire.Address
	for node, p := range a.places {
		if node != besides && p.learned != "" && len(all) < wire.AddressesMax {
			all = append(all, wire.Address{Identity: p.who.Identity, Address: p.learned})
		}
	}
	return all
}

// announced is what this node says of where it listens: an unspecified host is
// never named (rule 30), only the port.
func announced(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return ""
	}
	if unspecified(host) {
		return ":" + port
	}
	return address
}

// saidAddress splits what a peer says of where it listens into a whole address,
// or a guess: the host that its connection comes from, with the port it told.
func saidAddress(said string, from net.Addr) (whole, guess string) {
	host, port, err := net.SplitHostPort(said)
	switch {
	case err != nil:
		return "", ""
	case !unspecified(host):
		if dialable(said) {
			return said, ""
		}
		return "", ""
	}
	source, _, err := net.SplitHostPort(from.String())
	if err != nil {
		return "", ""
	}
	if guess = net.JoinHostPort(source, port); !dialable(guess) {
		return "", ""
	}
	return "", guess
}
