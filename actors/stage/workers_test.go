package stage

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestWorkersLingerAndEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newWorkers(workerLinger)
		p.most, p.processors = 5, func() int { return 5 }
		count := func() (parked, running, queued int) {
			synctest.Wait()
			p.mu.Lock()
			defer p.mu.Unlock()
			return len(p.parked), p.running, len(p.queue) - p.first
		}
		expect := func(when string, parked, running, queued int) {
			t.Helper()
			if a, b, c := count(); a != parked || b != running || c != queued {
				t.Errorf("%s: %d workers wait, %d run and %d runs are queued, want %d, %d and %d", when, a, b, c, parked, running, queued)
			}
		}
		hold := make(chan struct{})
		for range 7 {
			p.Schedule(func() { <-hold })
		}
		expect("seven runs", 0, 5, 2)
		close(hold)
		expect("after them", 5, 0, 0)
		// A heartbeat ten times a second needs one, and finds it.
		for range 10 {
			time.Sleep(100 * time.Millisecond)
			before, _, _ := count()
			p.Schedule(func() {})
			if after, _, _ := count(); after > before {
				t.Errorf("%d workers wait after a run, %d before", after, before)
			}
		}
		expect("after ten beats", 1, 0, 0)
		time.Sleep(2 * workerLinger)
		expect("all is quiet", 0, 0, 0)
		ran := false
		p.Schedule(func() { ran = true })
		if count(); !ran {
			t.Error("a run after a quiet time did not run")
		}
		time.Sleep(2 * workerLinger)
	})
}

// TestWorkersQueueStaysSmall while it is never empty: it holds what waits, and not
// all that ever did.
func TestWorkersQueueStaysSmall(t *testing.T) {
	const actors, turns = 3, 100_000
	p := newWorkers(workerLinger)
	p.most, p.processors = 1, func() int { return 1 }
	done, taken := make(chan struct{}), 0
	var run func()
	run = func() {
		switch taken++; {
		case taken < turns:
			p.Schedule(run)
		case taken == turns:
			close(done)
		}
	}
	p.Schedule(func() {
		for range actors {
			p.Schedule(run)
		}
	})
	await(t, done, "all turns")
	p.mu.Lock()
	defer p.mu.Unlock()
	if cap(p.queue) > 16*actors {
		t.Errorf("the queue has room for %d runs, and %d were ever in it at once", cap(p.queue), actors)
	}
}
