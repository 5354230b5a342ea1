package stage

import "sync"

// Inbox is an actor's typed queue beside its mailbox. Anybody puts; its actor
// alone takes, everything at once. It is bounded by what its senders are allowed
// to have under way: admission, windows, one notice for each request.
//
// The fields are set before anybody puts, and not changed afterwards. No method
// blocks. An item costs some tens of nanoseconds and allocates nothing once the
// inbox has been as full before; whatever T holds is shared, not copied.
type Inbox[T any] struct {
	// Wake is called, outside the lock, once for all that comes until the next
	// take: the actor's Shell.Wake.
	Wake func()
	// Meter, if not nil, is told how full the inbox becomes.
	Meter Meter

	mu     sync.Mutex
	items  []T
	woken  bool
	urgent bool
	closed bool

	// The taker's.
	spare  []T
	yields rest
}

// Meter takes the numbers of an inbox. Its methods must not block, and must not
// touch the inbox.
type Meter interface {
	// Woken: the actor was woken. It is called under the inbox's lock.
	Woken()
	// Swapped: what is there was taken. It is called under the inbox's lock.
	Swapped()
	// Took: items and notes were taken, so many. It is called by the actor.
	Took(items int)
}

// Put adds an item, and reports whether the inbox is open: if not, item stays
// the caller's. What is not urgent may wait for the actor to yield once.
// Anybody may call it, also from within a turn of the same actor.
func (b *Inbox[T]) Put(item T, urgent bool) bool {
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return false
	}
	b.items = append(b.items, item)
	b.wakeAndUnlock(urgent)
	return true
}

// Leave adds an item that the actor needs only together with what comes later,
// and does not wake it. The result is that of Put.
func (b *Inbox[T]) Leave(item T) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return false
	}
	b.items = append(b.items, item)
	return true
}

// Note is for notices of which only the newest counts, and which therefore lie
// in fields beside the inbox: change writes them, under the inbox's lock, and
// says whether that wakes the actor. What did not is taken with whatever does
// next. A note is urgent. A closed inbox wakes nobody. Anybody may call it;
// change must not call the inbox.
func (b *Inbox[T]) Note(change func() (wakes bool)) {
	b.mu.Lock()
	if !change() || b.closed {
		b.mu.Unlock()
		return
	}
	b.wakeAndUnlock(true)
}

// wakeAndUnlock wakes the actor, unless that was done since the last take, and
// unlocks.
func (b *Inbox[T]) wakeAndUnlock(urgent bool) {
	edge := !b.woken
	if edge && b.Meter != nil {
		b.Meter.Woken()
	}
	b.woken = true
	b.urgent = b.urgent || urgent
	b.mu.Unlock()
	if edge {
		b.Wake()
	}
}

// Pending reports whether the actor was woken since the last take, and for
// anything urgent. Anybody may call it.
func (b *Inbox[T]) Pending() (woken, urgent bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.woken, b.urgent
}

// Gather lets those who are about to put something in do so, by one Yield, unless
// something urgent is there. If a yield brings nothing, the next ones are left
// out: one, then three, up to restMax, until one brings something again. Only the actor calls
// it, in its turn, before it takes.
func (b *Inbox[T]) Gather(env Environment) {
	b.mu.Lock()
	before, urgent := len(b.items), b.urgent
	b.mu.Unlock()
	if urgent {
		return
	}
	if b.yields.rests() {
		return
	}
	env.Yield()
	b.mu.Lock()
	after := len(b.items)
	b.mu.Unlock()
	b.yields.brought(after > before)
}

// Take swaps out all items, in the order in which they were put: each sender's
// in its own order. They are valid until the next take. Only the actor calls it,
// in its turn.
func (b *Inbox[T]) Take() []T { return b.TakeNoted(nothingNoted) }

func nothingNoted(bool) int { return 0 }

// TakeNoted is Take for an inbox with notes: under the same lock it calls notes
// with whether anything urgent came. notes takes what Note has written and
// returns how many notices those were.
func (b *Inbox[T]) TakeNoted(notes func(urgent bool) (count int)) []T {
	clear(b.spare)
	if cap(b.spare) > inboxKeepMax {
		b.spare = nil
	}
	b.mu.Lock()
	count := notes(b.urgent)
	taken := b.items
	b.items, b.spare = b.spare[:0], taken
	b.woken, b.urgent = false, false
	if b.Meter != nil {
		b.Meter.Swapped()
	}
	b.mu.Unlock()
	if b.Meter != nil {
		b.Meter.Took(len(taken) + count)
	}
	return taken
}

// Drain takes all items for somebody beside the actor, which then finds none when
// it looks. Notes stay. Anybody may call it.
func (b *Inbox[T]) Drain() []T {
	b.mu.Lock()
	defer b.mu.Unlock()
	taken := b.items
	b.items = nil
	return taken
}

// Close refuses everything from now on and returns what is left, for the caller
// to answer. The actor calls it at its end; later calls return nothing.
func (b *Inbox[T]) Close() []T {
	b.mu.Lock()
	defer b.mu.Unlock()
	left := b.items
	b.items, b.closed = nil, true
	return left
}

// inboxKeepMax is the largest slice that is kept for use again, in items.
const inboxKeepMax = 1 << 14
