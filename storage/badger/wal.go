package badger

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/dgraph-io/badger/v4"

	"github.com/trouperaft/troupe/storage/internal/disk"
)

// wal makes durable what badger has written.
//
// Badger's own SyncWrites syncs the disk twice a transaction: first the value
// log, which is never used here, and says nothing of an error of it; then the
// write-ahead log of its memory table. Only the second counts, so SyncWrites is
// off and wal does it.
//
// That is safe because nothing but this store writes to the database, one
// transaction at a time: badger begins another memory table, and with it another
// file, only before a transaction, never in one and at most one each time. So a
// transaction that has returned is wholly in the newest file, and everything
// before that file was synced when it was the newest. Whoever commits calls
// follow before anybody else may.
type wal struct {
	db  *badger.DB
	dir string
	// names are those of the directory.
	names *disk.Names
	// id is that of the newest file; they are counted up. There is no file while
	// descriptors lack: badger, which has it open, syncs it then.
	id   int
	file *os.File
	// next is the name that the one after it will have.
	next string
	// flush syncs the newest file; tests replace it.
	flush func() error
	// grown is what the transactions since the last turn may have taken of a memory
	// table of tableBytes.
	grown, tableBytes int64
}

// open finds the file that badger writes to.
func (w *wal) open(db *badger.DB, dir string, tableBytes int64) (err error) {
	w.db, w.dir, w.flush, w.tableBytes = db, dir, w.syncFile, tableBytes
	if w.names, err = disk.OpenNames(dir); err != nil {
		return fmt.Errorf("badger: %w", err)
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("badger: %w", err)
	}
	newest := -1
	for _, f := range files {
		name, ok := strings.CutSuffix(f.Name(), walSuffix)
		if id, err := strconv.Atoi(name); ok && err == nil {
			newest = max(newest, id)
		}
	}
	if newest < 0 {
		return fmt.Errorf("badger: %s holds no write-ahead log of an open database", dir)
	}
	return w.turn(newest)
}

func (w *wal) name(id int) string {
	return filepath.Join(w.dir, fmt.Sprintf("%0*d%s", walDigits, id, walSuffix))
}

// turn makes the file with an id the newest, and its name durable, which badger
// leaves to the file system.
func (w *wal) turn(id int) error {
	if err := errors.Join(w.names.Sync(), w.closeFile()); err != nil {
		return err
	}
	w.id, w.next, w.grown = id, w.name(id+1), 0
	return w.openFile()
}

// openFile opens the newest file, if there is a descriptor for it.
func (w *wal) openFile() error {
	file, err := os.OpenFile(w.name(w.id), os.O_RDWR, 0)
	if disk.Passing(err) {
		return nil
	}
	if err == nil {
		w.file = file
	}
	return err
}

// before prepares a transaction of so many pairs and bytes. Badger fails for good if
// it lacks the descriptor for another memory table, so that this is waited for when it
// may be about to begin one.
func (w *wal) before(pairs, bytes int64) error {
	const pairBytes = 128 // of a pair in a memory table, beside what is in it
	w.grown += bytes + pairs*pairBytes
	if w.grown < w.tableBytes/2 {
		return nil
	}
	return disk.Patiently(disk.Patience, func() error { return disk.Spare(1) })
}

// follow looks whether the last transaction has begun another file.
func (w *wal) follow() error {
	turned, err := disk.Exists(w.next)
	if err != nil || !turned {
		return err
	}
	return w.turn(w.id + 1)
}

// sync makes all transactions durable.
func (w *wal) sync() error {
	if err := w.follow(); err != nil {
		return err
	}
	return w.flush()
}

func (w *wal) syncFile() error {
	if w.file == nil {
		if err := w.openFile(); err != nil {
			return err
		}
	}
	if disk.SyncsMapped && w.file != nil {
		return disk.SyncData(w.file)
	}
	return w.db.Sync()
}

func (w *wal) close() error {
	if w.names == nil {
		return nil
	}
	return errors.Join(w.closeFile(), w.names.Close())
}

func (w *wal) closeFile() error {
	if w.file == nil {
		return nil
	}
	file := w.file
	w.file = nil
	return file.Close()
}
