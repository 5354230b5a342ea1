package disk

import (
	"errors"
	"os"
	"path/filepath"
)

// Replace gives the file of that name another content. It is written aside and
// synced before it takes the old one's place, so that there is always a whole
// file; atOnce also makes the exchange durable. After an error, the old content
// or the new is there.
func Replace(name string, content []byte, atOnce bool) error {
	aside := name + ".tmp"
	f, err := os.OpenFile(aside, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(aside, name)
	}
	if err != nil {
		// What it holds is nobody's, and may be what a full disk lacks.
		return errors.Join(err, os.Remove(aside))
	}
	if !atOnce {
		return nil
	}
	return SyncDir(filepath.Dir(name))
}
