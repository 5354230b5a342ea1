// Package files keeps snapshots as files of a directory, one for each, and records:
//
//	DIR/GROUP/TERM-INDEX.snap
//	DIR/GROUP/record
//
// Of a snapshot that is made of files that file has the list, and the files themselves lie in
// DIR/GROUP/content, each once.
//
// What arrives of a snapshot is kept over a restart, in files that end with .part and
// .marks, for KeptFor.
//
// A snapshot is written to a .tmp file and synced. Then the file is renamed,
// and the directory is synced. So a file with its final name is whole. It
// carries checksums all the same, and a damaged snapshot is never given out: it
// is set aside, under a name that ends with .damaged and that nothing removes.
// Open removes the .tmp files that a crash left.
package files

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/internal/foreign"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/storage"
	"github.com/trouperaft/troupe/storage/internal/disk"
)

// LockedError: the directory is in use by another store, of this process or of
// another one.
type LockedError struct{ Dir string }

// Error implements error.
func (e *LockedError) Error() string {
	return fmt.Sprintf("files: %s is in use by another process or store", e.Dir)
}

const (
	lockName         = "LOCK"
	unfinishedSuffix = ".tmp"
)

// Store is a storage.SnapshotStore. Only one may use a directory at a time.
type Store struct {
	dir  string
	lock *os.File
	// held is the directory, which is locked as well where the system can.
	held   *os.File
	logger *slog.Logger
	// lines are what the logger says, on the way to whoever takes it.
	lines *foreign.Queue[foreign.Line]

	mu sync.Mutex
	// writing are the .tmp files that are being written, and the names of what arrives.
	writing map[string]bool
	// readers counts the open readers of a file; a file that cannot be removed
	// while it is read (on Windows) is doomed, and goes with the last of them.
	readers map[string]int
	doomed  map[string]bool
	// verified are the files that were read to their end, as they were then.
	verified map[string]stamp
	closed   bool
	// claims counts who uses a file of a snapshot's content, links those that were made to
	// be one, opening those of a group who are about to claim some; unswept are the groups of
	// which not all could be swept away.
	claims  map[claim]int
	links   uint64
	opening map[membership.GroupID]int
	unswept map[membership.GroupID]bool
	// onStep, of tests, is called at each step of making a snapshot of files.
	onStep func(name string)

	// freeBytes is the system's.
	freeBytes func(dir string) (uint64, error)
}

type stamp struct {
	size     int64
	modified time.Time
}

var (
	_ storage.SnapshotStore = (*Store)(nil)
	_ storage.Recorder      = (*Store)(nil)
	_ storage.Logging       = (*Store)(nil)
)

// Open opens the store in dir, which is made if it is not there, and locks it: if
// another has it the error is a *LockedError. Damaged snapshots are reported to logger;
// nil discards that. Nothing waits for it: if it is slow or fails, lines are lost
// (Store.LinesDropped) and nothing else.
func Open(dir string, logger *slog.Logger) (*Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("files: %w", err)
	}
	if err := disk.SyncDir(filepath.Dir(dir)); err != nil {
		return nil, fmt.Errorf("files: %w", err)
	}
	// The directory first: LOCK may have been removed under a store that is in use.
	held, err := lockDir(dir)
	if err != nil {
		return nil, err
	}
	lock, locked, err := disk.Lock(filepath.Join(dir, lockName))
	if locked {
		return nil, errors.Join(&LockedError{Dir: dir}, closed(held))
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("files: %w", err), closed(held))
	}
	s := &Store{dir: dir, lock: lock, held: held, writing: make(map[string]bool), readers: make(map[string]int), doomed: make(map[string]bool),
		verified: make(map[string]stamp), claims: make(map[claim]int), unswept: make(map[membership.GroupID]bool), opening: make(map[membership.GroupID]int), freeBytes: disk.FreeBytes}
	s.logger, s.lines = foreign.NewLogger(logger)
	s.removeUnfinished()
	s.removeOldPartials()
	s.sweepAll()
	return s, nil
}

// Close gives the directory back, after the node that uses the store has stopped, and
// readers and writers have ended. The opener closes.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return storage.ErrClosed
	}
	s.closed = true
	s.lines.Close(foreign.LinesPatience)
	if err := errors.Join(s.lock.Close(), closed(s.held)); err != nil {
		return fmt.Errorf("files: %w", err)
	}
	return nil
}

// lockDir locks the directory itself. Some file systems, of the network, cannot: there the
// file in it has to do, and nil is returned.
func lockDir(dir string) (*os.File, error) {
	held, locked, err := disk.LockDir(dir)
	switch {
	case locked:
		return nil, &LockedError{Dir: dir}
	case err != nil:
		return nil, nil
	}
	return held, nil
}

// closed closes what lockDir returned.
func closed(held *os.File) error {
	if held == nil {
		return nil
	}
	return held.Close()
}

// enter begins a call.
func (s *Store) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return storage.ErrClosed
	}
	return nil
}

// LinesDropped implements storage.Logging: the logger was too slow, or failed.
func (s *Store) LinesDropped() int64 { return s.lines.Lost() }

// Create implements storage.SnapshotStore.
func (s *Store) Create(ctx context.Context, group membership.GroupID, meta core.SnapshotMeta) (storage.SnapshotWriter, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	return s.create(ctx, group, meta, version)
}

func (s *Store) create(ctx context.Context, group membership.GroupID, meta core.SnapshotMeta, version byte) (storage.SnapshotWriter, error) {
	if meta.Index == 0 {
		return nil, fmt.Errorf("files: a snapshot of %v, before the first entry", meta.LogID)
	}
	dir := s.groupDir(group)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("files: %w", err)
	}
	var f *os.File
	err := patiently(ctx, func() (err error) {
		f, err = s.createTemporary(dir)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("files: %w", err)
	}
	return newWriter(s, f, group, meta, version)
}

// patiently calls do again while descriptors lack, for as long as ctx lets it: that
// passes by itself, and fails no snapshot.
func patiently(ctx context.Context, do func() error) error {
	return disk.Patiently(disk.Patience, func() error {
		if err := ctx.Err(); err != nil {
			return err
		}
		return do()
	})
}

// createTemporary makes a file that RemoveBelow knows to be written from the
// first moment on.
func (s *Store) createTemporary(dir string) (*os.File, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f, err := os.CreateTemp(dir, "*"+unfinishedSuffix)
	if err == nil {
		s.writing[f.Name()] = true
	}
	return f, err
}

// Newest implements storage.SnapshotStore. It reads a snapshot to its end once,
// when it is first asked for it. While there are none but those that were set aside, the
// error names these.
func (s *Store) Newest(ctx context.Context, group membership.GroupID) (core.SnapshotMeta, error) {
	if err := s.enter(ctx); err != nil {
		return core.SnapshotMeta{}, err
	}
	var found []core.LogID
	err := patiently(ctx, func() (err error) {
		found, err = s.list(group)
		return err
	})
	if err != nil {
		return core.SnapshotMeta{}, err
	}
	var damage error
	for _, id := range slices.Backward(found) { // the newest first
		meta, err := s.verify(ctx, group, id)
		switch {
		case err == nil:
			return meta, nil
		case errors.Is(err, storage.ErrNotFound):
			continue // removed meanwhile
		case !errors.Is(err, core.ErrCorrupt):
			return core.SnapshotMeta{}, err
		}
		s.logger.Error("files: a damaged snapshot is passed over", "group", uint64(group), "snapshot", id.String(), "error", err)
		damage = errors.Join(damage, err)
	}
	if damage == nil {
		damage = s.onlyAside(group)
	}
	return core.SnapshotMeta{}, damage
}

// onlyAside is the error of a group that has no snapshot but those that were set aside.
func (s *Store) onlyAside(group membership.GroupID) error {
	names, err := s.asides(group)
	if err != nil || len(names) == 0 {
		return err
	}
	return corrupt("%s was found damaged, and there is no other", strings.Join(names, ", "))
}

// verify reads a snapshot to its end, unless that was done before.
func (s *Store) verify(ctx context.Context, group membership.GroupID, id core.LogID) (core.SnapshotMeta, error) {
	r, err := s.open(ctx, group, id)
	if err != nil {
		return core.SnapshotMeta{}, err
	}
	defer r.Close()
	name := s.path(group, id)
	s.mu.Lock()
	known := s.verified[name] == r.stamp
	s.mu.Unlock()
	if known {
		return r.meta, nil
	}
	for b := make([]byte, 256<<10); ; {
		if err := ctx.Err(); err != nil {
			return core.SnapshotMeta{}, err
		}
		if _, err := r.Read(b); err == io.EOF {
			break
		} else if err != nil {
			return core.SnapshotMeta{}, err
		}
	}
	// A process that was killed may have left the name in the system's memory
	// only; the content was synced before it.
	names, err := s.names(ctx, group)
	if err == nil {
		err = names.sync()
	}
	if err != nil {
		return core.SnapshotMeta{}, err
	}
	s.mu.Lock()
	s.verified[name] = r.stamp
	s.mu.Unlock()
	return r.meta, nil
}

// Open implements storage.SnapshotStore.
func (s *Store) Open(ctx context.Context, group membership.GroupID, id core.LogID) (storage.SnapshotReader, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	r, err := s.open(ctx, group, id)
	if err != nil {
		return nil, err
	}
	if r.parts != nil {
		return &partsReader{r}, nil
	}
	return r, nil
}

// RemoveBelow implements storage.SnapshotStore.
func (s *Store) RemoveBelow(ctx context.Context, group membership.GroupID, index core.Index) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	dir := s.groupDir(group)
	s.removePartials(dir, func(name string, info fs.FileInfo) bool {
		id, is := parsePartial(filepath.Base(name))
		return !is || id.Index < index || time.Since(info.ModTime()) > KeptFor
	})
	names, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("files: %w", err)
	}
	left := s.removeNamed(group, names, index)
	return errors.Join(left, s.sweep(group))
}

// removeNamed removes the snapshots and the record below an index, and what was left unfinished.
func (s *Store) removeNamed(group membership.GroupID, names []fs.DirEntry, index core.Index) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	dir, left := s.groupDir(group), s.removeRecord(group, index)
	for _, entry := range names {
		name := filepath.Join(dir, entry.Name())
		id, isSnapshot := parseName(entry.Name())
		leftover := strings.HasSuffix(name, unfinishedSuffix) && !s.writing[name]
		if !leftover && !(isSnapshot && id.Index < index) {
			continue
		}
		// A name of somebody else's keeps nothing else.
		if err := s.remove(name); err != nil {
			left = errors.Join(left, fmt.Errorf("files: %w", err))
		}
	}
	return left
}

// remove removes a file, at once or when its last reader has gone. The caller
// holds mu.
func (s *Store) remove(name string) error {
	delete(s.verified, name)
	err := os.Remove(name)
	switch {
	case err == nil || errors.Is(err, fs.ErrNotExist):
		delete(s.doomed, name)
		return nil
	case s.readers[name] > 0:
		s.doomed[name] = true
		return nil
	}
	return err
}

// released is called when a reader of the file is closed.
func (s *Store) released(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.readers[name]--; s.readers[name] > 0 {
		return
	}
	delete(s.readers, name)
	if !s.doomed[name] {
		return
	}
	if err := s.remove(name); err != nil {
		s.logger.Warn("files: a snapshot that is not needed cannot be removed", "file", name, "error", err)
	}
}

// list returns the snapshots of a group, the oldest first.
func (s *Store) list(group membership.GroupID) ([]core.LogID, error) {
	names, err := os.ReadDir(s.groupDir(group))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("files: %w", err)
	}
	var found []core.LogID
	for _, entry := range names {
		if id, ok := parseName(entry.Name()); ok && entry.Type().IsRegular() {
			found = append(found, id)
		}
	}
	slices.SortFunc(found, func(a, b core.LogID) int {
		return cmp.Or(cmp.Compare(a.Index, b.Index), cmp.Compare(a.Term, b.Term))
	})
	return found, nil
}

func (s *Store) groupDir(group membership.GroupID) string {
	return filepath.Join(s.dir, strconv.FormatUint(uint64(group), 10))
}

func (s *Store) path(group membership.GroupID, id core.LogID) string {
	return filepath.Join(s.groupDir(group), fmt.Sprintf("%d-%d.snap", id.Term, id.Index))
}

// parseName reads the name of a snapshot file.
func parseName(name string) (core.LogID, bool) {
	name, ok := strings.CutSuffix(name, ".snap")
	term, index, found := strings.Cut(name, "-")
	t, err1 := strconv.ParseUint(term, 10, 64)
	i, err2 := strconv.ParseUint(index, 10, 64)
	return core.LogID{Term: core.Term(t), Index: core.Index(i)}, ok && found && err1 == nil && err2 == nil
}

// parsePartial reads the name of what has arrived of a snapshot, without its suffix.
func parsePartial(name string) (core.LogID, bool) {
	parts := strings.Split(name, "-")
	if len(parts) != 4 {
		return core.LogID{}, false
	}
	return parseName(parts[0] + "-" + parts[1] + ".snap")
}
