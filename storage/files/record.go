package files

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/storage"
	"github.com/trouperaft/troupe/storage/internal/disk"
)

// recordName is the file that says how far a group's state machine is durable.
const recordName = "record"

func (s *Store) recordPath(group membership.GroupID) string {
	return filepath.Join(s.groupDir(group), recordName)
}

// Record implements storage.Recorder. It costs two syncs of a small file and of its name.
func (s *Store) Record(ctx context.Context, group membership.GroupID, meta core.SnapshotMeta) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	if meta.Index == 0 {
		return fmt.Errorf("files: a record of %v, before the first entry", meta.LogID)
	}
	if err := os.MkdirAll(s.groupDir(group), 0o700); err != nil {
		return fmt.Errorf("files: %w", err)
	}
	names, err := s.names(ctx, group)
	if err != nil {
		return err
	}
	name, content := s.recordPath(group), kindRecord.encode(versionOfRecord, group, &meta)
	err = patiently(ctx, func() error {
		s.mu.Lock()
		defer s.mu.Unlock() // no removal takes what is being written for a leftover
		return disk.Replace(name, content, false)
	})
	if err != nil {
		return errors.Join(fmt.Errorf("files: the record of %v: %w", meta.LogID, err), names.close())
	}
	return names.sync()
}

// Recorded implements storage.Recorder. What it returns is durable.
func (s *Store) Recorded(ctx context.Context, group membership.GroupID) (meta core.SnapshotMeta, err error) {
	if err := s.enter(ctx); err != nil {
		return core.SnapshotMeta{}, err
	}
	err = patiently(ctx, func() (err error) {
		meta, err = s.readRecord(group)
		return err
	})
	if errors.Is(err, storage.ErrNotFound) {
		return core.SnapshotMeta{}, nil
	}
	if err != nil {
		return core.SnapshotMeta{}, err
	}
	// A process that was killed may have left the name in the system's memory only.
	names, err := s.names(ctx, group)
	if err == nil {
		err = names.sync()
	}
	if err != nil {
		return core.SnapshotMeta{}, err
	}
	return meta, nil
}

// readRecord reads a group's record: storage.ErrNotFound if there is none.
func (s *Store) readRecord(group membership.GroupID) (core.SnapshotMeta, error) {
	f, err := os.Open(s.recordPath(group))
	if errors.Is(err, fs.ErrNotExist) {
		return core.SnapshotMeta{}, storage.ErrNotFound
	}
	if err != nil {
		return core.SnapshotMeta{}, fmt.Errorf("files: %w", err)
	}
	defer f.Close()
	h, err := kindRecord.read(f)
	if err != nil {
		return core.SnapshotMeta{}, fmt.Errorf("%s: %w", f.Name(), err)
	}
	info, err := f.Stat()
	switch {
	case err != nil:
		return core.SnapshotMeta{}, fmt.Errorf("files: %w", err)
	case h.group != group || h.meta.Index == 0 || info.Size() != int64(h.bytes):
		return core.SnapshotMeta{}, corrupt("%s has %d bytes, and a record of %v of group %d in %d of them", f.Name(), info.Size(), h.meta.LogID, h.group, h.bytes)
	}
	return h.meta, nil
}

// removeRecord removes a group's record if it is below an index; a damaged one stays, for
// the next takes its place, unless all goes: no index is above CounterMax. The caller holds
// mu.
func (s *Store) removeRecord(group membership.GroupID, index core.Index) error {
	meta, err := s.readRecord(group)
	switch {
	case errors.Is(err, storage.ErrNotFound):
		return nil
	case err != nil && !errors.Is(err, core.ErrCorrupt):
		return err
	case meta.Index >= index || err != nil && index <= core.CounterMax:
		return nil
	}
	if err := os.Remove(s.recordPath(group)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("files: %w", err)
	}
	return nil
}
