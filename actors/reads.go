package actors

import (
	"cmp"
	"context"
	"slices"

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
	ended  endedReads
}

type askedReads struct {
	id    uint64
	reads readChain
	live  int // those that were not cancelled
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
	live := waiting.sweep()
	if live == 0 {
		return
	}
	reads := *waiting
	*waiting = readChain{}
	r.lastID++
	r.asked = append(r.asked, askedReads{r.lastID, reads, live, c.now})
	r.asking = reads
	for read := reads.first; read != nil; read = read.next {
		read.request = r.lastID
		if c.changed.Role == core.RoleLeader {
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
			confirmed(read, cmd.Index)
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
		if read.stage.Load() == stageCore {
			observe.ReadAgain{Span: read.span}.Tell(c.watch)
			read.request = 0
			r.accept(read)
		}
	}
}

func (r *readsInCore) takeAsked(id uint64) (readChain, core.Instant) {
	i, found := r.find(id)
	if !found {
		return readChain{}, 0
	}
	asked := r.asked[i]
	r.asked = slices.Delete(r.asked, i, i+1)
	return asked.reads, asked.since
}

// find returns the place of a request: they stand in the order of their ids.
func (r *readsInCore) find(id uint64) (int, bool) {
	return slices.BinarySearchFunc(r.asked, id, func(a askedReads, id uint64) int { return cmp.Compare(a.id, id) })
}

// cancel ends a read wherever it is. It stays in its chain for a while. With the last
// read of a request the request goes, here and in the engine, to which nobody may ever
// answer.
func (r *readsInCore) cancel(c *coreActor, read *Read) {
	if c.underWay.cancelServed(c.apply, read) || !c.underWay.finish(read, stageCore, 0, context.Canceled) {
		return
	}
	if i, asked := r.find(read.request); asked {
		if r.asked[i].live--; r.asked[i].live == 0 {
			r.asked = slices.Delete(r.asked, i, i+1)
			c.stepEngine(&core.ReadCancelled{ID: read.request})
			return
		}
	}
	if r.ended.note() {
		r.sweep()
	}
}

func (r *readsInCore) sweep() {
	left := r.waiting.sweep() + r.byLease.sweep()
	for i := range r.asked {
		left += r.asked[i].reads.sweep()
	}
	r.ended.swept(left)
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
