package actors

import (
	crand "crypto/rand"
	"io"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/trouperaft/troupe/core"
)

// Production returns the real environment: the machine's clock and randomness,
// goroutines that linger, and calls that block where they are made. All callers
// share one actor system and its goroutines.
func Production() Environment { return production{allWorkers()} }

var allWorkers = sync.OnceValue(func() *workers { return newWorkers(workerLinger) })

type production struct{ workers *workers }

// system is one for the process: it costs megabytes and has no goroutine.
var system = sync.OnceValue(func() *actor.ActorSystem {
	// Metrics stay off (they make a message ten times as dear), and nothing is
	// written to stderr. A bell that rings while its actor ends is a dead
	// letter; the throttle of the log of dead letters, which nobody reads,
	// would keep a goroutine for its interval.
	return actor.NewActorSystem(
		actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger {
			return slog.New(slog.NewTextHandler(io.Discard, nil))
		}),
		actor.WithDeadLetterThrottleInterval(time.Millisecond),
	)
})

// lastReading keeps Now from running backwards where the clock is coarse.
var lastReading atomic.Int64

func (production) Now() core.Instant {
	now := readClock()
	for {
		last := lastReading.Load()
		if now <= last {
			return core.Instant(last)
		}
		if lastReading.CompareAndSwap(last, now) {
			return core.Instant(now)
		}
	}
}

func (production) WallTime() int64 { return time.Now().UnixNano() }

func (production) Rand() uint64 { return rand.Uint64() }

func (production) Secret(b []byte) { _, _ = crand.Read(b) } // it never fails

func (production) AfterFunc(d time.Duration, f func()) Timer {
	return productionTimer{time.AfterFunc(d, f)}
}

func (production) System() *actor.ActorSystem { return system() }

func (p production) Dispatcher() actor.Dispatcher { return p.workers }

func (p production) Do(_ CallKind, call func(), done func()) {
	p.workers.blocking(call)
	done()
}

func (production) Yield() { runtime.Gosched() }

type productionTimer struct{ t *time.Timer }

func (p productionTimer) Reset(d time.Duration) { p.t.Reset(d) }

func (p productionTimer) Stop() { p.t.Stop() }
