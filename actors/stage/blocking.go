package stage

import (
	"sync/atomic"
	"time"
)

// A call that may block is most often over in microseconds: that of a store in
// memory, of a state machine, of a disk that fills its cache. To let another
// worker have the place meanwhile costs two switches of goroutines, several times
// what such a call does. A sync takes milliseconds, and a call that hangs never
// ends: their places have to go to others.
//
// So a call keeps its worker's place unless the actor's calls have lasted of late
// (pace). One that lasts all the same loses it to a timer, which runs only while
// a run waits and somebody is in a call. Its worker works on after the call, and
// parks when there are too many.

const (
	// longCall is from how long on a call had better give its place up at once.
	longCall = 25 * time.Microsecond
	// lookEvery is how often the timer looks: a call that lasts keeps others
	// from working for up to twice that.
	lookEvery = time.Millisecond
	// callsMax is how many calls can keep their places at a time. One more gives
	// its place up.
	callsMax = 16
)

// calls are those that keep their worker's place.
type calls struct {
	places [callsMax]place
	count  atomic.Int32 // of those taken, or a little less

	// looking: the timer runs, and seen is what the places were when it was set.
	// They change under the workers' lock.
	looking atomic.Bool
	timer   *time.Timer
	seen    [callsMax]uint64
}

// place is where a call is noted. Its number is odd while one is, and no two calls
// have the same.
type place struct {
	number atomic.Uint64
	_      [7]uint64 // a cache line of its own
}

// begin notes a call. All places may be taken.
func (c *calls) begin() (in *place, number uint64) {
	for i := range c.places {
		in = &c.places[i]
		if n := in.number.Load(); n&1 == 0 && in.number.CompareAndSwap(n, n+1) {
			c.count.Add(1)
			return in, n + 1
		}
	}
	return nil, 0
}

// end strikes a call out, because it has ended or has to give its place up. It
// reports false to whoever comes second.
func (c *calls) end(in *place, number uint64) bool {
	if !in.number.CompareAndSwap(number, number+1) {
		return false
	}
	c.count.Add(-1)
	return true
}

// blocking runs a call that may block, on a worker.
func (p *workers) blocking(c *Call) {
	var in *place
	var number uint64
	if !c.pace.long(c.Kind) {
		in, number = p.calls.begin()
	}
	switch {
	case in == nil:
		p.mu.Lock()
		p.giveUp()
	case p.waiting.Load() > 0 && !p.calls.looking.Load():
		p.mu.Lock()
		p.look()
		p.mu.Unlock()
	}
	begun := time.Now()
	defer func() { // also if the call ends its goroutine
		c.pace.took(time.Since(begun))
		if in != nil && p.calls.end(in, number) {
			return
		}
		p.mu.Lock()
		p.running++
		p.mu.Unlock()
	}()
	c.Run()
}

// giveUp gives a worker's place up, to another if a run waits, and unlocks.
func (p *workers) giveUp() {
	p.running--
	if p.first < len(p.queue) {
		p.callOne()
	} else {
		p.mu.Unlock()
	}
}

// look sets the timer if there is something to look for. The lock is held. Whoever
// queues a run, or parks, calls it after that, and whoever begins a call after
// that: so one of them sees both.
func (p *workers) look() {
	c := &p.calls
	if c.looking.Load() || p.waiting.Load() == 0 || c.count.Load() == 0 {
		return
	}
	c.looking.Store(true)
	for i := range c.places {
		c.seen[i] = c.places[i].number.Load()
	}
	if c.timer == nil {
		c.timer = time.AfterFunc(lookEvery, p.lookNow)
	} else {
		c.timer.Reset(lookEvery)
	}
}

// lookNow has the calls that were there when the timer was set give their places up.
func (p *workers) lookNow() {
	c := &p.calls
	for i, number := range c.seen {
		if number&1 == 0 || p.waiting.Load() == 0 || !c.end(&c.places[i], number) {
			continue
		}
		p.mu.Lock()
		p.giveUp()
	}
	p.mu.Lock()
	c.looking.Store(false)
	p.look()
	p.mu.Unlock()
}

// pace is how long an actor's calls of a kind take. The last ones count most.
type pace struct {
	kind    Kind
	typical time.Duration
}

// long guesses whether a call is going to last.
func (p *pace) long(kind Kind) bool {
	if p.kind != kind {
		p.kind, p.typical = kind, 0
	}
	return p.typical > longCall
}

// took is told how long it took. A single call that lasts makes the next three be
// taken for long ones.
func (p *pace) took(d time.Duration) { p.typical += (min(d, 8*longCall) - p.typical) / 4 }
