package replica

import (
	"context"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/storage"
)

// Replicas knows which replica of each group the stores hold. Nearly always that is the
// first of each.
type Replicas struct {
	mu sync.Mutex
	// later are the groups whose replica follows others, and how many; nil if there are
	// none.
	later atomic.Pointer[map[membership.GroupID]uint16]
}

// key is the one under which the stores have a group.
func (r *Replicas) key(group membership.GroupID) membership.GroupID {
	if later := r.later.Load(); later != nil {
		return Key(group, (*later)[group])
	}
	return group
}

// Set says how many replicas of a group were deleted before the one that the stores hold.
func (r *Replicas) Set(group membership.GroupID, n uint16) {
	r.mu.Lock()
	defer r.mu.Unlock()
	old := r.later.Load()
	if old == nil && n == 0 {
		return
	}
	next := make(map[membership.GroupID]uint16)
	if old != nil {
		maps.Copy(next, *old)
	}
	next[group] = n
	r.later.Store(&next)
}

// Log is a log store in which groups are found as before, whatever replica it holds.
func (r *Replicas) Log(store storage.LogStore) storage.LogStore { return log{store, r} }

// Snapshots is the same of a snapshot store. It keeps what has arrived of a snapshot, and
// files by themselves and records, if that does.
func (r *Replicas) Snapshots(store storage.SnapshotStore) storage.SnapshotStore {
	all := snapshots{store, r}
	resumes, doesResume := store.(storage.Resuming)
	ofFiles, isOfFiles := store.(storage.FileStore)
	records, doesRecord := store.(storage.Recorder)
	recorder := recording{records, r}
	switch {
	case isOfFiles && doesRecord:
		return struct {
			fileStore
			recording
		}{fileStore{resuming{all, ofFiles}, ofFiles}, recorder}
	case isOfFiles:
		return fileStore{resuming{all, ofFiles}, ofFiles}
	case doesResume && doesRecord:
		return struct {
			resuming
			recording
		}{resuming{all, resumes}, recorder}
	case doesResume:
		return resuming{all, resumes}
	case doesRecord:
		return struct {
			snapshots
			recording
		}{all, recorder}
	}
	return all
}

// log is a log store in which groups are found by the keys of their replicas.
type log struct {
	storage.LogStore
	replicas *Replicas
}

// Load implements storage.LogStore.
func (s log) Load(ctx context.Context, group membership.GroupID) (storage.State, error) {
	return s.LogStore.Load(ctx, s.replicas.key(group))
}

// Read implements storage.LogStore.
func (s log) Read(ctx context.Context, group membership.GroupID, first, last core.Index, bytesMax int) ([]core.Entry, error) {
	return s.LogStore.Read(ctx, s.replicas.key(group), first, last, bytesMax)
}

// Write implements storage.LogStore.
func (s log) Write(ctx context.Context, batch *storage.Batch) error {
	if s.replicas.later.Load() == nil {
		return s.LogStore.Write(ctx, batch)
	}
	keyed := storage.Batch{Operations: slices.Clone(batch.Operations)}
	for i := range keyed.Operations {
		op := &keyed.Operations[i]
		op.Group = s.replicas.key(op.Group)
	}
	return s.LogStore.Write(ctx, &keyed)
}

// snapshots is the same of a snapshot store.
type snapshots struct {
	store    storage.SnapshotStore
	replicas *Replicas
}

// Create implements storage.SnapshotStore.
func (s snapshots) Create(ctx context.Context, group membership.GroupID, meta core.SnapshotMeta) (storage.SnapshotWriter, error) {
	return s.store.Create(ctx, s.replicas.key(group), meta)
}

// Newest implements storage.SnapshotStore.
func (s snapshots) Newest(ctx context.Context, group membership.GroupID) (core.SnapshotMeta, error) {
	return s.store.Newest(ctx, s.replicas.key(group))
}

// Open implements storage.SnapshotStore.
func (s snapshots) Open(ctx context.Context, group membership.GroupID, id core.LogID) (storage.SnapshotReader, error) {
	return s.store.Open(ctx, s.replicas.key(group), id)
}

// RemoveBelow implements storage.SnapshotStore.
func (s snapshots) RemoveBelow(ctx context.Context, group membership.GroupID, index core.Index) error {
	return s.store.RemoveBelow(ctx, s.replicas.key(group), index)
}

// resuming is one that keeps what has arrived.
type resuming struct {
	snapshots
	resumes storage.Resuming
}

// Resume implements storage.Resuming.
func (s resuming) Resume(ctx context.Context, group membership.GroupID, meta core.SnapshotMeta) (storage.SnapshotWriter, uint64, error) {
	return s.resumes.Resume(ctx, s.replicas.key(group), meta)
}

// fileStore is one that keeps files by themselves.
type fileStore struct {
	resuming
	files storage.FileStore
}

// CreateFiles implements storage.FileStore.
func (s fileStore) CreateFiles(ctx context.Context, group membership.GroupID, meta core.SnapshotMeta, files []storage.File) (core.SnapshotMeta, error) {
	return s.files.CreateFiles(ctx, s.replicas.key(group), meta, files)
}

// ResumeFiles implements storage.FileStore.
func (s fileStore) ResumeFiles(ctx context.Context, group membership.GroupID, meta core.SnapshotMeta, headBytes uint64,
	own func() []storage.File) (storage.FileWriter, uint64, error) {
	return s.files.ResumeFiles(ctx, s.replicas.key(group), meta, headBytes, own)
}

// recording is what a store that keeps records has beside the snapshots.
type recording struct {
	records  storage.Recorder
	replicas *Replicas
}

// Record implements storage.Recorder.
func (s recording) Record(ctx context.Context, group membership.GroupID, meta core.SnapshotMeta) error {
	return s.records.Record(ctx, s.replicas.key(group), meta)
}

// Recorded implements storage.Recorder.
func (s recording) Recorded(ctx context.Context, group membership.GroupID) (core.SnapshotMeta, error) {
	return s.records.Recorded(ctx, s.replicas.key(group))
}
