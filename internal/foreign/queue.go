package foreign

import (
	"sync"
	"time"
)

// Queue hands items on, one after the other, from a goroutine that it has only while
// there are any. It is safe for concurrent use.
type Queue[T any] struct {
	most int
	hand func(T)

	mu    sync.Mutex
	items []T
	// queued counts the items, those that are being handed on included.
	queued int
	lost   int64
	closed bool
	// idle is closed when all is handed on; nil if it is.
	idle chan struct{}
}

// NewQueue returns a queue that holds so many items at most, what is being handed on
// included.
func NewQueue[T any](most int, hand func(T)) *Queue[T] { return &Queue[T]{most: most, hand: hand} }

// Put takes an item, or counts it as lost. It never waits for what takes items.
func (q *Queue[T]) Put(item T) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed || q.queued >= q.most {
		q.lost++
		return
	}
	q.items = append(q.items, item)
	q.queued++
	if q.idle == nil {
		q.idle = make(chan struct{})
		go q.run()
	}
}

func (q *Queue[T]) run() {
	for items := q.take(); items != nil; items = q.take() {
		Each(items, q.hand, q.handed)
	}
}

// take takes all items. If there are none, the goroutine has to end.
func (q *Queue[T]) take() []T {
	q.mu.Lock()
	defer q.mu.Unlock()
	items := q.items
	q.items = nil
	if items == nil {
		close(q.idle)
		q.idle = nil
	}
	return items
}

func (q *Queue[T]) handed(whole bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.queued--
	if !whole {
		q.lost++
	}
}

// Lost returns how many items were lost: they found no room, came after Close, or
// what took them did not return.
func (q *Queue[T]) Lost() int64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.lost
}

// Close takes no more items, and returns when all are handed on, or after a time:
// what takes them may hang. What is left then is handed on when that ends.
func (q *Queue[T]) Close(patience time.Duration) {
	q.mu.Lock()
	q.closed = true
	idle := q.idle
	q.mu.Unlock()
	if idle == nil {
		return
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-idle:
	case <-timer.C:
	}
}
