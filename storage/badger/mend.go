package badger

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/table"

	"github.com/trouperaft/troupe/internal/badgerwal"
	"github.com/trouperaft/troupe/storage/internal/disk"
)

// mending is what was done to a database so that badger can open it although some of
// it is damaged, cannot be read, or is not there. What it lacks then is found out by
// those who need it: the records and the logs of groups prove themselves.
type mending struct {
	replaced []replacement
	// notes say what was wrong, with the names of the files.
	notes []string
	// absent says which tables are not there that the manifest names: they were lost, or
	// their data is in others because badger could not bring them in.
	absent []string
	// unreadable: the disk did not give something. It may another time.
	unreadable bool
	// aside, if not empty, is where what replaces files is written: the database itself
	// is only inspected.
	aside string
}

// replacement is a file that was replaced by what could be read of it; kept is where it
// lies now.
type replacement struct{ name, kept string }

func (m *mending) none() bool { return len(m.notes) == 0 }

// undo puts the files back. Nothing has been compacted since; what badger has made of a
// log stands in a table besides.
func (m *mending) undo() (err error) {
	for _, r := range m.replaced {
		err = errors.Join(err, os.Rename(r.kept, r.name))
	}
	return err
}

// refusal is the error of a store of which too much lacks to open it.
func (m *mending) refusal(cause error) error {
	what := strings.Join(m.notes, "; ")
	if m.unreadable {
		// Another disk, cable or attempt may read it, so that it is no damage.
		return fmt.Errorf("badger: %s: %w: without it the store cannot be opened: %v", what, syscall.EIO, cause)
	}
	return fmt.Errorf("%w (%s)", cause, what)
}

// lacks lets an error name the tables that are not there.
func (m *mending) lacks(err error) error {
	if err == nil || len(m.absent) == 0 {
		return err
	}
	return fmt.Errorf("%w (%s)", err, strings.Join(m.absent, ", "))
}

// named is the same for what is said of a group.
func (m *mending) named(what string) string {
	if len(m.absent) == 0 {
		return what
	}
	return what + " (" + strings.Join(m.absent, ", ") + ")"
}

// table looks at a table, and replaces it if it is damaged or cannot be read.
func (m *mending) table(dir string, id uint64) error {
	name := table.NewFilename(id, dir)
	err := verifyTable(name)
	if err == nil || badgerwal.IsRefusal(err) && !errors.Is(err, syscall.EIO) {
		return err
	}
	content, bad, err := readPatchy(name)
	if err != nil {
		return err
	}
	pairs, lost, err := salvage(content)
	if err == nil && lost == 0 && verifyTable(name) == nil {
		return nil // it could be read in the end
	}
	note := fmt.Sprintf("%s is damaged", name)
	if len(bad) > 0 {
		note, m.unreadable = fmt.Sprintf("%s cannot be read", name), true
	}
	if err != nil {
		pairs = nil // without its index, nobody knows where the blocks are
	}
	m.notes = append(m.notes, note)
	into, err := m.replace(name, tableOf(id, pairs))
	if err != nil {
		return err
	}
	return verifyTable(into)
}

func readPatchy(name string) (content []byte, bad []int, _ error) {
	f, err := disk.OpenDirect(name)
	if err != nil {
		return nil, nil, fmt.Errorf("badger: %w", err)
	}
	defer f.Close()
	if content, bad, err = readPieces(f); err != nil {
		return nil, nil, fmt.Errorf("badger: %s: %w", name, err)
	}
	return content, bad, nil
}

// replace puts something in the place of a file. It returns where that is.
func (m *mending) replace(name string, content []byte) (into string, _ error) {
	if m.aside == "" {
		kept, err := keepDamaged(name)
		if err != nil {
			return "", fmt.Errorf("badger: %w", err)
		}
		m.replaced = append(m.replaced, replacement{name, kept})
	} else {
		name = filepath.Join(m.aside, filepath.Base(name))
	}
	if err := disk.Replace(name, content, true); err != nil {
		return "", fmt.Errorf("badger: %w", err)
	}
	return name, nil
}

// wal renews the log of a memory table (rule 8), or replaces it by what can be read of
// it.
func (m *mending) wal(name string) error {
	err := renew(name)
	if !errors.Is(err, syscall.EIO) {
		return err
	}
	content, bad, err := readPatchy(name)
	if err != nil {
		return err
	}
	if len(bad) == 0 {
		return renew(name) // it could be read in the end, or it was the new place
	}
	salvaged, ok := salvageLog(content, bad)
	if !ok {
		return unreadable(name, syscall.EIO) // something may lack of which nothing tells
	}
	m.notes, m.unreadable = append(m.notes, fmt.Sprintf("%s cannot be read", name)), true
	_, err = m.replace(name, salvaged)
	return err
}

func renew(name string) error {
	if err := disk.Renew(name); err != nil {
		return fmt.Errorf("badger: %w", err)
	}
	return nil
}

// manifest writes a manifest that names what is there. If something is not, what the
// file said is kept.
func (m *mending) manifest(dir string, listed *manifest) error {
	if len(listed.absent) == 0 {
		return nil
	}
	for _, id := range listed.absent {
		m.absent = append(m.absent, fmt.Sprintf("%s is not there", table.NewFilename(id, dir)))
	}
	if len(listed.missing) > 0 {
		m.notes = append(m.notes, m.absent...)
	}
	if m.aside != "" {
		dir = m.aside
	} else if len(listed.missing) > 0 {
		if _, err := keepDamaged(filepath.Join(dir, badger.ManifestFilename)); err != nil {
			return fmt.Errorf("badger: %w", err)
		}
	}
	if err := listed.write(dir); err != nil {
		return fmt.Errorf("badger: %w", err)
	}
	return nil
}

// try opens the database for a moment, without compaction, to see whether what lacks
// concerns some groups only. If not, nothing stays changed.
func (s *Store) try(m *mending, mark *watermark) error {
	if m.none() {
		return nil
	}
	o := s.options
	o.stillTables = true
	path := filepath.Join(s.dir, logDir)
	db, err := badger.OpenManaged(o.badger(path))
	if err != nil {
		return errors.Join(m.refusal(openError(path, err)), m.undo())
	}
	err = func() error {
		var v versions
		v.start(db)
		txn := v.read()
		defer v.done(txn)
		r, err := readRecords(txn)
		if err != nil {
			return err
		}
		if none, err := r.none(); none || err != nil {
			return errors.Join(err, mark.behind(0))
		}
		_, err = r.judge(mark)
		return err
	}()
	if err = errors.Join(err, db.Close()); err != nil {
		return errors.Join(m.refusal(err), m.undo())
	}
	for _, note := range m.notes {
		s.logger.Error("badger: the groups that need what lacks are damaged, and the others are not", "file", note)
	}
	return nil
}
