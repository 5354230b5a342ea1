package actors

import (
	"context"
	"fmt"

	"github.com/trouperaft/troupe/actors/observe"
	"github.com/trouperaft/troupe/actors/stage"
	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/storage"
)

// snapshotBuilder writes one view of the state machine out, while applies go on.
//
//	OWNS      the view and the unfinished snapshot
//	RECEIVES  nothing: it begins at once
//	SENDS     to the core that the snapshot is built, or why not
//	WAITS ON  the snapshot store
//	BOUND     one a group at a time
//	DIES WITH its job, the group
type snapshotBuilder struct {
	stage.Shell
	group *Group
	job   *snapshotViewed
	begun bool
}

func newSnapshotBuilder(g *Group, job *snapshotViewed) *snapshotBuilder {
	b := &snapshotBuilder{group: g, job: job}
	b.Shell = stage.Shell{Env: g.env, Name: "snapshot builder", Next: b.step, Closing: b.finish, Failed: g.fail, Ended: g.memberEnded}
	return b
}

func (b *snapshotBuilder) step() bool {
	if b.begun {
		return false
	}
	b.begun = true
	var meta core.SnapshotMeta
	var err error
	span := observe.Building{}.Begin(b.group.watch)
	b.Do(CallSnapshotWrite, func() { meta, err = b.build() }, func() {
		observe.Built{Span: span, Meta: &meta, Err: err}.Tell(b.group.watch)
		b.group.core.put(&core.SnapshotBuilt{Meta: meta, Err: err})
		b.Stop()
	})
	return true
}

// build writes the snapshot and removes older ones. It closes the view whatever
// happens, for the actor may have ended when it returns.
func (b *snapshotBuilder) build() (core.SnapshotMeta, error) {
	store, group := b.group.node.cfg.Snapshots, b.group.cfg.Group
	meta, err := writeSnapshot(b.group.ctx, store, b.group.cfg.Group, b.job)
	if err != nil {
		return core.SnapshotMeta{}, fmt.Errorf("actors: the snapshot %v could not be built: %w", b.job.meta.LogID, err)
	}
	// A transfer that is reading an older one can read on to its end. What
	// could not be removed is removed with the next.
	_ = store.RemoveBelow(b.group.ctx, group, meta.Index)
	return meta, nil
}

func writeSnapshot(ctx context.Context, store storage.SnapshotStore, group core.GroupID, job *snapshotViewed) (meta core.SnapshotMeta, err error) {
	defer func() {
		if closed := job.view.Close(); err == nil {
			err = closed
		}
	}()
	w, err := store.Create(ctx, group, job.meta)
	if err != nil {
		return meta, err
	}
	if _, err = job.view.WriteTo(w); err != nil {
		_ = w.Abort()
		return meta, err
	}
	return w.Commit(core.SnapshotMeta{})
}

func (b *snapshotBuilder) finish() {
	if !b.begun {
		_ = b.job.view.Close()
	}
}
