package disk

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/windows"
)

// FreeBytes returns what this process may still write to the volume of dir.
func FreeBytes(dir string) (uint64, error) {
	p, err := windows.UTF16PtrFromString(dir)
	if err != nil {
		return 0, fmt.Errorf("free space of %s: %w", dir, err)
	}
	var free uint64
	if err := windows.GetDiskFreeSpaceEx(p, &free, nil, nil); err != nil {
		return 0, fmt.Errorf("free space of %s: %w", dir, err)
	}
	return free, nil
}

// Lock takes the lock of a directory until the file is closed; locked says
// that somebody else has it.
func Lock(name string) (f *os.File, locked bool, err error) {
	return lock(name, windows.OPEN_ALWAYS)
}

// LockThere is Lock for a file that is there: an error that wraps fs.ErrNotExist says
// that it is not.
func LockThere(name string) (f *os.File, locked bool, err error) {
	return lock(name, windows.OPEN_EXISTING)
}

func lock(name string, how uint32) (f *os.File, locked bool, err error) {
	p, err := windows.UTF16PtrFromString(name)
	if err != nil {
		return nil, false, fmt.Errorf("lock %s: %w", name, err)
	}
	h, err := windows.CreateFile(p, windows.GENERIC_READ|windows.GENERIC_WRITE, 0, nil, how, windows.FILE_ATTRIBUTE_NORMAL, 0)
	if err != nil {
		return nil, errors.Is(err, windows.ERROR_SHARING_VIOLATION), fmt.Errorf("lock %s: %w", name, err)
	}
	return os.NewFile(uintptr(h), name), false, nil
}

// LockDir takes no lock: a file that is in use cannot be removed here.
func LockDir(dir string) (f *os.File, locked bool, err error) {
	f, err = os.Open(dir)
	return f, false, err
}

// Exists reports whether there is a file of that name.
func Exists(name string) (bool, error) {
	_, err := os.Stat(name)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}
