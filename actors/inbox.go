package actors

import "sync"

// inbox is an actor's typed queue beside its mailbox. Anybody puts; its actor
// alone takes, everything at once. It is bounded by what its senders are allowed
// to have under way: credits, windows, one notice for each request.
//
// bell is called, outside the lock, once for all that comes until the next take.
type inbox[T any] struct {
	bell func()
	// meter, if not nil, is told how full the inbox becomes.
	meter *inboxMeter

	mu     sync.Mutex
	items  []T
	rung   bool
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
	b.ringAndUnlock(urgent)
	return true
}

// leave adds an item that the actor needs only together with what comes later,
// and does not ring.
func (b *inbox[T]) leave(item T) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return false
	}
	b.items = append(b.items, item)
	return true
}

// ringAndUnlock rings, unless that was done since the last take, and unlocks.
func (b *inbox[T]) ringAndUnlock(urgent bool) {
	edge := !b.rung
	if edge {
		b.meter.rang()
	}
	b.rung = true
	b.urgent = b.urgent || urgent
	b.mu.Unlock()
	if edge {
		b.bell()
	}
}

// pending reports whether it rang since the last take, and for anything urgent.
func (b *inbox[T]) pending() (rung, urgent bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.rung, b.urgent
}

// take swaps out all items, in the order in which they were put. They are valid
// until the next take.
func (b *inbox[T]) take() []T {
	b.recycle()
	b.mu.Lock()
	taken := b.swap()
	b.mu.Unlock()
	b.meter.took(len(taken))
	return taken
}

// recycle forgets what the last take returned.
func (b *inbox[T]) recycle() {
	clear(b.spare)
	if cap(b.spare) > inboxKeepMax {
		b.spare = nil
	}
}

// swap takes what is there. The lock is held.
func (b *inbox[T]) swap() []T {
	taken := b.items
	b.items, b.spare = b.spare[:0], taken
	b.rung, b.urgent = false, false
	b.meter.swapped()
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
