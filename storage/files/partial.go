package files

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/storage"
	"github.com/trouperaft/troupe/storage/internal/disk"
)

// What has arrived of a snapshot is kept in two files, whose names say of which:
//
//	TERM-INDEX-SIZE-CHECKSUM.part   what the snapshot's file begins with
//	TERM-INDEX-SIZE-CHECKSUM.marks  how much of it is durable
//
// A mark is the length of the content, 8 bytes, its CRC-32C, 4, and the CRC-32C of both, 4.
// It is written when what it speaks of is durable. Resume reads the content again and goes
// on behind the last mark with which it agrees.
const (
	partSuffix  = ".part"
	marksSuffix = ".marks"
	listSuffix  = ".list"
	markBytes   = 8 + 4 + 4

	// KeptFor is for how long what has arrived of a snapshot is kept when nothing more of
	// it comes. Of one that is made of files the list's time counts, which is renewed while
	// files come.
	KeptFor = 24 * time.Hour
	// syncBytes is how much is written between two marks, and unsyncedBytesMax how much may
	// be written and not durable.
	syncBytes        = 16 << 20
	unsyncedBytesMax = 4 * syncBytes
	// roomBytes is what has to be left beside a snapshot that arrives.
	roomBytes = 16 << 20
)

var _ storage.Resuming = (*Store)(nil)

// partial writes a snapshot that arrives in pieces. It syncs beside the writing, so that the
// end does not wait for all of it.
type partial struct {
	writer
	name  string // without the suffix
	marks *os.File
	at    int64 // where the next mark goes
	// marked is the content that has a mark, or is on its way to one.
	marked uint64
	// syncing gets the result of a sync that is under way, nil if none is.
	syncing chan error
}

// Resume implements storage.Resuming. It reads what is there of the snapshot.
func (s *Store) Resume(ctx context.Context, group membership.GroupID, meta core.SnapshotMeta) (storage.SnapshotWriter, uint64, error) {
	if err := s.enter(ctx); err != nil {
		return nil, 0, err
	}
	if meta.Index == 0 || meta.SizeBytes > 1<<62 {
		return nil, 0, fmt.Errorf("files: no snapshot is of %v and %d bytes", meta.LogID, meta.SizeBytes)
	}
	dir := s.groupDir(group)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, 0, fmt.Errorf("files: %w", err)
	}
	p := &partial{writer: writer{store: s, group: group, version: version}, name: filepath.Join(dir, fmt.Sprintf("%d-%d-%d-%08x", meta.Term, meta.Index, meta.SizeBytes, meta.Checksum))}
	if err := s.claimPartial(p.name); err != nil {
		return nil, 0, err
	}
	s.removePartials(dir, func(name string, _ fs.FileInfo) bool { return name != p.name })
	s.sweepQuietly(group) // the files of a list that was removed need room
	p.begin(meta)
	err := patiently(ctx, p.open)
	if err == nil {
		err = p.goOn(ctx)
	}
	if err == nil {
		err = s.hasRoom(meta.SizeBytes - min(p.meta.SizeBytes, meta.SizeBytes))
	}
	if err != nil {
		return nil, 0, errors.Join(fmt.Errorf("files: snapshot %v: %w", meta.LogID, err), p.leave())
	}
	return p, p.meta.SizeBytes, nil
}

// hasRoom asks whether the file system has room for so many bytes, and a little more.
func (s *Store) hasRoom(bytes uint64) error {
	free, err := s.freeBytes(s.dir)
	if err != nil {
		return err
	}
	if need := bytes + roomBytes; free < need {
		return &storage.NoSpaceError{Store: s.dir, Free: free, Min: need}
	}
	return nil
}

// claimPartial keeps everybody else from the files.
func (s *Store) claimPartial(name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.writing[name+partSuffix] {
		return fmt.Errorf("files: %s is being written", name+partSuffix)
	}
	s.writing[name+partSuffix], s.writing[name+marksSuffix] = true, true
	return nil
}

// removePartials removes what has arrived of snapshots and is not being written, if which
// says so: it is told the name without the suffix.
func (s *Store) removePartials(dir string, which func(name string, info fs.FileInfo) bool) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return // that there is more than there need be hurts nobody
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, entry := range entries {
		full := filepath.Join(dir, entry.Name())
		name, isPart := strings.CutSuffix(full, partSuffix)
		name, isMarks := strings.CutSuffix(name, marksSuffix)
		name, isList := strings.CutSuffix(name, listSuffix)
		if !isPart && !isMarks && !isList || s.writing[full] {
			continue
		}
		if info, err := entry.Info(); err == nil && which(name, info) {
			_ = os.Remove(full)
		}
	}
}

// removeOldPartials removes what has arrived of snapshots of which nothing has come for
// KeptFor.
func (s *Store) removeOldPartials() {
	groups, err := os.ReadDir(s.dir)
	if err != nil {
		return
	}
	for _, group := range groups {
		if group.IsDir() {
			s.removePartials(filepath.Join(s.dir, group.Name()), func(_ string, info fs.FileInfo) bool { return time.Since(info.ModTime()) > KeptFor })
		}
	}
}

// open opens both files.
func (p *partial) open() error {
	file, err := os.OpenFile(p.name+partSuffix, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	marks, err := os.OpenFile(p.name+marksSuffix, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return errors.Join(err, file.Close())
	}
	p.file, p.marks, p.sync = file, marks, file.Sync
	return nil
}

// goOn finds out how much of the content is there, and lets the files end behind it. Where
// nothing agrees they begin anew.
func (p *partial) goOn(ctx context.Context) error {
	have, at, err := p.agree(ctx)
	if err != nil {
		return err
	}
	p.marked, p.at = have, at
	if err := errors.Join(p.file.Truncate(int64(have)+int64(len(p.head))), p.marks.Truncate(at)); err != nil {
		return err
	}
	if have == 0 {
		if _, err := p.file.WriteAt(p.head, 0); err != nil {
			return err
		}
	}
	if _, err := p.file.Seek(0, io.SeekEnd); err != nil {
		return err
	}
	p.buffer.Reset(p.file)
	return nil
}

// agree reads what is there, and returns how much of the content agrees with a mark, and
// where that mark ends. What cannot be read is not there.
func (p *partial) agree(ctx context.Context) (have uint64, at int64, err error) {
	p.meta.SizeBytes, p.meta.Checksum = 0, 0
	head := make([]byte, len(p.head))
	if _, err := p.file.ReadAt(head, 0); err != nil || string(head) != string(p.head) {
		return 0, 0, nil
	}
	have, sum, at, err := agreed(ctx, p.file, p.marks, int64(len(head)), p.want.SizeBytes)
	p.meta.SizeBytes, p.meta.Checksum = have, sum
	return have, at, err
}

// agreed compares what a file holds from an offset on, at most so many bytes, with its marks.
// It returns how much agrees with one, its checksum, and where that mark ends.
func agreed(ctx context.Context, file, marks io.ReaderAt, body int64, most uint64) (have uint64, haveSum uint32, at int64, err error) {
	b := make([]byte, 256<<10)
	var length uint64
	var sum uint32
	for mark := make([]byte, markBytes); ; {
		if _, err := marks.ReadAt(mark, at); err != nil {
			return have, haveSum, at, nil
		}
		end := binary.LittleEndian.Uint64(mark)
		if crc32.Checksum(mark[:12], castagnoli) != binary.LittleEndian.Uint32(mark[12:]) || end < length || end > most {
			return have, haveSum, at, nil
		}
		for length < end {
			if err := ctx.Err(); err != nil {
				return 0, 0, 0, err
			}
			n := min(end-length, uint64(len(b)))
			if _, err := file.ReadAt(b[:n], body+int64(length)); err != nil {
				return have, haveSum, at, nil
			}
			sum = crc32.Update(sum, castagnoli, b[:n])
			length += n
		}
		if sum != binary.LittleEndian.Uint32(mark[8:]) {
			return have, haveSum, at, nil
		}
		have, haveSum, at = end, sum, at+markBytes
	}
}

// markOf says that so many bytes are durable, and what their checksum is.
func markOf(bytes uint64, sum uint32) []byte {
	mark := binary.LittleEndian.AppendUint64(nil, bytes)
	mark = binary.LittleEndian.AppendUint32(mark, sum)
	return binary.LittleEndian.AppendUint32(mark, crc32.Checksum(mark, castagnoli))
}

// Write implements io.Writer.
func (p *partial) Write(b []byte) (int, error) {
	n, err := p.writer.Write(b)
	if err != nil {
		return n, err
	}
	if p.syncing != nil {
		select {
		case err = <-p.syncing:
			p.syncing = nil
		default:
			if p.meta.SizeBytes-p.marked >= unsyncedBytesMax {
				err, p.syncing = <-p.syncing, nil
			}
		}
	}
	if err == nil && p.syncing == nil && p.meta.SizeBytes-p.marked >= syncBytes {
		err = p.mark()
	}
	return n, err
}

// mark begins to make durable what was written, and then the mark that says so.
func (p *partial) mark() error {
	if err := p.buffer.Flush(); err != nil {
		return err
	}
	mark := markOf(p.meta.SizeBytes, p.meta.Checksum)
	at, file, marks, done := p.at, p.file, p.marks, make(chan error, 1)
	p.at, p.marked, p.syncing = p.at+markBytes, p.meta.SizeBytes, done
	go func() {
		err := disk.SyncData(file)
		if err == nil {
			_, err = marks.WriteAt(mark, at)
		}
		done <- err
	}()
	return nil
}

// settle waits for the sync that is under way.
func (p *partial) settle() (err error) {
	if p.syncing != nil {
		err, p.syncing = <-p.syncing, nil
	}
	return err
}

// Commit implements storage.SnapshotWriter.
func (p *partial) Commit(want core.SnapshotMeta) (core.SnapshotMeta, error) {
	if p.ended {
		return core.SnapshotMeta{}, storage.ErrClosed
	}
	if err := p.settle(); err != nil {
		return core.SnapshotMeta{}, errors.Join(fmt.Errorf("files: snapshot %v: %w", p.meta.LogID, err), p.Abort())
	}
	meta, err := p.writer.Commit(want)
	return meta, errors.Join(err, p.closeMarks(true))
}

// Abort implements storage.SnapshotWriter. After another end it does nothing.
func (p *partial) Abort() error {
	if p.ended {
		return nil
	}
	_ = p.settle()
	return errors.Join(p.writer.Abort(), p.closeMarks(true))
}

// Suspend implements storage.SuspendableWriter.
func (p *partial) Suspend() error {
	if p.ended {
		return storage.ErrClosed
	}
	err := p.settle()
	if err == nil && p.meta.SizeBytes > p.marked {
		if err = p.mark(); err == nil {
			err = p.settle()
		}
	}
	if err == nil {
		err = disk.SyncData(p.marks)
	}
	if err != nil {
		err = fmt.Errorf("files: snapshot %v is not kept as far as it has come: %w", p.meta.LogID, err)
	}
	return errors.Join(err, p.leave())
}

// leave closes the files as they are.
func (p *partial) leave() error {
	p.ended = true
	var err error
	if p.file != nil {
		err = p.file.Close()
	}
	err = errors.Join(err, p.closeMarks(false))
	s := p.store
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.writing, p.name+partSuffix)
	delete(s.writing, p.name+marksSuffix)
	return err
}

// closeMarks closes the marks, and removes them when they say nothing any more.
func (p *partial) closeMarks(remove bool) error {
	if p.marks == nil {
		return nil
	}
	err := p.marks.Close()
	s := p.store
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.writing, p.name+marksSuffix)
	if remove {
		err = errors.Join(err, os.Remove(p.name+marksSuffix))
	}
	p.marks = nil
	return err
}
