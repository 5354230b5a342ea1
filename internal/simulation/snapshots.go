package simulation

import (
	"bytes"
	"context"
	"fmt"
	"hash/crc32"
	"slices"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/storage"
)

// snapshot is one committed snapshot of a disk.
type snapshot struct {
	meta    core.SnapshotMeta
	content []byte
	// rotten: the disk gives back something else.
	rotten bool
}

// snapshotStore is the view of a disk that keeps snapshots.
type snapshotStore struct{ disk *disk }

var _ storage.Recorder = snapshotStore{}

// snapshotStore is what a life is given.
func (l *life) snapshotStore() storage.SnapshotStore {
	if l.sim.plan.records {
		return snapshotStore{l.disk}
	}
	return struct{ storage.SnapshotStore }{snapshotStore{l.disk}}
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func (s snapshotStore) Create(_ context.Context, group membership.GroupID, meta core.SnapshotMeta) (storage.SnapshotWriter, error) {
	if s.disk.failing {
		return nil, errDiskFailed
	}
	return &snapshotWriter{store: s.disk.of(group), meta: meta}, nil
}

func (s snapshotStore) Newest(_ context.Context, group membership.GroupID) (core.SnapshotMeta, error) {
	held := s.disk.of(group)
	var newest core.SnapshotMeta
	for _, f := range held.snapshots {
		if f.meta.Index > newest.Index && !f.rotten {
			newest = f.meta
		}
	}
	if newest.Index > 0 || len(held.snapshots) == 0 {
		return newest, nil
	}
	return core.SnapshotMeta{}, fmt.Errorf("%w: all snapshots of group %d", core.ErrCorrupt, group)
}

func (s snapshotStore) Open(_ context.Context, group membership.GroupID, id core.LogID) (storage.SnapshotReader, error) {
	for _, f := range s.disk.of(group).snapshots {
		if f.meta.LogID == id {
			return &snapshotReader{Reader: bytes.NewReader(f.content), of: f, meta: f.meta}, nil
		}
	}
	return nil, fmt.Errorf("%w: snapshot %v", storage.ErrNotFound, id)
}

func (s snapshotStore) RemoveBelow(_ context.Context, group membership.GroupID, index core.Index) error {
	if err := s.disk.spend(); err != nil {
		return err
	}
	held := s.disk.of(group)
	held.snapshots = slices.DeleteFunc(held.snapshots, func(f *snapshot) bool { return f.meta.Index < index })
	if held.record.Index < index {
		held.record = core.SnapshotMeta{}
	}
	return nil
}

// Record implements storage.Recorder.
func (s snapshotStore) Record(_ context.Context, group membership.GroupID, meta core.SnapshotMeta) error {
	if err := s.disk.spend(); err != nil {
		return err
	}
	held := s.disk.of(group)
	held.record = meta
	held.group.check.recorded(held, &meta)
	return nil
}

// Recorded implements storage.Recorder.
func (s snapshotStore) Recorded(_ context.Context, group membership.GroupID) (core.SnapshotMeta, error) {
	return s.disk.of(group).record, nil
}

// snapshotWriter keeps what is written in memory until Commit, where the
// process may crash as in any other write.
type snapshotWriter struct {
	store   *store
	meta    core.SnapshotMeta
	content []byte
	ended   bool
}

func (w *snapshotWriter) Write(p []byte) (int, error) {
	if w.store.failing {
		return 0, errDiskFailed
	}
	w.content = append(w.content, p...)
	return len(p), nil
}

func (w *snapshotWriter) Commit(want core.SnapshotMeta) (core.SnapshotMeta, error) {
	w.end("Commit")
	w.meta.SizeBytes, w.meta.Checksum = uint64(len(w.content)), crc32.Checksum(w.content, castagnoli)
	if want.Index != 0 && (want.SizeBytes != w.meta.SizeBytes || want.Checksum != w.meta.Checksum) {
		return core.SnapshotMeta{}, fmt.Errorf("%w: snapshot %v arrived with %d bytes, sum %x", core.ErrCorrupt, want.LogID, w.meta.SizeBytes, w.meta.Checksum)
	}
	if err := w.store.spend(); err != nil {
		return core.SnapshotMeta{}, err
	}
	w.store.snapshots = slices.DeleteFunc(w.store.snapshots, func(f *snapshot) bool { return f.meta.LogID == w.meta.LogID })
	w.store.snapshots = append(w.store.snapshots, &snapshot{meta: w.meta, content: w.content})
	w.store.group.check.snapshotCommitted(w.store, w.meta, w.content)
	return w.meta, nil
}

func (w *snapshotWriter) Abort() error {
	w.end("Abort")
	return nil
}

func (w *snapshotWriter) end(how string) {
	if w.ended {
		w.store.sim.fail("snapshot: a writer was ended twice", "node %v, snapshot %v, %s", w.store.identity, w.meta.LogID, how)
	}
	w.ended = true
}

type snapshotReader struct {
	*bytes.Reader
	of   *snapshot
	meta core.SnapshotMeta
}

// Read reports what is rotten at the end, as the checksum does.
func (r *snapshotReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if r.of.rotten && r.Len() == 0 {
		return 0, fmt.Errorf("%w: snapshot %v", core.ErrCorrupt, r.meta.LogID)
	}
	return n, err
}

// rots lets a snapshot rot.
func (d *store) rots(id core.LogID) {
	for _, f := range d.snapshots {
		f.rotten = f.rotten || f.meta.LogID == id
	}
}

func (r *snapshotReader) Meta() core.SnapshotMeta { return r.meta }
func (r *snapshotReader) Close() error            { return nil }
