package actors

import "golang.org/x/sys/unix"

// readClock reads the clock that goes on while the machine is suspended: a
// lease or a promise must not outlive a suspension (rule 12).
func readClock() int64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		panic("actors: no CLOCK_BOOTTIME: " + err.Error())
	}
	return ts.Nano()
}
