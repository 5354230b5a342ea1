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

// refusals returns how many of a group's messages to a node were refused.
func (o *outbox) refusals(group membership.GroupID, node membership.NodeID) uint64 {
	if counter, ok := o.refused.Load(refusalKey{group, node}); ok {
		return counter.(*atomic.Uint64).Load()
	}
	return 0
}
