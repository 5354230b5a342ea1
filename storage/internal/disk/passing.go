package disk

import (
	"errors"
	"syscall"
)

// Passing reports whether an error tells of a lack that passes by itself: descriptors
// that have run out, or a call that was interrupted.
func Passing(err error) bool {
	for _, lack := range []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.EINTR, syscall.EAGAIN} {
		if errors.Is(err, lack) {
			return true
		}
	}
	return false
}
