package troupe

import (
	"context"

	"github.com/trouperaft/troupe/actors"
)

// ReadIndex returns when the state machine of this node is current enough for a
// read of the given mode. The caller then reads the machine itself. The result
// is the index up to which the machine had to be applied.
//
// ReadIndex works on any member. It asks the leader only for an index, and
// waits for a leader until ctx ends. The error then wraps ctx.Err(), and
// ErrNoCluster too if there is no cluster. A node that has seen a contradiction
// returns a *ContradictionError.
func (r *Raft) ReadIndex(ctx context.Context, mode ReadMode) (Index, error) {
	if err := ctx.Err(); err != nil {
		return 0, nothingDone(err)
	}
	answered := make(chan struct{})
	read := &actors.Read{Completed: func(*actors.Read) { close(answered) }}
	r.group.TraceRead(ctx, read)
	r.group.ReadIndex(read)
	select {
	case <-answered:
		return read.Index, read.Err
	case <-ctx.Done():
		r.group.CancelRead(read)
		return 0, r.nothingDone(ctx.Err())
	}
}
