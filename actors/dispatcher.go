package actors

import (
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// lingerTime is for how long a goroutine waits for its actor's next run. A
// wake-up within it costs a sixth of a new goroutine, whose stack has to grow
// first; an actor that is idle longer has no goroutine.
const lingerTime = time.Millisecond

// lingerAfter is how many runs have to follow each other within the linger time
// before a goroutine waits at all. A heartbeat wakes an actor a few times in a
// row, ten times a second: waiting for more after each of them would cost an
// idle group more than its work.
const lingerAfter = 8

// lingering is a dispatcher for one actor: while it is busy, a goroutine stays
// for a while after each run.
type lingering struct {
	linger time.Duration
	// work has room for the one run that a mailbox ever schedules.
	work chan func()

	mu    sync.Mutex
	alive bool
	// quick counts the goroutines that came within the linger time after the
	// one before had ended, at ended.
	quick int
	ended time.Time
}

var _ actor.Dispatcher = (*lingering)(nil)

func newLingering(linger time.Duration) *lingering {
	return &lingering{linger: linger, work: make(chan func(), 1)}
}

// Schedule lets run run, on the actor's goroutine.
func (l *lingering) Schedule(run func()) {
	l.mu.Lock()
	alive := l.alive
	if alive {
		l.work <- run
	} else {
		l.alive = true
		if time.Since(l.ended) < l.linger {
			l.quick++
		} else {
			l.quick = 0
		}
	}
	busy := l.quick >= lingerAfter
	l.mu.Unlock()
	if !alive {
		go l.serve(run, busy)
	}
}

// Throughput is after how many messages of one run a mailbox yields.
func (l *lingering) Throughput() int { return 1024 }

// serve runs what is scheduled until nothing was, for the linger time if the
// actor is busy. The timer is not touched at each run: it ticks, and two ticks
// without a run end it.
func (l *lingering) serve(run func(), busy bool) {
	run()
	for !busy {
		if l.end() {
			return
		}
		(<-l.work)()
	}
	timer := time.NewTimer(l.linger)
	defer timer.Stop()
	ran := false
	for {
		select {
		case run = <-l.work:
			run()
			ran = true
			continue
		case <-timer.C:
		}
		if !ran && l.end() {
			return
		}
		ran = false
		timer.Reset(l.linger)
	}
}

// end takes the goroutine's leave, unless a run came meanwhile.
func (l *lingering) end() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.work) > 0 {
		return false
	}
	l.alive = false
	l.ended = time.Now()
	return true
}
