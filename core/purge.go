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
	// wrote is the last write after which the log begins later. asked are those who wait
	// for one.
	wrote IOID
	asked []purgeAsked
	// readers follow the log.
	readers []logReader
	// heldBack: less was purged than is to be kept, because of a hold. It is looked at
	// again at review.
	heldBack bool
	review   Instant
	// held is what is kept for holds alone, in bytes.
	held uint64
	// letGo counts those who were let go of, by why; lastLetGo tells of the last, for
	// people.
	letGo     LetGoCounts
	lastLetGo string
}

// purgeAsked waits until the write is durable with which the log begins at first.
type purgeAsked struct {
	id    uint64
	ioid  IOID
	first Index
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
func (e *Engine) purge() { e.purgeWithin(e.cfg.HoldBytesMax, LetGoBytes) }

// purgeWithin is purge where at most so much is held for others; else why.
func (e *Engine) purgeWithin(bytesMax uint64, why LetGo) {
	s := &e.snapshots
	p := &e.purging
	if !s.based {
		p.held, p.heldBack = 0, false // nothing would go, so nothing stays for others alone
		return
	}
	policy := e.purgePoint()
	upTo := min(policy, e.lowestHold(policy, bytesMax, why))
	p.heldBack, p.review = upTo < policy, e.now.Add(e.cfg.HeartbeatInterval)
	p.held = e.sizes.Between(upTo, policy)
	if upTo <= e.log.purged.Index || p.heldBack && why == LetGoBytes && !e.worthPurging(upTo) {
		return
	}
	term, _ := e.log.term(upTo)
	id := LogID{term, upTo}
	e.log.purge(id)
	e.sizes.Purge(upTo)
	// Where a record was enough the log may pass the newest snapshot: that is of no use then.
	s.usable = s.usable && s.newest.Index >= upTo
	w := e.newWrite()
	w.Purge = id
	p.wrote = e.submit(w)
}

// purgePoint is up to where the log is not to be kept: at most KeepEntries and at most
// KeepBytes stay behind the newest snapshot or record, whichever is less.
func (e *Engine) purgePoint() Index {
	newest := e.purgeLimit()
	if e.isRemoved() {
		// Rule 22: a removed node deletes nothing by itself, and its log grows no more.
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
func (e *Engine) lowestHold(policy Index, bytesMax uint64, over LetGo) Index {
	lowest, floor := policy, e.sizes.Floor(policy, bytesMax)
	// hold takes the last entry that somebody has, and reports whether the log is kept
	// for him, as it was before or not.
	hold := func(at Index, moved Instant, before bool, who Identity) bool {
		why, text := over, ""
		switch {
		case at >= policy:
			return false
		case at < floor:
			text = over.tell(bytesMax)
		case e.now.Sub(moved) >= e.cfg.HoldTimeMax:
			why, text = LetGoTime, fmt.Sprintf("no progress was made for %v", e.cfg.HoldTimeMax)
		default:
			lowest = min(lowest, at)
			return true
		}
		if before {
			e.letGoOf(who, at, why, text)
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

// letGoOf tells that the log is not kept any more for who has it up to an index.
func (e *Engine) letGoOf(who Identity, at Index, why LetGo, text string) {
	p := &e.purging
	p.letGo[why]++
	whom := "who follows it here"
	if !who.IsZero() {
		whom = fmt.Sprintf("node %d", who.ID)
	}
	p.lastLetGo = fmt.Sprintf("%s, which had it up to %d: %s", whom, at, text)
	e.out.add(&Notice{Kind: NoticeLogLetGo, Peer: who, Term: e.hard.Term, Index: at, Text: text})
}

// onLetGoOfLog lets the slowest go at once, and removes what nobody needs then.
func (e *Engine) onLetGoOfLog(ev *LetGoOfLog) {
	e.purgeWithin(min(ev.BytesMax, e.cfg.HoldBytesMax), ev.Why)
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
	e.purge()
	// What was purged before may not be durable either.
	if n := e.purging.wrote; !e.writes.over(n) {
		e.purging.asked = append(e.purging.asked, purgeAsked{ev.ID, n, e.log.purged.Index + 1})
		return
	}
	e.out.add(&PurgeEnded{ID: ev.ID, First: e.log.purged.Index + 1})
}

// purgesFlushed tells those whose purge is durable.
func (e *Engine) purgesFlushed(n IOID) {
	asked := e.purging.asked
	for len(asked) > 0 && asked[0].ioid <= n {
		// What was purged since may not be durable.
		e.out.add(&PurgeEnded{ID: asked[0].id, First: asked[0].first})
		asked = asked[1:]
	}
	if len(asked) == 0 {
		asked = nil
	}
	e.purging.asked = asked
}
