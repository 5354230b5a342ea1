package observe

import (
	"sync/atomic"

	"github.com/trouperaft/troupe/actors/calls"
	"github.com/trouperaft/troupe/actors/stage"
	"github.com/trouperaft/troupe/internal/foreign"
)

// observer hands what was observed to something foreign: a logger, a tracer or a
// meter. Each of them has an observer of its own, so that one which blocks costs
// nothing of the others.
//
//	OWNS      the way to one logger, tracer or meter
//	RECEIVES  what is to be handed on
//	SENDS     nothing
//	WAITS ON  what it hands to, for as long as that takes
//	BOUND     the length of its queue, what is being handed on included; the rest is
//	          counted as lost
//	DIES WITH the node, which waits a moment for what is left
type observer[T any] struct {
	stage.Shell
	inbox stage.Inbox[T]
	most  int64
	// hand hands one on. It may block, panic, or end its goroutine.
	hand func(T)
	// patient: nobody is in a hurry, so that it begins when its queue is half full
	// or somebody drains it.
	patient bool

	// handed takes that one was handed on, or was not.
	handed func(whole bool)

	queued, lost atomic.Int64
	closing      atomic.Bool
	ended        func()
}

// Bounds of the queues. A batch of writes makes some fifteen measurements.
const (
	linesMax        = 4096
	spansMax        = 4096
	measurementsMax = 1 << 14
)

func newObserver[T any](env stage.Environment, name string, most int64, hand func(T)) *observer[T] {
	o := &observer[T]{most: most, hand: hand}
	o.handed = func(whole bool) {
		if !whole {
			o.lost.Add(1)
		}
		o.queued.Add(-1)
	}
	o.Shell = stage.Shell{Env: env, Name: name, Next: o.step, Closing: o.finish, Failed: func(error) {}, Ended: func() { o.ended() }}
	o.inbox.Wake = o.Wake
	o.Start()
	return o
}

// put takes one, or counts it as lost.
func (o *observer[T]) put(item T) {
	n := o.queued.Add(1)
	switch {
	case n > o.most:
	case o.patient && n != o.most/2:
		if o.inbox.Leave(item) {
			return
		}
	case o.inbox.Put(item, true):
		return
	}
	o.queued.Add(-1)
	o.lost.Add(1)
}

// step hands on what has piled up.
func (o *observer[T]) step() bool {
	items := o.inbox.Take()
	if len(items) == 0 {
		if o.closing.Load() {
			o.Stop()
		}
		return false
	}
	o.Do(calls.Observe, func() { foreign.Each(items, o.hand, o.handed) }, func() {})
	return true
}

// drain hands on what is queued, on the caller's goroutine: whoever asks for what
// was measured wants it whole.
func (o *observer[T]) drain() {
	for _, item := range o.inbox.Drain() {
		foreign.One(item, o.hand, o.handed)
	}
}

// close ends the observer when its queue is empty, and calls ended then.
func (o *observer[T]) close(ended func()) {
	o.ended = ended
	o.closing.Store(true)
	o.Wake()
}

// finish counts what is left.
func (o *observer[T]) finish() { o.lost.Add(int64(len(o.inbox.Close()))) }
