package troupe

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/trouperaft/troupe/actors/snapshots"
	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/storage"
)

// carryOut recovers a group. What it takes is one write of the log. The newest snapshot
// is copied before, aside, and takes its name afterwards, and so does the record: if a
// crash comes between, it bears the id of the cluster before, and counts all the same
// (core.FormerSnapshot).
func (r *recovery) carryOut(ctx context.Context, g *groupRecovery) error {
	fail := func(what string, err error) error {
		return &RecoverError{Group: g.told.Group, Reason: what, Cause: err}
	}
	if g.former {
		// It is of the cluster before the one that is left now.
		if err := r.finish(ctx, g, g.plan.Before); err != nil {
			return fail("its snapshot cannot be written", err)
		}
	}
	if g.formerRecord {
		if err := r.writeRecord(ctx, g, g.plan.Before); err != nil {
			return fail("its record cannot be written", err)
		}
	}
	if g.plan.Alone {
		return nil
	}
	w, want, err := r.copySnapshot(ctx, g, g.plan.HardState.Cluster)
	if err != nil {
		return fail("its snapshot cannot be copied", err)
	}
	err = r.config.Log.Write(ctx, &storage.Batch{Operations: []storage.Operation{{
		Group: g.key, HardState: &g.plan.HardState, Reset: g.plan.Reset,
		Append: []core.Entry{g.plan.Entry}, Commit: g.plan.Entry.Index,
	}}})
	if err != nil {
		if w != nil {
			err = errors.Join(err, w.Abort())
		}
		return fail("its log cannot be written; whether it was, a second call will tell", err)
	}
	g.told.Done = true
	if w != nil {
		_, err = w.Commit(want)
	}
	if err = errors.Join(err, r.writeRecord(ctx, g, g.plan.HardState.Cluster)); err != nil {
		return fmt.Errorf("troupe: group %d is recovered, and its snapshot or record has kept the old cluster's id, which does no harm: %w", g.told.Group, err)
	}
	return nil
}

// writeRecord gives the record, if there is one, the id of a cluster.
func (r *recovery) writeRecord(ctx context.Context, g *groupRecovery, cluster ClusterID) error {
	if g.record.Index == 0 {
		return nil
	}
	meta := g.record
	meta.Cluster = cluster
	return r.config.Snapshots.(storage.Recorder).Record(ctx, g.key, meta)
}

// finish gives the newest snapshot the id of its cluster.
func (r *recovery) finish(ctx context.Context, g *groupRecovery, cluster ClusterID) error {
	w, want, err := r.copySnapshot(ctx, g, cluster)
	if err == nil {
		_, err = w.Commit(want)
	}
	return err
}

// copySnapshot writes the newest snapshot again, aside, as one of a cluster; the writer
// is nil if there is no snapshot.
func (r *recovery) copySnapshot(ctx context.Context, g *groupRecovery, cluster ClusterID) (w storage.SnapshotWriter, want core.SnapshotMeta, err error) {
	if g.snapshot.Index == 0 {
		return nil, want, nil
	}
	from, err := r.config.Snapshots.Open(ctx, g.key, g.snapshot.LogID)
	if err != nil {
		return nil, want, err
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	want = from.Meta()
	want.Cluster = cluster
	if w, err = r.config.Snapshots.Create(ctx, g.key, want); err != nil {
		return nil, want, err
	}
	if _, err = io.Copy(w, snapshots.EndingReader(ctx, from)); err != nil {
		return nil, want, errors.Join(err, w.Abort())
	}
	return w, want, nil
}
