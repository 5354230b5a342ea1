package actors

import (
	"sync"
	"testing"
)

func TestInboxRingsOncePerEdge(t *testing.T) {
	rings := 0
	b := inbox[int]{bell: func() { rings++ }}
	steps := []struct {
		do    func() bool
		rings int
	}{
		{func() bool { return b.put(1, false) }, 1},
		{func() bool { return b.put(2, false) }, 1},
		{func() bool { _, urgent := b.pending(); return !urgent }, 1},
		{func() bool { return b.put(3, true) }, 1},
		{func() bool { some, urgent := b.pending(); return some && urgent }, 1},
		{func() bool { got := b.take(); return len(got) == 3 && got[0] == 1 && got[1] == 2 && got[2] == 3 }, 1},
		{func() bool { some, urgent := b.pending(); return !some && !urgent }, 1},
		{func() bool { return len(b.take()) == 0 }, 1},
		{func() bool { return b.put(4, false) }, 2},
		{func() bool { left := b.close(); return len(left) == 1 && left[0] == 4 }, 2},
		{func() bool { return !b.put(5, true) }, 2},
		{func() bool { return len(b.take()) == 0 }, 2},
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
	b := inbox[[2]int]{bell: func() { bells <- struct{}{} }}
	var wg sync.WaitGroup
	for s := range senders {
		wg.Go(func() {
			for i := range each {
				b.put([2]int{s, i}, false)
			}
		})
	}
	var next [senders]int
	for got := 0; got < senders*each; {
		<-bells
		for _, item := range b.take() {
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
	b := inbox[int]{bell: func() {}}
	var wg sync.WaitGroup
	var mu sync.Mutex
	accepted := 0
	for range senders {
		wg.Go(func() {
			n := 0
			for range each {
				if b.put(1, false) {
					n++
				}
			}
			mu.Lock()
			accepted += n
			mu.Unlock()
		})
	}
	seen := len(b.take())
	seen += len(b.close())
	wg.Wait()
	seen += len(b.close())
	if seen != accepted {
		t.Errorf("%d items were accepted, %d seen", accepted, seen)
	}
}
