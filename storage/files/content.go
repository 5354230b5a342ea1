package files

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/storage"
	"github.com/trouperaft/troupe/storage/fileset"
	"github.com/trouperaft/troupe/storage/internal/disk"
)

// Of a snapshot that is made of files the .snap file holds the list alone. The files lie
// beside it, under their checksums, each once whatever the number of snapshots that have it:
//
//	DIR/GROUP/content/SHA256
//
// They are there, durable, before the .snap file gets its name. What no snapshot has, nor
// anybody who reads or makes one, is swept away.
const contentName = "content"

// claim is a file that somebody uses: it is not swept away.
type claim struct {
	group membership.GroupID
	sum   [sha256.Size]byte
}

func (s *Store) contentDir(group membership.GroupID) string {
	return filepath.Join(s.groupDir(group), contentName)
}

func (s *Store) contentPath(group membership.GroupID, sum [sha256.Size]byte) string {
	return filepath.Join(s.contentDir(group), hex.EncodeToString(sum[:]))
}

// claimAll claims the files of a list, releaseAll gives them back.
func (s *Store) claimAll(group membership.GroupID, files []storage.File) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range files {
		s.claims[claim{group, files[i].SHA256}]++
	}
}

func (s *Store) releaseAll(group membership.GroupID, files []storage.File) {
	s.mu.Lock()
	for i := range files {
		c := claim{group, files[i].SHA256}
		if s.claims[c]--; s.claims[c] <= 0 {
			delete(s.claims, c)
		}
	}
	late := s.unswept[group]
	s.mu.Unlock()
	if late {
		s.sweepQuietly(group)
	}
}

// taken is a file that lies aside in the content, was read, and is durable but for its name.
type taken struct {
	aside string
	sum   [sha256.Size]byte
	crc   uint32
}

// take links a file into the content, under a name of its own, or copies it, and reads it:
// it is what is read here that counts.
func (s *Store) take(ctx context.Context, group membership.GroupID, f *storage.File) (t taken, err error) {
	info, err := os.Lstat(f.Path)
	switch {
	case err != nil:
		return t, err
	case !info.Mode().IsRegular():
		return t, errors.New("it is not a regular file")
	}
	t.aside = s.asideName(group)
	if !f.Sealed || os.Link(f.Path, t.aside) != nil {
		err = copyTo(ctx, f, t.aside)
	}
	if err == nil {
		t.sum, t.crc, err = readTaken(ctx, f, t.aside)
	}
	if err == nil && f.SHA256 != ([sha256.Size]byte{}) && f.SHA256 != t.sum {
		err = corrupt("it has another checksum than it should")
	}
	if err != nil {
		return t, errors.Join(err, s.dropAside(t.aside))
	}
	return t, nil
}

// asideName is a name in the content that nobody has, and that is not swept away.
func (s *Store) asideName(group membership.GroupID) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.links++
	name := filepath.Join(s.contentDir(group), fmt.Sprintf("%d%s", s.links, unfinishedSuffix))
	s.writing[name] = true
	return name
}

func (s *Store) dropAside(name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.writing, name)
	if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// copyTo copies exactly what a file should have.
func copyTo(ctx context.Context, f *storage.File, name string) error {
	from, err := os.Open(f.Path)
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	for left := int64(f.SizeBytes); left > 0 && err == nil; {
		var n int64
		if n, err = io.CopyN(to, reading{ctx, from}, min(left, pieceBytes)); err == nil {
			err = disk.SyncData(to)
		}
		left -= n
	}
	if errors.Is(err, io.EOF) {
		err = fmt.Errorf("it has less than the %d bytes that it should have", f.SizeBytes)
	}
	return errors.Join(err, to.Close())
}

// readTaken makes a file durable and reads it.
func readTaken(ctx context.Context, f *storage.File, name string) (sum [sha256.Size]byte, crc uint32, err error) {
	// A link may have been made of something else than was looked at.
	if info, err := os.Lstat(name); err != nil {
		return sum, 0, err
	} else if !info.Mode().IsRegular() || uint64(info.Size()) != f.SizeBytes {
		return sum, 0, fmt.Errorf("it is not a regular file of %d bytes", f.SizeBytes)
	}
	file, err := os.Open(name)
	if err != nil {
		return sum, 0, err
	}
	defer file.Close()
	if err := syncRead(file); err != nil {
		return sum, 0, err
	}
	return sumOf(ctx, file)
}

// sumOf reads a file to its end.
func sumOf(ctx context.Context, file *os.File) (sum [sha256.Size]byte, crc uint32, err error) {
	hash, check := sha256.New(), crc32.New(castagnoli)
	b := make([]byte, 256<<10)
	if _, err := io.CopyBuffer(onlyWriter{io.MultiWriter(hash, check)}, reading{ctx, file}, b); err != nil {
		return sum, 0, err
	}
	return [sha256.Size]byte(hash.Sum(nil)), check.Sum32(), nil
}

// onlyWriter hides what else a writer can, so that the buffer is used.
type onlyWriter struct{ io.Writer }

// name gives a file that was taken its name. It must be claimed.
func (s *Store) name(group membership.GroupID, t *taken) error {
	name := s.contentPath(group, t.sum)
	// Where both are links to one file the system leaves both: so the other is removed.
	if err := os.Rename(t.aside, name); err != nil {
		return errors.Join(err, s.dropAside(t.aside))
	}
	return s.dropAside(t.aside)
}

// sweepQuietly sweeps. What is left hurts nothing but room.
func (s *Store) sweepQuietly(group membership.GroupID) {
	if err := s.sweep(group); err != nil {
		s.logger.Warn("files: what no snapshot needs cannot be removed", "group", uint64(group), "error", err)
	}
}

// sweep removes the files of a group that nobody needs.
func (s *Store) sweep(group membership.GroupID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	dir := s.contentDir(group)
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("files: %w", err)
	}
	delete(s.unswept, group)
	if s.opening[group] > 0 {
		s.unswept[group] = true // somebody has opened a snapshot, and not said yet what he needs
		return nil
	}
	needed, err := s.needed(group)
	if err != nil {
		return err
	}
	var left error
	for _, entry := range entries {
		name := filepath.Join(dir, entry.Name())
		stem := strings.TrimSuffix(strings.TrimSuffix(entry.Name(), partSuffix), marksSuffix)
		sum, err := hex.DecodeString(stem)
		switch {
		case strings.HasSuffix(name, unfinishedSuffix):
			if s.writing[name] {
				continue
			}
		case err != nil || len(sum) != sha256.Size:
			continue // none of ours, or set aside
		case needed[[sha256.Size]byte(sum)] && (stem == entry.Name() || !isThere(filepath.Join(dir, stem))):
			continue // the file, or what has come of one that is not whole
		case s.claims[claim{group, [sha256.Size]byte(sum)}] > 0:
			s.unswept[group] = true
			continue
		}
		if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			left = errors.Join(left, fmt.Errorf("files: %w", err))
		}
	}
	return left
}

func isThere(name string) bool {
	_, err := os.Lstat(name)
	return err == nil
}

// needed are the files that a group's snapshots have, and those that have arrived in part.
// The lock is held.
func (s *Store) needed(group membership.GroupID) (map[[sha256.Size]byte]bool, error) {
	entries, err := os.ReadDir(s.groupDir(group))
	if err != nil {
		return nil, fmt.Errorf("files: %w", err)
	}
	return s.neededBy(group, entries)
}

// neededBy are those that are in the lists among the entries of a group's directory.
func (s *Store) neededBy(group membership.GroupID, entries []fs.DirEntry) (map[[sha256.Size]byte]bool, error) {
	needed := make(map[[sha256.Size]byte]bool)
	for _, entry := range entries {
		_, isSnapshot := parseName(entry.Name())
		isList := strings.HasSuffix(entry.Name(), listSuffix)
		if !isSnapshot && !isList || !entry.Type().IsRegular() {
			continue
		}
		list, err := listIn(filepath.Join(s.groupDir(group), entry.Name()), isSnapshot)
		if err != nil && !errors.Is(err, core.ErrCorrupt) && !errors.Is(err, fs.ErrNotExist) { // an arrival may have ended meanwhile
			return nil, err // who cannot read it does not know
		}
		for i := range list {
			needed[list[i].SHA256] = true
		}
	}
	return needed, nil
}

// listIn reads the list of a snapshot, none if it is not made of files, or a list by itself.
func listIn(name string, isSnapshot bool) ([]storage.File, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("files: %w", err)
	}
	defer f.Close()
	if isSnapshot {
		h, err := readHeader(f)
		if err != nil || h.version != versionOfFiles {
			return nil, err
		}
	}
	_, files, err := fileset.ReadHead(f)
	return files, err
}
