package stage

import (
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// workerLinger is for how long a goroutine that ran actors waits for more before
// it ends. A new goroutine costs six times as much as one that waits, because
// its small stack has to grow first; and a process whose groups only beat, ten
// times a second, should find one waiting.
const workerLinger = 250 * time.Millisecond

// workers run the actors of a process: as many goroutines as there are
// processors take turns at the actors that have something to do, first come,
// first served. An idle actor has none, so that thousands of groups cost no
// goroutines, and an actor that wakes others starts none while enough are at
// work: they come to them without a switch of goroutines.
//
// A call that may block keeps its worker's place while it is short, and gives it
// up once it has lasted: see blocking.
//
// The goroutine that was used last is used next, so that those in excess grow
// old and end.
type workers struct {
	linger time.Duration
	begun  time.Time
	// most is how many run actors at a time: as many as there are processors.
	most       int
	processors func() int

	mu sync.Mutex
	// queue holds the runs that nobody has taken, from first on; waiting counts
	// them, for those who do not hold the lock.
	queue   []func()
	first   int
	waiting atomic.Int32
	// running counts the workers that have a place: they run an actor, or a call
	// of one that has kept it.
	running int
	calls   calls
	// parked are those that wait, in the order in which they began to.
	parked []*worker
	// quiet is when nobody was running the last time.
	quiet time.Duration
	// sweep ends the workers that nobody needs any more. While there is work it
	// is put off again and again; it fires only after everything has become quiet.
	sweep   *time.Timer
	sweepAt time.Duration
}

// worker is one goroutine.
type worker struct {
	// wake has room for the one token that a parked worker is given: true lets
	// it work, false ends it.
	wake  chan bool
	since time.Duration
}

func processors() int { return runtime.GOMAXPROCS(0) }

func newWorkers(linger time.Duration) *workers {
	return &workers{linger: linger, begun: time.Now(), most: processors(), processors: processors}
}

// Schedule lets run run soon, on a worker. A mailbox never schedules a second
// run before the first has ended.
func (p *workers) Schedule(run func()) {
	p.mu.Lock()
	if len(p.queue) == cap(p.queue) && p.first > len(p.queue)/2 {
		// In a busy process the queue is never empty: what was taken makes room.
		p.queue, p.first = slices.Delete(p.queue, 0, p.first), 0
	}
	p.queue = append(p.queue, run)
	p.waiting.Add(1)
	p.callOne()
}

// callOne lets one more worker work, if there is a place, and unlocks.
func (p *workers) callOne() {
	if p.running >= p.most {
		p.look()
		p.mu.Unlock()
		return
	}
	p.running++
	n := len(p.parked) - 1
	if n < 0 {
		p.mu.Unlock()
		go p.serve(&worker{wake: make(chan bool, 1)})
		return
	}
	w := p.parked[n]
	p.parked[n] = nil
	p.parked = p.parked[:n]
	p.mu.Unlock()
	w.wake <- true
}

// serve is a worker's life. It is counted as running when it begins.
func (p *workers) serve(w *worker) {
	whole := false
	defer func() {
		if !whole {
			go p.serve(w) // a call has ended the goroutine, and the worker has its place
		}
	}()
	for {
		p.mu.Lock()
		if p.first == len(p.queue) || p.running > p.most {
			p.park(w)
			p.mu.Unlock()
			if !<-w.wake {
				whole = true
				return
			}
			continue
		}
		run := p.queue[p.first]
		p.queue[p.first] = nil
		if p.first++; p.first == len(p.queue) {
			p.queue, p.first = p.queue[:0], 0
		}
		p.waiting.Add(-1)
		p.mu.Unlock()
		run()
	}
}

// park puts a worker where the next one is looked for. The lock is held.
func (p *workers) park(w *worker) {
	p.running--
	if p.running == 0 {
		p.quiet = time.Since(p.begun)
		p.most = p.processors() // it may have been changed
	}
	w.since = p.quiet
	p.parked = append(p.parked, w)
	p.look()
	if p.running > 0 {
		return
	}
	if oldest := p.parked[0]; p.quiet-oldest.since > p.linger {
		p.end(1)
	}
	switch {
	case p.sweep == nil:
		p.sweep = time.AfterFunc(p.linger, p.sweepOld)
		p.sweepAt = p.quiet + p.linger
	case p.sweepAt-p.quiet < p.linger/2:
		p.sweep.Reset(p.linger)
		p.sweepAt = p.quiet + p.linger
	}
}

// sweepOld ends the workers that have waited long enough.
func (p *workers) sweepOld() {
	p.mu.Lock()
	defer p.mu.Unlock()
	now, n := time.Since(p.begun), 0
	for n < len(p.parked) && now-p.parked[n].since >= p.linger/2 {
		n++
	}
	p.end(n)
	if len(p.parked) == 0 {
		p.sweep = nil
		return
	}
	p.sweep.Reset(p.linger)
	p.sweepAt = now + p.linger
}

// end lets the first n go.
func (p *workers) end(n int) {
	for _, w := range p.parked[:n] {
		w.wake <- false
	}
	rest := copy(p.parked, p.parked[n:])
	clear(p.parked[rest:])
	p.parked = p.parked[:rest]
}
