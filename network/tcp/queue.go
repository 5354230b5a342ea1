package tcp

import (
	"sync"

	"github.com/trouperaft/troupe/core"
)

// queue is what waits to be written on one connection. Many put, one writer
// takes all at once.
type queue struct {
	messagesMax, bytesMax int
	// wakeUp has a token when the queue is no longer empty, or was closed.
	wakeUp chan struct{}

	mu      sync.Mutex
	waiting []queued
	// messages and bytes count what was put and not yet written.
	messages, bytes int
	closed          bool
}

type queued struct {
	message core.Message
	bytes   int
}

func newQueue(messagesMax, bytesMax int) *queue {
	return &queue{messagesMax: messagesMax, bytesMax: bytesMax, wakeUp: make(chan struct{}, 1)}
}

// put reports whether there was room.
func (q *queue) put(m core.Message, bytes int) bool {
	q.mu.Lock()
	if q.closed || q.messages >= q.messagesMax || q.bytes+bytes > q.bytesMax {
		q.mu.Unlock()
		return false
	}
	first := len(q.waiting) == 0
	q.waiting = append(q.waiting, queued{m, bytes})
	q.messages++
	q.bytes += bytes
	q.mu.Unlock()
	if first {
		q.wake()
	}
	return true
}

func (q *queue) wake() {
	select {
	case q.wakeUp <- struct{}{}:
	default:
	}
}

// take returns all that waits, in order, and leaves room in its place, which the
// writer took before and has cleared.
func (q *queue) take(room []queued) (all []queued, closed bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	all, q.waiting = q.waiting, room[:0]
	return all, q.closed
}

// written gives back the room of what was taken.
func (q *queue) written(messages, bytes int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.messages -= messages
	q.bytes -= bytes
}

// close drops what waits; nothing can be put any more.
func (q *queue) close() {
	q.mu.Lock()
	q.closed = true
	q.waiting = nil
	q.mu.Unlock()
	q.wake()
}
