package actors

import (
	"context"

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
			observe.ReadAsked{Span: read.span}.Tell(c.group.watch)
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
		observe.ReadConfirmed{Span: read.span, Index: cmd.Index}.Tell(c.group.watch)
	}
	if len(kept) > 0 && !c.group.apply.inbox.Put(applyItem{read: readBatch{cmd.Index, kept, since}}, true) {
		for _, read := range kept {
			c.group.finishRead(read, stageApply, 0, c.group.stopCause())
		}
	}
}

// failed lets the reads of a request be asked for again, with those of the next
// burst.
func (r *readsInCore) failed(c *coreActor, cmd *core.ReadFailed) {
	reads, _ := r.takeAsked(cmd.ID)
	if cmd.Err != nil {
		for _, read := range reads {
			c.group.finishRead(read, stageCore, 0, cmd.Err)
		}
		return
	}
	for _, read := range reads {
		observe.ReadAgain{Span: read.span}.Tell(c.group.watch)
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
	if !c.group.finishRead(read, stageApply, 0, context.Canceled) {
		c.group.finishRead(read, stageCore, 0, context.Canceled)
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
		c.group.finishRead(read, stageCore, 0, cause)
	}
	for _, a := range r.asked {
		for _, read := range a.reads {
			c.group.finishRead(read, stageCore, 0, cause)
		}
	}
	r.waiting, r.asked = nil, nil
}

// ReadIndex begins a linearizable read: see Read. It asks again until it has an
// answer or CancelRead is called. With too many reads under way it ends at once
// with core.ErrOverloaded.
func (g *Group) ReadIndex(r *Read) {
	r.Index, r.Err, r.watch = 0, nil, g.watch
	r.stage.Store(stageCore)
	if g.readsInflight.Add(1) > int64(g.cfg.InflightProposalsMax) {
		g.finishRead(r, stageCore, 0, core.ErrOverloaded)
		return
	}
	if !g.core.inbox.Put(r, true) {
		g.finishRead(r, stageCore, 0, g.stopCause())
	}
}

// CancelRead ends a read soon, with context.Canceled. r must not be used again.
func (g *Group) CancelRead(r *Read) {
	if !g.core.put(&cancelRead{r}) {
		g.finishRead(r, stageApply, 0, context.Canceled)
	}
}

// finishRead completes a read that is at stage from, unless somebody did so
// first.
func (g *Group) finishRead(r *Read, from uint32, index core.Index, err error) bool {
	if !r.finish(from, index, err) {
		return false
	}
	g.readsInflight.Add(-1)
	return true
}
