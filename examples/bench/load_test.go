package main

import (
	"bytes"
	"encoding/binary"
	"io"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/trouperaft/troupe"
)

// fakeLoad has clients whose operations take the time that take says, given how
// many there were before.
func fakeLoad(s settings, take func(n int64) time.Duration) *load {
	l := &load{settings: &s, stderr: io.Discard}
	var count atomic.Int64
	for i := range s.clients * s.batch {
		c := &client{load: l, id: uint32(i)}
		c.write = func([]byte) error {
			time.Sleep(take(count.Add(1) - 1))
			return nil
		}
		c.read = func() error { return nil }
		l.clients = append(l.clients, c)
	}
	if s.rate > 0 {
		l.schedule = newSchedule(s.rate)
		l.schedule.sleep = time.Sleep
	}
	return l
}

// milliseconds are the recorded latencies, in order, as far as the buckets tell.
func milliseconds(l *load) (all []int) {
	for _, c := range l.clients {
		for bucket, n := range c.writes {
			for range n {
				all = append(all, int(middle(bucket)/1000+0.5))
			}
		}
	}
	slices.Sort(all)
	return all
}

// near reports whether two lists of latencies agree within the buckets' width.
func near(a, b []int) bool {
	return slices.EqualFunc(a, b, func(x, y int) bool { return max(x-y, y-x) <= 1+max(x, y)/32 })
}

// runFor is measure without a cluster.
func runFor(l *load, d time.Duration) {
	l.start()
	if l.schedule != nil {
		l.schedule.measure(d)
	}
	l.phase.Store(measuring)
	time.Sleep(d)
	l.phase.Store(stopping)
}

// TestOpenLoopCountsFromTheIntendedBegin lets the first of ten operations be
// slow: those that were to begin meanwhile show how late they were.
func TestOpenLoopCountsFromTheIntendedBegin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := fakeLoad(settings{clients: 1, batch: 1, payloadBytes: 8, rate: 10}, func(n int64) time.Duration {
			if n == 0 {
				return 550 * time.Millisecond
			}
			return 10 * time.Millisecond
		})
		// The first of all is at 0, which is before the measured time began.
		l.schedule.start = time.Now().Add(-time.Millisecond)
		runFor(l, time.Second)
		l.running.Wait()
		// At 100 ms to 500 ms they had to wait until 550 ms, and for each other;
		// the first is not measured, and nothing is left out.
		want := []int{10, 10, 10, 10, 10, 100, 190, 280, 370, 460}
		if got := milliseconds(l); !near(got, want) {
			t.Errorf("the latencies are %v, want %v", got, want)
		}
		if n := l.done.Load(); n != 11 {
			t.Errorf("%d operations were done, want 11", n)
		}
	})
}

// TestOpenLoopKeepsItsRate asserts that free clients take what a busy one cannot.
func TestOpenLoopKeepsItsRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := fakeLoad(settings{clients: 20, batch: 1, payloadBytes: 8, rate: 100}, func(int64) time.Duration { return 100 * time.Millisecond })
		runFor(l, time.Second)
		l.running.Wait()
		got := milliseconds(l)
		if len(got) < 99 || len(got) > 100 || !near(got[:1], []int{100}) || !near(got[len(got)-1:], []int{100}) {
			t.Errorf("the latencies are %v", got)
		}
	})
}

// TestOpenLoopShowsWhatWasNotServed abandons an overloaded loop: what was to
// begin is recorded with the time that it has waited.
func TestOpenLoopShowsWhatWasNotServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := fakeLoad(settings{clients: 1, batch: 1, payloadBytes: 8, rate: 10}, func(int64) time.Duration { return 10 * time.Second })
		l.schedule.start = time.Now().Add(-time.Millisecond)
		runFor(l, time.Second)
		time.Sleep(4 * time.Second)
		l.abandon()
		l.running.Wait()
		// One was before the measured time and took all of it; its end, at 10 s,
		// is when the others were given up.
		want := []int{9000, 9100, 9200, 9300, 9400, 9500, 9600, 9700, 9800, 9900}
		if got := milliseconds(l); !near(got, want) {
			t.Errorf("the latencies are %v, want %v", got, want)
		}
		if n := l.clients[0].unserved; n != 10 {
			t.Errorf("%d were not served, want 10", n)
		}
	})
}

// TestOpenLoopStopsEarly abandons one that was to run for an hour.
func TestOpenLoopStopsEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, measured := range []bool{false, true} {
			l := fakeLoad(settings{clients: 2, batch: 1, payloadBytes: 8, rate: 10}, func(int64) time.Duration { return time.Millisecond })
			begin := time.Now()
			l.start()
			if measured {
				l.schedule.measure(time.Hour)
				l.phase.Store(measuring)
			}
			time.Sleep(time.Second)
			if err := l.stop(nil); err != nil {
				t.Error(err)
			}
			if took := time.Since(begin); took > 2*time.Second {
				t.Errorf("measured %v: it took %v", measured, took)
			}
		}
	})
}

// TestClosedLoop records what began and ended in the measured time.
func TestClosedLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := fakeLoad(settings{clients: 2, batch: 1, payloadBytes: 8}, func(n int64) time.Duration { return 100 * time.Millisecond })
		l.start()
		time.Sleep(150 * time.Millisecond)
		l.phase.Store(measuring)
		time.Sleep(400 * time.Millisecond)
		l.phase.Store(stopping)
		l.running.Wait()
		if got := milliseconds(l); !near(got, []int{100, 100, 100, 100, 100, 100}) {
			t.Errorf("the latencies are %v", got)
		}
		if n := l.done.Load(); n != 12 {
			t.Errorf("%d operations were done, want 12", n)
		}
	})
}

// TestMeasuresSomething: a time in which nothing was done is measured on until each client
// has begun and ended something in it, of each kind.
func TestMeasuresSomething(t *testing.T) {
	for name, test := range map[string]struct {
		settings settings
		takes    time.Duration // to do what is asked for
		want     time.Duration // measured
		recorded int
	}{
		"enough was done":    {settings{clients: 2}, 10 * time.Millisecond, 100 * time.Millisecond, 2},
		"slow":               {settings{clients: 2}, time.Second, 2450 * time.Millisecond, 2},
		"slow writes, reads": {settings{clients: 1, readPercent: 50}, time.Second, 1450 * time.Millisecond, 1},
		"an open loop":       {settings{clients: 2, rate: 10}, time.Second, 450 * time.Millisecond, 1},
		"nothing is due":     {settings{clients: 2, rate: .001}, time.Second, 100 * time.Millisecond, 0},
		"nothing is done":    {settings{clients: 1}, time.Hour, 10*time.Second + 100*time.Millisecond, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				test.settings.batch, test.settings.payloadBytes, test.settings.measured = 1, 8, 100*time.Millisecond
				l := fakeLoad(test.settings, func(int64) time.Duration { return test.takes })
				l.start()
				time.Sleep(550 * time.Millisecond)
				begin := time.Now()
				if l.schedule != nil {
					l.schedule.measure(test.settings.measured)
				}
				var before reading
				before.take(l)
				l.phase.Store(measuring)
				time.Sleep(test.settings.measured)
				if err := l.measuresSomething(t.Context(), &before); err != nil {
					t.Error(err)
				}
				if took := time.Since(begin); took < test.want || took > test.want+50*time.Millisecond {
					t.Errorf("%v were measured, want %v", took, test.want)
				}
				l.phase.Store(stopping)
				l.running.Wait()
				if n := len(milliseconds(l)); n < test.recorded {
					t.Errorf("%d operations were recorded, want %d", n, test.recorded)
				}
			})
		})
	}
}

// TestBatchesWaitForAll asserts that a client has all proposals of a batch under
// way at once, and begins the next when the slowest is answered.
func TestBatchesWaitForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := fakeLoad(settings{clients: 1, batch: 3, payloadBytes: 8}, func(n int64) time.Duration {
			return time.Duration(n%3+1) * 100 * time.Millisecond
		})
		l.start()
		time.Sleep(150 * time.Millisecond)
		l.phase.Store(measuring)
		time.Sleep(900 * time.Millisecond)
		l.phase.Store(stopping)
		l.running.Wait()
		if n := l.done.Load(); n != 12 {
			t.Errorf("%d proposals were done in the begun four batches of three, want 12", n)
		}
		// The first batch began before the measured time. Of the fourth, begun at
		// 900 ms, one proposal was answered before it ended, at 1050 ms.
		if got := milliseconds(l); !near(got, []int{100, 100, 100, 200, 200, 300, 300}) {
			t.Errorf("the latencies are %v", got)
		}
	})
}

// TestReadsAreMixedEvenly asserts that each client reads as often as it should.
func TestReadsAreMixedEvenly(t *testing.T) {
	for _, percent := range []int{0, 1, 30, 50, 100} {
		c := &client{load: &load{settings: &settings{payloadBytes: 8, readPercent: percent}}}
		reads := 0
		for range 1000 {
			if c.next() == nil {
				reads++
			}
		}
		if reads != 10*percent || int(c.number) != 1000-reads {
			t.Errorf("%d %%: %d of 1000 were reads, and the last command is %d", percent, reads, c.number)
		}
	}
}

// TestMachineSnapshots asserts that a machine comes back from what it wrote, and
// stays as it is when that is damaged.
func TestMachineSnapshots(t *testing.T) {
	m := newMachine(true)
	for _, id := range []uint64{1<<32 | 7, 2<<32 | 8, 1<<32 | 9} {
		entry := troupe.Entry{Kind: troupe.EntryCommand, Data: binary.LittleEndian.AppendUint64(nil, id)}
		if _, err := m.Apply(t.Context(), []troupe.Entry{entry, {Kind: troupe.EntryBlank}}); err != nil {
			t.Fatal(err)
		}
	}
	view, err := m.View()
	if err != nil {
		t.Fatal(err)
	}
	var content bytes.Buffer
	if _, err := view.WriteTo(&content); err != nil {
		t.Fatal(err)
	}
	again := newMachine(true)
	if err := again.Restore(t.Context(), bytes.NewReader(content.Bytes())); err != nil {
		t.Fatal(err)
	}
	if err := again.Restore(t.Context(), bytes.NewReader(content.Bytes()[:9])); err == nil {
		t.Error("half a snapshot was taken")
	}
	if n := again.count.Load(); n != 3 || again.lastOf(1) != 9 || again.lastOf(2) != 8 {
		t.Errorf("it came back with %d commands, %d and %d", n, again.lastOf(1), again.lastOf(2))
	}
}

// TestReplicated asserts that a node which has not applied all that clients of
// its group were told is found out.
func TestReplicated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &load{settings: &settings{}, clients: []*client{{written: 3}, {group: 1, written: 5}, {written: 4}}}
		c := &cluster{}
		for _, counts := range [][]uint64{{7, 7}, {6, 5}} {
			g := &group{}
			for _, n := range counts {
				m := newMachine(false)
				m.count.Store(n)
				g.machines = append(g.machines, m)
			}
			c.groups = append(c.groups, g)
		}
		if !l.replicated(t.Context(), c) {
			t.Error("all have enough, and it was not seen")
		}
		c.groups[1].machines[1].count.Store(4)
		if l.replicated(t.Context(), c) {
			t.Error("a node that lacks a command was not found out")
		}
		time.AfterFunc(time.Second, func() { c.groups[1].machines[1].count.Store(5) })
		if !l.replicated(t.Context(), c) {
			t.Error("a node that is late was not waited for")
		}
	})
}
