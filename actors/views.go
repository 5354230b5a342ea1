package actors

import (
	"errors"
	"fmt"

	"github.com/trouperaft/troupe/actors/calls"
	"github.com/trouperaft/troupe/actors/snapshots"
	"github.com/trouperaft/troupe/core"
)

// exportsMax bounds the views that are written for somebody outside at one time: each
// keeps the machine from forgetting something.
const exportsMax = 4

// Export has a view of the state machine, as it stands when its turn comes, written to
// somebody outside. Beside exportsMax of them it ends at once with core.ErrOverloaded.
func (g *Group) Export(e *snapshots.Export) {
	ended := e.Ended
	if g.exports.Add(1) > exportsMax {
		g.exports.Add(-1)
		ended(core.ErrOverloaded)
		return
	}
	counted := *e
	counted.Ended = func(err error) {
		g.exports.Add(-1)
		ended(err)
	}
	if !g.apply.export(&counted) {
		counted.Ended(g.stopCause())
	}
}

// takeView takes a view of the machine as it stands, and lets it be written: for the next
// snapshot, or for whoever asked first.
func (a *applyActor) takeView() {
	var export *snapshots.Export
	if a.view {
		a.view = false
	} else {
		export = a.exports[0]
		a.exports = a.exports[1:]
	}
	err := a.describes()
	switch {
	case export != nil && a.applied.Index == 0:
		export.Ended(core.ErrNoCluster)
		return
	case err != nil && export != nil:
		export.Ended(err)
		return
	case err != nil:
		a.core.put(&core.SnapshotBuilt{Err: err})
		return
	}
	meta := core.SnapshotMeta{LogID: a.applied, Time: a.appliedTime, Cluster: a.cluster(), Configuration: a.config, Version: a.version}
	a.takenFor = export
	a.Do(calls.View, func() { a.taken, err = a.machine.View() }, func() {
		if err != nil {
			a.noView(err, export)
			return
		}
		if a.core.put(&snapshotViewed{meta, a.taken, export}) {
			a.taken, a.takenFor = nil, nil
		}
	})
}

// errUndescribed: what told of the entry applied last is lost. The next entries tell, or a
// snapshot of the leader's.
var errUndescribed = fmt.Errorf("the snapshot or record is lost that told the time of what the state machine holds, or the configuration in force there: %w", core.ErrNotNow)

// describes carries out rule 24: no snapshot, record or backup is made of what this node
// does not know the time or the configuration of.
func (a *applyActor) describes() error {
	if a.applied.Index > 0 && (a.undated || a.config.Index == 0) {
		return errUndescribed
	}
	return nil
}

// noView takes that the machine gave no view. It is asked again for the next snapshot if
// it only said that it is not the time; whoever else asked is told.
func (a *applyActor) noView(err error, export *snapshots.Export) {
	a.taken = nil
	notNow := errors.Is(err, core.ErrNotNow)
	if !notNow {
		err = fmt.Errorf("actors: the state machine gave no view: %w", err)
	}
	a.letGo(err)
	switch {
	case !notNow:
		a.Fail(err)
	case export == nil:
		a.core.put(&core.SnapshotBuilt{Err: err})
	}
}

// letGo tells who asked for a view that there is none.
func (a *applyActor) letGo(err error) {
	if a.takenFor != nil {
		a.takenFor.Ended(err)
		a.takenFor = nil
	}
}

// closeTaken closes, at the end, a view that nobody wants any more.
func (a *applyActor) closeTaken() {
	if a.taken != nil {
		_ = a.taken.Close()
	}
	a.letGo(a.stopCause())
}

// writeView has a view that the apply actor took written.
func (c *coreActor) writeView(v *snapshotViewed) {
	if v.export == nil {
		c.jobs.Build(v.meta, v.view)
	} else {
		c.jobs.Export(v.meta, v.view, v.export)
	}
}

// closeViews is a call that may block.
func (c *coreActor) closeViews() {
	for _, v := range c.views {
		_ = v.view.Close()
		if v.export != nil {
			v.export.Ended(c.stopCause())
		}
	}
}
