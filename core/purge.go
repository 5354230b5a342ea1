package core

import (
	"fmt"
	"slices"
)

// This file is about what the log keeps behind the newest snapshot or record (Raft 7, rule
// 25).

// purging is what the engine keeps in mind of it.
type purging struct {
	// byHand is up to where somebody wants the log purged, whatever is to be kept.
	byHand Index
	// asked are those who wait for that.
	asked []purgeAsked
	// readers follow the log.
	readers []logReader
	// heldBack: less was purged than is to be kept, because of a hold. It is looked at
	// again at review.
	heldBack bool
	review   Instant
	// held is what is kept for holds alone, in bytes.
	held uint64
}

// purgeAsked waits until the write is durable.
type purgeAsked struct {
	id   uint64
	ioid IOID
}

// logReader has been given the log up to the entry before next.
type logReader struct {
	id   uint64
	next Index
	// moved is when it came forward last. held: the log is kept for it.
	moved Instant
	held  bool
}

// purge removes what lies far enough below the newest snapshot or record, and is held by
// nobody. It never removes what neither the snapshot nor the machine contains (Raft 7).
func (e *Engine) purge() IOID {
	s := &e.snapshots
	if !s.based {
		return 0
	}
	policy := e.purgePoint()
	upTo := min(policy, e.lowestHold(policy))
	p := &e.purging
	p.heldBack, p.review = upTo < policy, e.now.Add(e.cfg.HeartbeatInterval)
	p.held = e.sizes.Between(upTo, policy)
	if upTo <= e.log.purged.Index || p.heldBack && !e.worthPurging(upTo) {
		return 0
	}
	term, _ := e.log.term(upTo)
	id := LogID{term, upTo}
	e.log.purge(id)
	e.sizes.Purge(upTo)
	// Where a record was enough the log may pass the newest snapshot: that is of no use then.
	s.usable = s.usable && s.newest.Index >= upTo
	w := e.newWrite()
	w.Purge = id
	return e.submit(w)
}

// purgePoint is up to where the log is not to be kept: at most KeepEntries and at most
// KeepBytes stay behind the newest snapshot or record, whichever is less.
func (e *Engine) purgePoint() Index {
	newest := e.purgeLimit()
	if e.isRemoved() {
		// Rule 22: the log grows no more, and tells this node's next life that it was removed.
		return min(newest, e.purging.byHand)
	}
	upTo := newest - Index(min(uint64(newest), e.cfg.KeepEntries))
	if most := e.cfg.KeepBytes; most > 0 {
		upTo = max(upTo, e.sizes.Floor(newest, most))
	}
	return min(newest, max(upTo, e.purging.byHand))
}

// purgeLimit is up to where nothing would be lost. A machine that goes on from what it
// held when this node was started needs the log from there.
func (e *Engine) purgeLimit() Index {
	s, has := &e.snapshots, e.applied
	if s.installing != nil {
		has = max(has, s.installing.Index)
	}
	return min(s.base.Index, has)
}

// worthPurgingParts: while a hold creeps forward, the log follows in steps of this part
// of what may be held.
const worthPurgingParts = 16

// worthPurging reports whether it is time to follow the holds: not with each of their
// steps, for each purge is a write.
func (e *Engine) worthPurging(upTo Index) bool {
	goes := e.sizes.Between(e.log.purged.Index, upTo)
	return upTo <= e.purging.byHand || goes >= e.cfg.HoldBytesMax/worthPurgingParts || goes >= e.sizes.Between(upTo, e.log.last.Index)
}

// lowestHold returns the lowest index that somebody holds the log behind, of those that
// are within the bound: the slowest goes first. It is policy if nobody does.
func (e *Engine) lowestHold(policy Index) Index {
	lowest, floor := policy, e.sizes.Floor(policy, e.cfg.HoldBytesMax)
	// hold takes the last entry that somebody has, and reports whether the log is kept
	// for him, as it was before or not.
	hold := func(at Index, moved Instant, before bool, who Identity) bool {
		why := ""
		switch {
		case at >= policy:
			return false
		case at < floor:
			why = fmt.Sprintf("more than %d bytes would be kept", e.cfg.HoldBytesMax)
		case e.now.Sub(moved) >= e.cfg.HoldTimeMax:
			why = fmt.Sprintf("no progress was made for %v", e.cfg.HoldTimeMax)
		default:
			lowest = min(lowest, at)
			return true
		}
		if before {
			e.out.add(&Notice{Kind: NoticeLogLetGo, Peer: who, Term: e.hard.Term, Index: at, Text: why})
		}
		return false
	}
	for _, p := range e.leaderState.peers {
		at := p.holds()
		p.held = at != 0 && p.removal.at == 0 && hold(at, p.movedOn, p.held, p.Identity)
	}
	for i := range e.purging.readers {
		r := &e.purging.readers[i]
		r.held = hold(r.next-1, r.moved, r.held, Identity{})
	}
	return lowest
}

// onFollowLog takes how far somebody who follows the log has come.
func (e *Engine) onFollowLog(ev *FollowLog) {
	readers := e.purging.readers
	i := slices.IndexFunc(readers, func(r logReader) bool { return r.id == ev.ID })
	switch {
	case ev.Next == 0 && i >= 0:
		e.purging.readers = slices.Delete(readers, i, i+1)
	case ev.Next == 0:
	case i < 0:
		e.purging.readers = append(readers, logReader{id: ev.ID, next: ev.Next, moved: e.now})
	case ev.Next > readers[i].next:
		readers[i].next, readers[i].moved = ev.Next, e.now
	}
}

// holds is the entry behind which the log is kept for a peer: that of a snapshot which
// is on its way, or was sent and is not answered by its stream yet (rule 25), else the
// last that it has. It is 0 while nothing is known.
func (p *peer) holds() Index { return max(p.match, p.pinned) }

// onSnapshotProgress takes that the receiver of a snapshot has acknowledged more of it.
func (e *Engine) onSnapshotProgress(ev *SnapshotProgress) {
	if p := e.leaderState.peer(ev.Peer); p != nil && p.stream == ev.Stream && p.snapshot {
		p.movedOn = e.now
	}
}

// reviewHolds purges what a hold has let go of since.
func (e *Engine) reviewHolds() {
	if e.purging.heldBack && e.now >= e.purging.review {
		e.purge()
	}
}

// onPurgeLog purges by hand.
func (e *Engine) onPurgeLog(ev *PurgeLog) {
	newest := e.purgeLimit()
	if !e.snapshots.based {
		newest = e.log.purged.Index
	}
	if ev.UpTo > newest {
		e.out.add(&PurgeEnded{ID: ev.ID, First: e.log.purged.Index + 1, Err: &PurgeError{UpTo: ev.UpTo, Snapshot: newest}})
		return
	}
	e.purging.byHand = max(e.purging.byHand, ev.UpTo)
	if n := e.purge(); n != 0 {
		e.purging.asked = append(e.purging.asked, purgeAsked{ev.ID, n})
		return
	}
	e.out.add(&PurgeEnded{ID: ev.ID, First: e.log.purged.Index + 1})
}

// purgesFlushed tells those whose purge is durable.
func (e *Engine) purgesFlushed(n IOID) {
	asked := e.purging.asked
	for len(asked) > 0 && asked[0].ioid <= n {
		e.out.add(&PurgeEnded{ID: asked[0].id, First: e.log.purged.Index + 1})
		asked = asked[1:]
	}
	if len(asked) == 0 {
		asked = nil
	}
	e.purging.asked = asked
}
