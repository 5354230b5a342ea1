package troupe

import (
	"context"
	"fmt"
	"iter"

	"github.com/trouperaft/troupe/actors"
)

// Watch yields the present status, and then the newest one each time that it
// has changed. A slow watcher misses those in between, and holds up nobody.
// Watch ends with ctx, or after the last status of a group that has stopped, or after
// the one of a group that was killed and waits for a call that hangs.
func (r *Raft) Watch(ctx context.Context) iter.Seq[Status] {
	return func(yield func(Status) bool) {
		changed := make(chan struct{}, 1)
		cancel := r.group.Watch(func(actors.Status) {
			select {
			case changed <- struct{}{}:
			default: // A look at the newest status is due already.
			}
		})
		defer cancel()
		for ctx.Err() == nil && yield(r.Status()) {
			select {
			case <-changed:
			case <-ctx.Done():
				return
			case <-r.hung():
				yield(r.Status())
				return
			case <-r.Done():
				yield(r.Status())
				return
			}
		}
	}
}

// Wait returns nil as soon as wanted returns true for the status, which may be
// at once. If ctx ends first, the error wraps ctx.Err(). If the group stops
// first, the error is what Err says, or ErrStopped. wanted must not block.
func (r *Raft) Wait(ctx context.Context, wanted func(Status) bool) error {
	for status := range r.Watch(ctx) {
		if wanted(status) {
			return nil
		}
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("troupe: waited in vain: %w", err)
	}
	if err := r.Err(); err != nil {
		return err
	}
	return ErrStopped
}
