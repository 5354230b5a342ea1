package troupe

import (
	"context"
	"fmt"
	"sync"

	"github.com/trouperaft/troupe/actors"
)

// ReadIndex returns when the state machine of this node is current enough for a
// read of the given mode. The caller then reads the machine itself. The result
// is an index that the machine has applied: the one up to which it had to be.
//
// ReadIndex works on any member. It asks the leader only for an index, and
// waits for a leader until ctx ends, and for room while as many reads are under way as
// Config.InflightProposalsMax says. If the leadership changes meanwhile it asks
// again. The error then wraps ctx.Err(), and ErrNoCluster too if there is no cluster;
// that of a [Stale] read is a *TooStaleError. A node that has seen a contradiction
// returns a *ContradictionError. A mode that cannot be is a *ConfigError.
func (r *Raft) ReadIndex(ctx context.Context, mode ReadMode, options ...ReadOption) (Index, error) {
	if err := ctx.Err(); err != nil {
		return 0, nothingDone(err)
	}
	if err := mode.validate(); err != nil {
		return 0, err
	}
	read := pendingReads.Get().(*actors.Read)
	read.Mode, read.StaleMax, read.AtLeast, read.LimitLag, read.WaitForRoom = mode.mode, mode.max, mode.index, false, true
	for _, option := range options {
		if option.limitLag {
			read.LimitLag, read.LagMax = true, option.lagMax
		}
		if option.failWithoutRoom {
			read.WaitForRoom = false
		}
	}
	r.group.TraceRead(ctx, read)
	if r.group.ReadNow(read) {
		index := read.Index
		pendingReads.Put(read)
		return index, nil
	}
	r.group.ReadIndex(read)
	if !read.Await(ctx.Done()) && read.Leave() {
		hasIndex := read.HasIndex()
		r.group.CancelRead(read)
		return 0, r.readEnded(ctx.Err(), mode, hasIndex)
	}
	index, err := read.Index, read.Err
	read.Err = nil
	pendingReads.Put(read)
	return index, err
}

// readEnded is what a read whose context has ended is told. hasIndex: it waited for the
// local machine, and not for a leader.
func (r *Raft) readEnded(err error, mode ReadMode, hasIndex bool) error {
	if mode.mode != actors.ReadStale || r.Status().Role == RoleNone {
		return r.nothingDone(err)
	}
	why := "no leader said in time what is current"
	if hasIndex {
		why = "the state machine did not apply in time what is current"
	}
	return &TooStaleError{Age: r.group.StateAge(), Cause: fmt.Errorf("%s: %w", why, err)}
}

// pendingReads are reads that nobody uses. One that was abandoned is never given back:
// its cancellation may still be on its way, and would hit the next read.
var pendingReads = sync.Pool{New: func() any { return actors.NewRead() }}
