package snapshots

import (
	"context"
	"log/slog"
	"sync"

	"github.com/trouperaft/troupe/actors/observe"
	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/storage"
)

// Removal removes the older snapshots of a group. That they are still there hurts
// nothing but room: so an error is told once, until a removal succeeds, and it is tried
// again after the next snapshot. It is safe for concurrent use.
type Removal struct {
	store storage.SnapshotStore
	group membership.GroupID
	watch *observe.Watch

	mu     sync.Mutex
	failed int // since the last one that succeeded
}

// NewRemoval returns the removal of a group's snapshots.
func NewRemoval(store storage.SnapshotStore, group membership.GroupID, watch *observe.Watch) *Removal {
	return &Removal{store: store, group: group, watch: watch}
}

// Below removes what is below an index. It blocks as the store does.
func (r *Removal) Below(ctx context.Context, index core.Index) {
	err := r.store.RemoveBelow(ctx, r.group, index)
	if err != nil && ctx.Err() != nil {
		return // the group ends
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case err == nil && r.failed > 0:
		r.watch.Logger().Info("older snapshots are removed again", slog.Int("failures", r.failed))
		r.failed = 0
	case err != nil:
		if r.failed == 0 {
			r.watch.Logger().Warn("older snapshots cannot be removed: that is tried again with the next", slog.Any("error", err))
		}
		r.failed++
	}
}
