package snapshots

import (
	"context"
	"log/slog"
	"sync/atomic"

	"github.com/trouperaft/troupe/actors/observe"
	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/storage"
)

// Cleaner removes the snapshots of a group that a newer one has replaced. Nobody needs
// that but the disk, so that an error fails nothing: it is told once, and what is left
// is tried again with the next snapshot. It is safe for concurrent use.
type Cleaner struct {
	Group membership.GroupID
	Store storage.SnapshotStore
	Watch *observe.Watch

	// told: an error was told since the last time that there was none.
	told atomic.Bool
}

// RemoveBelow removes the snapshots with a lower index. It may block.
func (c *Cleaner) RemoveBelow(ctx context.Context, index core.Index) {
	err := c.Store.RemoveBelow(ctx, c.Group, index)
	if err == nil {
		c.told.Store(false)
		return
	}
	if ctx.Err() == nil && !c.told.Swap(true) {
		c.Watch.Logger().Warn("old snapshots cannot be removed, and are tried again with the next", slog.Any("error", err))
	}
}
