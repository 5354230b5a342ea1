package files

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"time"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/storage"
	"github.com/trouperaft/troupe/storage/fileset"
	"github.com/trouperaft/troupe/storage/internal/disk"
)

// arrival writes a snapshot that is made of files and arrives in pieces. Each file goes to
// the content as soon as it is whole, so that a later life finds it there. The list is kept
// beside, under the name that parts of a stream have, and keeps the files from being swept
// away.
type arrival struct {
	store *Store
	ctx   context.Context
	group membership.GroupID
	meta  core.SnapshotMeta
	name  string // without the suffix
	own   func() []storage.File

	headBytes uint64
	// head is what has arrived of the list; files are known when it is whole, and claimed.
	head  []byte
	files []storage.File
	// ends is where each file ends in the content; crcs are their checksums, of those that
	// are there.
	ends []uint64
	crcs []uint32
	// begun has how much there is of a file that is not whole.
	begun map[int]uint64
	had   []core.ByteRange
	at    uint64
	// part is the file that is being written, nil if none is.
	part  *part
	ended bool
	// keptAt is when the list was last said to be in use.
	keptAt time.Time
}

// keptEvery is how often, at most, a list is said to be in use.
const keptEvery = time.Minute

// keep lets the list, and with it what has come, be kept for KeptFor from now on.
func (a *arrival) keep() {
	now := time.Now()
	if os.Chtimes(a.name+listSuffix, now, now) == nil {
		a.keptAt = now
	}
}

// ResumeFiles implements storage.FileStore. It reads what is there of the files.
func (s *Store) ResumeFiles(ctx context.Context, group membership.GroupID, meta core.SnapshotMeta, headBytes uint64,
	own func() []storage.File) (storage.FileWriter, uint64, error) {
	if err := s.enter(ctx); err != nil {
		return nil, 0, err
	}
	if meta.Index == 0 || headBytes == 0 || headBytes > fileset.HeadBytesMax || headBytes > meta.SizeBytes || meta.SizeBytes > 1<<62 {
		return nil, 0, fmt.Errorf("files: no snapshot is of %v and %d bytes, of which %d are a list", meta.LogID, meta.SizeBytes, headBytes)
	}
	if err := os.MkdirAll(s.contentDir(group), 0o700); err != nil {
		return nil, 0, fmt.Errorf("files: %w", err)
	}
	a := &arrival{store: s, ctx: ctx, group: group, meta: meta, own: own, headBytes: headBytes, begun: make(map[int]uint64),
		name: filepath.Join(s.groupDir(group), fmt.Sprintf("%d-%d-%d-%08x", meta.Term, meta.Index, meta.SizeBytes, meta.Checksum))}
	if err := s.claimPartial(a.name); err != nil {
		return nil, 0, err
	}
	s.mu.Lock()
	s.writing[a.name+listSuffix], s.writing[a.name+listSuffix+unfinishedSuffix] = true, true
	s.mu.Unlock()
	s.removePartials(s.groupDir(group), func(name string, _ fs.FileInfo) bool { return name != a.name })
	var err error
	if kept, readErr := os.ReadFile(a.name + listSuffix); readErr == nil && uint64(len(kept)) == headBytes {
		if err = a.list(kept); errors.Is(err, core.ErrCorrupt) {
			err = nil // the list comes again
		}
	}
	if err != nil {
		return nil, 0, errors.Join(fmt.Errorf("files: snapshot %v: %w", meta.LogID, err), a.leave())
	}
	return a, a.at, nil
}

// At implements storage.FileWriter.
func (a *arrival) At() uint64 { return a.at }

// Had implements storage.FileWriter.
func (a *arrival) Had() []core.ByteRange { return a.had }

// list takes the whole list: what it says is checked, and what is there is found out, before
// anything is written.
func (a *arrival) list(head []byte) error {
	read, files, err := fileset.ReadHead(bytes.NewReader(head))
	switch {
	case err != nil:
		return err
	case len(read) != len(head) || fileset.SizeBytes(head, files) != a.meta.SizeBytes:
		return corrupt("the list of files is not that of a snapshot of %d bytes", a.meta.SizeBytes)
	}
	s := a.store
	s.claimAll(a.group, files)
	s.sweepQuietly(a.group) // what came of another, that this one takes the place of, needs room
	a.head, a.files, a.at = head, files, a.headBytes
	a.ends, a.crcs = make([]uint64, len(files)), make([]uint32, len(files))
	end := a.headBytes
	for i := range files {
		end += files[i].SizeBytes
		a.ends[i] = end
	}
	if err := a.look(); err != nil {
		return err
	}
	wanted := a.meta.SizeBytes - a.headBytes
	for _, part := range a.had {
		wanted -= part.To - part.From
	}
	if err := s.hasRoom(wanted); err != nil {
		return err
	}
	if err := disk.Replace(a.name+listSuffix, head, true); err != nil {
		return err
	}
	s.step("list kept")
	a.skip()
	return nil
}

// look finds out which files are there.
func (a *arrival) look() error {
	own := make(map[string]*storage.File)
	if a.own != nil {
		files := a.own()
		for i := range files {
			if files[i].Sealed {
				own[files[i].Name] = &files[i]
			}
		}
	}
	var had []core.ByteRange
	for i := range a.files {
		f := &a.files[i]
		from := a.ends[i] - f.SizeBytes
		have, err := a.have(i, own[f.Name])
		if err != nil {
			return err
		}
		switch n := len(had); {
		case have == 0:
		case n > 0 && had[n-1].To == from:
			had[n-1].To += have
		default:
			had = append(had, core.ByteRange{From: from, To: from + have})
		}
	}
	if len(had) > core.HadMax { // the longest, and the rest comes again
		slices.SortFunc(had, func(a, b core.ByteRange) int { return cmp.Compare(b.To-b.From, a.To-a.From) })
		had = had[:core.HadMax]
		slices.SortFunc(had, func(a, b core.ByteRange) int { return cmp.Compare(a.From, b.From) })
	}
	a.had = had
	return nil
}

// have finds out how much there is of a file, by reading it.
func (a *arrival) have(i int, own *storage.File) (uint64, error) {
	f, s := &a.files[i], a.store
	if f.SizeBytes == 0 {
		return 0, a.makeEmpty(i)
	}
	if file, err := os.Open(s.contentPath(a.group, f.SHA256)); err == nil {
		sum, crc, err := sumOf(a.ctx, file)
		size, _ := file.Seek(0, 2)
		if err = errors.Join(err, file.Close()); err == nil && sum == f.SHA256 && uint64(size) == f.SizeBytes {
			a.crcs[i] = crc
			return f.SizeBytes, nil
		}
	}
	if err := a.ctx.Err(); err != nil {
		return 0, err
	}
	if own != nil && own.SizeBytes == f.SizeBytes {
		taken, err := s.take(a.ctx, a.group, &storage.File{Name: f.Name, SizeBytes: f.SizeBytes, SHA256: f.SHA256, Sealed: true, Path: own.Path})
		if err == nil && s.name(a.group, &taken) == nil {
			a.crcs[i] = taken.crc
			return f.SizeBytes, nil
		}
	}
	have, err := beginningOf(a.ctx, s.contentPath(a.group, f.SHA256), f.SizeBytes)
	if err == nil && have > 0 {
		a.begun[i] = have
	}
	return have, err
}

// makeEmpty makes a file of which nothing will come.
func (a *arrival) makeEmpty(i int) error {
	p, err := openPart(a.ctx, a.store.contentPath(a.group, a.files[i].SHA256), 0)
	if err == nil {
		err = p.finish(a.files[i].SHA256)
	}
	return err
}

// skip goes behind what is there.
func (a *arrival) skip() {
	i := sort.Search(len(a.had), func(i int) bool { return a.had[i].To > a.at })
	if i < len(a.had) && a.had[i].From <= a.at {
		a.at = a.had[i].To
	}
}

// Write implements io.Writer.
func (a *arrival) Write(b []byte) (written int, err error) {
	if a.ended {
		return 0, storage.ErrClosed
	}
	for len(b) > 0 {
		n := 0
		if a.at < a.headBytes {
			n, err = a.writeHead(b)
		} else {
			n, err = a.writeFile(b)
		}
		written += n
		if b = b[n:]; err != nil {
			return written, fmt.Errorf("files: snapshot %v: %w", a.meta.LogID, err)
		}
	}
	return written, nil
}

// writeHead takes a piece of the list. It is not written before it is whole.
func (a *arrival) writeHead(b []byte) (int, error) {
	b = b[:min(uint64(len(b)), a.headBytes-a.at)]
	a.head = append(a.head, b...)
	a.at += uint64(len(b))
	if a.at < a.headBytes {
		return len(b), nil
	}
	return len(b), a.list(a.head)
}

// writeFile writes a piece of a file, or what is left of it.
func (a *arrival) writeFile(b []byte) (n int, err error) {
	i := sort.Search(len(a.ends), func(i int) bool { return a.ends[i] > a.at })
	if i == len(a.ends) {
		return 0, errors.New("a piece beyond the end")
	}
	f := &a.files[i]
	end := a.ends[i]
	if j := sort.Search(len(a.had), func(j int) bool { return a.had[j].From > a.at }); j < len(a.had) {
		end = min(end, a.had[j].From)
	}
	if a.part == nil {
		offset := a.at - (a.ends[i] - f.SizeBytes)
		if offset != 0 && offset != a.begun[i] {
			return 0, errors.New("a piece from the middle of a file")
		}
		if a.part, err = openPart(a.ctx, a.store.contentPath(a.group, f.SHA256), offset); err != nil {
			return 0, err
		}
		a.store.step("file begun")
	}
	b = b[:min(uint64(len(b)), end-a.at)]
	marked := a.part.marked
	if err := a.part.write(b); err != nil {
		return 0, err
	}
	if a.part.marked > marked && time.Since(a.keptAt) > keptEvery {
		a.keep()
	}
	a.at += uint64(len(b))
	if a.at == a.ends[i] {
		if err := a.endFile(i); err != nil {
			return len(b), err
		}
	}
	a.skip()
	return len(b), nil
}

// endFile gives a file that is whole its name.
func (a *arrival) endFile(i int) error {
	p := a.part
	a.part = nil
	a.crcs[i] = p.crc
	if err := p.finish(a.files[i].SHA256); err != nil {
		return err
	}
	a.store.step("file whole")
	a.keep()
	return nil
}

// Commit implements storage.SnapshotWriter.
func (a *arrival) Commit(want core.SnapshotMeta) (core.SnapshotMeta, error) {
	if a.ended {
		return core.SnapshotMeta{}, storage.ErrClosed
	}
	if a.at != a.meta.SizeBytes || a.files == nil && uint64(len(a.head)) != a.headBytes {
		err := corrupt("snapshot %v has %d bytes, expected %d", a.meta.LogID, a.at, a.meta.SizeBytes)
		return core.SnapshotMeta{}, errors.Join(err, a.Abort())
	}
	var contents uint32
	for i := range a.files {
		contents = combine(contents, a.crcs[i], a.files[i].SizeBytes)
	}
	meta, err := a.store.publishFiles(a.ctx, a.group, a.meta, want, a.head, a.files, contents)
	if err != nil {
		return meta, errors.Join(err, a.drop())
	}
	return meta, a.end()
}

// Abort implements storage.SnapshotWriter. After another end it does nothing. Of the files
// those stay that other snapshots have.
func (a *arrival) Abort() error {
	if a.ended {
		return nil
	}
	var err error
	if a.part != nil {
		err = a.part.remove()
		a.part = nil
	}
	return errors.Join(err, a.drop())
}

// Suspend implements storage.SuspendableWriter.
func (a *arrival) Suspend() error {
	if a.ended {
		return storage.ErrClosed
	}
	var err error
	if a.part != nil {
		if err = a.part.suspend(); err != nil {
			err = fmt.Errorf("files: snapshot %v is not kept as far as it has come: %w", a.meta.LogID, err)
		}
		a.part = nil
	}
	a.keep()
	if e := disk.SyncDir(a.store.contentDir(a.group)); e != nil {
		err = errors.Join(err, fmt.Errorf("files: %w", e))
	}
	return errors.Join(err, a.leave())
}

// drop ends it for good without a snapshot: what has arrived is swept away.
func (a *arrival) drop() error {
	err := a.end()
	a.store.sweepQuietly(a.group)
	return err
}

// end ends it for good.
func (a *arrival) end() error {
	err := os.Remove(a.name + listSuffix)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return errors.Join(err, a.leave())
}

// leave lets others have the files.
func (a *arrival) leave() error {
	a.ended = true
	s := a.store
	s.mu.Lock()
	for _, suffix := range []string{partSuffix, marksSuffix, listSuffix, listSuffix + unfinishedSuffix} {
		delete(s.writing, a.name+suffix)
	}
	s.mu.Unlock()
	s.releaseAll(a.group, a.files)
	a.files = nil
	return nil
}
