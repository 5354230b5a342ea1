package machine

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// emptyFiles match badger's files that hold nothing of a machine: nothing is encrypted, and
// no value is long enough for the value log. Badger makes them anew, and refuses to open
// beside one that is damaged.
var emptyFiles = []string{"KEYREGISTRY", "DISCARD", "*.vlog"}

// removeEmpty removes them from the directory of a database that nobody uses.
func removeEmpty(dir string) error {
	for _, pattern := range emptyFiles {
		names, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			return err
		}
		for _, name := range names {
			if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return nil
}
