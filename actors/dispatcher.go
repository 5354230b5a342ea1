package actors

import (
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// workerLinger is for how long a goroutine that ran an actor waits for another
// run before it ends. A new goroutine costs six times as much, because its small
// stack has to grow first; and a node whose groups only beat, ten times a second,
// should find one waiting.
const workerLinger = 250 * time.Millisecond

// workers run the actors of a node: one goroutine for each actor that has
// something to do right now, and few that wait. An idle actor has none, so that
// thousands of groups cost no goroutines.
//
// The goroutine that was used last is used next, so that those in excess grow
// old and end.
type workers struct {
	linger time.Duration
	begun  time.Time

	mu sync.Mutex
	// parked are those that wait, in the order in which they began to.
	parked []*worker
	// sweep ends those that nobody needs any more. While there is work it is put
	// off again and again; it fires only after everything has become quiet.
	sweep   *time.Timer
	sweepAt time.Duration
}

// worker is one goroutine.
type worker struct {
	// work has room for the one run that a parked worker is given; nil ends it.
	work  chan func()
	since time.Duration
}

var _ actor.Dispatcher = (*workers)(nil)

func newWorkers(linger time.Duration) *workers {
	return &workers{linger: linger, begun: time.Now()}
}

// Schedule lets run run on a goroutine of its own. A mailbox never schedules a
// second run before the first has ended.
func (p *workers) Schedule(run func()) {
	p.mu.Lock()
	n := len(p.parked) - 1
	if n < 0 {
		p.mu.Unlock()
		go p.serve(&worker{work: make(chan func(), 1)}, run)
		return
	}
	w := p.parked[n]
	p.parked[n] = nil
	p.parked = p.parked[:n]
	p.mu.Unlock()
	w.work <- run
}

// Throughput is after how many messages of one run a mailbox yields.
func (p *workers) Throughput() int { return 1024 }

func (p *workers) serve(w *worker, run func()) {
	for run != nil {
		run()
		p.park(w)
		run = <-w.work
	}
}

// park puts a worker where the next run is looked for.
func (p *workers) park(w *worker) {
	p.mu.Lock()
	defer p.mu.Unlock()
	w.since = time.Since(p.begun)
	p.parked = append(p.parked, w)
	if oldest := p.parked[0]; w.since-oldest.since > p.linger {
		p.end(1)
	}
	switch {
	case p.sweep == nil:
		p.sweep = time.AfterFunc(p.linger, p.sweepOld)
		p.sweepAt = w.since + p.linger
	case p.sweepAt-w.since < p.linger/2:
		p.sweep.Reset(p.linger)
		p.sweepAt = w.since + p.linger
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
		w.work <- nil
	}
	rest := copy(p.parked, p.parked[n:])
	clear(p.parked[rest:])
	p.parked = p.parked[:rest]
}
