package actors

import (
	"sync"
	"sync/atomic"

	"github.com/trouperaft/troupe/actors/observe"
	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/network"
)

// outbox is the node's network as its actors use it. It counts the requests that
// are refused, which is rare; they go to members alone.
type outbox struct {
	network.Network
	watch   *observe.Watch // of the node
	refused sync.Map       // refusalKey -> *atomic.Uint64

	mu sync.Mutex
	// placed are the nodes that the network was told an address of.
	placed map[membership.NodeID]struct{}
}

type refusalKey struct {
	group membership.GroupID
	node  membership.NodeID
}

// Send implements network.Network.
func (o *outbox) Send(m core.Message) bool {
	ok := o.Network.Send(m)
	observe.HandedOver{Message: m, Taken: ok}.Tell(o.watch)
	if ok || m.Response() {
		return ok // answers may be for strangers, whom nobody counts
	}
	head := m.Head()
	key := refusalKey{head.Group, head.To.ID}
	counter, ok := o.refused.Load(key)
	if !ok {
		counter, _ = o.refused.LoadOrStore(key, new(atomic.Uint64))
	}
	counter.(*atomic.Uint64).Add(1)
	return false
}

// SetAddress implements network.Network.
func (o *outbox) SetAddress(node membership.NodeID, address string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.place(node, address)
}

// Introduce tells where a node once was, unless a group has said where it is: for a group
// that does not know its members any more. The groups of a node share what they say.
func (o *outbox) Introduce(node membership.NodeID, address string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, placed := o.placed[node]; !placed {
		o.place(node, address)
	}
}

// place tells the network. The lock is held, so that what comes later is told later.
func (o *outbox) place(node membership.NodeID, address string) {
	if o.placed == nil {
		o.placed = make(map[membership.NodeID]struct{})
	}
	o.placed[node] = struct{}{}
	o.Network.SetAddress(node, address)
}

// refusals returns how many of a group's messages to a node were refused.
func (o *outbox) refusals(group membership.GroupID, node membership.NodeID) uint64 {
	if counter, ok := o.refused.Load(refusalKey{group, node}); ok {
		return counter.(*atomic.Uint64).Load()
	}
	return 0
}
