package troupe_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/trouperaft/troupe"
)

// TestAddAgain: a node that was removed comes in again, with the directory that it had
// and with a clean one, after a moment and after a time that the log of the others does
// not reach back to, whether it has heard that it was removed or not.
func TestAddAgain(t *testing.T) {
	for _, clean := range []bool{false, true} {
		for _, long := range []bool{false, true} {
			for _, away := range []bool{false, true} {
				t.Run(fmt.Sprintf("clean %t, long %t, away when it was removed %t", clean, long, away), func(t *testing.T) {
					t.Parallel()
					settings := config()
					settings.SnapshotEntries, settings.KeepEntries = 5, 1
					c := formed(t, 3, settings)
					leader := c.leader()
					gone := c.follower()
					leader.propose(t, "first")
					gone.read(t)
					if away {
						gone.raft.Kill()
					}
					removed, err := leader.raft.ChangeMembers(within(t, 20*time.Second), []troupe.Change{troupe.Remove(gone.id)})
					if err != nil || len(removed.Members) != 2 {
						t.Fatalf("%v, %v", removed, err)
					}
					if !away {
						if err := gone.raft.Wait(within(t, 20*time.Second), func(s troupe.Status) bool { return s.Removed }); err != nil {
							t.Fatal(err)
						}
						gone.raft.Kill()
					}
					writes := 1
					if long {
						writes = 40
					}
					for i := range writes {
						leader.propose(t, fmt.Sprint("without it ", i))
					}
					if clean {
						gone.empty()
						c.start(gone, settings)
					} else {
						c.restart(gone, settings)
					}
					back, err := leader.raft.ChangeMembers(within(t, 20*time.Second), []troupe.Change{troupe.Add(gone.id, address(gone.id))})
					if err != nil || !votersAre(&back, 1, 2, 3) {
						t.Fatalf("%v, %v", back, err)
					}
					if s := gone.raft.Status(); s.Removed {
						t.Errorf("it still says that it was removed: %+v", s)
					}
					gone.propose(t, "back")
					if got := gone.read(t); len(got) != writes+2 || !slices.Equal(got, leader.read(t)) {
						t.Errorf("it has %q", got)
					}
				})
			}
		}
	}
}
