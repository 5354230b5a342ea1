//go:build !linux

package actors

import "time"

var processStart = time.Now()

// readClock reads Go's monotonic clock. On some systems it stands still while
// the machine is suspended; the lag is made up by re-arming late timers.
func readClock() int64 { return int64(time.Since(processStart)) + 1 }
