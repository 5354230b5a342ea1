package disk

import (
	"errors"
	"syscall"
	"time"
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

// Patience is for how long a lack that passes by itself is waited for.
const Patience = 10 * time.Second

// Bounds of the pauses of Patiently.
const (
	pauseMin = time.Millisecond
	pauseMax = 100 * time.Millisecond
)

// Patiently calls do until its error is none of a passing lack, or until the patience
// is over, and returns that error.
func Patiently(patience time.Duration, do func() error) error {
	begun := time.Now()
	for pause := pauseMin; ; pause = min(2*pause, pauseMax) {
		err := do()
		if !Passing(err) || time.Since(begun) >= patience {
			return err
		}
		time.Sleep(pause)
	}
}
