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
	p := newPendingRead()
	read := &p.read
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
		pendingReads.Put(p)
		return index, nil
	}
	r.group.ReadIndex(read)
	if ctx.Done() == nil {
		<-p.answered // without the price of a select
	} else {
		select {
		case <-p.answered:
		case <-ctx.Done():
			r.group.CancelRead(read)
			return 0, r.readEnded(ctx.Err(), mode)
		}
	}
	index, err := read.Index, read.Err
	read.Err = nil
	pendingReads.Put(p)
	return index, err
}

// readEnded is what a read whose context has ended is told.
func (r *Raft) readEnded(err error, mode ReadMode) error {
	if mode.mode != actors.ReadStale || r.Status().Role == RoleNone {
		return r.nothingDone(err)
	}
	return &TooStaleError{Age: r.group.StateAge(), Cause: fmt.Errorf("the leader did not say in time what is current: %w", err)}
}

// pendingRead is one read's way to the actors and back. One that was abandoned is
// never given back: its cancellation may still be on its way, and would hit the next
// read.
type pendingRead struct {
	read     actors.Read
	answered chan struct{} // takes one token for the one answer
}

var pendingReads = sync.Pool{New: func() any {
	p := &pendingRead{answered: make(chan struct{}, 1)}
	p.read.Completed = func(*actors.Read) { p.answered <- struct{}{} }
	return p
}}

func newPendingRead() *pendingRead { return pendingReads.Get().(*pendingRead) }
