package actors

import (
	"github.com/trouperaft/troupe/actors/stage"
	"github.com/trouperaft/troupe/core"
)

// coreInbox is the core actor's inbox. Beside the items it holds notices, of
// which only the newest counts: they take no room, and where the core would only
// note the number down they do not wake it, but are taken with whatever does next;
// a leader's or follower's next heartbeat at the latest.
type coreInbox struct {
	stage.Inbox[any]
	// Guarded by the inbox.
	notices   coreNotices
	attention attention
}

// coreNotices are watermarks, 0 where there is nothing new.
type coreNotices struct {
	flushed core.IOID
	applied core.LogID
	// matched: streams know something new of their peers; one of them counts if it
	// may move the commit index.
	matched, counts bool
}

// count returns how many notices there are.
func (n *coreNotices) count() int {
	count := 0
	for _, there := range [...]bool{n.flushed != 0, n.applied.Index != 0, n.matched} {
		if there {
			count++
		}
	}
	return count
}

// attention is what the core wants to know at once.
type attention struct {
	// flush: the engine waits for what is being written.
	flush bool
	// matches: the engine waits for what peers hold, also below the commit index.
	matches bool
	// applied: the application waits for the state machine.
	applied bool
	// status: somebody watches the status.
	status bool
}

// wakes says which notice wakes the core: one that may change more than the
// number that it is. A match does if it counts or the engine waits for any, a flush
// while the engine waits for one, what was applied while the application waits for it, and whatever it is while somebody watches the status, in which all
// of it stands.
//
// A notice that woke the core goes on counting until it is taken. So the rule may
// look at all notices whenever one of them, or the attention, changes.
func (a attention) wakes(n *coreNotices) bool {
	return n.counts || a.matches && n.matched || a.flush && n.flushed != 0 || a.applied && n.applied.Index != 0 || a.status && n.count() > 0
}

// noteFlushed takes the watermark of durable writes.
func (b *coreInbox) noteFlushed(id core.IOID) {
	b.Note(func() bool {
		b.notices.flushed = id
		return b.attention.wakes(&b.notices)
	})
}

// noteApplied takes what the state machine has applied last.
func (b *coreInbox) noteApplied(id core.LogID) {
	b.Note(func() bool {
		b.notices.applied = id
		return b.attention.wakes(&b.notices)
	})
}

// noteMatched takes that a stream knows of more that is durable at its peer.
func (b *coreInbox) noteMatched(counts bool) {
	b.Note(func() bool {
		b.notices.matched, b.notices.counts = true, b.notices.counts || counts
		return b.attention.wakes(&b.notices)
	})
}

// attend says which notices wake the core from now on, whoever watches aside. One that
// came before and would have woken it does so now.
func (b *coreInbox) attend(now attention) {
	b.Note(func() bool {
		now.status = b.attention.status
		b.attention = now
		return b.attention.wakes(&b.notices)
	})
}

// attendWatchers lets every notice wake the core while somebody watches.
func (b *coreInbox) attendWatchers(watched func() bool) {
	b.Note(func() bool {
		b.attention.status = watched()
		return b.attention.wakes(&b.notices)
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
