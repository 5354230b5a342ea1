package badger

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
	"github.com/dgraph-io/badger/v4/table"
	"github.com/dgraph-io/ristretto/v2/z"

	"github.com/trouperaft/troupe/storage/internal/disk"
)

// verifyFiles looks at a database before badger does: badger panics on some bad
// tables, leaves others out, and makes a new database where there is no
// manifest. It says whether there is a database, and what it had to mend.
func verifyFiles(dir string) (exists bool, m *mending, err error) {
	m = &mending{}
	found, err := listFiles(dir)
	if err != nil {
		return false, m, err
	}
	if err := found.spare(); err != nil {
		return false, m, err
	}
	if err := syncNames(dir); err != nil {
		return false, m, err
	}
	listed, exists, err := readManifest(dir, found.tables)
	if err != nil || !exists {
		return exists, m, err
	}
	for id := range listed.live {
		if err := m.table(dir, id); err != nil {
			return true, m, errors.Join(err, m.undo())
		}
	}
	if err := m.manifest(dir, &listed); err != nil {
		return true, m, errors.Join(err, m.undo())
	}
	// Badger would remove what the manifest does not name, and fail where it cannot.
	for id := range found.tables {
		if _, named := listed.live[id]; !named {
			if err := removeFile(table.NewFilename(id, dir)); err != nil {
				return true, m, errors.Join(err, m.undo())
			}
		}
	}
	if err := m.renew(dir, found); err != nil {
		return true, m, errors.Join(err, m.undo())
	}
	return true, m, nil
}

// renew makes durable what is going to be read, before badger goes on (rule 8).
// What a process left that was killed, or that failed because the disk refused a write,
// stands in the system's memory and perhaps not on the disk, whatever a sync says. So
// the logs of the memory tables and the manifest are written again, at a new place.
// Tables were durable before the manifest named them.
func (m *mending) renew(dir string, found listing) error {
	for id := range found.wals {
		if err := m.wal(filepath.Join(dir, fmt.Sprintf("%0*d%s", walDigits, id, walSuffix))); err != nil {
			return err
		}
	}
	if err := renew(filepath.Join(dir, badger.ManifestFilename)); err != nil {
		return err
	}
	return syncNames(dir)
}

// syncNames makes durable the names in a database's directory, its own, and that of
// the store.
func syncNames(dir string) error {
	parent := filepath.Dir(dir)
	if err := errors.Join(disk.SyncDir(dir), disk.SyncDir(parent), disk.SyncDir(filepath.Dir(parent))); err != nil {
		return fmt.Errorf("badger: %w", err)
	}
	return nil
}

// recovered makes a panic over damaged files an error.
func recovered(what string, err *error) {
	if r := recover(); r != nil {
		line, _, _ := strings.Cut(strings.TrimSpace(fmt.Sprint(r)), "\n")
		*err = corrupt("%s: %s", what, line)
	}
}

// verifyTable reads a table and all its checksums.
func verifyTable(name string) (err error) {
	defer recovered(name, &err)
	defer catchFault(panicOnFault(), &err)
	mapped, err := z.OpenMmapFile(name, os.O_RDONLY, 0)
	if err != nil {
		return openError(name, err)
	}
	// Closing the mapping, and not the table: the last reference to a table
	// removes its file.
	defer func() { err = errors.Join(err, mapped.Close(-1)) }()
	t, err := table.OpenTable(mapped, table.Options{ChkMode: options.NoVerification})
	if err != nil {
		return corrupt("%s: %v", name, err)
	}
	if err := t.VerifyChecksum(); err != nil {
		return corrupt("%s: %v", name, err)
	}
	return nil
}
