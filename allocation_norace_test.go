//go:build !race

package troupe_test

import (
	"testing"
	"time"

	"github.com/trouperaft/troupe"
)

// TestLocalReadsAllocateNothing asserts that a read which asks nobody costs no
// memory.
func TestLocalReadsAllocateNothing(t *testing.T) {
	settings := config()
	settings.ElectionTimeout = 10 * time.Second // the lease outlasts any pause of this test
	raft := formed(t, 3, settings).leader().raft
	if err := raft.Wait(within(t, 20*time.Second), func(s troupe.Status) bool { return s.Lease > 0 && s.Applied == s.Last }); err != nil {
		t.Fatal(err)
	}
	ctx := within(t, time.Minute)
	for _, mode := range []troupe.ReadMode{troupe.Lease, troupe.Stale(time.Hour), troupe.AtLeast(1)} {
		n := testing.AllocsPerRun(1000, func() {
			if _, err := raft.ReadIndex(ctx, mode); err != nil {
				t.Fatal(err)
			}
		})
		if n != 0 {
			t.Errorf("%v: %v allocations for a read", mode, n)
		}
	}
}
