package files

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"os"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/storage"
)

var _ storage.PiecewiseWriter = (*writer)(nil)

// writer writes a snapshot aside.
type writer struct {
	store *Store
	file  *os.File
	group membership.GroupID
	// meta is of what was written so far, want of what its sender has.
	meta, want core.SnapshotMeta
	// version is that of the file, head its header, and header the checksum of this.
	version byte
	head    []byte
	header  uint32
	buffer  *bufio.Writer
	ended   bool
	// unsynced is how much was written since the last sync, inPieces that a piece is synced
	// as soon as it is written.
	unsynced int
	inPieces bool
	sync     func() error
}

// pieceBytes is how much of a snapshot is written at most before it is synced. All at once, at
// the end, would be a flood before which the syncs of the log wait, for as long as the
// disk takes for the whole snapshot.
const pieceBytes = 4 << 20

func newWriter(s *Store, f *os.File, group membership.GroupID, meta core.SnapshotMeta, version byte) (storage.SnapshotWriter, error) {
	w := &writer{store: s, file: f, group: group, version: version, inPieces: true, sync: f.Sync}
	w.begin(meta)
	if _, err := w.buffer.Write(w.head); err != nil {
		return nil, errors.Join(fmt.Errorf("files: %w", err), w.Abort())
	}
	return w, nil
}

// begin makes the header.
func (w *writer) begin(meta core.SnapshotMeta) {
	w.want = meta
	meta.SizeBytes, meta.Checksum = 0, 0
	w.meta, w.head = meta, encodeHeader(w.version, w.group, &meta)
	w.header = crc32.Checksum(w.head[:len(w.head)-checksumBytes], castagnoli)
	w.buffer = bufio.NewWriterSize(w.file, 256<<10)
}

// Write implements io.Writer.
func (w *writer) Write(p []byte) (int, error) {
	if w.ended {
		return 0, storage.ErrClosed
	}
	n, err := w.buffer.Write(p)
	w.meta.SizeBytes += uint64(n)
	w.meta.Checksum = crc32.Update(w.meta.Checksum, castagnoli, p[:n])
	if w.unsynced += n; err == nil && w.inPieces && w.unsynced >= pieceBytes {
		err = w.syncPiece()
	}
	return n, err
}

// Sync implements storage.PiecewiseWriter.
func (w *writer) Sync() error {
	if w.ended {
		return storage.ErrClosed
	}
	return w.syncPiece()
}

// syncPiece makes durable what was written so far.
func (w *writer) syncPiece() error {
	w.unsynced = 0
	if err := w.buffer.Flush(); err != nil {
		return err
	}
	return w.sync()
}

// Commit implements storage.SnapshotWriter.
func (w *writer) Commit(want core.SnapshotMeta) (core.SnapshotMeta, error) {
	if w.ended {
		return core.SnapshotMeta{}, storage.ErrClosed
	}
	if want.Index != 0 && (want.SizeBytes != w.meta.SizeBytes || want.Checksum != w.meta.Checksum) {
		err := corrupt("snapshot %v has %d bytes and checksum %x, expected %d and %x", w.meta.LogID, w.meta.SizeBytes, w.meta.Checksum,
			want.SizeBytes, want.Checksum)
		return core.SnapshotMeta{}, errors.Join(err, w.Abort())
	}
	_, err := w.buffer.Write(encodeTrailer(w.header, w.meta.SizeBytes, w.meta.Checksum))
	if err == nil {
		err = w.buffer.Flush()
	}
	if err == nil {
		err = w.sync()
	}
	if err == nil {
		err = w.publish()
	}
	if err != nil {
		return core.SnapshotMeta{}, errors.Join(fmt.Errorf("files: snapshot %v: %w", w.meta.LogID, err), w.Abort())
	}
	return w.meta, nil
}

// publish gives the file its name.
func (w *writer) publish() error {
	s := w.store
	name := s.path(w.group, w.meta.LogID)
	info, err := w.file.Stat()
	if err != nil {
		return err
	}
	if err := w.file.Close(); err != nil {
		return err
	}
	names, err := s.names(context.Background(), w.group)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := os.Rename(w.file.Name(), name); err != nil {
		return errors.Join(err, names.close())
	}
	if err := names.sync(); err != nil {
		return err
	}
	w.ended = true
	delete(s.writing, w.file.Name())
	delete(s.doomed, name)
	s.verified[name] = stamp{size: info.Size(), modified: info.ModTime()}
	return nil
}

// Abort implements storage.SnapshotWriter. After Commit it does nothing.
func (w *writer) Abort() error {
	if w.ended {
		return nil
	}
	w.ended = true
	err := w.file.Close()
	if errors.Is(err, os.ErrClosed) {
		err = nil
	}
	w.store.mu.Lock()
	defer w.store.mu.Unlock()
	delete(w.store.writing, w.file.Name())
	if e := os.Remove(w.file.Name()); e != nil && !errors.Is(e, os.ErrNotExist) {
		err = errors.Join(err, fmt.Errorf("files: %w", e))
	}
	return err
}
