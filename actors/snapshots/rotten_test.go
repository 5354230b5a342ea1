package snapshots

import (
	"context"
	"io"
	"testing"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/storage"
	"github.com/trouperaft/troupe/storage/memory"
)

// rotting is a store whose snapshots are found rotten: when they are opened, or at their
// end.
type rotting struct {
	storage.SnapshotStore
	early bool
}

type rottenReader struct{ storage.SnapshotReader }

func (s rotting) Open(ctx context.Context, group membership.GroupID, id core.LogID) (storage.SnapshotReader, error) {
	if s.early {
		return nil, core.ErrCorrupt
	}
	r, err := s.SnapshotStore.Open(ctx, group, id)
	return rottenReader{r}, err
}

func (r rottenReader) Read(p []byte) (int, error) {
	n, err := r.SnapshotReader.Read(p)
	if err == io.EOF {
		err = core.ErrCorrupt
	}
	return n, err
}

// TestRottenSnapshotIsTold: whoever sends a snapshot and finds it rotten tells the core
// which one that is.
func TestRottenSnapshotIsTold(t *testing.T) {
	for _, early := range []bool{true, false} {
		r := newSendingRig()
		store := rotting{memory.NewSnapshots(), early}
		jobs := r.group(t, 1, store)
		send(jobs)
		r.calls()
		if !early {
			r.answer(jobs, 0, "")
			r.calls()
		}
		if len(r.ended) != 1 || !r.ended[0].Rotten || r.ended[0].OK || r.ended[0].LogID != (core.LogID{Term: 1, Index: 5}) {
			t.Errorf("found early %t: %+v", early, r.ended)
		}
		jobs.Stop()
		r.calls()
	}
}
