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
	store  *Store
	name   string
	file   *os.File
	meta   core.SnapshotMeta
	info   fs.FileInfo
	stamp  stamp
	left   uint64
	sum    uint32
	closed bool
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
	if err := r.readMeta(group, id); err != nil {
		err = fmt.Errorf("%s: %w", r.name, err)
		s.setAside(r.name, r.info, err)
		return nil, errors.Join(err, r.Close())
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
	return &reader{store: s, name: name, file: f}, nil
}

// readMeta reads header and trailer, and stands at the content then.
func (r *reader) readMeta(group membership.GroupID, id core.LogID) error {
	info, err := r.file.Stat()
	if err != nil {
		return fmt.Errorf("files: %w", err)
	}
	r.info, r.stamp = info, stamp{size: info.Size(), modified: info.ModTime()}
	owner, meta, headerBytes, header, err := readHeader(r.file)
	if err != nil {
		return err
	}
	if owner != group || meta.LogID != id {
		return corrupt("it holds snapshot %v of group %d", meta.LogID, owner)
	}
	content := info.Size() - int64(headerBytes) - trailerBytes
	if content < 0 {
		return corrupt("it is cut off")
	}
	b := make([]byte, trailerBytes)
	if _, err := r.file.ReadAt(b, int64(headerBytes)+content); err != nil {
		return cutOff("the trailer", err)
	}
	if meta.SizeBytes, meta.Checksum, err = decodeTrailer(header, b); err != nil {
		return err
	}
	if meta.SizeBytes != uint64(content) {
		return corrupt("it has %d bytes, and %d were written", content, meta.SizeBytes)
	}
	r.meta, r.left = meta, meta.SizeBytes
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
	}
	return n, err
}

func (r *reader) read(p []byte) (int, error) {
	if r.left == 0 {
		if r.sum != r.meta.Checksum {
			return 0, corrupt("%s has a bad checksum", r.name)
		}
		return 0, io.EOF
	}
	if uint64(len(p)) > r.left {
		p = p[:r.left]
	}
	n, err := r.file.Read(p)
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

// Close implements io.Closer.
func (r *reader) Close() error {
	if r.closed {
		return nil
	}
	r.closed = true
	err := r.file.Close()
	r.store.released(r.name)
	if err != nil {
		return fmt.Errorf("files: %w", err)
	}
	return nil
}
