package core

import (
	"testing"
	"time"

	"github.com/trouperaft/troupe/membership"
)

// TestWhoWasTakenInIsNoSecond: who has shown itself in a member's place and was taken in is a
// member. If it loses its data at once, whoever comes in its place is the only one that shows
// itself.
func TestWhoWasTakenInIsNoSecond(t *testing.T) {
	r := newRig(t, rigOptions{}).lead()
	r.beats(2500*time.Millisecond, 2)
	comes, stranger := Identity{ID: 3, Incarnation: 99}, Identity{ID: 7, Incarnation: 9}
	r.e.show(comes)
	r.e.show(stranger)
	r.order(orderOf(1, membership.Change{Op: membership.OpReplace, ID: 3}))
	m := &IdentifyResponse{ID: r.e.leaderState.identify, Empty: true}
	*m.Head() = Header{Group: 1, From: comes, To: r.e.cfg.Self}
	r.step(m)
	if got := r.latest(); got != "voters 1 2 3/30, learner 3/63; to be: 1 2 3/63" {
		t.Fatal(got)
	}
	if shown := r.e.leaderState.changes.shown; len(shown) != 1 || shown[0].Identity != stranger {
		t.Errorf("it is counted among those who want to be members: %+v", shown)
	}
}
