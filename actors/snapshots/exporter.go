package snapshots

import (
	"context"
	"io"

	"github.com/trouperaft/troupe/actors/calls"
	"github.com/trouperaft/troupe/actors/observe"
	"github.com/trouperaft/troupe/actors/stage"
	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/storage"
)

// exporter writes one view of the state machine to somebody outside, while applies go on.
//
//	OWNS      the view
//	RECEIVES  nothing: it begins at once
//	SENDS     to whoever asked what the view is of, and that it is written, or why not
//	WAITS ON  the state machine, and whoever takes what is written
//	BOUND     as many a group as callers may have under way
//	DIES WITH its job, the group
type exporter struct {
	stage.Shell
	group  *Group
	meta   core.SnapshotMeta
	view   storage.SnapshotView
	export *Export
	begun  bool
}

func newExporter(g *Group, meta core.SnapshotMeta, view storage.SnapshotView, export *Export) *exporter {
	e := &exporter{group: g, meta: meta, view: view, export: export}
	e.Shell = g.Shell("snapshot exporter", e.step, func() {})
	e.Release, e.ReleaseKind = e.closeUnwritten, calls.Close
	return e
}

func (e *exporter) step() bool {
	if e.begun {
		return false
	}
	e.begun = true
	var written int64
	var err error
	span := observe.Exporting{Ctx: e.export.Ctx}.Begin(e.group.Watch)
	e.Do(calls.SnapshotWrite, func() { written, err = e.write() }, func() {
		e.meta.SizeBytes = uint64(written)
		observe.Exported{Span: span, Meta: &e.meta, Err: err}.Tell(e.group.Watch)
		e.Stop()
	})
	return true
}

// write writes the view and closes it, whatever happens: the actor may have ended when it
// returns.
func (e *exporter) write() (written int64, err error) {
	returned := false
	defer func() {
		closed := e.view.Close()
		switch {
		case !returned: // the view has panicked, or ended its goroutine
			err = core.ErrStopped
		case err == nil:
			err = closed
		}
		e.export.Ended(err)
	}()
	e.export.Begun(e.meta)
	written, err = e.view.WriteTo(endingWriter{e.group.Context, e.export.To})
	if err == nil && e.group.Context.Err() != nil {
		err = core.ErrStopped // the view may have ignored that its last write failed
	}
	returned = true
	return written, err
}

func (e *exporter) closeUnwritten() {
	if !e.begun {
		_ = e.view.Close()
		e.export.Ended(core.ErrStopped)
	}
}

// Export is a view of the state machine that somebody outside wants to have written out.
type Export struct {
	// Ctx has the span of whoever asked.
	Ctx context.Context
	// To takes the view. Its Write may wait for whoever reads, and fails when nobody does
	// any more.
	To io.Writer
	// Begun is told what the view is of, before the first Write; Ended, exactly once, that
	// all of it is written, or why not. They do not block.
	Begun func(core.SnapshotMeta)
	Ended func(error)
}
