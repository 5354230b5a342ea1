package tcp

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// unacknowledgedBytes is how many bytes of a TCP connection the other side's
// system has not acknowledged, 0 if that cannot be told.
func unacknowledgedBytes(c net.Conn) uint64 {
	s, ok := c.(syscall.Conn)
	if !ok {
		return 0
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return 0
	}
	waiting := 0
	err = raw.Control(func(fd uintptr) {
		// SIOCOUTQ: sent and unsent bytes that were not acknowledged.
		waiting, err = unix.IoctlGetInt(int(fd), unix.TIOCOUTQ)
	})
	if err != nil || waiting < 0 {
		return 0
	}
	return uint64(waiting)
}
