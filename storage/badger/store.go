package badger

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/dgraph-io/badger/v4"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/internal/claim"
	"github.com/trouperaft/troupe/internal/foreign"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/storage"
	"github.com/trouperaft/troupe/storage/internal/disk"
)

// LockedError: the directory is in use by another store, of this process or of
// another one.
type LockedError struct{ Dir string }

// Error implements error.
func (e *LockedError) Error() string {
	return fmt.Sprintf("badger: %s is in use by another process or store", e.Dir)
}

// Store is a storage.LogStore. Open makes it.
type Store struct {
	options Options
	dir     string
	logger  *slog.Logger
	header  storage.Header
	db      *badger.DB
	limits  storage.Limits
	// lines are what the logger says, on the way to that of the options.
	lines *foreign.Queue[foreign.Line]
	// directory is the lock. An inspection also holds that of the database, and has what
	// it opened in the place of the database aside.
	directory *os.File
	database  *os.File
	aside     string

	// life is held for reading by every call, and for writing by Close.
	life   sync.RWMutex
	closed bool

	// write guards what belongs to the writer.
	write  sync.Mutex
	failed error
	record headerRecord
	batch  batchRecord
	// headerValue is the header as it was written last.
	headerValue []byte
	groups      map[membership.GroupID]*groupState
	// damaged are the groups of which something is lost, and what; it stays as it is
	// once the store is open. Of some of them that is not recorded yet.
	damaged    map[membership.GroupID]string
	unrecorded []membership.GroupID
	// kept are the files that were found damaged, or could not be read.
	kept        []string
	transaction transaction
	wal         wal
	room        room

	versions versions
	marker   marker
	purger   purger
	peers    peersFile
}

var (
	_ storage.LogStore = (*Store)(nil)
	_ storage.Logging  = (*Store)(nil)
)

// Open opens the store in dir, or makes it. It refuses the store of another
// node with *storage.WrongNodeError, one that must not take part any more with
// *storage.RefusedError, a directory that is in use with *LockedError, and
// damage with an error that wraps core.ErrCorrupt. If it can tell whose the damage is,
// it opens the store, and Load and Read of these groups give that error. Only Load
// verifies the entries of a group.
//
// For inspection (Options.Inspect) it makes no store: where there is none, the
// error wraps storage.ErrNotFound.
func Open(dir string, o Options) (*Store, error) {
	var lines *foreign.Queue[foreign.Line]
	o.Logger, lines = foreign.NewLogger(o.Logger)
	if err := o.complete(); err != nil {
		return nil, err
	}
	s, err := open(dir, o, lines)
	if err != nil {
		lines.Close(foreign.LinesPatience)
		return nil, err
	}
	return s, nil
}

// NearlyFull implements storage.Filling: less than twice Options.FreeBytesMin was free when
// it was asked last.
func (s *Store) NearlyFull() bool { return s.room.low.Load() }

// LinesDropped implements storage.Logging: Options.Logger was too slow, or failed.
func (s *Store) LinesDropped() int64 { return s.lines.Lost() }

func open(dir string, o Options, lines *foreign.Queue[foreign.Line]) (*Store, error) {
	s := &Store{options: o, dir: dir, logger: o.Logger, lines: lines, groups: make(map[membership.GroupID]*groupState), damaged: make(map[membership.GroupID]string)}
	s.room.dir, s.room.options = dir, &s.options
	if o.Inspect {
		return s.inspect()
	}
	_, found := os.Stat(dir)
	if err := os.MkdirAll(filepath.Join(dir, logDir), 0o700); err != nil {
		return nil, fmt.Errorf("badger: %w", err)
	}
	lock, locked, err := disk.Lock(filepath.Join(dir, "LOCK"))
	if locked {
		return nil, &LockedError{Dir: dir}
	}
	if err != nil {
		return nil, err
	}
	s.directory = lock
	if err := s.open(); err != nil {
		if errors.Is(err, core.ErrCorrupt) && !strings.Contains(err.Error(), dir) {
			err = fmt.Errorf("%w (in %s)", err, dir)
		}
		if s.db != nil {
			err = errors.Join(err, s.db.Close(), s.wal.close())
		}
		err = errors.Join(err, lock.Close())
		if errors.Is(found, fs.ErrNotExist) {
			// Nobody's data is in it, and it would pass for somebody's.
			err = errors.Join(err, os.RemoveAll(dir))
		}
		return nil, err
	}
	return s, nil
}

const logDir = "log"

// inspect opens the store for inspection.
func (s *Store) inspect() (*Store, error) {
	there := false
	for _, name := range []string{logDir, watermarkName} {
		found, err := disk.Exists(filepath.Join(s.dir, name))
		if err != nil {
			return nil, fmt.Errorf("badger: %w", err)
		}
		there = there || found
	}
	if !there {
		return nil, noStore(s.dir)
	}
	err := s.lockForInspection()
	if err == nil {
		err = s.openAside()
	}
	if err == nil {
		return s, nil
	}
	if s.db != nil {
		err = errors.Join(err, s.db.Close())
	}
	return nil, errors.Join(err, s.endInspection())
}

func noStore(dir string) error {
	return fmt.Errorf("badger: there is no store to inspect in %s: %w", dir, storage.ErrNotFound)
}

func (s *Store) open() error {
	unlock, err := s.lockDatabase()
	if err != nil {
		return err
	}
	defer unlock()
	mark, mended, err := s.openWatermark()
	if err != nil {
		return err
	}
	if err := s.room.takeLow(); err != nil {
		return err
	}
	path := filepath.Join(s.dir, logDir)
	if err := unlock(); err != nil {
		return err
	}
	if err := s.try(mended, &mark); err != nil {
		return err
	}
	s.kept = keptFiles(path)
	if s.db, err = badger.OpenManaged(s.options.badger(path)); err != nil {
		s.db = nil
		if strings.Contains(err.Error(), "Another process is using this Badger database") {
			return &LockedError{Dir: s.dir}
		}
		return openError(path, err)
	}
	s.limits = limits(s.db)
	s.versions.start(s.db)
	if err := s.wal.open(s.db, path, s.options.MemTableBytes); err != nil {
		return err
	}
	if err := s.readRecords(&mark, mended); err != nil {
		s.nameKept(&err)
		return err
	}
	// Rule 17: a refused store does not even count the attempt.
	if s.record.Refused != "" {
		return s.refusal()
	}
	if err := s.peers.open(s.dir, &s.record.Header); err != nil {
		return err
	}
	s.marker.start(s.dir, mark, s.options.WatermarkDelay, s.logger)
	s.record.StartCounter++
	if err := s.writeHeader(); err != nil {
		return err
	}
	s.header = s.record.Header
	s.purger.start(s)
	return nil
}

// lockDatabase takes the lock of the database's own directory, which badger holds
// while it is open: LOCK may have been removed under a store that is in use, and before
// anything is touched. It is free again for badger when unlock was called once.
func (s *Store) lockDatabase() (unlock func() error, err error) {
	f, locked, err := disk.LockDir(filepath.Join(s.dir, logDir))
	if locked {
		return nil, &LockedError{Dir: s.dir}
	}
	if err != nil {
		return nil, fmt.Errorf("badger: %w", err)
	}
	return sync.OnceValue(f.Close), nil
}

// openWatermark reads the watermark file and looks at the database's files. A
// directory without either becomes a store, of another incarnation than any.
func (s *Store) openWatermark() (watermark, *mending, error) {
	mark, found, err := readWatermark(s.dir)
	if err != nil {
		return mark, nil, err
	}
	if found && mark.node != s.options.Node && s.options.Node != 0 {
		return mark, nil, &storage.WrongNodeError{Store: s.dir, Node: s.options.Node, Owner: mark.node}
	}
	exists, mended, err := verifyFiles(filepath.Join(s.dir, logDir))
	switch {
	case err != nil:
		return mark, nil, err
	case !found && exists:
		return mark, nil, corrupt("%s holds a database and no watermark file", s.dir)
	case found && mark.number > 0 && !exists:
		return mark, nil, corrupt("%s holds a watermark file and no database", s.dir)
	case !found:
		mark = watermark{node: s.options.Node, incarnation: membership.Incarnation(rand.Uint64() | 1)}
		return mark, mended, mark.write(s.dir, true)
	}
	return mark, mended, nil
}

// readRecords reads the header, the last batch and all groups' records, and
// compares them with each other and with the watermark.
func (s *Store) readRecords(mark *watermark, mended *mending) error {
	txn := s.versions.read()
	defer s.versions.done(txn)
	r, err := readRecords(txn)
	if err != nil {
		return err
	}
	none, err := r.none()
	switch {
	case err != nil:
		return err
	case none:
		// A store whose making has not been completed.
		if err := mark.behind(0); err != nil {
			return mended.lacks(err)
		}
		if s.options.Inspect {
			return noStore(s.dir)
		}
		s.record.Header = storage.Header{Node: mark.node, Incarnation: mark.incarnation}
		return nil
	case r.header.Node != mark.node || r.header.Incarnation != mark.incarnation:
		return corrupt("the database belongs to %d/%x, the watermark file to %d/%x", r.header.Node, r.header.Incarnation, mark.node, mark.incarnation)
	}
	lost, err := r.judge(mark)
	if err != nil {
		return mended.lacks(err)
	}
	for group, what := range lost {
		lost[group] = mended.named(what)
	}
	s.take(r, mark, lost)
	return nil
}

// take makes what was read, and was found good but for some groups, the store's state.
func (s *Store) take(r *records, mark *watermark, lost map[membership.GroupID]string) {
	s.record, s.headerValue = r.header, r.headerValue
	// A number that was given out is not given out again, though its batch be lost.
	s.batch = batchRecord{number: max(r.batch.number, mark.number), digest: weight(r.headerValue) + r.damagedWeight, groups: uint64(len(r.groups))}
	for group, g := range r.groups {
		s.batch.digest += g.weight
		s.groups[group] = &groupState{group: group, record: g}
	}
	for group, what := range r.damaged {
		s.damaged[group] = what
	}
	for group, what := range lost {
		s.damaged[group] = what
		s.unrecorded = append(s.unrecorded, group)
		s.logger.Error("badger: a group is damaged, and the others are not", "group", uint64(group), "error", what)
	}
	s.marker.recent.begin(r)
}

// damage returns an error if a group is damaged.
func (s *Store) damage(group membership.GroupID) error {
	what, damaged := s.damaged[group]
	if !damaged {
		return nil
	}
	return corrupt("group %d: %s", group, what)
}

// nameKept lets an error of damage name the files that were found damaged, or could
// not be read.
func (s *Store) nameKept(err *error) {
	if len(s.kept) > 0 && errors.Is(*err, core.ErrCorrupt) {
		*err = fmt.Errorf("%w (what was found damaged, or could not be read, is kept: %s)", *err, strings.Join(s.kept, ", "))
	}
}

// Limits implements storage.LogStore.
func (s *Store) Limits() storage.Limits { return s.limits }

// Close implements storage.LogStore. While a node of this process uses the store, which
// it does until the last of its calls has returned, the error is a
// *core.StillRunningError, and the store stays open and locked.
func (s *Store) Close() error {
	if err := claim.Held(s); err != nil {
		return err
	}
	s.life.Lock()
	defer s.life.Unlock()
	if s.closed {
		return storage.ErrClosed
	}
	s.closed = true
	var err error
	if s.options.Inspect {
		err = errors.Join(s.db.Close(), s.endInspection())
	} else {
		s.purger.stop()
		err = errors.Join(s.marker.stop(), s.db.Close(), s.wal.close(), s.directory.Close())
	}
	s.lines.Close(foreign.LinesPatience)
	return err
}

// enter begins a call: the caller ends it with life.RUnlock unless there is an
// error.
func (s *Store) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.life.RLock()
	if s.closed {
		s.life.RUnlock()
		return storage.ErrClosed
	}
	return nil
}
