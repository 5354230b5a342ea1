package disk

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// SyncsMapped says that SyncData takes what was written through a shared
// mapping of the file with it, whoever mapped it.
const SyncsMapped = true

// SyncData makes the content of a file durable, and its size: what is needed to
// read it again.
func SyncData(f *os.File) error {
	for {
		err := unix.Fdatasync(int(f.Fd()))
		switch {
		case err == nil:
			return nil
		case !errors.Is(err, unix.EINTR):
			return fmt.Errorf("sync %s: %w", f.Name(), err)
		}
	}
}
