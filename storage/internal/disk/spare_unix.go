//go:build unix

package disk

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Spare returns an error if this process cannot open n more files now.
func Spare(n int) (err error) {
	var few [8]int
	open := few[:0]
	for range n {
		fd, refusal := unix.Open(os.DevNull, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if refusal != nil {
			err = fmt.Errorf("open %s: %w", os.DevNull, refusal)
			break
		}
		open = append(open, fd)
	}
	for _, fd := range open {
		err = errors.Join(err, unix.Close(fd))
	}
	return err
}
