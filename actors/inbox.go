package actors

import "sync"

// inbox is an actor's typed queue beside its mailbox. Anybody puts; its actor
// alone takes, everything at once. It is bounded by what its senders are allowed
// to have under way: credits, windows, one notice for each request.
//
// bell is called, outside the lock, for each edge from empty to non-empty.
type inbox[T any] struct {
	bell func()

	mu     sync.Mutex
	items  []T
	urgent bool
	closed bool

	spare []T // the taker's
}

// put adds an item, and reports whether the inbox is open: if not, item stays
// the caller's. What is not urgent may wait for the actor to yield once.
func (b *inbox[T]) put(item T, urgent bool) bool {
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return false
	}
	b.items = append(b.items, item)
	edge := len(b.items) == 1
	b.urgent = b.urgent || urgent
	b.mu.Unlock()
	if edge {
		b.bell()
	}
	return true
}

// pending reports whether there is anything to take, and whether any of it is
// urgent.
func (b *inbox[T]) pending() (some, urgent bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.items) > 0, b.urgent
}

// take swaps out all items, in the order in which they were put. They are valid
// until the next take.
func (b *inbox[T]) take() []T {
	clear(b.spare)
	if cap(b.spare) > inboxKeepMax {
		b.spare = nil
	}
	b.mu.Lock()
	taken := b.items
	b.items = b.spare[:0]
	b.urgent = false
	b.mu.Unlock()
	b.spare = taken
	return taken
}

// close refuses everything from now on and returns what is left.
func (b *inbox[T]) close() []T {
	b.mu.Lock()
	defer b.mu.Unlock()
	left := b.items
	b.items, b.closed = nil, true
	return left
}

// inboxKeepMax is the largest slice that is kept for use again, in items.
const inboxKeepMax = 1 << 14
