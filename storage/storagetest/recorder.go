package storagetest

import (
	"context"
	"errors"
	"math"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/storage"
)

// recorder is the store as one that keeps records. A store that does not passes.
func (a *album) recorder() storage.Recorder {
	r, ok := a.SnapshotStore.(storage.Recorder)
	if !ok {
		a.Skip("the store keeps no records")
	}
	return r
}

func (a *album) record(group membership.GroupID, at core.LogID) core.SnapshotMeta {
	a.Helper()
	meta := snapshotMeta(at)
	said := meta
	said.SizeBytes, said.Checksum = 17, 4 // ignored
	if err := a.recorder().Record(a.Context(), group, said); err != nil {
		a.Fatal(err)
	}
	return meta
}

func (a *album) checkRecorded(group membership.GroupID, want core.SnapshotMeta) {
	a.Helper()
	got, err := a.recorder().Recorded(a.Context(), group)
	if err == nil {
		err = sameMeta(got, want)
	}
	if err != nil {
		a.Fatal(err)
	}
}

// recorded: the last record counts, whatever it says, and each group has one. It is no
// snapshot.
func recorded(a *album) {
	a.checkRecorded(1, core.SnapshotMeta{})
	a.record(1, id(1, 5))
	other := a.record(2, id(3, 7))
	a.checkRecorded(1, snapshotMeta(id(1, 5)))
	last := a.record(1, id(2, 9))
	a.checkRecorded(1, last)
	a.checkRecorded(2, other)
	lower := a.record(1, id(2, 8))
	a.checkRecorded(1, lower)
	if meta, err := a.Newest(a.Context(), 1); err != nil || meta.Index != 0 {
		a.Fatalf("a snapshot %v, %v", meta.LogID, err)
	}
	if err := a.recorder().Record(a.Context(), 1, core.SnapshotMeta{}); err == nil {
		a.Error("a record of nothing")
	}
	a.checkRecorded(1, lower)
	ended, cancel := context.WithCancel(a.Context())
	cancel()
	err := a.recorder().Record(ended, 1, last)
	if _, err2 := a.recorder().Recorded(ended, 1); !errors.Is(err, context.Canceled) || !errors.Is(err2, context.Canceled) {
		a.Errorf("after the end: %v, %v", err, err2)
	}
}

// recordRemoved: a record goes with the snapshots below an index.
func recordRemoved(a *album) {
	a.recorder()
	a.put(1, id(1, 5), 100)
	meta := a.record(1, id(1, 9))
	other := a.record(2, id(1, 2))
	a.removeBelow(1, 9)
	a.checkRecorded(1, meta)
	if _, _, err := a.read(1, id(1, 5)); !errors.Is(err, storage.ErrNotFound) {
		a.Errorf("read of a removed snapshot: %v", err)
	}
	a.removeBelow(1, 10)
	a.checkRecorded(1, core.SnapshotMeta{})
	a.checkRecorded(2, other)
	a.removeBelow(2, math.MaxUint64)
	a.checkRecorded(2, core.SnapshotMeta{})
}

func (a *album) removeBelow(group membership.GroupID, index core.Index) {
	a.Helper()
	if err := a.RemoveBelow(a.Context(), group, index); err != nil {
		a.Fatal(err)
	}
}

func reopenRecord(a *album) {
	meta := a.record(1, id(4, 5))
	a.reopen()
	a.checkRecorded(1, meta)
	meta = a.record(1, id(4, 6))
	a.dir = takeImage(a.T, a.dir).restore(a.T) // a crash
	a.reopen()
	a.checkRecorded(1, meta)
}

// recordDamagedAnywhere flips and cuts a record everywhere. Another takes its place.
func recordDamagedAnywhere(a *album) {
	a.recorder()
	before := takeImage(a.T, a.dir)
	a.record(1, id(1, 6))
	whole := takeImage(a.T, a.dir)
	for name, f := range whole {
		if before[name] != nil {
			continue
		}
		for at := range f.size {
			for _, cut := range []bool{false, true} {
				bad := whole.clone()
				if cut {
					bad[name].cut(at)
				} else {
					bad[name].flip(at, 1<<(at%8))
				}
				b := &album{T: a.T, opener: a.opener, dir: bad.restore(a.T)}
				b.reopen()
				if _, err := b.recorder().Recorded(a.Context(), 1); !errors.Is(err, core.ErrCorrupt) {
					a.Fatalf("byte %d of %d, cut %t: %v", at, f.size, cut, err)
				}
				if at == f.size/2 {
					b.removeBelow(1, 6)
					b.checkRecorded(1, b.record(1, id(1, 7)))
				}
				b.close()
			}
		}
	}
}
