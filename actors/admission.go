package actors

import (
	"slices"
	"sync"
)

// admission bounds what is admitted and not yet answered, in entries and in bytes:
// a group's own, under those of its node. Whoever finds no room may wait: first
// come, first served within a group, and groups take turns at the node's
// (takeTurns). While anybody waits, who comes later gets no room before him.
//
// No lock is held while a waiter is called. Locks are taken from a group upwards.
type admission struct {
	entriesMax, bytesMax int
	parent               *admission
	// granted is called for a waiter that has got its room, outside the lock.
	granted func(*Proposal)

	mu             sync.Mutex
	entries, bytes int // taken
	waiters        proposalList
	closed         bool
	// starving, of a node: groups whose first waiter found no room here, in the
	// order of their turns. turns counts those that have their turn now. starves,
	// of a group: it stands there, which the node's lock guards.
	starving []*admission
	turns    int
	starves  bool
}

// admissionOutcome says what became of an attempt.
type admissionOutcome uint8

const (
	admissionGranted admissionOutcome = iota
	admissionRefused
	admissionQueued
	admissionClosed
)

// acquire takes room for p. If there is none and wait is set, p is queued,
// and granted is called when it has got it.
func (a *admission) acquire(p *Proposal, bytes int, wait bool) admissionOutcome {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.closed:
		return admissionClosed
	case a.waiters.empty() && a.takeLocked(bytes, attempt{waits: wait}) == roomTaken:
		p.roomBytes = bytes
		return admissionGranted
	case !wait:
		return admissionRefused
	}
	p.roomBytes = bytes
	p.stage.Store(stageRoom)
	a.waiters.pushBack(p)
	return admissionQueued
}

// cancel takes a waiter out of the queue, and reports whether it was there.
func (a *admission) cancel(p *Proposal) bool {
	a.mu.Lock()
	found := p.list == &a.waiters
	if found {
		a.waiters.remove(p)
		p.roomBytes = 0
	}
	a.mu.Unlock()
	if found {
		a.grantAll() // the next one may need less
		a.leaveTurn()
	}
	return found
}

// release returns room, and hands it on to those who wait.
func (a *admission) release(entries, bytes int) {
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
func (a *admission) leaveTurn() {
	if a.parent != nil {
		a.parent.takeTurns()
	}
}

// close refuses everything from now on and returns those who wait. Room that
// is taken may still be returned.
func (a *admission) close() []*Proposal {
	a.mu.Lock()
	a.closed = true
	var left []*Proposal
	for p := a.waiters.first; p != nil; p = a.waiters.first {
		a.waiters.remove(p)
		p.roomBytes = 0
		left = append(left, p)
	}
	a.mu.Unlock()
	a.leaveTurn()
	return left
}

// grantAll serves a group's line as far as there is room.
func (a *admission) grantAll() {
	for a.grant(false) == roomTaken {
	}
}

// takeTurns hands the node's room on: to the first waiter of each group that
// starves, in the order in which they began to, and so on around, until there is
// no room or nobody waits for it. A group whose turn finds no room keeps it, so
// that nobody is passed over because he needs more.
func (a *admission) takeTurns() {
	for group := a.nextTurn(); group != nil; group = a.nextTurn() {
		found := group.grant(true)
		a.mu.Lock()
		a.turns--
		a.mu.Unlock()
		if found == roomMissingAbove {
			return // whoever returns room goes on
		}
	}
}

// nextTurn takes the group whose turn it is out of the line, nil if nobody starves.
func (a *admission) nextTurn() *admission {
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
func (a *admission) grant(turn bool) room {
	a.mu.Lock()
	p := a.waiters.first
	if p == nil {
		a.mu.Unlock()
		return roomMissingHere
	}
	if found := a.takeLocked(p.roomBytes, attempt{turn: turn, waits: true}); found != roomTaken {
		a.mu.Unlock()
		return found
	}
	a.waiters.remove(p)
	p.stage.Store(stageCore)
	if turn && !a.waiters.empty() {
		a.parent.mu.Lock()
		a.parent.lineUp(a, false)
		a.parent.mu.Unlock()
	}
	a.mu.Unlock()
	a.granted(p)
	return roomTaken
}

// room says what an attempt to take room has found.
type room uint8

const (
	roomTaken room = iota
	roomMissingHere
	roomMissingAbove
)

// attempt says who asks for room. turn: it is the group's turn at the node. waits:
// without room it waits for it.
type attempt struct{ turn, waits bool }

// takeLocked takes room for one entry here and above, or nowhere.
func (a *admission) takeLocked(bytes int, by attempt) room {
	if a.entriesMax > 0 && a.entries >= a.entriesMax || a.bytesMax > 0 && a.entries > 0 && a.bytes+bytes > a.bytesMax {
		return roomMissingHere
	}
	if a.parent != nil && !a.parent.takeFor(a, bytes, by) {
		return roomMissingAbove
	}
	a.entries++
	a.bytes += bytes
	return roomTaken
}

// takeFor takes room at the node for a group: in its turn, or while nobody has
// one or waits for it. A group that gets none and waits lines up in the same
// moment, so that it misses nothing that is returned. The group's lock is held.
func (a *admission) takeFor(group *admission, bytes int, by attempt) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if (by.turn || a.turns == 0 && len(a.starving) == 0) && a.takeLocked(bytes, attempt{}) == roomTaken {
		return true
	}
	if by.waits {
		a.lineUp(group, by.turn)
	}
	return false
}

// lineUp lets a group wait for its turn at the node, whose lock is held: as the
// first one if it has just had it, and in vain.
func (a *admission) lineUp(group *admission, first bool) {
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
func (a *admission) give(entries, bytes int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.entries -= entries
	a.bytes -= bytes
	if a.entries < 0 || a.bytes < 0 {
		panic("actors: room was returned twice")
	}
}

// inflight returns what is taken.
func (a *admission) inflight() (entries, bytes int) {
	entries, bytes, _ = a.figures()
	return entries, bytes
}

// figures returns what is taken, and how many wait.
func (a *admission) figures() (entries, bytes, waiting int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.entries, a.bytes, a.waiters.length
}

// proposalList is a list through the proposals themselves, so that one can be
// taken out wherever it stands.
type proposalList struct {
	first, last *Proposal
	length      int
}

func (l *proposalList) empty() bool { return l.first == nil }

func (l *proposalList) pushBack(p *Proposal) {
	p.list, p.prev, p.next = l, l.last, nil
	if l.last == nil {
		l.first = p
	} else {
		l.last.next = p
	}
	l.last = p
	l.length++
}

func (l *proposalList) remove(p *Proposal) {
	if p.prev == nil {
		l.first = p.next
	} else {
		p.prev.next = p.next
	}
	if p.next == nil {
		l.last = p.prev
	} else {
		p.next.prev = p.prev
	}
	p.list, p.prev, p.next = nil, nil, nil
	l.length--
}

// proposalChain is proposals in order, linked by next, of which each is in no
// list.
type proposalChain struct{ first, last *Proposal }

func (c *proposalChain) empty() bool { return c.first == nil }

func (c *proposalChain) push(p *Proposal) {
	p.list, p.prev, p.next = nil, nil, nil
	if c.last == nil {
		c.first = p
	} else {
		c.last.next = p
	}
	c.last = p
}

func (c *proposalChain) pop() *Proposal {
	p := c.first
	if c.first = p.next; c.first == nil {
		c.last = nil
	}
	p.next = nil
	return p
}

func (l *proposalList) popFront() *Proposal {
	p := l.first
	if p != nil {
		l.remove(p)
	}
	return p
}
