package files

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/storage"
)

// reader reads a snapshot's content. Its file may be removed meanwhile.
type reader struct {
	store *Store
	name  string
	file  *os.File
	meta  core.SnapshotMeta
	info  fs.FileInfo
	stamp stamp
	left  uint64
	sum   uint32
	// body is where the content begins; moved: not all of it was read in order, so that
	// its checksum is not known.
	body   int64
	moved  bool
	closed bool
	// parts is the content of one that is made of files, and goesOn that the next reading
	// does where the last one ended.
	parts  *parts
	goesOn bool
}

// open opens a snapshot, or sets it aside if it is damaged. It waits for descriptors.
func (s *Store) open(ctx context.Context, group membership.GroupID, id core.LogID) (r *reader, err error) {
	err = patiently(ctx, func() (err error) {
		r, err = s.openNow(group, id)
		return err
	})
	return r, err
}

func (s *Store) openNow(group membership.GroupID, id core.LogID) (*reader, error) {
	r, err := s.openFile(group, id)
	if err != nil {
		return nil, err
	}
	defer s.opened(group)
	if err := r.readMeta(group, id); err != nil {
		err = fmt.Errorf("%s: %w", r.name, err)
		s.setAside(r.name, r.info, err)
		r.parts = nil // nothing is claimed
		return nil, errors.Join(err, r.Close())
	}
	if r.parts != nil {
		s.claimAll(group, r.parts.files)
	}
	return r, nil
}

func (s *Store) openFile(group membership.GroupID, id core.LogID) (*reader, error) {
	name := s.path(group, id)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.doomed[name] {
		return nil, storage.ErrNotFound
	}
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, storage.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("files: %w", err)
	}
	s.readers[name]++
	s.opening[group]++
	return &reader{store: s, name: name, file: f}, nil
}

// opened: who opened a snapshot has said which files he needs.
func (s *Store) opened(group membership.GroupID) {
	s.mu.Lock()
	if s.opening[group]--; s.opening[group] == 0 {
		delete(s.opening, group)
	}
	late := s.opening[group] == 0 && s.unswept[group]
	s.mu.Unlock()
	if late {
		s.sweepQuietly(group)
	}
}

// readMeta reads header and trailer, and stands at the content then.
func (r *reader) readMeta(group membership.GroupID, id core.LogID) error {
	info, err := r.file.Stat()
	if err != nil {
		return fmt.Errorf("files: %w", err)
	}
	r.info, r.stamp = info, stamp{size: info.Size(), modified: info.ModTime()}
	h, err := readHeader(r.file)
	if err != nil {
		return err
	}
	meta := h.meta
	if h.group != group || meta.LogID != id {
		return corrupt("it holds snapshot %v of group %d", meta.LogID, h.group)
	}
	content := info.Size() - int64(h.bytes) - trailerBytes
	if content < 0 {
		return corrupt("it is cut off")
	}
	b := make([]byte, trailerBytes)
	if _, err := r.file.ReadAt(b, int64(h.bytes)+content); err != nil {
		return cutOff("the trailer", err)
	}
	if meta.SizeBytes, meta.Checksum, err = decodeTrailer(h.sum, b); err != nil {
		return err
	}
	size := uint64(content)
	if h.version == versionOfFiles {
		if r.parts, err = newParts(r.store, group, r.file, content); err != nil {
			return err
		}
		size = r.parts.size()
	}
	if meta.SizeBytes != size {
		return corrupt("it has %d bytes, and %d were written", size, meta.SizeBytes)
	}
	r.meta, r.left, r.body = meta, meta.SizeBytes, int64(h.bytes)
	return nil
}

// Meta implements storage.SnapshotReader.
func (r *reader) Meta() core.SnapshotMeta { return r.meta }

// Read implements io.Reader. It returns io.EOF only if all that was read is
// what was written. What is found damaged is set aside.
func (r *reader) Read(p []byte) (int, error) {
	if r.closed {
		return 0, storage.ErrClosed
	}
	n, err := r.read(p)
	if err != nil && err != io.EOF {
		r.store.setAside(r.name, r.info, err)
		if r.parts != nil {
			r.parts.setAside(err)
		}
	}
	return n, err
}

func (r *reader) read(p []byte) (int, error) {
	if r.left == 0 {
		if r.sum != r.meta.Checksum && !r.moved {
			return 0, corrupt("%s has a bad checksum", r.name)
		}
		return 0, io.EOF
	}
	if uint64(len(p)) > r.left {
		p = p[:r.left]
	}
	n, err := r.next(p)
	r.left -= uint64(n)
	r.sum = crc32.Update(r.sum, castagnoli, p[:n])
	if err == io.EOF {
		return n, corrupt("%s is cut off", r.name)
	}
	if err != nil {
		return n, fmt.Errorf("files: %w", err)
	}
	return n, nil
}

// next reads what comes next.
func (r *reader) next(p []byte) (int, error) {
	if r.parts == nil {
		return r.file.Read(p)
	}
	n, err := r.parts.readAt(p, r.meta.SizeBytes-r.left, r.goesOn)
	r.goesOn = true
	return n, err
}

// Seek implements io.Seeker, from the beginning of the content only.
func (r *reader) Seek(offset int64, whence int) (int64, error) {
	switch {
	case r.closed:
		return 0, storage.ErrClosed
	case whence != io.SeekStart || offset < 0 || uint64(offset) > r.meta.SizeBytes:
		return 0, fmt.Errorf("files: %s cannot be read from %d (%d) on", r.name, offset, whence)
	}
	r.goesOn = false
	if r.parts == nil {
		if _, err := r.file.Seek(r.body+offset, io.SeekStart); err != nil {
			return 0, fmt.Errorf("files: %w", err)
		}
	}
	r.left = r.meta.SizeBytes - uint64(offset)
	r.sum, r.moved = 0, offset > 0
	return offset, nil
}

// Close implements io.Closer.
func (r *reader) Close() error {
	if r.closed {
		return nil
	}
	r.closed = true
	err := r.file.Close()
	r.store.released(r.name)
	if r.parts != nil {
		err = errors.Join(err, r.parts.close())
		r.store.releaseAll(r.parts.group, r.parts.files)
	}
	if err != nil {
		return fmt.Errorf("files: %w", err)
	}
	return nil
}
