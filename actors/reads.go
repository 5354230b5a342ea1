package actors

import (
	"context"
	"sync/atomic"

	"github.com/trouperaft/troupe/actors/observe"
	"github.com/trouperaft/troupe/core"
)

// readsInCore are the reads that have no index yet. Those of a burst share one
// request, and no request is made while no leader is known: the engine would
// keep each of them.
type readsInCore struct {
	waiting []*Read
	asked   []askedReads
	lastID  uint64
	// asking are those of the request that the engine is just told of.
	asking readsTogether
}

// readsTogether share one request.
type readsTogether []*Read

// traced returns the span of the first that is traced, which the request carries.
func (r readsTogether) traced() observe.Span {
	for _, read := range r {
		if read.span.Traced() {
			return read.span
		}
	}
	return observe.Span{}
}

type askedReads struct {
	id    uint64
	reads []*Read
	since core.Instant
}

func (r *readsInCore) accept(read *Read) { r.waiting = append(r.waiting, read) }

// ask begins one request for all that wait. An ID is never used again.
func (r *readsInCore) ask(c *coreActor) {
	if len(r.waiting) == 0 || c.changed.Leader == 0 {
		return
	}
	r.lastID++
	r.asked = append(r.asked, askedReads{r.lastID, r.waiting, c.now})
	r.asking, r.waiting = r.waiting, nil
	if c.changed.Role == core.RoleLeader {
		for _, read := range r.asking {
			observe.ReadAsked{Span: read.span}.Tell(c.watch)
		}
	}
	c.stepEngine(&core.ReadRequest{ID: r.lastID})
	r.asking = nil
}

// ready lets the apply actor serve the reads of a request.
func (r *readsInCore) ready(c *coreActor, cmd *core.ReadReady) {
	reads, since := r.takeAsked(cmd.ID)
	kept := reads[:0]
	for _, read := range reads {
		if read.stage.CompareAndSwap(stageCore, stageApply) {
			kept = append(kept, read)
		}
	}
	for _, read := range kept {
		observe.ReadConfirmed{Span: read.span, Index: cmd.Index}.Tell(c.watch)
	}
	if len(kept) > 0 && !c.apply.serve(readBatch{cmd.Index, kept, since}) {
		for _, read := range kept {
			c.underWay.finish(read, stageApply, 0, c.stopCause())
		}
	}
}

// failed lets the reads of a request be asked for again, with those of the next
// burst.
func (r *readsInCore) failed(c *coreActor, cmd *core.ReadFailed) {
	reads, _ := r.takeAsked(cmd.ID)
	if cmd.Err != nil {
		for _, read := range reads {
			c.underWay.finish(read, stageCore, 0, cmd.Err)
		}
		return
	}
	for _, read := range reads {
		observe.ReadAgain{Span: read.span}.Tell(c.watch)
	}
	r.waiting = append(r.waiting, reads...)
}

func (r *readsInCore) takeAsked(id uint64) ([]*Read, core.Instant) {
	for i := range r.asked {
		if r.asked[i].id == id {
			asked := r.asked[i]
			r.asked = append(r.asked[:i], r.asked[i+1:]...)
			return asked.reads, asked.since
		}
	}
	return nil, 0
}

// cancel ends a read wherever it is. A request whose reads have all gone stays
// until the engine answers it.
func (r *readsInCore) cancel(c *coreActor, read *Read) {
	r.waiting = without(r.waiting, read)
	for i := range r.asked {
		r.asked[i].reads = without(r.asked[i].reads, read)
	}
	if !c.underWay.finish(read, stageApply, 0, context.Canceled) {
		c.underWay.finish(read, stageCore, 0, context.Canceled)
	}
}

func without(reads []*Read, read *Read) []*Read {
	for i := range reads {
		if reads[i] == read {
			return append(reads[:i], reads[i+1:]...)
		}
	}
	return reads
}

func (r *readsInCore) finish(c *coreActor, cause error) {
	for _, read := range r.waiting {
		c.underWay.finish(read, stageCore, 0, cause)
	}
	for _, a := range r.asked {
		for _, read := range a.reads {
			c.underWay.finish(read, stageCore, 0, cause)
		}
	}
	r.waiting, r.asked = nil, nil
}

// readCount bounds the reads under way and completes them.
type readCount struct {
	inflight atomic.Int64
	most     int64
}

// begin counts a read, and reports whether there is room for it.
func (c *readCount) begin() bool { return c.inflight.Add(1) <= c.most }

// finish completes a read that is at stage from, unless somebody did so first.
func (c *readCount) finish(r *Read, from uint32, index core.Index, err error) bool {
	if !r.finish(from, index, err) {
		return false
	}
	c.inflight.Add(-1)
	return true
}

// ReadIndex begins a linearizable read: see Read. It asks again until it has an
// answer or CancelRead is called. With too many reads under way it ends at once
// with core.ErrOverloaded.
func (g *Group) ReadIndex(r *Read) {
	r.Index, r.Err, r.watch = 0, nil, g.watch
	r.stage.Store(stageCore)
	if !g.reads.begin() {
		g.reads.finish(r, stageCore, 0, core.ErrOverloaded)
		return
	}
	if !g.core.inbox.Put(r, true) {
		g.reads.finish(r, stageCore, 0, g.stopCause())
	}
}

// CancelRead ends a read soon, with context.Canceled. r must not be used again.
func (g *Group) CancelRead(r *Read) {
	if !g.core.put(&cancelRead{r}) {
		g.reads.finish(r, stageApply, 0, context.Canceled)
	}
}
