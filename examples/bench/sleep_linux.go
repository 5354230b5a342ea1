package main

import (
	"syscall"
	"time"
)

// sleepPrecisely is time.Sleep to some 60 us: the runtime's own timers are up to
// 1 ms late in a process that is idle.
func sleepPrecisely(d time.Duration) {
	left := syscall.NsecToTimespec(int64(d))
	for left.Sec > 0 || left.Nsec > 0 {
		if syscall.Nanosleep(&left, &left) != syscall.EINTR {
			return
		}
	}
}
