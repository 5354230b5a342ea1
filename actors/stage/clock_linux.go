package stage

import (
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// clockStops: the clock below counts suspensions.
const clockStops = false

// readClock reads the clock that goes on while the machine is suspended: what
// was promised for a time must not outlive a suspension.
//
// That clock, CLOCK_BOOTTIME, is a system call. It differs from the monotonic
// one, which is not, by the time spent suspended; and a suspension moves the
// wall clock against the monotonic one too. So the difference is read again
// whenever those two have come apart, and once a second in any case.
func readClock() int64 {
	now := time.Now()
	monotonic := int64(now.Sub(processStart))
	wall := now.UnixNano() - monotonic
	s := suspended.Load()
	if s == nil || wall-s.wall > wallToleranceNanos || s.wall-wall > wallToleranceNanos || monotonic-s.readAt > int64(time.Second) {
		s = measureSuspended(s, wall)
	}
	return monotonic + s.nanos
}

// wallToleranceNanos is how far the wall clock may come apart from the
// monotonic one unnoticed: more than it is slewed by within a second.
const wallToleranceNanos = int64(time.Millisecond)

var (
	processStart = time.Now()
	suspended    atomic.Pointer[suspension]
)

// suspension is by how much CLOCK_BOOTTIME is ahead of the time since
// processStart.
type suspension struct {
	nanos  int64
	wall   int64 // the wall clock at processStart, as it was seen
	readAt int64 // since processStart
}

func measureSuspended(last *suspension, wall int64) *suspension {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		panic("stage: no CLOCK_BOOTTIME: " + err.Error())
	}
	// Read second, so that a pause in between makes the difference too small and
	// never too large: with the larger of two it only comes closer to the truth.
	monotonic := int64(time.Since(processStart))
	s := &suspension{nanos: ts.Nano() - monotonic, wall: wall, readAt: monotonic}
	if last != nil {
		s.nanos = max(s.nanos, last.nanos)
	}
	suspended.Store(s)
	return s
}
