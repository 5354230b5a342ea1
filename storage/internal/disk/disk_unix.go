//go:build unix

package disk

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// FreeBytes returns what this process may still write to the file system of
// dir.
func FreeBytes(dir string) (uint64, error) {
	var s unix.Statfs_t
	err := unix.Statfs(dir, &s)
	for errors.Is(err, unix.EINTR) {
		err = unix.Statfs(dir, &s)
	}
	if err != nil {
		return 0, fmt.Errorf("free space of %s: %w", dir, err)
	}
	// The types differ from system to system.
	return uint64(s.Bavail) * uint64(s.Bsize), nil
}

// Lock takes the lock of a directory until the file is closed; locked says
// that somebody else has it.
func Lock(name string) (f *os.File, locked bool, err error) {
	f, err = os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	return lock(f, err)
}

// LockThere is Lock for a file that is there, which is not changed: an error that wraps
// fs.ErrNotExist says that it is not.
func LockThere(name string) (f *os.File, locked bool, err error) {
	f, err = os.Open(name)
	return lock(f, err)
}

// LockDir takes the lock of the directory itself, which is not that of a file in it,
// until the file is closed; locked says that somebody else has it.
func LockDir(dir string) (f *os.File, locked bool, err error) {
	f, err = os.Open(dir)
	return lock(f, err)
}

func lock(f *os.File, err error) (_ *os.File, locked bool, _ error) {
	if err != nil {
		return nil, false, err
	}
	for {
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case err == nil:
			return f, false, nil
		case errors.Is(err, unix.EINTR):
			continue
		}
		_ = f.Close()
		return nil, errors.Is(err, unix.EWOULDBLOCK), fmt.Errorf("lock %s: %w", f.Name(), err)
	}
}

// Exists reports whether there is a file of that name. It is quick if not.
func Exists(name string) (bool, error) {
	switch err := unix.Access(name, unix.F_OK); {
	case err == nil:
		return true, nil
	case errors.Is(err, unix.ENOENT):
		return false, nil
	default:
		return false, fmt.Errorf("look for %s: %w", name, err)
	}
}
