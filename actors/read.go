package actors

import (
	"sync/atomic"
	"time"

	"github.com/trouperaft/troupe/actors/admission"
	"github.com/trouperaft/troupe/actors/observe"
	"github.com/trouperaft/troupe/actors/stage"
	"github.com/trouperaft/troupe/core"
)

// ReadMode says how current a read is.
type ReadMode uint8

const (
	// ReadLinearizable sees everything that was acknowledged before it began. It
	// trusts no clock.
	ReadLinearizable ReadMode = iota
	// ReadLease sees the same, if clocks run within the drift that is configured: the
	// leader answers it by its lease, or by a round where there is none.
	ReadLease
	// ReadStale sees everything that was acknowledged Read.StaleMax before it began.
	ReadStale
	// ReadAtLeast sees everything up to Read.AtLeast. It asks nobody.
	ReadAtLeast
)

// String returns "linearizable", "lease", "stale" or "at_least".
func (m ReadMode) String() string {
	return [...]string{"linearizable", "lease", "stale", "at_least"}[m]
}

// Read is a read of the state machine: Completed is called when this node's machine
// is as current as the mode asks for. Its owner changes like that of a Proposal.
type Read struct {
	Mode ReadMode
	// LimitLag: if the machine is more than LagMax entries behind the index of the
	// read, the read ends at once with *core.TooStaleError.
	LimitLag bool
	// What each actor touches lies together, in one line of the processor's cache.
	stage atomic.Uint32
	// next is behind it in the one chain that it is in, which it may have ended in.
	next   *Read
	answer *stage.Answer
	// span is of the read, from watch, which is told how it goes.
	span  observe.Span
	watch *observe.Watch
	// request is that of the core actor for it, 0 if it waits for one.
	request uint64

	// Index is the read index, and Err why there is none. Valid from Completed
	// on.
	Index core.Index
	Err   error

	LagMax uint64
	// StaleMax is how old the state may be, of ReadStale; more than 0.
	StaleMax time.Duration
	// AtLeast is the index to wait for, of ReadAtLeast.
	AtLeast core.Index
	// WaitForRoom: while there is no room the read waits for it. Otherwise it ends at
	// once with core.ErrOverloaded.
	WaitForRoom bool
	// room is what it holds of the group's.
	room admission.Request[*Read]
	// Completed is called exactly once for each ReadIndex, from an actor or from
	// within a method of the group. It must not block. A read made by NewRead has
	// none: see Await.
	Completed func(*Read)
}

// NewRead returns a read for whose end one goroutine waits, with Await.
func NewRead() *Read { return &Read{answer: stage.NewAnswer()} }

// Await returns true when r is completed, and false if done was closed before that.
// Then the caller calls Leave, and CancelRead if that reports true.
func (r *Read) Await(done <-chan struct{}) bool { return r.answer.Await(done) }

// Leave says, after an Await in vain, that nobody waits for r any more: it is then
// the actors' for good. It reports false if r has been completed meanwhile.
func (r *Read) Leave() bool { return r.answer.Leave() }

// byLease reports whether the leader may answer the read by its lease.
func (r *Read) byLease() bool { return r.Mode != ReadLinearizable }

// HasIndex reports whether it is known what the state machine has to apply for the
// read, so that only the machine is waited for. Anybody may ask, until CancelRead.
func (r *Read) HasIndex() bool { return r.stage.Load() == stageApply }

// lagging is why the read ends, if its machine is too far behind its index; nil if
// it is not.
func (r *Read) lagging(index core.Index, seen *readable) error {
	if !r.LimitLag {
		return nil
	}
	applied := core.Index(seen.applied.Load())
	if applied >= index || uint64(index-applied) <= r.LagMax {
		return nil
	}
	return &core.TooStaleError{Age: seen.age(), LagEntries: uint64(index - applied)}
}

// finish completes r, whose stage its holder knows to be from, unless somebody did
// so first.
func (r *Read) finish(from uint32, index core.Index, err error) bool {
	if !r.decide(from, index, err) {
		return false
	}
	r.give()
	return true
}

// give tells who waits that r is completed.
func (r *Read) give() {
	if r.answer != nil {
		r.answer.Give()
	} else {
		r.Completed(r)
	}
}

// finishWith is finish for one of many: its answer is given with the others.
func (r *Read) finishWith(others *stage.Answers, from uint32, index core.Index) bool {
	if !r.decide(from, index, nil) {
		return false
	}
	if r.answer != nil {
		others.Add(r.answer)
	} else {
		r.Completed(r)
	}
	return true
}

// decide sets the result, unless somebody did so first.
func (r *Read) decide(from uint32, index core.Index, err error) bool {
	if !r.stage.CompareAndSwap(from, stageDone) {
		return false
	}
	r.Index, r.Err = index, err
	r.ended(false)
	return true
}

// ended tells how the read has ended, and whether it waited for nobody.
func (r *Read) ended(local bool) {
	observe.ReadEnded{Span: r.span, Local: local, Mode: int(r.Mode - ReadLease), Index: r.Index, Err: r.Err}.Tell(r.watch)
	r.span = observe.Span{}
}

// confirmed tells that a read has its index.
func confirmed(r *Read, index core.Index) {
	observe.ReadConfirmed{Span: r.span, Index: index}.Tell(r.watch)
}

// reset prepares r for its way. The results of the last one are forgotten.
func (r *Read) reset(w *observe.Watch, stage uint32) {
	r.Index, r.Err, r.watch, r.next, r.request = 0, nil, w, nil, 0
	r.stage.Store(stage)
}

// readChain is reads in the order in which they came.
type readChain struct{ first, last *Read }

func (c *readChain) empty() bool { return c.first == nil }

func (c *readChain) push(r *Read) {
	if r.next = nil; c.first == nil {
		c.first = r
	} else {
		c.last.next = r
	}
	c.last = r
}

// pop takes the first one, nil if there is none.
func (c *readChain) pop() *Read {
	r := c.first
	if r != nil {
		c.first, r.next = r.next, nil
		if c.first == nil {
			c.last = nil
		}
	}
	return r
}

// sweep takes out those that have ended, and returns how many are left.
func (c *readChain) sweep() (left int) {
	var rest readChain
	for r := c.pop(); r != nil; r = c.pop() {
		if r.stage.Load() != stageDone {
			rest.push(r)
			left++
		}
	}
	*c = rest
	return left
}

// append takes over the reads of another chain.
func (c *readChain) append(o readChain) {
	switch {
	case o.empty():
	case c.empty():
		*c = o
	default:
		c.last.next, c.last = o.first, o.last
	}
}

// traced returns the span of the first that is traced, which a request for all of
// them carries.
func (c readChain) traced() observe.Span {
	for r := c.first; r != nil; r = r.next {
		if r.span.Traced() {
			return r.span
		}
	}
	return observe.Span{}
}

// endedReads counts the reads that were cancelled and still stand in the chains of an
// actor. To look for each would take a walk of all that wait, for each of all that give
// up. So they stand until they are half as many as the reads that were left by the last
// sweep; then one walk takes all of them out.
type endedReads struct{ ended, left int }

// sweepMin is how many ended reads are worth a walk.
const sweepMin = 64

// note counts one, and reports whether the chains are to be swept.
func (e *endedReads) note() bool {
	e.ended++
	return e.ended > max(e.left/2, sweepMin)
}

// swept begins to count anew, with so many reads in the chains.
func (e *endedReads) swept(left int) { *e = endedReads{left: left} }

// ReadNow answers a read that has to wait for nobody, and reports whether it did. It
// then calls no Completed: Index has the result. Otherwise the read is as it was, and
// ReadIndex takes it.
//
// It sends no message to an actor and allocates nothing.
func (g *Group) ReadNow(r *Read) bool {
	seen := &g.readable
	if seen.refusal() != nil {
		return false
	}
	switch r.Mode {
	case ReadLease:
		if index, _, holds := seen.byLease(); holds && seen.has(index) {
			return g.readNow(r, index)
		}
	case ReadStale:
		if index, fresh := seen.fresh(r.StaleMax); fresh {
			return g.readNow(r, index)
		}
		if index, at, holds := seen.byLease(); holds && seen.has(index) {
			seen.isCurrent(at)
			return g.readNow(r, index)
		}
	case ReadAtLeast:
		if seen.has(r.AtLeast) {
			return g.readNow(r, r.AtLeast)
		}
	}
	return false
}

func (g *Group) readNow(r *Read, index core.Index) bool {
	r.reset(g.watch, stageDone)
	r.Index = index
	observe.ReadConfirmed{Span: r.span, Index: index}.Tell(g.watch)
	r.ended(true)
	return true
}

// StateAge is how long ago the state machine is known to have had everything that was
// acknowledged anywhere, -1 if that is not known.
func (g *Group) StateAge() time.Duration { return g.readable.age() }
