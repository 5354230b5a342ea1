package troupe_test

import (
	"testing"
	"time"
)

// TestLongPromiseIsServedOnce: rule 13. The first start after a life with a long
// election time-out is quiet for as long as promises of that life may be alive;
// the one after it follows a life of short promises, and has a leader soon.
func TestLongPromiseIsServedOnce(t *testing.T) {
	const long = 5 * time.Second
	c := newCluster(t, 3, config())
	// life starts all again, and returns how long it took until a write was
	// acknowledged.
	life := func(electionTimeout time.Duration) time.Duration {
		for _, m := range c.members {
			m.raft.Kill()
		}
		settings := config()
		settings.ElectionTimeout = electionTimeout
		begun := time.Now()
		for _, m := range c.members {
			c.restart(m, settings)
		}
		if err := c.members[0].raft.Bootstrap(within(t, 60*time.Second), c.list()...); err != nil {
			t.Fatal(err)
		}
		c.members[0].propose(t, "x")
		return time.Since(begun)
	}
	life(long) // which a mistake may have set
	if took := life(electionTimeout); took < long/2 {
		t.Errorf("a write after %v, while promises of up to %v may have been alive", took, long)
	}
	if took := life(electionTimeout); took > long {
		t.Errorf("the promise was served, and a write takes %v once more", took)
	}
}
