package snapshots

import (
	"fmt"

	"github.com/trouperaft/troupe/actors/calls"
	"github.com/trouperaft/troupe/actors/observe"
	"github.com/trouperaft/troupe/actors/stage"
	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/storage"
)

// recorder makes durable how far a state machine is that keeps its state, in place of a
// snapshot.
//
//	OWNS      nothing
//	RECEIVES  nothing: it begins at once
//	SENDS     to the core that the record is durable, or why not
//	WAITS ON  the snapshot store
//	BOUND     one a group at a time
//	DIES WITH its job, the group
type recorder struct {
	stage.Shell
	group    *Group
	meta     core.SnapshotMeta
	unneeded core.Index
	begun    bool
}

func newRecorder(g *Group, meta core.SnapshotMeta, unneeded core.Index) *recorder {
	r := &recorder{group: g, meta: meta, unneeded: unneeded}
	r.Shell = g.Shell("machine recorder", r.step, func() {})
	return r
}

func (r *recorder) step() bool {
	if r.begun {
		return false
	}
	r.begun = true
	var err error
	span := observe.Recording{}.Begin(r.group.Watch)
	r.Do(calls.SnapshotWrite, func() { err = r.record() }, func() {
		if err != nil && r.group.Context.Err() != nil {
			r.Stop() // it was cut short at the end of the group, to which nobody listens
			return
		}
		observe.Recorded{Span: span, Meta: &r.meta, Err: err}.Tell(r.group.Watch)
		r.group.Core(&core.SnapshotBuilt{Meta: r.meta, Record: true, Err: err})
		r.Stop()
	})
	return true
}

// record writes the record, and removes the snapshots that are of no use any more.
func (r *recorder) record() error {
	g := r.group
	err := g.Store.(storage.Recorder).Record(g.Context, g.ID, r.meta)
	if err != nil {
		return fmt.Errorf("actors: that the state machine holds %v could not be recorded: %w", r.meta.LogID, err)
	}
	g.Removal.Unneeded(g.Context, r.unneeded)
	return nil
}
