package stage

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// testWorkers have so many places, in a bubble of virtual time that ends with them.
func testWorkers(t *testing.T, places int, test func(t *testing.T, p *workers)) {
	synctest.Test(t, func(t *testing.T) {
		p := newWorkers(workerLinger)
		p.most, p.processors = places, func() int { return places }
		test(t, p)
		time.Sleep(2 * workerLinger)
	})
}

// TestLastingCallGivesUpItsPlace, whether the run that waits came before the call
// or after it; a call that is short keeps it.
func TestLastingCallGivesUpItsPlace(t *testing.T) {
	testWorkers(t, 1, func(t *testing.T, p *workers) {
		var ran atomic.Int32
		release := make(chan struct{})
		expect := func(when string, want int32) {
			t.Helper()
			if synctest.Wait(); ran.Load() != want {
				t.Errorf("%s: %d runs beside the call, want %d", when, ran.Load(), want)
			}
		}
		p.Schedule(func() {
			p.Schedule(func() { ran.Add(1) })
			p.blocking(&Call{Run: func() { <-release }})
		})
		expect("the call has begun", 0)
		time.Sleep(lookEvery / 2)
		expect("the call is short so far", 0)
		time.Sleep(2 * lookEvery)
		expect("the call lasts", 1)
		p.Schedule(func() { ran.Add(1) })
		expect("its place is given up", 2)
		release <- struct{}{}
		synctest.Wait()

		p.Schedule(func() { p.blocking(&Call{Run: func() { <-release }}) })
		time.Sleep(10 * lookEvery)
		p.Schedule(func() { ran.Add(1) })
		expect("a run that comes late", 2)
		time.Sleep(2 * lookEvery)
		expect("a run that came late", 3)
		close(release)
		synctest.Wait()
		p.Schedule(func() { ran.Add(1) })
		expect("all calls have ended", 4)
	})
}

// TestHungCallsHoldNoPlaces: as many as there are of them.
func TestHungCallsHoldNoPlaces(t *testing.T) {
	const hung = callsMax + 10
	testWorkers(t, callsMax+5, func(t *testing.T, p *workers) {
		release, ran := make(chan struct{}), false
		for range hung {
			p.Schedule(func() { p.blocking(&Call{Run: func() { <-release }}) })
		}
		p.Schedule(func() { ran = true })
		time.Sleep(hung * 2 * lookEvery)
		if synctest.Wait(); !ran {
			t.Error("nobody is left to run an actor")
		}
		close(release)
	})
}

// TestCallsThatLastGiveUpAtOnce, until they have become short again.
func TestCallsThatLastGiveUpAtOnce(t *testing.T) {
	testWorkers(t, 1, func(t *testing.T, p *workers) {
		var ran atomic.Int32
		var beside int32
		call := &Call{Kind: 1}
		// lasting reports whether the run that waits runs beside a call of the length.
		lasting := func(kind Kind, d time.Duration) bool {
			before := beside
			call.Kind = kind
			call.Run = func() {
				at := ran.Load()
				time.Sleep(d)
				beside += ran.Load() - at
			}
			p.Schedule(func() {
				p.Schedule(func() { ran.Add(1) })
				p.blocking(call)
			})
			time.Sleep(time.Second)
			synctest.Wait()
			return beside > before
		}
		const short = longCall / 5
		steps := []struct {
			kind   Kind
			length time.Duration
			beside bool
		}{
			{1, short, false},
			{1, 10 * time.Millisecond, true}, // the timer's
			{1, short, true},
			{1, short, true},
			{1, short, true},
			{1, short, false},
			{1, 4 * longCall, false},
			{1, 4 * longCall, true},
			{2, short, false}, // another kind, of which nothing is known
		}
		for i, s := range steps {
			if got := lasting(s.kind, s.length); got != s.beside {
				t.Errorf("call %d, of kind %d and %v: another ran beside it: %v, want %v", i+1, s.kind, s.length, got, s.beside)
			}
		}
	})
}

// TestNobodyLooksAfterCallsInVain: while nothing waits no timer runs.
func TestNobodyLooksAfterCallsInVain(t *testing.T) {
	testWorkers(t, 1, func(t *testing.T, p *workers) {
		release := make(chan struct{})
		p.Schedule(func() { p.blocking(&Call{Run: func() { <-release }}) })
		synctest.Wait()
		if p.calls.looking.Load() {
			t.Error("a timer runs for a call that is in nobody's way")
		}
		p.Schedule(func() {})
		if !p.calls.looking.Load() {
			t.Error("no timer runs for a call that is in the way of a run")
		}
		time.Sleep(2 * lookEvery)
		if synctest.Wait(); p.calls.looking.Load() {
			t.Error("a timer runs when the run is over")
		}
		close(release)
	})
}
