package actors

import (
	"context"
	"fmt"
	"log/slog"
	"math"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/internal/replica"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/storage"
)

// Remove deletes what the stores hold of a group that has stopped, and that knew of its
// own removal: that a committed configuration lacks it. Else the error is
// core.ErrNotRemoved, and nothing is deleted. What stays is a tombstone, and a group that
// is started anew is another replica, with another identity.
//
// It works on the caller's goroutine, and ctx bounds only what is read. A write that fails
// is the store's failure, as any other.
func (n *Node) Remove(ctx context.Context, g *Group) error {
	group := g.cfg.Group
	if last := g.final.Load(); last == nil || !last.Stopped || !last.Removed {
		return core.ErrNotRemoved
	}
	if group > replica.GroupMax {
		return fmt.Errorf("actors: a replica of group %d cannot be deleted: its id is above 2^48-1", group)
	}
	if _, err := n.reserve(group); err != nil {
		return err
	}
	defer func() { _ = n.publish(group, nil, core.ErrStopped) }()
	state, generation, err := replica.Load(ctx, n.cfg.Store, group)
	if err != nil {
		return fmt.Errorf("actors: group %d could not be loaded: %w", group, err)
	}
	if n.identity.Replica(generation) != g.seen.self {
		return core.ErrNotRemoved // another has taken its place
	}
	key := replica.Key(group, generation)
	deleted := &storage.Batch{Operations: []storage.Operation{replica.Delete(key, state.Last)}}
	if err := n.promises.Exclusive(func() error { return n.cfg.Store.Write(context.Background(), deleted) }); err != nil {
		n.storeFailed(err)
		return &core.FatalError{Cause: err}
	}
	n.logger.Info("the data of a group was deleted: this node was removed from it", slog.Uint64("group", uint64(group)), slog.Any("was", g.seen.self))
	n.removeSnapshots(ctx, group, generation+1)
	return nil
}

// removeSnapshots removes those of the replicas of a group before one. What a crash or an
// error leaves of them is in nobody's way, and goes when the group is started again.
func (n *Node) removeSnapshots(ctx context.Context, group membership.GroupID, before uint16) {
	for i := range before {
		if err := n.cfg.Snapshots.RemoveBelow(ctx, replica.Key(group, i), math.MaxUint64); err != nil {
			n.logger.Warn("snapshots of a group that was deleted cannot be removed", slog.Uint64("group", uint64(group)), slog.Any("error", err))
		}
	}
}
