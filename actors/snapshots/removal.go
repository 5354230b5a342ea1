package snapshots

import (
	"context"
	"log/slog"
	"slices"
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
	// keep is how many snapshots stay, kept are the indexes of the newest ones, the oldest
	// first.
	keep int
	kept []core.Index
	// looked: what an earlier life has left below the beginning of the log is removed.
	looked bool
}

// NewRemoval returns the removal of a group's snapshots.
func NewRemoval(store storage.SnapshotStore, group membership.GroupID, watch *observe.Watch) *Removal {
	return &Removal{store: store, group: group, watch: watch}
}

// Keep lets so many of the newest snapshots stay: a node that finds the newest rotten has
// another. newest is the one that is there, 0 if none is. Without it one stays.
func (r *Removal) Keep(n int, newest core.Index) {
	r.keep = n
	if newest > 0 {
		r.kept = append(r.kept, newest)
	}
}

// oldest returns the index of the oldest snapshot that stays, when there is a new one.
func (r *Removal) oldest(index core.Index) core.Index {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !slices.Contains(r.kept, index) {
		r.kept = append(r.kept, index)
	}
	slices.Sort(r.kept)
	r.kept = slices.Delete(r.kept, 0, len(r.kept)-min(len(r.kept), max(r.keep, 1)))
	return r.kept[0]
}

// Below removes what the snapshot at an index makes superfluous. It blocks as the store
// does.
func (r *Removal) Below(ctx context.Context, index core.Index) {
	r.remove(ctx, r.oldest(index))
}

// Unneeded removes the snapshots below the beginning of the log, of which nothing can go
// on. It blocks as the store does.
func (r *Removal) Unneeded(ctx context.Context, index core.Index) {
	r.mu.Lock()
	all := len(r.kept)
	r.kept = slices.DeleteFunc(r.kept, func(i core.Index) bool { return i < index })
	some := len(r.kept) < all || !r.looked
	r.looked = true
	r.mu.Unlock()
	if some {
		r.remove(ctx, index)
	}
}

func (r *Removal) remove(ctx context.Context, index core.Index) {
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
		r.looked = false
	}
}
