package troupe

import (
	"context"
	"iter"
	"sync"

	"github.com/trouperaft/troupe/actors"
	"github.com/trouperaft/troupe/core"
)

// Event is something worth telling an operator, such as an election or a
// member that lost its data: rare, and not repeated within a short time. Kind
// says what has happened, and which of the other fields count: Term, Peer,
// Index, Known, Text. Node, Group and At, the wall clock in nanoseconds, are
// always there. String writes it as a line.
type Event struct {
	actors.Event
	// Dropped counts the events before this one that were lost because they
	// were not taken in time.
	Dropped uint64
}

// EventKind sorts events.
type EventKind = core.NoticeKind

// The kinds of events; package core says more of each.
const (
	EventElectionStarted  = core.NoticeElectionStarted
	EventElected          = core.NoticeElected
	EventSteppedDown      = core.NoticeSteppedDown
	EventNewLeader        = core.NoticeNewLeader
	EventLostData         = core.NoticeLostData
	EventUnknownToGroup   = core.NoticeUnknownToGroup
	EventOtherCluster     = core.NoticeOtherCluster
	EventConnectionBroken = core.NoticeConnectionBroken
	EventBootstrapped     = core.NoticeBootstrapped
	EventContradiction    = core.NoticeContradiction

	EventConfigurationChanged = core.NoticeConfigurationChanged
	EventSnapshotBuilt        = core.NoticeSnapshotBuilt
	EventSnapshotSent         = core.NoticeSnapshotSent
	EventSnapshotInstalled    = core.NoticeSnapshotInstalled
	EventSnapshotFailed       = core.NoticeSnapshotFailed
	EventFailed               = core.NoticeFailed
)

// eventsMax is how many events wait for one slow taker.
const eventsMax = 1024

// Events yields what happens from the call on, in order, for one loop. A taker
// that falls behind by more than 1,024 events loses the oldest, and the next
// event says how many. It ends with ctx, or after the last event of a group that
// has stopped.
func (r *Raft) Events(ctx context.Context) iter.Seq[Event] {
	queue := newEventQueue(eventsMax)
	// The end of ctx also frees a queue that nobody ever loops over.
	ctx, end := context.WithCancel(ctx)
	context.AfterFunc(ctx, r.group.Events(queue.put))
	return func(yield func(Event) bool) {
		defer end()
		for ctx.Err() == nil {
			event, ok := queue.take()
			if ok {
				if !yield(event) {
					return
				}
				continue
			}
			select {
			case <-queue.bell:
			case <-ctx.Done():
			case <-r.Done():
				if queue.empty() {
					return
				}
			}
		}
	}
}

// eventQueue is a ring of the newest events.
type eventQueue struct {
	bell chan struct{} // a token while there may be something to take

	mu      sync.Mutex
	ring    []actors.Event
	first   int
	count   int
	dropped uint64
}

func newEventQueue(eventsMax int) *eventQueue {
	return &eventQueue{bell: make(chan struct{}, 1), ring: make([]actors.Event, eventsMax)}
}

// put never blocks: the core actor calls it.
func (q *eventQueue) put(e actors.Event) {
	q.mu.Lock()
	if q.count == len(q.ring) {
		q.first = (q.first + 1) % len(q.ring)
		q.count--
		q.dropped++
	}
	q.ring[(q.first+q.count)%len(q.ring)] = e
	q.count++
	q.mu.Unlock()
	select {
	case q.bell <- struct{}{}:
	default:
	}
}

func (q *eventQueue) take() (Event, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.count == 0 {
		return Event{}, false
	}
	e := Event{Event: q.ring[q.first], Dropped: q.dropped}
	q.ring[q.first] = actors.Event{}
	q.first = (q.first + 1) % len(q.ring)
	q.count--
	q.dropped = 0
	return e, true
}

func (q *eventQueue) empty() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.count == 0
}
