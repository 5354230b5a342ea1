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
}

// snapshotStore is the view of a disk that keeps snapshots.
type snapshotStore struct{ disk *disk }

var _ storage.SnapshotStore = snapshotStore{}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func (s snapshotStore) Create(_ context.Context, _ membership.GroupID, meta core.SnapshotMeta) (storage.SnapshotWriter, error) {
	if s.disk.failing {
		return nil, errDiskFailed
	}
	return &snapshotWriter{disk: s.disk, meta: meta}, nil
}

func (s snapshotStore) Newest(context.Context, membership.GroupID) (core.SnapshotMeta, error) {
	return s.disk.newestSnapshot(), nil
}

func (d *disk) newestSnapshot() core.SnapshotMeta {
	var newest core.SnapshotMeta
	for _, f := range d.snapshots {
		if f.meta.Index > newest.Index {
			newest = f.meta
		}
	}
	return newest
}

func (s snapshotStore) Open(_ context.Context, _ membership.GroupID, id core.LogID) (storage.SnapshotReader, error) {
	for _, f := range s.disk.snapshots {
		if f.meta.LogID == id {
			return &snapshotReader{Reader: bytes.NewReader(f.content), meta: f.meta}, nil
		}
	}
	return nil, fmt.Errorf("%w: snapshot %v", storage.ErrNotFound, id)
}

func (s snapshotStore) RemoveBelow(_ context.Context, _ membership.GroupID, index core.Index) error {
	if err := s.disk.spend(); err != nil {
		return err
	}
	s.disk.snapshots = slices.DeleteFunc(s.disk.snapshots, func(f *snapshot) bool { return f.meta.Index < index })
	return nil
}

// snapshotWriter keeps what is written in memory until Commit, where the
// process may crash as in any other write.
type snapshotWriter struct {
	disk    *disk
	meta    core.SnapshotMeta
	content []byte
	ended   bool
}

func (w *snapshotWriter) Write(p []byte) (int, error) {
	if w.disk.failing {
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
	if err := w.disk.spend(); err != nil {
		return core.SnapshotMeta{}, err
	}
	w.disk.snapshots = slices.DeleteFunc(w.disk.snapshots, func(f *snapshot) bool { return f.meta.LogID == w.meta.LogID })
	w.disk.snapshots = append(w.disk.snapshots, &snapshot{w.meta, w.content})
	w.disk.check.snapshotCommitted(w.disk, w.meta, w.content)
	return w.meta, nil
}

func (w *snapshotWriter) Abort() error {
	w.end("Abort")
	return nil
}

func (w *snapshotWriter) end(how string) {
	if w.ended {
		w.disk.check.fail("snapshot: a writer was ended twice", "node %v, snapshot %v, %s", w.disk.identity, w.meta.LogID, how)
	}
	w.ended = true
}

type snapshotReader struct {
	*bytes.Reader
	meta core.SnapshotMeta
}

func (r *snapshotReader) Meta() core.SnapshotMeta { return r.meta }
func (r *snapshotReader) Close() error            { return nil }
