package inproc

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/network"
)

// deliveredBySenderMax is how many messages a Send delivers before it leaves
// the rest to a goroutine.
const deliveredBySenderMax = 64

// queue is one direction of a link: what waits to be told to a handler, in
// order. Whoever adds to it delivers, if nobody does.
type queue struct {
	mu    sync.Mutex
	items []item
	// first is the next of items to be delivered.
	first int
	// messages and bytes count what was added and not yet delivered whole.
	messages, bytes int
	// open is the connection whose messages are taken.
	open       *connection
	delivering bool
	held       bool
	cut        bool
}

type itemKind uint8

const (
	itemMessage itemKind = iota + 1
	itemConnected
	itemDisconnected
	itemLearned
	itemOutlived
)

// item is one call of a handler.
type item struct {
	target  *Network
	kind    itemKind
	message core.Message
	from    membership.Identity
	bytes   int
	class   core.Class
	cause   error
	// sender is whose message it is, sent counts its bytes when it has left.
	sender *Network
	sent   *atomic.Uint64
	peer   network.Peer
}

// push adds a message of a connection, and reports whether there was room and
// the connection is the open one.
func (q *queue) push(c *connection, i item) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.open != c || q.cut || q.messages >= QueueMessagesMax || q.bytes > 0 && q.bytes+i.bytes > QueueBytesMax {
		return false
	}
	q.messages++
	q.bytes += i.bytes
	if len(q.items) == cap(q.items) && q.first > len(q.items)/2 {
		// On a busy link the queue is never empty: what was taken makes room.
		q.items, q.first = slices.Delete(q.items, 0, q.first), 0
	}
	q.items = append(q.items, i)
	return true
}

func (q *queue) set(change func(q *queue)) {
	q.mu.Lock()
	defer q.mu.Unlock()
	change(q)
}

// openFor makes the queue take the messages of a connection.
func (q *queue) openFor(c *connection, cut, held bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.open, q.cut, q.held = c, cut, held
}

// connected tells the handler of a connection.
func (q *queue) connected(c *connection) {
	q.mu.Lock()
	q.items = append(q.items, item{target: c.link.owner, kind: itemConnected, from: c.acceptor.local.Identity, class: c.link.class})
	q.mu.Unlock()
	q.deliverElsewhere(c.link.owner)
}

// disconnected drops what is left of the link's connection and tells the
// handler.
func (q *queue) disconnected(l *link, cause error) {
	q.close()
	q.set(func(q *queue) {
		q.items = append(q.items, item{target: l.owner, kind: itemDisconnected, from: membership.Identity{ID: l.node}, class: l.class, cause: cause})
	})
	q.deliverElsewhere(l.owner)
}

// tell has a network's handler called about a peer.
func (n *Network) tell(i item) {
	i.target = n
	n.notices.set(func(q *queue) { q.items = append(q.items, i) })
	n.notices.deliverElsewhere(n)
}

// close drops the messages that wait and takes no more. What a handler is to be
// told of connections stays, and is not held back any more.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.open, q.held = nil, false
	for _, i := range q.items[q.first:] {
		if i.kind == itemMessage {
			q.messages--
			q.bytes -= i.bytes
		}
	}
	q.items = slices.DeleteFunc(q.items[q.first:], func(i item) bool { return i.kind == itemMessage })
	q.first = 0
}

// deliverElsewhere delivers on another goroutine, for which Close of a network
// waits: the one that what waits is for.
func (q *queue) deliverElsewhere(target *Network) {
	if target.calls.enter() {
		q.deliverOnGoroutine(target)
	}
}

func (q *queue) deliverOnGoroutine(target *Network) {
	go func() {
		defer target.calls.leave()
		q.deliver(0)
	}()
}

// deliver delivers until nothing is left, or most messages were delivered, 0
// meaning no limit; then a goroutine goes on. It returns at once if another
// goroutine delivers, or this one does already, further up its stack.
func (q *queue) deliver(most int) {
	q.mu.Lock()
	if q.delivering {
		q.mu.Unlock()
		return
	}
	q.delivering = true
	for n := 0; q.first < len(q.items) && (!q.held || q.items[q.first].kind != itemMessage); n++ {
		if target := q.items[q.first].target; most > 0 && n >= most && target.calls.enter() {
			q.delivering = false
			q.mu.Unlock()
			q.deliverOnGoroutine(target)
			return
		}
		i := q.items[q.first]
		q.items[q.first] = item{}
		if q.first++; q.first == len(q.items) {
			q.items, q.first = q.items[:0], 0
		}
		q.mu.Unlock()
		i.call()
		q.mu.Lock()
		if i.kind == itemMessage {
			q.messages--
			q.bytes -= i.bytes
		}
	}
	q.delivering = false
	q.mu.Unlock()
}

func (i *item) call() {
	n := i.target
	if !n.calls.enter() {
		return
	}
	defer n.calls.leave()
	switch i.kind {
	case itemMessage:
		i.sent.Add(uint64(i.bytes))
		n.handler.Receive(i.from, n.hub.marked(i))
	case itemConnected:
		n.handler.Connected(i.from, i.class)
	case itemDisconnected:
		n.handler.Disconnected(i.from.ID, i.class, i.cause)
	case itemLearned:
		n.handler.Learned(i.peer)
	case itemOutlived:
		n.handler.Outlived(i.from)
	}
}
