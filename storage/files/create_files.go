package files

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"os"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/storage"
	"github.com/trouperaft/troupe/storage/fileset"
	"github.com/trouperaft/troupe/storage/internal/disk"
)

var _ storage.FileStore = (*Store)(nil)

// CreateFiles implements storage.FileStore.
func (s *Store) CreateFiles(ctx context.Context, group membership.GroupID, meta core.SnapshotMeta, files []storage.File) (created core.SnapshotMeta, err error) {
	if err := s.enter(ctx); err != nil {
		return core.SnapshotMeta{}, err
	}
	if err := fileset.CheckNames(files); err != nil {
		return core.SnapshotMeta{}, err
	}
	if err := os.MkdirAll(s.contentDir(group), 0o700); err != nil {
		return core.SnapshotMeta{}, fmt.Errorf("files: %w", err)
	}
	files = fileset.Sorted(files)
	var claimed []storage.File
	defer func() {
		s.releaseAll(group, claimed)
		if err != nil {
			s.sweepQuietly(group) // what was taken for it
		}
	}()
	var contents uint32
	for i := range files {
		f := &files[i]
		crc, err := s.takeAndName(ctx, group, f)
		if err != nil {
			return core.SnapshotMeta{}, fmt.Errorf("files: snapshot %v: %s: %w", meta.LogID, f.Name, err)
		}
		claimed = append(claimed, *f)
		contents = combine(contents, crc, f.SizeBytes)
	}
	head, err := fileset.Head(files)
	if err != nil {
		return core.SnapshotMeta{}, err
	}
	return s.publishFiles(ctx, group, meta, core.SnapshotMeta{}, head, files, contents)
}

// takeAndName takes a file in, finds out its checksum and claims it.
func (s *Store) takeAndName(ctx context.Context, group membership.GroupID, f *storage.File) (crc uint32, err error) {
	var t taken
	if err = patiently(ctx, func() error { t, err = s.take(ctx, group, f); return err }); err != nil {
		return 0, err
	}
	s.step("taken")
	f.SHA256 = t.sum
	one := []storage.File{*f}
	s.claimAll(group, one)
	if err := s.name(group, &t); err != nil {
		s.releaseAll(group, one)
		return 0, err
	}
	s.step("named")
	return t.crc, nil
}

// publishFiles makes the snapshot of a list, whose files are all there. contents is the
// checksum of these. They must be claimed.
func (s *Store) publishFiles(ctx context.Context, group membership.GroupID, meta, want core.SnapshotMeta, head []byte, files []storage.File,
	contents uint32) (core.SnapshotMeta, error) {
	// Their names are durable before the list has one.
	if err := disk.SyncDir(s.contentDir(group)); err != nil {
		return core.SnapshotMeta{}, fmt.Errorf("files: %w", err)
	}
	s.step("content synced")
	created, err := s.create(ctx, group, meta, versionOfFiles)
	if err != nil {
		return core.SnapshotMeta{}, err
	}
	w := created.(*writer)
	if _, err := w.Write(head); err != nil {
		return core.SnapshotMeta{}, errors.Join(fmt.Errorf("files: snapshot %v: %w", meta.LogID, err), w.Abort())
	}
	w.meta.SizeBytes = fileset.SizeBytes(head, files)
	w.meta.Checksum = combine(crc32.Checksum(head, castagnoli), contents, w.meta.SizeBytes-uint64(len(head)))
	s.step("list written")
	meta, err = w.Commit(want)
	if err == nil {
		s.step("published")
	}
	return meta, err
}

// step lets a test look at each step.
func (s *Store) step(name string) {
	if s.onStep != nil {
		s.onStep(name)
	}
}
