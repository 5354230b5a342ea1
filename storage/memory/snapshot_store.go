package memory

import (
	"bytes"
	"context"
	"fmt"
	"hash/crc32"
	"slices"
	"sync"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/storage"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Snapshots is a storage.SnapshotStore. What a snapshot holds is never changed,
// so that readers of a removed one read on.
type Snapshots struct {
	mu     sync.Mutex
	groups map[membership.GroupID][]snapshot // sorted by index
	// records are what machines have made durable.
	records map[membership.GroupID]core.SnapshotMeta
}

var _ storage.Recorder = (*Snapshots)(nil)

type snapshot struct {
	meta    core.SnapshotMeta
	content []byte
}

// NewSnapshots makes an empty store.
func NewSnapshots() *Snapshots {
	return &Snapshots{groups: make(map[membership.GroupID][]snapshot), records: make(map[membership.GroupID]core.SnapshotMeta)}
}

// Create implements storage.SnapshotStore.
func (s *Snapshots) Create(ctx context.Context, group membership.GroupID, meta core.SnapshotMeta) (storage.SnapshotWriter, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return &snapshotWriter{store: s, group: group, meta: meta}, nil
}

// Newest implements storage.SnapshotStore.
func (s *Snapshots) Newest(ctx context.Context, group membership.GroupID) (core.SnapshotMeta, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.groups[group]
	if len(all) == 0 || ctx.Err() != nil {
		return core.SnapshotMeta{}, ctx.Err()
	}
	return all[len(all)-1].meta, nil
}

// Open implements storage.SnapshotStore.
func (s *Snapshots) Open(ctx context.Context, group membership.GroupID, id core.LogID) (storage.SnapshotReader, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, snap := range s.groups[group] {
		if snap.meta.LogID == id {
			return &snapshotReader{Reader: bytes.NewReader(snap.content), meta: snap.meta}, nil
		}
	}
	return nil, storage.ErrNotFound
}

// RemoveBelow implements storage.SnapshotStore.
func (s *Snapshots) RemoveBelow(ctx context.Context, group membership.GroupID, index core.Index) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.groups[group] = slices.DeleteFunc(s.groups[group], func(snap snapshot) bool { return snap.meta.Index < index })
	if s.records[group].Index < index {
		delete(s.records, group)
	}
	return nil
}

// Record implements storage.Recorder.
func (s *Snapshots) Record(ctx context.Context, group membership.GroupID, meta core.SnapshotMeta) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if meta.Index == 0 {
		return fmt.Errorf("memory: a record of %v, before the first entry", meta.LogID)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	meta.SizeBytes, meta.Checksum = 0, 0
	s.records[group] = meta
	return nil
}

// Recorded implements storage.Recorder.
func (s *Snapshots) Recorded(ctx context.Context, group membership.GroupID) (core.SnapshotMeta, error) {
	if err := ctx.Err(); err != nil {
		return core.SnapshotMeta{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.records[group], nil
}

type snapshotWriter struct {
	store   *Snapshots
	group   membership.GroupID
	meta    core.SnapshotMeta
	content bytes.Buffer
	ended   bool
}

// Write implements io.Writer.
func (w *snapshotWriter) Write(p []byte) (int, error) {
	if w.ended {
		return 0, storage.ErrClosed
	}
	return w.content.Write(p)
}

// Commit implements storage.SnapshotWriter.
func (w *snapshotWriter) Commit(want core.SnapshotMeta) (core.SnapshotMeta, error) {
	if w.ended {
		return core.SnapshotMeta{}, storage.ErrClosed
	}
	w.ended = true
	w.meta.SizeBytes = uint64(w.content.Len())
	w.meta.Checksum = crc32.Checksum(w.content.Bytes(), castagnoli)
	if want.Index != 0 && (want.SizeBytes != w.meta.SizeBytes || want.Checksum != w.meta.Checksum) {
		return core.SnapshotMeta{}, fmt.Errorf("memory: snapshot %v has %d bytes and checksum %x, expected %d and %x: %w",
			w.meta.LogID, w.meta.SizeBytes, w.meta.Checksum, want.SizeBytes, want.Checksum, core.ErrCorrupt)
	}
	w.store.mu.Lock()
	defer w.store.mu.Unlock()
	all := slices.DeleteFunc(w.store.groups[w.group], func(snap snapshot) bool { return snap.meta.LogID == w.meta.LogID })
	all = append(all, snapshot{meta: w.meta, content: w.content.Bytes()})
	slices.SortFunc(all, func(a, b snapshot) int {
		switch {
		case a.meta.Index < b.meta.Index, a.meta.Index == b.meta.Index && a.meta.Term < b.meta.Term:
			return -1
		}
		return 1
	})
	w.store.groups[w.group] = all
	return w.meta, nil
}

// Abort implements storage.SnapshotWriter.
func (w *snapshotWriter) Abort() error {
	w.ended = true
	w.content = bytes.Buffer{}
	return nil
}

type snapshotReader struct {
	*bytes.Reader
	meta core.SnapshotMeta
}

// Close implements io.Closer.
func (r *snapshotReader) Close() error { return nil }

// Meta implements storage.SnapshotReader.
func (r *snapshotReader) Meta() core.SnapshotMeta { return r.meta }
