package snapshots

import (
	"context"
	"fmt"

	"github.com/trouperaft/troupe/actors/calls"
	"github.com/trouperaft/troupe/actors/observe"
	"github.com/trouperaft/troupe/actors/stage"
	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/storage"
)

// builder writes one view of the state machine out, while applies go on.
//
//	OWNS      the view and the unfinished snapshot
//	RECEIVES  nothing: it begins at once
//	SENDS     to the core that the snapshot is built, or why not
//	WAITS ON  the snapshot store, and beside writes for its turn to write on
//	BOUND     one a group at a time
//	DIES WITH its job, the group
type builder struct {
	stage.Shell
	group *Group
	meta  core.SnapshotMeta
	view  storage.SnapshotView
	begun bool
}

func newBuilder(g *Group, meta core.SnapshotMeta, view storage.SnapshotView) *builder {
	b := &builder{group: g, meta: meta, view: view}
	b.Shell = g.Shell("snapshot builder", b.step, func() {})
	b.Release, b.ReleaseKind = b.closeUnwritten, calls.Close
	return b
}

func (b *builder) step() bool {
	if b.begun {
		return false
	}
	b.begun = true
	var meta core.SnapshotMeta
	var err error
	span := observe.Building{}.Begin(b.group.Watch)
	b.Do(calls.SnapshotWrite, func() { meta, err = b.build() }, func() {
		if err != nil && b.group.Context.Err() != nil {
			b.Stop() // it was cut short at the end of the group, to which nobody listens
			return
		}
		observe.Built{Span: span, Meta: &meta, Err: err}.Tell(b.group.Watch)
		b.group.Core(&core.SnapshotBuilt{Meta: meta, Err: err})
		b.Stop()
	})
	return true
}

// build writes the snapshot and removes older ones. It closes the view whatever
// happens, for the actor may have ended when it returns.
func (b *builder) build() (core.SnapshotMeta, error) {
	g := b.group
	meta, err := b.write(g.Context, g.Store)
	if err != nil {
		return core.SnapshotMeta{}, fmt.Errorf("actors: the snapshot %v could not be built: %w", b.meta.LogID, err)
	}
	// A transfer that is reading an older one can read on to its end.
	g.Removal.Below(g.Context, meta.Index)
	return meta, nil
}

func (b *builder) write(ctx context.Context, store storage.SnapshotStore) (meta core.SnapshotMeta, err error) {
	defer func() {
		if closed := b.view.Close(); err == nil {
			err = closed
		}
	}()
	if view, ofFiles := b.view.(storage.FileView); ofFiles {
		if store, keepsFiles := store.(storage.FileStore); keepsFiles {
			return store.CreateFiles(ctx, b.group.ID, b.meta, view.Files())
		}
	}
	w, err := store.Create(ctx, b.group.ID, b.meta)
	if err != nil {
		return meta, err
	}
	written := false
	defer func() {
		if !written { // also if the view has panicked
			_ = w.Abort()
		}
	}()
	if _, err = b.view.WriteTo(newGentleWriter(ctx, b.Env, &b.group.Gate.builds, w)); err != nil {
		return meta, err
	}
	if err = ctx.Err(); err != nil {
		return meta, err // the view has ignored that its last write failed
	}
	written = true
	return w.Commit(core.SnapshotMeta{})
}

func (b *builder) closeUnwritten() {
	if !b.begun {
		_ = b.view.Close()
	}
}
