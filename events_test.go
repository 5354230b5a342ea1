package troupe

import (
	"testing"

	"github.com/trouperaft/troupe/actors"
	"github.com/trouperaft/troupe/core"
)

func TestEventQueueDropsTheOldest(t *testing.T) {
	q := newEventQueue(3)
	put := func(terms ...core.Term) {
		for _, term := range terms {
			q.put(actors.Event{Notice: core.Notice{Term: term}})
		}
	}
	wanted := func(term core.Term, dropped uint64) {
		t.Helper()
		if e, ok := q.take(); !ok || e.Term != term || e.Dropped != dropped {
			t.Errorf("got %v %d with %d dropped, want %d with %d", ok, e.Term, e.Dropped, term, dropped)
		}
	}
	put(1, 2)
	wanted(1, 0)
	put(3, 4, 5, 6)
	wanted(4, 2)
	wanted(5, 0)
	put(7)
	wanted(6, 0)
	wanted(7, 0)
	if e, ok := q.take(); ok || !q.empty() {
		t.Errorf("an empty queue gave %+v", e)
	}
}
