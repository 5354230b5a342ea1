package actors

import (
	"context"

	"github.com/trouperaft/troupe/actors/admission"
	"github.com/trouperaft/troupe/core"
)

// readRoom bounds the reads under way, and completes them. A read that finds no room
// waits for it, first come first served. It holds its room until no actor has it any
// more: one that was given up while the apply actor is in a call does so till then.
type readRoom struct {
	*admission.Room[*Read]
}

// readBytes is about what a read and the messages about it take, in bytes.
const readBytes = 512

func newReadRoom(readsMax int, granted func(*Read)) readRoom {
	return readRoom{admission.New(admission.Limits{EntriesMax: readsMax, BytesMax: readsMax * readBytes}, nil, granted)}
}

// finish completes a read that is at stage from, unless somebody did so first, and
// returns its room.
func (c readRoom) finish(r *Read, from uint32, index core.Index, err error) bool {
	if !r.finish(from, index, err) {
		return false
	}
	c.letGo(1)
	return true
}

// letGo returns the room of reads that no actor has.
func (c readRoom) letGo(reads int) { c.Release(reads, reads*readBytes) }

// ReadIndex begins a read: see Read. While there is no room for it, it waits if
// Read.WaitForRoom is set, and else ends at once with core.ErrOverloaded. It asks again
// until it has an answer or CancelRead is called.
func (g *Group) ReadIndex(r *Read) {
	if g.ReadNow(r) {
		r.give()
		return
	}
	r.reset(g.watch, stageRoom)
	switch g.reads.Acquire(&r.room, r, readBytes, r.WaitForRoom) {
	case admission.Granted:
		g.enterRead(r)
	case admission.Refused:
		r.finish(stageRoom, 0, core.ErrOverloaded)
	case admission.Closed:
		r.finish(stageRoom, 0, g.stopCause())
	case admission.Queued: // enterRead follows
	}
}

// enterRead hands a read that has its room to an actor.
func (g *Group) enterRead(r *Read) {
	if !r.stage.CompareAndSwap(stageRoom, stageCore) {
		g.reads.letGo(1) // it was given up just now
		return
	}
	if err := g.readable.refusal(); err != nil {
		g.reads.finish(r, stageCore, 0, err)
		return
	}
	switch r.Mode {
	case ReadAtLeast:
		g.waitApplied(r, r.AtLeast, 0)
		return
	case ReadLease, ReadStale:
		if index, at, holds := g.readable.byLease(); holds {
			g.waitApplied(r, index, at)
			return
		}
	}
	// As a proposal it may wait for others to come along.
	if !g.core.inbox.Put(r, false) {
		g.reads.finish(r, stageCore, 0, g.stopCause())
	}
}

// waitApplied lets the apply actor serve a read that has its index, since at; 0 if
// the index says nothing of how current the state is.
func (g *Group) waitApplied(r *Read, index core.Index, at core.Instant) {
	if err := r.lagging(index, &g.readable); err != nil {
		g.reads.finish(r, stageCore, 0, err)
		return
	}
	confirmed(r, index)
	if !r.stage.CompareAndSwap(stageCore, stageApply) {
		return // it was given up just now
	}
	batch := readBatch{index: index, since: at}
	batch.reads.push(r)
	if !g.apply.serve(batch) {
		g.reads.finish(r, stageApply, 0, g.stopCause())
	}
}

// CancelRead ends a read soon, with context.Canceled. r must not be used again.
func (g *Group) CancelRead(r *Read) {
	switch {
	case r.finish(stageRoom, 0, context.Canceled):
		// If it waits no more, enterRead returns what it has just got.
		g.reads.Cancel(&r.room)
	case !g.core.put(&cancelRead{r}):
		g.reads.cancelServed(g.apply, r)
	}
}

// cancelServed ends a read that the apply actor serves, and reports whether it did. Its
// room is returned when the apply actor has let go of it.
func (c readRoom) cancelServed(apply applyMail, r *Read) bool {
	if !r.finish(stageApply, 0, context.Canceled) {
		return false
	}
	if !apply.forget() {
		c.letGo(1)
	}
	return true
}
