package actors

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/trouperaft/troupe/actors/calls"
	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/storage"
)

// This file is about the record of what a state machine has made durable, which takes a
// snapshot's place: the apply actor asks the machine, the core adds the configuration, and
// a job of its own makes the record durable.

// madeDurable is what the machine says that it keeps over a restart.
type madeDurable struct {
	id       core.LogID
	time     int64
	unneeded core.Index
}

// errOvertakenRecord: it is asked for again, if it is needed then.
var errOvertakenRecord = fmt.Errorf("a snapshot took the log's place, or what told the configuration is lost: %w", core.ErrNotNow)

// records reports whether a record takes the place of a snapshot.
func (n *Node) records(cfg GroupConfig) bool {
	_, records := n.snapshots.(storage.Recorder)
	return records && !storage.IsVolatile(cfg.StateMachine)
}

// loadRecord reads the record, if the store has one.
func (n *Node) loadRecord(ctx context.Context, cfg GroupConfig, begun recovery) (core.SnapshotMeta, error) {
	store, records := n.snapshots.(storage.Recorder)
	if !records {
		return core.SnapshotMeta{}, nil
	}
	record, err := store.Recorded(ctx, cfg.Group)
	switch {
	case errors.Is(err, core.ErrCorrupt):
		// Whether it is missed the engine decides by what the log holds.
		begun.watch.Logger().Error("the record of what the state machine holds is damaged", slog.Any("error", err))
		return core.SnapshotMeta{}, nil
	case err != nil:
		return core.SnapshotMeta{}, fmt.Errorf("actors: the record of group %d could not be read: %w", cfg.Group, err)
	}
	return record, nil
}

// takeRecord asks the machine what it has made durable. If that is not more than was known
// a snapshot is taken in its place.
func (a *applyActor) takeRecord() {
	wanted, applied := *a.record, core.Entry{LogID: a.applied, Time: a.appliedTime}
	a.record = nil
	if err := a.describes(); err != nil {
		a.core.put(&core.SnapshotBuilt{Record: true, Err: err})
		return
	}
	var made madeDurable
	var err error
	a.Do(calls.View, func() { made, err = a.askDurable(applied, wanted.Above) }, func() {
		switch {
		case errors.Is(err, storage.ErrNotFound):
			a.core.put(&core.SnapshotBuilt{Record: true, Err: errOvertakenRecord})
		case err != nil:
			a.Fail(err)
		case made.id.Index <= wanted.Above:
			a.view = true
		default:
			made.unneeded = wanted.Unneeded
			a.core.put(&made)
		}
	})
}

// askDurable carries out rule 8: what the machine keeps over a restart, and nothing else,
// is not needed any more. It is called where nobody waits.
func (a *applyActor) askDurable(applied core.Entry, above core.Index) (made madeDurable, err error) {
	made.id, err = a.machine.Applied()
	switch {
	case err != nil:
		return made, fmt.Errorf("actors: the state machine does not say what it holds: %w", err)
	case made.id.Index > applied.Index || made.id.Index == applied.Index && made.id != applied.LogID:
		return made, fmt.Errorf("actors: the state machine says that it holds %v, and %v was applied last", made.id, applied.LogID)
	case made.id == applied.LogID:
		made.time = applied.Time
	case made.id.Index > above:
		entries, err := a.store.Read(context.Background(), a.group, made.id.Index, made.id.Index, 1)
		if err != nil {
			return made, fmt.Errorf("actors: entry %v, which the state machine holds, cannot be read: %w", made.id, err)
		}
		made.time = entries[0].Time
	}
	return made, nil
}

// writeRecord has a record made durable.
func (c *coreActor) writeRecord(m *madeDurable) {
	configuration, current := c.engine.RecordOf(m.id)
	if !current {
		c.stepEngine(&core.SnapshotBuilt{Record: true, Err: errOvertakenRecord})
		return
	}
	c.jobs.Record(core.SnapshotMeta{LogID: m.id, Time: m.time, Cluster: c.seen.cluster(), Configuration: configuration}, m.unneeded)
}
