package stage

import (
	"sync/atomic"
	"testing"
)

// TestMailboxRunsOneAtATime rings an actor from many goroutines: the counts are
// not guarded, so that the race detector sees two runs at a time.
func TestMailboxRunsOneAtATime(t *testing.T) {
	const rings = 5000
	var given atomic.Int64
	taken, done := int64(0), make(chan struct{})
	s, ended := prober(func() bool {
		if n := given.Load(); n > taken {
			if taken = n; n == 4*rings {
				close(done)
			}
			return true
		}
		return false
	}, func(err error) { t.Error(err) })
	for range 4 {
		go func() {
			for range rings {
				given.Add(1)
				s.Ring()
			}
		}()
	}
	await(t, done, "all bells")
	s.Stop()
	await(t, ended, "the actor to end")
}
