package actors

import (
	"github.com/trouperaft/troupe/actors/stage"
	"github.com/trouperaft/troupe/core"
)

// coreInbox is the core actor's inbox. Beside the items it holds notices, of
// which only the newest counts: they take no room, and where the core would only
// note the number down they do not ring, but are taken with whatever rings next;
// a leader's or follower's next heartbeat at the latest.
type coreInbox struct {
	stage.Inbox[any]
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
	b.Note(func() bool {
		b.notices.flushed = id
		return b.flushRings || b.watched
	})
}

// noteApplied takes what the state machine has applied last.
func (b *coreInbox) noteApplied(id core.LogID) {
	b.Note(func() bool {
		b.notices.applied = id
		return b.watched
	})
}

// noteMatched takes that a stream knows of more that is durable at its peer.
func (b *coreInbox) noteMatched(rings bool) {
	b.Note(func() bool {
		b.notices.matched = true
		return rings || b.watched
	})
}

// attend says whether flushes ring from now on. One that came before and would
// have rung rings now.
func (b *coreInbox) attend(flush bool) {
	b.Note(func() bool {
		b.flushRings = flush
		return b.notices.flushed != 0 && (flush || b.watched)
	})
}

// attendWatchers lets every notice ring while somebody watches.
func (b *coreInbox) attendWatchers(watched func() bool) {
	b.Note(func() bool {
		b.watched = watched()
		return b.watched && b.notices != (coreNotices{})
	})
}

// takeAll swaps out everything, and reports whether any of it was urgent.
func (b *coreInbox) takeAll() (items []any, notices coreNotices, urgent bool) {
	items = b.TakeNoted(func(u bool) int {
		notices, b.notices, urgent = b.notices, coreNotices{}, u
		return notices.count()
	})
	return items, notices, urgent
}
