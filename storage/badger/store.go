package badger

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"

	"github.com/dgraph-io/badger/v4"

	"github.com/trouperaft/troupe/internal/claim"
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
	// directory is the lock.
	directory *os.File

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
	transaction transaction
	wal         wal
	room        room

	versions versions
	marker   marker
	purger   purger
	peers    peersFile
}

var _ storage.LogStore = (*Store)(nil)

// Open opens the store in dir, or makes it. It refuses the store of another
// node with *storage.WrongNodeError, one that must not take part any more with
// *storage.RefusedError, a directory that is in use with *LockedError, and
// damage with an error that wraps core.ErrCorrupt. Only Load verifies the
// entries of a group.
//
// For inspection (Options.Inspect) it makes no store: where there is none, the
// error wraps storage.ErrNotFound.
func Open(dir string, o Options) (*Store, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	if err := prepare(dir, o.Inspect); err != nil {
		return nil, err
	}
	lock, locked, err := disk.Lock(filepath.Join(dir, "LOCK"))
	if locked {
		return nil, &LockedError{Dir: dir}
	}
	if err != nil {
		return nil, err
	}
	s := &Store{options: o, dir: dir, logger: o.Logger, directory: lock, groups: make(map[membership.GroupID]*groupState)}
	s.room.dir, s.room.options = dir, &s.options
	if err := s.open(); err != nil {
		if s.db != nil {
			err = errors.Join(err, s.db.Close(), s.wal.close())
		}
		return nil, errors.Join(err, lock.Close())
	}
	return s, nil
}

const logDir = "log"

// prepare makes the directories of a store. For inspection it makes none where
// there is no store.
func prepare(dir string, inspect bool) error {
	if inspect {
		there := false
		for _, name := range []string{logDir, watermarkName} {
			found, err := disk.Exists(filepath.Join(dir, name))
			if err != nil {
				return fmt.Errorf("badger: %w", err)
			}
			there = there || found
		}
		if !there {
			return noStore(dir)
		}
	}
	if err := os.MkdirAll(filepath.Join(dir, logDir), 0o700); err != nil {
		return fmt.Errorf("badger: %w", err)
	}
	return nil
}

func noStore(dir string) error {
	return fmt.Errorf("badger: there is no store to inspect in %s: %w", dir, storage.ErrNotFound)
}

func (s *Store) open() error {
	mark, err := s.openWatermark()
	if err != nil {
		return err
	}
	if err := s.room.ask(); err != nil {
		return err
	}
	path := filepath.Join(s.dir, logDir)
	if s.db, err = badger.OpenManaged(s.options.badger(path)); err != nil {
		s.db = nil
		return openError(path, err)
	}
	s.limits = limits(s.db)
	s.versions.start(s.db)
	if err := s.wal.open(s.db, path); err != nil {
		return err
	}
	if err := s.readRecords(mark); err != nil {
		return err
	}
	// Rule 17: a refused store does not even count the attempt.
	if s.record.Refused != "" && !s.options.Inspect {
		return s.refusal()
	}
	if err := s.peers.open(s.dir, &s.record.Header); err != nil {
		return err
	}
	s.marker.start(s.dir, mark, s.options.WatermarkDelay)
	if s.options.Inspect {
		s.header = s.record.Header
		return nil
	}
	s.record.StartCounter++
	if err := s.writeHeader(); err != nil {
		return err
	}
	s.header = s.record.Header
	s.purger.start(s)
	return nil
}

// openWatermark reads the watermark file and looks at the database's files. A
// directory without either becomes a store, of another incarnation than any.
func (s *Store) openWatermark() (watermark, error) {
	mark, found, err := readWatermark(s.dir)
	if err != nil {
		return mark, err
	}
	if found && mark.node != s.options.Node && s.options.Node != 0 {
		return mark, &storage.WrongNodeError{Store: s.dir, Node: s.options.Node, Owner: mark.node}
	}
	exists, err := verifyFiles(filepath.Join(s.dir, logDir))
	switch {
	case err != nil:
		return mark, err
	case !found && exists:
		return mark, corrupt("%s holds a database and no watermark file", s.dir)
	case found && mark.number > 0 && !exists:
		return mark, corrupt("%s holds a watermark file and no database", s.dir)
	case !exists && s.options.Inspect:
		return mark, noStore(s.dir)
	case !found:
		mark = watermark{node: s.options.Node, incarnation: membership.Incarnation(rand.Uint64() | 1)}
		return mark, mark.write(s.dir, true)
	}
	return mark, nil
}

// readRecords reads the header, the last batch and all groups' records, and
// compares them with each other and with the watermark.
func (s *Store) readRecords(mark watermark) error {
	txn := s.versions.read()
	defer s.versions.done(txn)
	header, err := value(txn, headerKey)
	if err != nil {
		return err
	}
	last, err := value(txn, batchKey)
	if err != nil {
		return err
	}
	if header == nil || last == nil {
		return s.makeRecords(mark, header == nil && last == nil)
	}
	if s.record, err = decodeHeader(header); err != nil {
		return err
	}
	if s.batch, err = decodeBatch(last); err != nil {
		return err
	}
	if s.record.Node != mark.node || s.record.Incarnation != mark.incarnation {
		return corrupt("the database belongs to %d/%x, the watermark file to %d/%x",
			s.record.Node, s.record.Incarnation, mark.node, mark.incarnation)
	}
	s.headerValue = header
	digest := weight(header)
	sum, err := s.readGroups(txn)
	if err != nil {
		return err
	}
	if digest += sum; digest != s.batch.digest || uint64(len(s.groups)) != s.batch.groups {
		return corrupt("batch %d was written over other records than are there: something before it is lost", s.batch.number)
	}
	return mark.behind(s.batch.number)
}

func (s *Store) readGroups(txn *badger.Txn) (digest uint64, _ error) {
	it := txn.NewIterator(badger.IteratorOptions{Prefix: groupPrefix, PrefetchValues: true, PrefetchSize: 100})
	defer it.Close()
	for it.Seek(groupPrefix); it.ValidForPrefix(groupPrefix); it.Next() {
		key := it.Item().KeyCopy(nil)
		group, ok := parseGroupKey(key)
		if !ok {
			return 0, corrupt("key %q is none of this store", key)
		}
		var record groupRecord
		err := it.Item().Value(func(v []byte) (err error) {
			digest += weight(v)
			record, err = decodeGroup(key, v)
			return err
		})
		if err != nil {
			return 0, err
		}
		s.groups[group] = &groupState{group: group, record: record}
	}
	return digest, nil
}

// makeRecords begins a store whose making has not been completed.
func (s *Store) makeRecords(mark watermark, none bool) error {
	if !none {
		return corrupt("the header or the record of the last batch is lost")
	}
	if err := mark.behind(0); err != nil {
		return err
	}
	if s.options.Inspect {
		return noStore(s.dir)
	}
	sum, err := func() (uint64, error) {
		txn := s.versions.read()
		defer s.versions.done(txn)
		return s.readGroups(txn)
	}()
	if err != nil {
		return err
	}
	if sum != 0 || len(s.groups) > 0 {
		return corrupt("there are groups and no header")
	}
	s.record.Header = storage.Header{Node: mark.node, Incarnation: mark.incarnation}
	return nil
}

// value returns a copy of what key holds, nil if there is none.
func value(txn *badger.Txn, key []byte) ([]byte, error) {
	item, err := txn.Get(key)
	if errors.Is(err, badger.ErrKeyNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("badger: reading %q: %w", key, err)
	}
	v, err := item.ValueCopy(nil)
	if err != nil {
		return nil, fmt.Errorf("badger: reading %q: %w", key, err)
	}
	return v, nil
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
	if !s.options.Inspect {
		s.purger.stop()
	}
	err := s.marker.stop()
	return errors.Join(err, s.db.Close(), s.wal.close(), s.directory.Close())
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
