package admission

import (
	"slices"
	"sync"
)

// Room bounds what is admitted and not yet answered, in entries and in bytes: a
// group's own, under those of its node. Whoever finds no room may wait: first
// come, first served within a group, and groups take turns at the node's
// (takeTurns). While anybody waits, who comes later gets no room before him. Make it
// by New.
//
// No lock is held while a waiter is called. Locks are taken from a group upwards.
type Room[T any] struct {
	limits Limits
	parent *Room[T]
	// granted is called for a waiter that has got its room, outside the lock.
	granted func(T)

	mu             sync.Mutex
	entries, bytes int // taken
	waiters        line[T]
	closed         bool
	// starving, of a node: groups whose first waiter found no room here, in the
	// order of their turns. turns counts those that have their turn now. starves,
	// of a group: it stands there, which the node's lock guards.
	starving []*Room[T]
	turns    int
	starves  bool
}

// Limits bound a room. 0 is no limit.
type Limits struct {
	EntriesMax int
	// BytesMax lets one entry in whatever its size, if there is no other.
	BytesMax int
}

// New returns a room under parent, which is nil for a node's. granted is called with
// whoever waited and has got its room, by whoever returned room or gave up waiting, on
// that goroutine. It may call the room's methods. A node's is never called.
func New[T any](limits Limits, parent *Room[T], granted func(T)) *Room[T] {
	return &Room[T]{limits: limits, parent: parent, granted: granted}
}

// Outcome says what became of an attempt.
type Outcome uint8

const (
	// Granted: the room is taken.
	Granted Outcome = iota
	// Refused: there is none, or others wait for it.
	Refused
	// Queued: there is none yet; granted is called when there is.
	Queued
	// Closed: there will be none any more.
	Closed
)

// Acquire takes room for one entry of so many bytes, by a request that asks for
// nothing yet. If there is none and wait is set, the request is queued.
func (a *Room[T]) Acquire(r *Request[T], of T, bytes int, wait bool) Outcome {
	a.mu.Lock()
	defer a.mu.Unlock()
	r.of, r.bytes = of, 0
	switch {
	case a.closed:
		return Closed
	case a.waiters.empty() && a.takeLocked(bytes, attempt{waits: wait}) == taken:
		r.bytes = bytes
		return Granted
	case !wait:
		return Refused
	}
	r.bytes = bytes
	a.waiters.pushBack(r)
	return Queued
}

// Cancel takes a request out of the line, and reports whether it was there. If not,
// granted has been called for it or is about to be.
func (a *Room[T]) Cancel(r *Request[T]) bool {
	a.mu.Lock()
	found := r.in == &a.waiters
	if found {
		a.waiters.remove(r)
		r.bytes = 0
	}
	a.mu.Unlock()
	if found {
		a.grantAll() // the next one may need less
		a.leaveTurn()
	}
	return found
}

// Release returns room, and hands it on to those who wait. It panics if more is
// returned than was taken.
func (a *Room[T]) Release(entries, bytes int) {
	if entries == 0 {
		return
	}
	a.give(entries, bytes)
	a.grantAll()
	if a.parent != nil {
		a.parent.give(entries, bytes)
		a.parent.takeTurns()
	}
}

// leaveTurn lets the others go on if the waiter that the group's turn at the node
// was for has left.
func (a *Room[T]) leaveTurn() {
	if a.parent != nil {
		a.parent.takeTurns()
	}
}

// Close refuses everything from now on and returns those who wait. Room that
// is taken may still be returned.
func (a *Room[T]) Close() []T {
	a.mu.Lock()
	a.closed = true
	var left []T
	for r := a.waiters.first; r != nil; r = a.waiters.first {
		a.waiters.remove(r)
		r.bytes = 0
		left = append(left, r.of)
	}
	a.mu.Unlock()
	a.leaveTurn()
	return left
}

// grantAll serves a group's line as far as there is room.
func (a *Room[T]) grantAll() {
	for a.grant(false) == taken {
	}
}

// takeTurns hands the node's room on: to the first waiter of each group that
// starves, in the order in which they began to, and so on around, until there is
// no room or nobody waits for it. A group whose turn finds no room keeps it, so
// that nobody is passed over because he needs more.
func (a *Room[T]) takeTurns() {
	for group := a.nextTurn(); group != nil; group = a.nextTurn() {
		found := group.grant(true)
		a.mu.Lock()
		a.turns--
		a.mu.Unlock()
		if found == missingAbove {
			return // whoever returns room goes on
		}
	}
}

// nextTurn takes the group whose turn it is out of the line, nil if nobody starves.
func (a *Room[T]) nextTurn() *Room[T] {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.starving) == 0 {
		return nil
	}
	group := a.starving[0]
	a.starving = slices.Delete(a.starving, 0, 1)
	group.starves = false
	a.turns++
	return group
}

// grant gives the first waiter what it needs, in its group's turn at the node or
// between.
func (a *Room[T]) grant(turn bool) finding {
	a.mu.Lock()
	r := a.waiters.first
	if r == nil {
		a.mu.Unlock()
		return missingHere
	}
	if found := a.takeLocked(r.bytes, attempt{turn: turn, waits: true}); found != taken {
		a.mu.Unlock()
		return found
	}
	a.waiters.remove(r)
	if turn && !a.waiters.empty() {
		a.parent.mu.Lock()
		a.parent.lineUp(a, false)
		a.parent.mu.Unlock()
	}
	a.mu.Unlock()
	a.granted(r.of)
	return taken
}

// finding says what an attempt to take room has found.
type finding uint8

const (
	taken finding = iota
	missingHere
	missingAbove
)

// attempt says who asks for room. turn: it is the group's turn at the node. waits:
// without room it waits for it.
type attempt struct{ turn, waits bool }

// takeLocked takes room for one entry here and above, or nowhere.
func (a *Room[T]) takeLocked(bytes int, by attempt) finding {
	if l := a.limits; l.EntriesMax > 0 && a.entries >= l.EntriesMax || l.BytesMax > 0 && a.entries > 0 && a.bytes+bytes > l.BytesMax {
		return missingHere
	}
	if a.parent != nil && !a.parent.takeFor(a, bytes, by) {
		return missingAbove
	}
	a.entries++
	a.bytes += bytes
	return taken
}

// takeFor takes room at the node for a group: in its turn, or while nobody has
// one or waits for it. A group that gets none and waits lines up in the same
// moment, so that it misses nothing that is returned. The group's lock is held.
func (a *Room[T]) takeFor(group *Room[T], bytes int, by attempt) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if (by.turn || a.turns == 0 && len(a.starving) == 0) && a.takeLocked(bytes, attempt{}) == taken {
		return true
	}
	if by.waits {
		a.lineUp(group, by.turn)
	}
	return false
}

// lineUp lets a group wait for its turn at the node, whose lock is held: as the
// first one if it has just had it, and in vain.
func (a *Room[T]) lineUp(group *Room[T], first bool) {
	switch {
	case group.starves:
		return
	case first:
		a.starving = slices.Insert(a.starving, 0, group)
	default:
		a.starving = append(a.starving, group)
	}
	group.starves = true
}

// give takes back what was taken.
func (a *Room[T]) give(entries, bytes int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.entries -= entries
	a.bytes -= bytes
	if a.entries < 0 || a.bytes < 0 {
		panic("admission: room was returned twice")
	}
}

// Inflight returns what is taken.
func (a *Room[T]) Inflight() (entries, bytes int) {
	entries, bytes, _ = a.Figures()
	return entries, bytes
}

// Figures returns what is taken, and how many wait.
func (a *Room[T]) Figures() (entries, bytes, waiting int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.entries, a.bytes, a.waiters.length
}
