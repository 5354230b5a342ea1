package files

import (
	"errors"
	"os"
)

// syncRead makes a file durable that is open for reading: the system wants it open for
// writing.
func syncRead(f *os.File) error {
	w, err := os.OpenFile(f.Name(), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(w.Sync(), w.Close())
}
