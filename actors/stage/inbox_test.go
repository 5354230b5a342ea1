package stage

import (
	"sync"
	"testing"
)

func TestInboxRingsOncePerEdge(t *testing.T) {
	rings := 0
	b := Inbox[int]{Bell: func() { rings++ }}
	steps := []struct {
		do    func() bool
		rings int
	}{
		{func() bool { return b.Put(1, false) }, 1},
		{func() bool { return b.Put(2, false) }, 1},
		{func() bool { _, urgent := b.Pending(); return !urgent }, 1},
		{func() bool { return b.Put(3, true) }, 1},
		{func() bool { some, urgent := b.Pending(); return some && urgent }, 1},
		{func() bool { got := b.Take(); return len(got) == 3 && got[0] == 1 && got[1] == 2 && got[2] == 3 }, 1},
		{func() bool { some, urgent := b.Pending(); return !some && !urgent }, 1},
		{func() bool { return len(b.Take()) == 0 }, 1},
		{func() bool { return b.Put(4, false) }, 2},
		{func() bool { left := b.Close(); return len(left) == 1 && left[0] == 4 }, 2},
		{func() bool { return !b.Put(5, true) }, 2},
		{func() bool { return len(b.Take()) == 0 }, 2},
	}
	for i, s := range steps {
		if !s.do() {
			t.Errorf("step %d went wrong", i)
		}
		if rings != s.rings {
			t.Errorf("step %d: %d rings, want %d", i, rings, s.rings)
		}
	}
}

func TestInboxKeepsEachSendersOrder(t *testing.T) {
	const senders, each = 8, 2000
	bells := make(chan struct{}, senders*each)
	b := Inbox[[2]int]{Bell: func() { bells <- struct{}{} }}
	var wg sync.WaitGroup
	for s := range senders {
		wg.Go(func() {
			for i := range each {
				b.Put([2]int{s, i}, false)
			}
		})
	}
	var next [senders]int
	for got := 0; got < senders*each; {
		<-bells
		for _, item := range b.Take() {
			if item[1] != next[item[0]] {
				t.Fatalf("sender %d: item %d, want %d", item[0], item[1], next[item[0]])
			}
			next[item[0]]++
			got++
		}
	}
	wg.Wait()
}

func TestInboxIsClosedExactlyOnce(t *testing.T) {
	const senders, each = 4, 1000
	b := Inbox[int]{Bell: func() {}}
	var wg sync.WaitGroup
	var mu sync.Mutex
	accepted := 0
	for range senders {
		wg.Go(func() {
			n := 0
			for range each {
				if b.Put(1, false) {
					n++
				}
			}
			mu.Lock()
			accepted += n
			mu.Unlock()
		})
	}
	seen := len(b.Take())
	seen += len(b.Close())
	wg.Wait()
	seen += len(b.Close())
	if seen != accepted {
		t.Errorf("%d items were accepted, %d seen", accepted, seen)
	}
}

// countingMeter counts what an inbox tells it.
type countingMeter struct{ rang, swapped, took int }

func (m *countingMeter) Rang()          { m.rang++ }
func (m *countingMeter) Swapped()       { m.swapped++ }
func (m *countingMeter) Took(items int) { m.took += items }

// TestInboxNotes: a note rings only if it says so and the inbox is open; what
// did not ring is taken with the rest, and a meter sees both.
func TestInboxNotes(t *testing.T) {
	rings, newest, meter := 0, 0, &countingMeter{}
	b := Inbox[int]{Bell: func() { rings++ }, Meter: meter}
	note := func(n int, loud bool) { b.Note(func() bool { newest = n; return loud }) }
	take := func() (items, noted int, urgent bool) {
		taken := b.TakeNoted(func(u bool) int {
			noted, newest, urgent = newest, 0, u
			return 1
		})
		return len(taken), noted, urgent
	}
	note(1, false)
	b.Leave(5)
	if rung, _ := b.Pending(); rung || rings != 0 {
		t.Errorf("rung %v and %d times by what may wait", rung, rings)
	}
	b.Put(6, false)
	note(2, false)
	if items, noted, urgent := take(); items != 2 || noted != 2 || urgent || rings != 1 {
		t.Errorf("%d items, note %d, urgent %v, %d rings", items, noted, urgent, rings)
	}
	note(3, true)
	note(4, true)
	if items, noted, urgent := take(); items != 0 || noted != 4 || !urgent || rings != 2 {
		t.Errorf("%d items, note %d, urgent %v, %d rings", items, noted, urgent, rings)
	}
	b.Close()
	note(7, true)
	if rings != 2 || newest != 7 || b.Leave(8) {
		t.Errorf("closed: %d rings, note %d", rings, newest)
	}
	if want := (countingMeter{rang: 2, swapped: 2, took: 4}); *meter != want {
		t.Errorf("the meter saw %+v, want %+v", *meter, want)
	}
}

// TestInboxForgets: what was taken is not kept alive by the inbox, nor the room
// of a rare flood.
func TestInboxForgets(t *testing.T) {
	b := Inbox[*int]{Bell: func() {}}
	b.Put(new(int), true)
	taken := b.Take()
	b.Take()
	if taken[0] != nil {
		t.Error("an item is still held after the next take")
	}
	for range inboxKeepMax + 1 {
		b.Put(nil, true)
	}
	b.Take()
	b.Take()
	b.Put(nil, true)
	if most := max(cap(b.items), cap(b.spare)); most > inboxKeepMax {
		t.Errorf("room for %d items is kept", most)
	}
}
