package stage

import (
	"sync/atomic"
	"testing"
)

// TestMailboxRunsOneAtATime wakes an actor from many goroutines: the counts are
// not guarded, so that the race detector sees two runs at a time.
func TestMailboxRunsOneAtATime(t *testing.T) {
	const wakeUps = 5000
	var given atomic.Int64
	taken, done := int64(0), make(chan struct{})
	s, ended := prober(func() bool {
		if n := given.Load(); n > taken {
			if taken = n; n == 4*wakeUps {
				close(done)
			}
			return true
		}
		return false
	}, func(err error) { t.Error(err) })
	for range 4 {
		go func() {
			for range wakeUps {
				given.Add(1)
				s.Wake()
			}
		}()
	}
	await(t, done, "all wake-ups")
	s.Stop()
	await(t, ended, "the actor to end")
}
