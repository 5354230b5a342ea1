package actors

import "sync"

// credits bound what is admitted and not yet answered, in entries and in bytes:
// a group's own, under those of its node. Whoever finds no room may wait: first
// come, first served within a group, and groups take turns at the node's.
//
// No lock is held while another one's waiters are called.
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
	// order in which they did. starves, of a group: it stands there.
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
	case c.waiters.empty() && c.takeLocked(bytes):
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
		c.grant() // the next one may need less
	}
	return found
}

// release returns credit, and hands it on to those who wait.
func (c *credits) release(entries, bytes int) {
	if entries == 0 {
		return
	}
	c.mu.Lock()
	c.giveLocked(entries, bytes)
	c.mu.Unlock()
	c.grant()
	if c.parent == nil {
		return
	}
	for _, group := range c.parent.returned(entries, bytes) {
		group.grant()
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

// grant gives the first waiters what there is.
func (c *credits) grant() {
	for {
		c.mu.Lock()
		p := c.waiters.first
		if p == nil || !c.takeLocked(p.creditBytes) {
			c.mu.Unlock()
			return
		}
		c.waiters.remove(p)
		p.stage.Store(stageCore)
		c.mu.Unlock()
		c.granted(p)
	}
}

// takeLocked takes room for one entry here and above, or nowhere.
func (c *credits) takeLocked(bytes int) bool {
	if c.entriesMax > 0 && c.entries >= c.entriesMax || c.bytesMax > 0 && c.entries > 0 && c.bytes+bytes > c.bytesMax {
		return false
	}
	if c.parent != nil && !c.parent.takeFor(c, bytes) {
		return false
	}
	c.entries++
	c.bytes += bytes
	return true
}

// takeFor takes room at the node for a group, which is called back if there is
// none now. The group's lock is held: locks are taken from the group upwards.
func (c *credits) takeFor(group *credits, bytes int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.takeLocked(bytes) {
		return true
	}
	if !group.starves {
		group.starves = true
		c.starving = append(c.starving, group)
	}
	return false
}

// returned returns credit to the node and gives back the groups that may try
// again.
func (c *credits) returned(entries, bytes int) []*credits {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.giveLocked(entries, bytes)
	if len(c.starving) == 0 {
		return nil
	}
	again := c.starving
	c.starving = nil
	for _, group := range again {
		group.starves = false // guarded by the node's lock
	}
	return again
}

func (c *credits) giveLocked(entries, bytes int) {
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
