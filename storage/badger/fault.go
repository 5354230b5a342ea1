package badger

import (
	"bufio"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"syscall"
)

// A block that the disk cannot read shows as a fault of the memory that its file is
// mapped to, which would end the process. Whoever reads tables begins with
//
//	defer catchFault(panicOnFault(), &err)
//
// which makes an error of it.

// panicOnFault has faults of this goroutine panic. It returns what catchFault needs.
func panicOnFault() (before bool) { return debug.SetPanicOnFault(true) }

// catchFault ends what panicOnFault has begun. It is deferred.
func catchFault(before bool, err *error) {
	debug.SetPanicOnFault(before)
	switch r := recover().(type) {
	case nil:
	case interface{ Addr() uintptr }:
		*err = unreadable(mappedFile(r.Addr()), syscall.EIO)
	default:
		panic(r)
	}
}

// unreadable is the error of a file whose disk does not give what is in it. That is no
// damage yet: another disk, cable or attempt may.
func unreadable(file string, err error) error {
	return fmt.Errorf("badger: %s cannot be read: %w", file, err)
}

// mappedFile names the file that is mapped to an address, where the system tells.
func mappedFile(address uintptr) string {
	const unknown = "a file of the database"
	f, err := os.Open("/proc/self/maps")
	if err != nil {
		return unknown
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var from, to uintptr
		if _, err := fmt.Sscanf(lines.Text(), "%x-%x", &from, &to); err != nil || address < from || address >= to {
			continue
		}
		// Address, rights, offset, device and inode stand before the name.
		if parts := strings.SplitN(strings.Join(strings.Fields(lines.Text()), " "), " ", 6); len(parts) == 6 {
			return parts[5]
		}
	}
	return unknown
}
