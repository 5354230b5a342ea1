package simulation

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/trouperaft/troupe/core"
)

// TestClockOrder compares the heap with a sorted list.
func TestClockOrder(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	var c clock
	var events []*event
	var got, want []uint64
	for range 500 {
		var e *event
		e = c.after(time.Duration(r.IntN(50)), nil, func() { got = append(got, e.sequence) })
		events = append(events, e)
	}
	for range 100 {
		i := r.IntN(len(events))
		c.cancel(events[i])
		c.cancel(events[i])
		if r.IntN(2) == 0 {
			c.arm(events[i], time.Duration(r.IntN(50)))
		} else {
			events = slices.Delete(events, i, i+1)
		}
	}
	slices.SortFunc(events, func(a, b *event) int {
		if a.at != b.at {
			return int(a.at - b.at)
		}
		return int(a.sequence) - int(b.sequence)
	})
	for _, e := range events {
		want = append(want, e.sequence)
	}
	last := core.Instant(0)
	for e := c.next(); e != nil; e = c.next() {
		if e.at < last || c.now != e.at {
			t.Fatalf("an event of %d after %d, the clock shows %d", e.at, last, c.now)
		}
		last = e.at
		e.run()
	}
	if !slices.Equal(got, want) {
		t.Errorf("order %v, want %v", got, want)
	}
}
