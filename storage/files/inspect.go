package files

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/storage"
	"github.com/trouperaft/troupe/storage/internal/disk"
)

// Inspect finds the snapshots of a group in the directory of a store that nobody uses,
// the oldest first, the record, and the snapshots that were set aside because they are
// damaged. It changes nothing, and makes nothing where there is no store. With verify it reads their contents.
// A directory that is in use is a *LockedError.
func Inspect(ctx context.Context, dir string, group membership.GroupID, verify bool) ([]storage.FoundSnapshot, error) {
	held, err := lockDir(dir)
	if err != nil {
		return nil, err
	}
	defer closed(held)
	lock, locked, err := disk.LockThere(filepath.Join(dir, lockName))
	switch {
	case locked:
		return nil, &LockedError{Dir: dir}
	case err == nil:
		defer lock.Close()
	case !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("files: %w", err)
	}
	s := &Store{dir: dir}
	ids, err := s.list(group)
	if err != nil {
		return nil, err
	}
	var found []storage.FoundSnapshot
	for _, id := range ids {
		f := storage.FoundSnapshot{Meta: core.SnapshotMeta{LogID: id}, Name: s.path(group, id)}
		f.Err = s.look(ctx, group, &f, verify)
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		found = append(found, f)
	}
	if meta, err := s.readRecord(group); !errors.Is(err, storage.ErrNotFound) {
		found = append(found, storage.FoundSnapshot{Meta: meta, Name: s.recordPath(group), Record: true, Verified: err == nil, Err: err})
	}
	aside, err := s.asides(group)
	for _, name := range aside {
		id, _ := parseAside(filepath.Base(name))
		found = append(found, storage.FoundSnapshot{
			Meta: core.SnapshotMeta{LogID: id}, Name: name, SetAside: true, Err: corrupt("it was found damaged, and set aside"),
		})
	}
	return found, err
}

// look reads what a snapshot says of itself, and with verify all of it.
func (s *Store) look(ctx context.Context, group membership.GroupID, f *storage.FoundSnapshot, verify bool) error {
	file, err := os.Open(f.Name)
	if err != nil {
		return fmt.Errorf("files: %w", err)
	}
	defer file.Close()
	r := &reader{store: s, name: f.Name, file: file}
	if err := r.readMeta(group, f.Meta.LogID); err != nil {
		return err
	}
	f.Meta = r.meta
	if !verify {
		return nil
	}
	if r.parts != nil {
		defer r.parts.close()
	}
	if _, err := io.Copy(io.Discard, reading{ctx, readFunc(r.read)}); err != nil {
		return err
	}
	f.Verified = true
	return nil
}

// readFunc is an io.Reader.
type readFunc func([]byte) (int, error)

// Read implements io.Reader.
func (f readFunc) Read(p []byte) (int, error) { return f(p) }

// reading reads for as long as its context lets it.
type reading struct {
	ctx  context.Context
	from io.Reader
}

// Read implements io.Reader.
func (r reading) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.from.Read(p)
}

// asides are the snapshots of a group that were set aside.
func (s *Store) asides(group membership.GroupID) ([]string, error) {
	names, err := os.ReadDir(s.groupDir(group))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("files: %w", err)
	}
	var found []string
	for _, entry := range names {
		if strings.HasSuffix(entry.Name(), damagedSuffix) && entry.Type().IsRegular() {
			found = append(found, filepath.Join(s.groupDir(group), entry.Name()))
		}
	}
	return found, nil
}
