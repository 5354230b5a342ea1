package actors

import (
	"context"

	"github.com/trouperaft/troupe/actors/observe"
	"github.com/trouperaft/troupe/core"
)

// readsInCore are the reads that have no index yet. Those of a burst share a request,
// one for those that a lease may answer and one for the others, and no request is made
// while no leader is known: the engine would keep each of them.
type readsInCore struct {
	waiting, byLease readChain
	asked            []askedReads
	lastID           uint64
	request          core.ReadRequest
	// asking are those of the request that the engine is just told of.
	asking readChain
}

type askedReads struct {
	id    uint64
	reads readChain
	since core.Instant
}

func (r *readsInCore) accept(read *Read) {
	if read.byLease() {
		r.byLease.push(read)
	} else {
		r.waiting.push(read)
	}
}

// ask begins a request for all that wait.
func (r *readsInCore) ask(c *coreActor) {
	if c.changed.Removed {
		for _, waiting := range []*readChain{&r.waiting, &r.byLease} {
			for read := waiting.pop(); read != nil; read = waiting.pop() {
				c.underWay.finish(read, stageCore, 0, core.ErrRemoved)
			}
		}
	}
	if c.changed.Leader == 0 {
		return
	}
	if !r.waiting.empty() {
		r.askFor(c, &r.waiting, false)
	}
	if !r.byLease.empty() {
		r.askFor(c, &r.byLease, true)
	}
}

// askFor begins one request. An ID is never used again. The engine, and the actor with
// it, may put reads back into waiting meanwhile.
func (r *readsInCore) askFor(c *coreActor, waiting *readChain, lease bool) {
	reads := *waiting
	*waiting = readChain{}
	r.lastID++
	r.asked = append(r.asked, askedReads{r.lastID, reads, c.now})
	if r.asking = reads; c.changed.Role == core.RoleLeader {
		for read := reads.first; read != nil; read = read.next {
			observe.ReadAsked{Span: read.span}.Tell(c.watch)
		}
	}
	r.request = core.ReadRequest{ID: r.lastID, Lease: lease}
	c.stepEngine(&r.request)
	r.asking = readChain{}
}

// ready lets the apply actor serve the reads of a request.
func (r *readsInCore) ready(c *coreActor, cmd *core.ReadReady) {
	asked, since := r.takeAsked(cmd.ID)
	batch := readBatch{index: cmd.Index, since: since}
	for read := asked.pop(); read != nil; read = asked.pop() {
		if err := read.lagging(cmd.Index, c.readable); err != nil {
			c.underWay.finish(read, stageCore, 0, err)
		} else if read.stage.CompareAndSwap(stageCore, stageApply) {
			observe.ReadConfirmed{Span: read.span, Index: cmd.Index}.Tell(c.watch)
			batch.reads.push(read)
		}
	}
	reads := batch.reads
	if !reads.empty() && !c.apply.serve(batch) {
		for read := reads.pop(); read != nil; read = reads.pop() {
			c.underWay.finish(read, stageApply, 0, c.stopCause())
		}
	}
}

// failed lets the reads of a request be asked for again, with those of the next
// burst.
func (r *readsInCore) failed(c *coreActor, cmd *core.ReadFailed) {
	reads, _ := r.takeAsked(cmd.ID)
	for read := reads.pop(); read != nil; read = reads.pop() {
		if cmd.Err != nil {
			c.underWay.finish(read, stageCore, 0, cmd.Err)
			continue
		}
		observe.ReadAgain{Span: read.span}.Tell(c.watch)
		r.accept(read)
	}
}

func (r *readsInCore) takeAsked(id uint64) (readChain, core.Instant) {
	for i := range r.asked {
		if r.asked[i].id == id {
			asked := r.asked[i]
			last := copy(r.asked[i:], r.asked[i+1:]) + i
			r.asked[last] = askedReads{}
			r.asked = r.asked[:last]
			return asked.reads, asked.since
		}
	}
	return readChain{}, 0
}

// cancel ends a read wherever it is. A request whose reads have all gone stays
// until the engine answers it.
func (r *readsInCore) cancel(c *coreActor, read *Read) {
	if c.underWay.finish(read, stageApply, 0, context.Canceled) {
		// The index that it waits for may never come.
		c.apply.forget(read)
		return
	}
	r.waiting.remove(read)
	r.byLease.remove(read)
	for i := range r.asked {
		r.asked[i].reads.remove(read)
	}
	c.underWay.finish(read, stageCore, 0, context.Canceled)
}

func (r *readsInCore) finish(c *coreActor, cause error) {
	all := r.waiting
	all.append(r.byLease)
	for _, a := range r.asked {
		all.append(a.reads)
	}
	for read := all.pop(); read != nil; read = all.pop() {
		c.underWay.finish(read, stageCore, 0, cause)
	}
	*r = readsInCore{lastID: r.lastID}
}
