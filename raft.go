package troupe

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

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
	// givenUp is closed when nobody waits any more for the end of the group, which a
	// call holds up.
	giveUp  sync.Once
	givenUp chan struct{}
	// joining is what Join waits for, nil while it does not run.
	joining atomic.Pointer[string]
}

// Group is the group's id.
func (r *Raft) Group() GroupID { return r.config.Group }

// Node is the node that the group runs on.
func (r *Raft) Node() *Node { return r.node }

// Status is what the group was doing a moment ago.
func (r *Raft) Status() Status {
	s := statusOf(r.group.StatusToRead())
	if waits := r.joining.Load(); waits != nil {
		s.Joining = *waits
	}
	return s
}

// Members is the configuration in force on this node, or the zero value before
// it is part of a cluster. A configuration takes effect when it is appended, so
// it may not be committed yet. The caller owns the value and may change it.
func (r *Raft) Members() Configuration { return r.Status().Configuration }

// Done is closed when the group has stopped, for whatever reason, and the last call of
// its state machine, its stores and its snapshots has returned. Err tells the reason.
func (r *Raft) Done() <-chan struct{} { return r.group.Done() }

// Err is nil while the group runs, and after an orderly stop. If the group has
// failed, it is a *FatalError with the cause.
func (r *Raft) Err() error { return r.group.Err() }

// Shutdown stops the group in order. A leader hands over first: to the best voter,
// then to the next if that fails, until somebody leads, nobody is left, or three
// quarters of the time that ctx allows are over. Then the group finishes the Apply that
// is under way, answers every waiting call, and writes what was accepted. A snapshot
// that is being made, sent or restored is cut short. The context of [Config.OnLeading]
// ends when the leader hands over, or now, and Shutdown waits for that function to
// return.
//
// If ctx ends first, every waiting call is answered all the same and the context of
// Apply ends. Shutdown returns an error that wraps ctx.Err() and a *StillRunningError,
// which names the call for which the group waits, and the group goes on stopping.
// Otherwise it returns nil, or what Err says if the group had failed. Shutdown and Kill
// may be called again, and concurrently.
func (r *Raft) Shutdown(ctx context.Context) error {
	limited, cancel := mostOf(ctx)
	_ = r.handOver(limited) // who cannot is noticed by its silence
	cancel()
	r.beginStop()
	select {
	case <-r.stopped:
	case <-ctx.Done():
		waits := r.group.StillRunning() // for a call that may end with its context
		r.hurry()
		if r.ownsNode {
			r.node.beginStop()
		}
		return fmt.Errorf("troupe: group %d is still stopping: %w: %w", r.config.Group, ctx.Err(), waits)
	}
	if r.ownsNode {
		if err := r.node.Shutdown(ctx); err != nil {
			return err
		}
	}
	return r.Err()
}

// Kill stops the group without handing over. It answers every waiting call at once,
// whatever hangs, and ends the contexts of Apply and of [Config.OnLeading]. It returns
// when everything has stopped, as Done tells: after a call that hangs, or a
// [LeadingFunc], not before that returns. The other members notice it by their election
// time-out.
func (r *Raft) Kill() {
	r.beginStop()
	r.hurry()
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
