package stage

import (
	"sync"
	"testing"
)

func TestInboxRingsOncePerEdge(t *testing.T) {
	wakeUps := 0
	b := Inbox[int]{Wake: func() { wakeUps++ }}
	steps := []struct {
		do      func() bool
		wakeUps int
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
		if wakeUps != s.wakeUps {
			t.Errorf("step %d: %d wake-ups, want %d", i, wakeUps, s.wakeUps)
		}
	}
}

func TestInboxKeepsEachSendersOrder(t *testing.T) {
	const senders, each = 8, 2000
	wakeUps := make(chan struct{}, senders*each)
	b := Inbox[[2]int]{Wake: func() { wakeUps <- struct{}{} }}
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
		<-wakeUps
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
	b := Inbox[int]{Wake: func() {}}
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
type countingMeter struct{ woken, swapped, took int }

func (m *countingMeter) Woken()         { m.woken++ }
func (m *countingMeter) Swapped()       { m.swapped++ }
func (m *countingMeter) Took(items int) { m.took += items }

// TestInboxNotes: a note wakes the actor only if it says so and the inbox is open;
// what did not is taken with the rest, and a meter sees both.
func TestInboxNotes(t *testing.T) {
	wakeUps, newest, meter := 0, 0, &countingMeter{}
	b := Inbox[int]{Wake: func() { wakeUps++ }, Meter: meter}
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
	if woken, _ := b.Pending(); woken || wakeUps != 0 {
		t.Errorf("woken %v and %d times by what may wait", woken, wakeUps)
	}
	b.Put(6, false)
	note(2, false)
	if items, noted, urgent := take(); items != 2 || noted != 2 || urgent || wakeUps != 1 {
		t.Errorf("%d items, note %d, urgent %v, %d wake-ups", items, noted, urgent, wakeUps)
	}
	note(3, true)
	note(4, true)
	if items, noted, urgent := take(); items != 0 || noted != 4 || !urgent || wakeUps != 2 {
		t.Errorf("%d items, note %d, urgent %v, %d wake-ups", items, noted, urgent, wakeUps)
	}
	b.Close()
	note(7, true)
	if wakeUps != 2 || newest != 7 || b.Leave(8) {
		t.Errorf("closed: %d wake-ups, note %d", wakeUps, newest)
	}
	if want := (countingMeter{woken: 2, swapped: 2, took: 4}); *meter != want {
		t.Errorf("the meter saw %+v, want %+v", *meter, want)
	}
}

// TestInboxForgets: what was taken is not kept alive by the inbox, nor the room
// of a rare flood.
func TestInboxForgets(t *testing.T) {
	b := Inbox[*int]{Wake: func() {}}
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

// yieldingEnvironment counts yields, each of which lets somebody put something in.
type yieldingEnvironment struct {
	Environment
	yields int
	others func()
}

func (e *yieldingEnvironment) Yield() {
	e.yields++
	e.others()
}

// TestGatherRests: what brings nothing is left out for longer and longer, and tried
// again each time when something came.
func TestGatherRests(t *testing.T) {
	b := Inbox[int]{Wake: func() {}}
	env := &yieldingEnvironment{others: func() {}}
	gather := func(times int, urgent bool) (yields int) {
		env.yields = 0
		for range times {
			b.Put(1, urgent)
			b.Gather(env)
			b.Take()
		}
		return env.yields
	}
	// After the yields come 1, 3, 7, 15, 31, 63, 63 times without one.
	for i, want := range []struct{ times, yields int }{{1, 1}, {2, 1}, {4, 1}, {8, 1}, {16, 1}, {32, 1}, {64, 1}, {64, 1}} {
		if got := gather(want.times, false); got != want.yields {
			t.Errorf("the %d. stretch: %d yields in %d times, want %d", i+1, got, want.times, want.yields)
		}
	}
	env.others = func() { b.Put(2, false) }
	gather(restMax, false)
	if got := gather(10, false); got != 10 {
		t.Errorf("%d yields in 10 times when each brings something", got)
	}
	if got := gather(10, true); got != 0 {
		t.Errorf("%d yields for what is urgent", got)
	}
}
