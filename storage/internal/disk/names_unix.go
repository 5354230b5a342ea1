//go:build unix

package disk

import (
	"errors"
	"os"
)

// Names are those in a directory. They are held open, so that it takes no descriptor
// to make them durable.
type Names struct{ dir *os.File }

// OpenNames opens those of dir.
func OpenNames(dir string) (*Names, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	return &Names{f}, nil
}

// Sync makes durable which files have which names.
func (n *Names) Sync() error { return n.dir.Sync() }

// Close lets go of the directory.
func (n *Names) Close() error { return n.dir.Close() }

// SyncDir makes the names in a directory durable.
func SyncDir(dir string) error {
	n, err := OpenNames(dir)
	if err != nil {
		return err
	}
	return errors.Join(n.Sync(), n.Close())
}
