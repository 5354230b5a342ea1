package actors

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
