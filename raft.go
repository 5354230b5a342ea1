package troupe

import (
	"context"
	"fmt"
	"sync"

	"github.com/trouperaft/troupe/actors"
)

// Raft is the handle of one group on one node. All methods are safe for
// concurrent use, and none of them holds up the group.
type Raft struct {
	node     *Node
	group    *actors.Group
	config   Config
	ownsNode bool
	// started is closed when the handle is complete.
	started chan struct{}

	stop    sync.Once
	stopped chan struct{}
}

// Group is the group's id.
func (r *Raft) Group() GroupID { return r.config.Group }

// Node is the node that the group runs on.
func (r *Raft) Node() *Node { return r.node }

// Status is what the group was doing a moment ago.
func (r *Raft) Status() Status { return statusOf(r.group.StatusToRead()) }

// Members is the configuration in force on this node, or the zero value before
// it is part of a cluster. A configuration takes effect when it is appended, so
// it may not be committed yet. The caller owns the value and may change it.
func (r *Raft) Members() Configuration { return r.Status().Configuration }

// Done is closed when the group has stopped, for whatever reason. Err tells the
// reason.
func (r *Raft) Done() <-chan struct{} { return r.group.Done() }

// Err is nil while the group runs, and after an orderly stop. If the group has
// failed, it is a *FatalError with the cause.
func (r *Raft) Err() error { return r.group.Err() }

// Shutdown stops the group in order. A leader hands over first: to the best voter,
// then to the next if that fails, until somebody leads, nobody is left, or three
// quarters of the time that ctx allows are over. Then the group answers every waiting
// call, and writes what was accepted. The context of [Config.OnLeading] ends when the
// leader hands over, or now, and Shutdown waits for that function to return. If ctx
// ends first, Shutdown returns an error that wraps ctx.Err(), and the group goes on
// stopping. Otherwise it returns nil, or what Err says if the group had failed.
// Shutdown and Kill may be called again, and concurrently.
func (r *Raft) Shutdown(ctx context.Context) error {
	limited, cancel := mostOf(ctx)
	_ = r.handOver(limited) // who cannot is noticed by its silence
	cancel()
	r.beginStop()
	select {
	case <-r.stopped:
	case <-ctx.Done():
		return fmt.Errorf("troupe: group %d is still stopping: %w", r.config.Group, ctx.Err())
	}
	if r.ownsNode {
		if err := r.node.Shutdown(ctx); err != nil {
			return err
		}
	}
	return r.Err()
}

// Kill stops the group as Shutdown does, except that a leader does not hand over. It
// returns when everything has stopped, a [LeadingFunc] included. The other members
// notice it by their election time-out.
func (r *Raft) Kill() {
	r.beginStop()
	<-r.stopped
	if r.ownsNode {
		r.node.Kill()
	}
}

// beginStop begins to stop the group, the first time that it is called; stopped
// is closed at the end.
func (r *Raft) beginStop() {
	r.stop.Do(func() {
		r.group.Stop(func(error) {
			r.node.release(r)
			close(r.stopped)
		})
	})
}
