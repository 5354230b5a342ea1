package badger

import (
	"errors"
	"fmt"
	"io/fs"
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
// manifest. It says whether there is a database.
func verifyFiles(dir string) (exists bool, err error) {
	found, err := listFiles(dir)
	if err != nil {
		return false, err
	}
	if err := found.spare(); err != nil {
		return false, err
	}
	if err := syncNames(dir); err != nil {
		return false, fmt.Errorf("badger: %w", err)
	}
	f, err := os.Open(filepath.Join(dir, badger.ManifestFilename))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("badger: %w", err)
	}
	defer f.Close()
	tables, err := manifestTables(f)
	if err != nil {
		return true, err
	}
	for id := range tables {
		if err := verifyTable(table.NewFilename(id, dir)); err != nil {
			return true, err
		}
	}
	// Badger would remove what the manifest does not name, and fail where it cannot.
	for id := range found.tables {
		if !tables[id] {
			if err := removeFile(table.NewFilename(id, dir)); err != nil {
				return true, err
			}
		}
	}
	if err := renewFiles(dir, found); err != nil {
		return true, fmt.Errorf("badger: %w", err)
	}
	return true, nil
}

// renewFiles makes durable what is going to be read, before badger goes on (rule 8).
// What a process left that was killed, or that failed because the disk refused a write,
// stands in the system's memory and perhaps not on the disk, whatever a sync says. So
// the logs of the memory tables and the manifest are written again, at a new place.
// Tables were durable before the manifest named them.
func renewFiles(dir string, found listing) error {
	for id := range found.wals {
		if err := disk.Renew(filepath.Join(dir, fmt.Sprintf("%0*d%s", walDigits, id, walSuffix))); err != nil {
			return err
		}
	}
	if err := disk.Renew(filepath.Join(dir, badger.ManifestFilename)); err != nil {
		return err
	}
	return syncNames(dir)
}

// syncNames makes durable the names in a database's directory, its own, and that of
// the store.
func syncNames(dir string) error {
	parent := filepath.Dir(dir)
	return errors.Join(disk.SyncDir(dir), disk.SyncDir(parent), disk.SyncDir(filepath.Dir(parent)))
}

// recovered makes a panic over damaged files an error.
func recovered(what string, err *error) {
	if r := recover(); r != nil {
		line, _, _ := strings.Cut(strings.TrimSpace(fmt.Sprint(r)), "\n")
		*err = corrupt("%s: %s", what, line)
	}
}

func manifestTables(f *os.File) (ids numbered, err error) {
	defer recovered(f.Name(), &err)
	m, _, err := badger.ReplayManifestFile(f, 0, badger.DefaultOptions("").WithLogger(nil))
	if err != nil {
		return nil, openError(f.Name(), err)
	}
	ids = numbered{}
	for id := range m.Tables {
		ids[id] = true
	}
	return ids, nil
}

// verifyTable reads a table and all its checksums.
func verifyTable(name string) (err error) {
	defer recovered(name, &err)
	mapped, err := z.OpenMmapFile(name, os.O_RDONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return corrupt("the manifest names %s, which is not there", name)
	}
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
