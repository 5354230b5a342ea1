package actors

import (
	"slices"
	"sync"
)

// credits bound what is admitted and not yet answered, in entries and in bytes:
// a group's own, under those of its node. Whoever finds no room may wait: first
// come, first served within a group, and groups take turns at the node's
// (takeTurns).
//
// No lock is held while a waiter is called. Locks are taken from a group upwards.
type credits struct {
	entriesMax, bytesMax int
	parent               *credits
	// granted is called for a waiter that has got its credit, outside the lock.
	granted func(*Proposal)

	mu             sync.Mutex
	entries, bytes int // taken
	waiters        proposalList
	closed         bool
	// starving, of a node: groups whose first waiter found no room here, in the
	// order of their turns. starves, of a group: it stands there, which the node's
	// lock guards.
	starving []*credits
	starves  bool
}

// creditOutcome says what became of an attempt.
type creditOutcome uint8

const (
	creditTaken creditOutcome = iota
	creditNone
	creditQueued
	creditClosed
)

// acquire takes credit for p. If there is none and wait is set, p is queued,
// and granted is called when it has got it.
func (c *credits) acquire(p *Proposal, bytes int, wait bool) creditOutcome {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed:
		return creditClosed
	case c.waiters.empty() && c.takeLocked(bytes, false) == roomTaken:
		p.creditBytes = bytes
		return creditTaken
	case !wait:
		return creditNone
	}
	p.creditBytes = bytes
	p.stage.Store(stageCredit)
	c.waiters.pushBack(p)
	return creditQueued
}

// cancel takes a waiter out of the queue, and reports whether it was there.
func (c *credits) cancel(p *Proposal) bool {
	c.mu.Lock()
	found := p.list == &c.waiters
	if found {
		c.waiters.remove(p)
		p.creditBytes = 0
	}
	c.mu.Unlock()
	if found {
		c.grantAll() // the next one may need less
	}
	return found
}

// release returns credit, and hands it on to those who wait.
func (c *credits) release(entries, bytes int) {
	if entries == 0 {
		return
	}
	c.give(entries, bytes)
	c.grantAll()
	if c.parent != nil {
		c.parent.give(entries, bytes)
		c.parent.takeTurns()
	}
}

// close refuses everything from now on and returns those who wait. Credit that
// is taken may still be returned.
func (c *credits) close() []*Proposal {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	var left []*Proposal
	for p := c.waiters.first; p != nil; p = c.waiters.first {
		c.waiters.remove(p)
		p.creditBytes = 0
		left = append(left, p)
	}
	return left
}

// grantAll serves a group's line as far as there is room.
func (c *credits) grantAll() {
	for c.grant(false) == roomTaken {
	}
}

// takeTurns hands the node's credit on: to the first waiter of each group that
// starves, in the order in which they began to, and so on around, until there is
// no room or nobody waits for it. A group whose turn finds no room keeps it, so
// that nobody is passed over because he needs more.
func (c *credits) takeTurns() {
	for {
		c.mu.Lock()
		if len(c.starving) == 0 {
			c.mu.Unlock()
			return
		}
		group := c.starving[0]
		c.starving = slices.Delete(c.starving, 0, 1)
		group.starves = false
		c.mu.Unlock()
		if group.grant(true) == roomMissingAbove {
			return // whoever returns credit goes on
		}
	}
}

// grant gives the first waiter what it needs, in its group's turn at the node or
// between.
func (c *credits) grant(turn bool) room {
	c.mu.Lock()
	p := c.waiters.first
	if p == nil {
		c.mu.Unlock()
		return roomMissingHere
	}
	if found := c.takeLocked(p.creditBytes, turn); found != roomTaken {
		c.mu.Unlock()
		return found
	}
	c.waiters.remove(p)
	p.stage.Store(stageCore)
	if turn && !c.waiters.empty() {
		c.parent.mu.Lock()
		c.parent.lineUp(c, false)
		c.parent.mu.Unlock()
	}
	c.mu.Unlock()
	c.granted(p)
	return roomTaken
}

// room says what an attempt to take credit has found.
type room uint8

const (
	roomTaken room = iota
	roomMissingHere
	roomMissingAbove
)

// takeLocked takes room for one entry here and above, or nowhere. turn: the group
// has its turn at the node.
func (c *credits) takeLocked(bytes int, turn bool) room {
	if c.entriesMax > 0 && c.entries >= c.entriesMax || c.bytesMax > 0 && c.entries > 0 && c.bytes+bytes > c.bytesMax {
		return roomMissingHere
	}
	if c.parent != nil && !c.parent.takeFor(c, bytes, turn) {
		return roomMissingAbove
	}
	c.entries++
	c.bytes += bytes
	return roomTaken
}

// takeFor takes room at the node for a group. If there is none now the group
// lines up in the same moment, so that it misses nothing that is returned. The
// group's lock is held.
func (c *credits) takeFor(group *credits, bytes int, turn bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.takeLocked(bytes, false) == roomTaken {
		return true
	}
	c.lineUp(group, turn)
	return false
}

// lineUp lets a group wait for its turn at the node, whose lock is held: as the
// first one if it has just had it, and in vain.
func (c *credits) lineUp(group *credits, first bool) {
	switch {
	case group.starves:
		return
	case first:
		c.starving = slices.Insert(c.starving, 0, group)
	default:
		c.starving = append(c.starving, group)
	}
	group.starves = true
}

// give takes back what was taken.
func (c *credits) give(entries, bytes int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.entries -= entries
	c.bytes -= bytes
	if c.entries < 0 || c.bytes < 0 {
		panic("actors: a credit was returned twice")
	}
}

// inflight returns what is taken.
func (c *credits) inflight() (entries, bytes int) {
	entries, bytes, _ = c.figures()
	return entries, bytes
}

// figures returns what is taken, and how many wait.
func (c *credits) figures() (entries, bytes, waiting int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.entries, c.bytes, c.waiters.length
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
