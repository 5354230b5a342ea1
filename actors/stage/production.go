package stage

import (
	crand "crypto/rand"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// Production returns the real environment: the machine's clock and randomness,
// goroutines that linger, and calls that block where they are made. All callers
// share one actor system and its goroutines. It costs nothing and needs no end:
// a quarter of a second after the last actor has become idle nothing runs.
func Production() Environment { return production{allWorkers()} }

var (
	allWorkers = sync.OnceValue(func() *workers { return newWorkers(workerLinger) })
	system     = sync.OnceValue(NewSystem)
)

type production struct{ workers *workers }

// lastReading keeps Now from running backwards where the clock is coarse.
var lastReading atomic.Int64

func (production) Now() Instant {
	now := readClock()
	for {
		last := lastReading.Load()
		if now <= last {
			return Instant(last)
		}
		if lastReading.CompareAndSwap(last, now) {
			return Instant(now)
		}
	}
}

func (production) ClockStops() bool { return clockStops }

func (production) WallTime() int64 { return time.Now().UnixNano() }

func (production) Rand() uint64 { return rand.Uint64() }

func (production) Secret(b []byte) { _, _ = crand.Read(b) } // it never fails

func (production) AfterFunc(d time.Duration, f func()) Timer {
	return productionTimer{time.AfterFunc(d, f)}
}

func (production) System() *System { return system() }

func (p production) Schedule(run func()) { p.workers.Schedule(run) }

func (p production) Do(c *Call) {
	defer c.Done() // also if the call ends its goroutine
	p.workers.blocking(c)
}

func (production) Sleep(d time.Duration, until <-chan struct{}) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-until:
	}
}

func (production) Yield() {
	y := yielders.Get().(*yielder)
	y.yield()
	yielders.Put(y)
}

// yielder lets a goroutine queue behind those that are ready on its processor.
// runtime.Gosched would queue it behind all there are in the process, and where
// others compute each of those takes ten milliseconds.
type yielder struct {
	turn            chan struct{}
	behind, instead func()
}

var yielders = sync.Pool{New: func() any {
	y := &yielder{turn: make(chan struct{}, 1), instead: func() {}}
	y.behind = func() { y.turn <- struct{}{} }
	return y
}}

// yield starts a goroutine, which Go lets run next, and then another, which Go lets run
// next instead: so the first comes to stand behind the others. It gives the turn back.
func (y *yielder) yield() {
	go y.behind()
	go y.instead()
	<-y.turn
}

type productionTimer struct{ t *time.Timer }

func (p productionTimer) Reset(d time.Duration) { p.t.Reset(d) }

func (p productionTimer) Stop() { p.t.Stop() }
