package main

import (
	"fmt"
	"syscall"
	"unsafe"
)

// mountMemory mounts a file system in memory. That takes root.
func mountMemory(at string, bytes uint64) error {
	return syscall.Mount("troupe", at, "tmpfs", syscall.MS_NOSUID|syscall.MS_NODEV, fmt.Sprintf("size=%d", bytes))
}

func resizeMemory(at string, bytes uint64) error {
	return syscall.Mount("troupe", at, "tmpfs", syscall.MS_REMOUNT|syscall.MS_NOSUID|syscall.MS_NODEV, fmt.Sprintf("size=%d", bytes))
}

// unmountMemory takes it away, as soon as nobody uses it.
func unmountMemory(at string) error { return syscall.Unmount(at, syscall.MNT_DETACH) }

func usedBytes(at string) (uint64, error) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(at, &s); err != nil {
		return 0, err
	}
	return (s.Blocks - s.Bfree) * uint64(s.Bsize), nil
}

// limitFiles lets no file of a process grow, until lift is called: each write by which one
// would is refused (EFBIG).
func limitFiles(process int) (lift func() error, err error) {
	var before syscall.Rlimit
	if err := changeLimit(process, nil, &before); err != nil {
		return nil, err
	}
	if err := changeLimit(process, &syscall.Rlimit{Cur: 0, Max: before.Max}, nil); err != nil {
		return nil, err
	}
	return func() error {
		// It may have ended, and taken its limit with it.
		if err := changeLimit(process, &before, nil); err != nil && err != syscall.ESRCH {
			return err
		}
		return nil
	}, nil
}

func changeLimit(process int, now, before *syscall.Rlimit) error {
	_, _, errno := syscall.RawSyscall6(syscall.SYS_PRLIMIT64, uintptr(process), uintptr(syscall.RLIMIT_FSIZE),
		uintptr(unsafe.Pointer(now)), uintptr(unsafe.Pointer(before)), 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}
