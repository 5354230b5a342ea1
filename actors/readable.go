package actors

import (
	"sync/atomic"
	"time"

	"github.com/trouperaft/troupe/actors/stage"
	"github.com/trouperaft/troupe/core"
)

// readable is what a read of this node may be answered by without asking an actor.
// The core and the apply actor write, each its own part, and anybody reads.
type readable struct {
	env stage.Environment

	// Of the core actor: what its engine says, as of the last step.
	commit  atomic.Uint64
	lease   atomic.Int64
	refused atomic.Pointer[error]

	// Of the apply actor: applied is what the state machine has applied, 0 while it is
	// being restored, before the group has begun and after it has ended.
	applied atomic.Uint64
	// current is the latest instant of which it is known that the machine has
	// everything that was acknowledged before, anywhere; 0 if there is none.
	current atomic.Int64
}

// show takes what the engine says after a step. The core calls it before it carries
// out any command of that step.
//
// So the commit index that is shown is never behind a write that was acknowledged
// while the lease holds. Such a write was committed by this node in the term that it
// leads, for nobody else commits anything meanwhile, or before that term, and then
// its index is below the first commit of the term, without which no lease is shown.
// Of a commit others learn by commands only: the apply actor, which answers
// proposals here, by Apply, and other nodes, which apply and answer there, by
// messages and by what the streams are notified of. All of that comes after show.
//
// The commit index is stored before the lease: who sees a lease sees the commit
// index that came with it, or a later one.
func (r *readable) show(now core.Readable) {
	if uint64(now.Commit) != r.commit.Load() {
		r.commit.Store(uint64(now.Commit))
	}
	if refused := now.Refused; refused != nil && r.refused.Load() == nil {
		r.refuse(refused)
	}
	if int64(now.Lease) != r.lease.Load() {
		r.lease.Store(int64(now.Lease))
	}
}

// refuse is apart, so that what show is given stays off the heap.
func (r *readable) refuse(why error) { r.refused.Store(&why) }

// byLease returns the read index of a read that begins now, if the lease holds, and an
// instant: everything that was acknowledged before it, anywhere, is at the index or
// below.
//
// The order of the three readings is what makes it right. The clock is read first. A
// lease that is seen after that and lasts longer was not given up before that instant,
// so no other node had committed anything by then that this one has not: either it led
// already, or it has committed an entry of its own term since, which comes after all
// that others committed. The commit index is read last, so it is no older than the
// lease. Read before the lease it could be that of a time before this node was elected.
func (r *readable) byLease() (index core.Index, at core.Instant, holds bool) {
	at = instant(r.env)
	lease := core.Instant(r.lease.Load())
	if at >= lease {
		return 0, 0, false
	}
	return core.Index(r.commit.Load()), at, true
}

// has reports whether the state machine has applied an index, and may be read.
func (r *readable) has(index core.Index) bool {
	applied := core.Index(r.applied.Load())
	return applied > 0 && applied >= index
}

// isCurrent takes that the machine has everything that was acknowledged before at.
func (r *readable) isCurrent(at core.Instant) {
	for {
		known := r.current.Load()
		if int64(at) <= known || r.current.CompareAndSwap(known, int64(at)) {
			return
		}
	}
}

// fresh returns what the machine has applied, if that is everything that was
// acknowledged most ago or earlier. What it is known to have it keeps, so that the
// instant is read first. Where the clock stands still while the machine is suspended,
// nothing tells how long ago it was.
func (r *readable) fresh(most time.Duration) (core.Index, bool) {
	if r.env.ClockStops() {
		return 0, false
	}
	current := core.Instant(r.current.Load())
	if current == 0 || instant(r.env).Sub(current) > most {
		return 0, false
	}
	applied := core.Index(r.applied.Load())
	return applied, applied > 0
}

// age is how long ago the machine is known to have had everything that was
// acknowledged, -1 if that is not known.
func (r *readable) age() time.Duration {
	current := core.Instant(r.current.Load())
	if current == 0 {
		return -1
	}
	return max(instant(r.env).Sub(current), 0)
}

// refusal is why this node answers no reads, nil if it does.
func (r *readable) refusal() error {
	if e := r.refused.Load(); e != nil {
		return *e
	}
	return nil
}
