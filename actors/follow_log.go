package actors

import (
	"context"
	"errors"
	"fmt"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/storage"
)

// This file is about following the log from outside the actors. Whoever does so reads the
// in-memory log and the store himself, on his own goroutine: no actor waits for him.

// Follower is somebody who follows the log. The log is kept for him, within the bounds,
// until Leave.
type Follower struct {
	group *Group
	id    uint64
	next  core.Index
	// told is what the core was told last, and when.
	told   core.Index
	toldAt core.Instant
}

// Follow begins at an index.
func (g *Group) Follow(from core.Index) *Follower {
	f := &Follower{group: g, id: g.followers.Add(1), next: from}
	f.tell(from)
	return f
}

// Next is the index of the next entry that Read returns.
func (f *Follower) Next() core.Index { return f.next }

// Leave ends it.
func (f *Follower) Leave() { f.tell(0) }

func (f *Follower) tell(next core.Index) {
	f.told, f.toldAt = next, instant(f.group.env)
	f.group.core.put(&core.FollowLog{ID: f.id, Next: next})
}

// comesForward tells the core how far he has come: at most once a heartbeat, and before
// he waits for more.
func (f *Follower) comesForward(waits bool) {
	if f.told != f.next && (waits || instant(f.group.env).Sub(f.toldAt) >= f.group.cfg.HeartbeatInterval) {
		f.tell(f.next)
	}
}

// Read returns applied entries from Next on, some of them, and moves on behind them; none
// if nothing is there yet. They are the log's and must not be changed. The error is a
// *core.CompactedError if the log does not reach so far back. It may block for the log
// store.
func (f *Follower) Read(ctx context.Context) ([]core.Entry, error) {
	entries, err := f.group.readApplied(ctx, f.next)
	if n := len(entries); n > 0 {
		f.next = entries[n-1].Index + 1
	}
	f.comesForward(len(entries) == 0)
	return entries, err
}

func (g *Group) readApplied(ctx context.Context, first core.Index) ([]core.Entry, error) {
	applied, _ := g.memoryLog.Progress()
	if first > applied {
		return nil, nil
	}
	r := g.memoryLog.ReadForApply(first, applied, g.cfg.ApplyBatchEntriesMax, g.cfg.MessageBytesMax)
	switch {
	case r.Served:
		return r.Entries, nil
	case r.Err != nil:
		return nil, g.compacted()
	}
	entries, err := g.node.store.Read(ctx, g.cfg.Group, first, r.StoreLast, g.cfg.MessageBytesMax)
	switch {
	case err == nil:
		return entries, nil
	case errors.Is(err, storage.ErrNotFound) && first <= g.memoryLog.Purged().Index:
		return nil, g.compacted()
	case g.Ending():
		return nil, g.stopCause()
	}
	return nil, fmt.Errorf("actors: entry %d cannot be read: %w", first, err)
}

func (g *Group) compacted() error { return &core.CompactedError{First: g.memoryLog.Purged().Index + 1} }
