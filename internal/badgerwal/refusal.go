package badgerwal

import (
	"errors"
	"slices"
	"strings"
	"syscall"
)

// refusals are what a system answers that is full, in use, out of reach or short of
// something: no damage.
var refusals = []syscall.Errno{
	syscall.EACCES, syscall.EAGAIN, syscall.EBUSY, syscall.EDQUOT, syscall.EFBIG, syscall.EINTR, syscall.EIO, syscall.EISDIR,
	syscall.ELOOP, syscall.EMFILE, syscall.ENAMETOOLONG, syscall.ENFILE, syscall.ENODEV, syscall.ENOMEM, syscall.ENOSPC, syscall.ENOTDIR,
	syscall.ENXIO, syscall.EPERM, syscall.EROFS, syscall.ESTALE, syscall.ETIMEDOUT, syscall.ETXTBSY,
}

// Refusal reports whether an error of badger's tells that the system has refused
// something, which is no damage. Badger's errors seldom wrap what they tell, so that their
// text is looked at: the error that is returned wraps it, and is err otherwise.
func Refusal(err error) (_ error, refused bool) {
	for _, refusal := range refusals {
		switch {
		case errors.Is(err, refusal):
			return err, true
		case strings.Contains(err.Error(), refusal.Error()):
			return &refusedError{err, refusal}, true
		}
	}
	return err, false
}

// IsRefusal reports whether an error wraps what the system refused.
func IsRefusal(err error) bool {
	return slices.ContainsFunc(refusals, func(refusal syscall.Errno) bool { return errors.Is(err, refusal) })
}

// refusedError is an error, and what it tells that the system refused.
type refusedError struct {
	error
	refusal syscall.Errno
}

// Unwrap returns both.
func (e *refusedError) Unwrap() []error { return []error{e.error, e.refusal} }
