package badger

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/table"

	"github.com/trouperaft/troupe/internal/badgerwal"
	"github.com/trouperaft/troupe/storage"
	"github.com/trouperaft/troupe/storage/internal/disk"
)

// A store is inspected aside: badger changes its files at every opening, also at one for
// reading, and the directory that is looked at has to stay as it is. So badger gets a
// directory of the system's for temporary files: with copies of the write-ahead logs, cut
// where their last transaction ends, a manifest, and links to the tables, which it opens
// for reading. It replays the logs in memory.

// openAside opens the store for inspection.
func (s *Store) openAside() error {
	mark, found, err := readWatermark(s.dir)
	if err != nil {
		return err
	}
	if found && mark.node != s.options.Node && s.options.Node != 0 {
		return &storage.WrongNodeError{Store: s.dir, Node: s.options.Node, Owner: mark.node}
	}
	path := filepath.Join(s.dir, logDir)
	exists, err := disk.Exists(filepath.Join(path, badger.ManifestFilename))
	switch {
	case err != nil:
		return fmt.Errorf("badger: %w", err)
	case !found && exists:
		return corrupt("%s holds a database and no watermark file", s.dir)
	case found && mark.number > 0 && !exists:
		return corrupt("%s holds a watermark file and no database", s.dir)
	case !exists:
		return noStore(s.dir)
	}
	if s.aside, err = os.MkdirTemp("", "troupe-inspect-"); err != nil {
		return fmt.Errorf("badger: %w", err)
	}
	m := &mending{aside: s.aside}
	o := s.options
	if o.MemTableBytes, err = copyAside(m, path, o.MemTableBytes); err != nil {
		return err
	}
	s.kept = keptFiles(path)
	if s.db, err = badger.OpenManaged(o.badger(s.aside).WithReadOnly(true)); err != nil {
		s.db = nil
		return openError(path, err)
	}
	s.limits = limits(s.db)
	s.versions.start(s.db)
	if err := s.readRecords(&mark, m); err != nil {
		if !m.none() {
			err = m.refusal(err)
		}
		return err
	}
	s.header = s.record.Header
	return s.peers.open(s.dir, &s.record.Header)
}

// copyAside makes the database that badger is to open, of the one in dir. It returns how
// large memory tables have to be for what their logs hold.
func copyAside(m *mending, dir string, memTableBytes int64) (int64, error) {
	found, err := lookAtFiles(dir)
	if err != nil {
		return 0, err
	}
	if err := found.spare(); err != nil {
		return 0, err
	}
	listed, _, err := readManifest(dir, found.tables)
	if err != nil {
		return 0, err
	}
	for id := range listed.live {
		name := table.NewFilename(id, dir)
		absolute, err := filepath.Abs(name)
		if err == nil {
			err = os.Symlink(absolute, table.NewFilename(id, m.aside))
		}
		if err != nil {
			return 0, fmt.Errorf("badger: %w", err)
		}
		if err := m.table(dir, id); err != nil {
			return 0, err
		}
	}
	err = badgerwal.CopyFile(filepath.Join(dir, badger.ManifestFilename), filepath.Join(m.aside, badger.ManifestFilename))
	if err != nil {
		return 0, fmt.Errorf("badger: %w", err)
	}
	if err := m.manifest(dir, &listed); err != nil {
		return 0, err
	}
	for id := range found.wals {
		size, err := m.walAside(dir, fmt.Sprintf("%0*d%s", walDigits, id, walSuffix))
		if err != nil {
			return 0, err
		}
		// Badger makes the file twice as long as its memory table may grow.
		memTableBytes = max(memTableBytes, size/2)
	}
	return memTableBytes, nil
}

// walAside copies the log of a memory table, up to the end of its last transaction. It
// returns how long the file is.
func (m *mending) walAside(dir, name string) (size int64, err error) {
	from := filepath.Join(dir, name)
	log, err := os.ReadFile(from)
	if errors.Is(err, syscall.EIO) {
		var bad []int
		if log, bad, err = readPatchy(from); err != nil {
			return 0, err
		}
		salvaged, ok := salvageLog(log, bad)
		if len(bad) > 0 && !ok {
			return 0, unreadable(from, syscall.EIO)
		}
		if len(bad) > 0 {
			log, m.unreadable = salvaged, true
			m.notes = append(m.notes, fmt.Sprintf("%s cannot be read", from))
		}
	}
	if err != nil {
		return 0, fmt.Errorf("badger: %w", err)
	}
	if err := walLimits.WriteLog(filepath.Join(m.aside, name), log); err != nil {
		return 0, fmt.Errorf("badger: %w", err)
	}
	return int64(len(log)), nil
}

// lookAtFiles is listFiles for a directory of which nothing is removed.
func lookAtFiles(dir string) (listing, error) {
	l := listing{wals: numbered{}, tables: numbered{}, look: true}
	files, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return l, fmt.Errorf("badger: %w", err)
	}
	for _, f := range files {
		if err := l.take(dir, f); err != nil {
			return l, err
		}
	}
	return l, nil
}

// lockForInspection takes the locks of a store, where they are: none is made.
func (s *Store) lockForInspection() error {
	lock, locked, err := disk.LockThere(filepath.Join(s.dir, "LOCK"))
	if locked {
		return &LockedError{Dir: s.dir}
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("badger: %w", err)
	}
	s.directory = lock
	lock, locked, err = disk.LockDir(filepath.Join(s.dir, logDir))
	if locked {
		return &LockedError{Dir: s.dir}
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("badger: %w", err)
	}
	s.database = lock
	return nil
}

// endInspection gives back what an inspection has taken.
func (s *Store) endInspection() error {
	var err error
	for _, lock := range []*os.File{s.directory, s.database} {
		if lock != nil {
			err = errors.Join(err, lock.Close())
		}
	}
	if s.aside != "" {
		err = errors.Join(err, os.RemoveAll(s.aside))
	}
	return err
}
