package actors

import "github.com/trouperaft/troupe/core"

// coreInbox is the core actor's inbox. Beside the items it holds notices, of
// which only the newest counts: they take no room, and where the core would only
// note the number down they do not ring, but are taken with whatever rings next;
// a leader's or follower's next heartbeat at the latest.
type coreInbox struct {
	inbox[any]
	notices coreNotices
	// flushRings: the core waits for what is being written. watched: somebody
	// watches the status, and every notice rings.
	flushRings bool
	watched    bool
}

// coreNotices are watermarks, 0 where there is no news.
type coreNotices struct {
	flushed core.IOID
	applied core.LogID
	// matched: streams have news of their peers.
	matched bool
}

// count returns how many notices there are.
func (n *coreNotices) count() int {
	return int(truth(n.flushed != 0) + truth(n.applied.Index != 0) + truth(n.matched))
}

// noteFlushed takes the watermark of durable writes.
func (b *coreInbox) noteFlushed(id core.IOID) {
	b.mu.Lock()
	b.notices.flushed = id
	b.ringIf(b.flushRings)
}

// noteApplied takes what the state machine has applied last.
func (b *coreInbox) noteApplied(id core.LogID) {
	b.mu.Lock()
	b.notices.applied = id
	b.ringIf(false)
}

// noteMatched takes that a stream knows of more that is durable at its peer.
func (b *coreInbox) noteMatched(rings bool) {
	b.mu.Lock()
	b.notices.matched = true
	b.ringIf(rings)
}

// ringIf rings if wanted, or if somebody watches, and unlocks.
func (b *coreInbox) ringIf(wanted bool) {
	if b.closed || !wanted && !b.watched {
		b.mu.Unlock()
		return
	}
	b.ringAndUnlock(true)
}

// attend says whether flushes ring from now on. One that came before and would
// have rung rings now.
func (b *coreInbox) attend(flush bool) {
	b.mu.Lock()
	b.flushRings = flush
	if b.notices.flushed == 0 {
		b.mu.Unlock()
		return
	}
	b.ringIf(flush)
}

// attendWatchers lets every notice ring while somebody watches.
func (b *coreInbox) attendWatchers(watched func() bool) {
	b.mu.Lock()
	b.watched = watched()
	if b.notices == (coreNotices{}) {
		b.mu.Unlock()
		return
	}
	b.ringIf(false)
}

// takeAll swaps out everything, and reports whether any of it was urgent.
func (b *coreInbox) takeAll() (items []any, notices coreNotices, urgent bool) {
	b.recycle()
	b.mu.Lock()
	defer b.mu.Unlock()
	notices, b.notices = b.notices, coreNotices{}
	urgent = b.urgent
	return b.swap(), notices, urgent
}
