package stage

import (
	"sync"
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"
)

// mailbox is what protoactor delivers to an actor from. All that an actor is
// ever told beside its life cycle is to look into its inbox, and to be told so
// twice is to be told so once: the wake-up is a flag, and to set it costs an
// atomic while the actor is at work.
//
// After each message the actor goes to the end of the dispatcher's queue, so
// that a busy one does not keep the others waiting.
type mailbox struct {
	// woken: a wake-up is to be delivered. scheduled: a run of the mailbox is
	// queued or under way.
	woken     atomic.Bool
	scheduled atomic.Bool

	// The messages of the actor's life cycle, which are few and come first.
	urgent    atomic.Int32
	mu        sync.Mutex
	lifecycle []any
	suspended bool // the run's

	invoker   actor.MessageInvoker
	scheduler scheduler
	run       func()
}

var _ actor.Mailbox = (*mailbox)(nil)

func newMailbox(runs scheduler) *mailbox {
	m := &mailbox{scheduler: runs}
	m.run = m.deliver
	return m
}

// wake lets the actor work, soon.
func (m *mailbox) wake() {
	if m.woken.Load() {
		return // whoever takes that wake-up sees what this one is for
	}
	m.woken.Store(true)
	m.schedule()
}

// PostUserMessage implements actor.Mailbox. Every message is a wake-up.
func (m *mailbox) PostUserMessage(any) { m.wake() }

// PostSystemMessage implements actor.Mailbox.
func (m *mailbox) PostSystemMessage(message any) {
	m.mu.Lock()
	m.lifecycle = append(m.lifecycle, message)
	m.mu.Unlock()
	m.urgent.Add(1)
	m.schedule()
}

// RegisterHandlers implements actor.Mailbox. The dispatcher is the scheduler
// that the mailbox has already.
func (m *mailbox) RegisterHandlers(invoker actor.MessageInvoker, _ actor.Dispatcher) {
	m.invoker = invoker
}

// Start implements actor.Mailbox.
func (m *mailbox) Start() {}

// UserMessageCount implements actor.Mailbox.
func (m *mailbox) UserMessageCount() int {
	if m.woken.Load() {
		return 1
	}
	return 0
}

func (m *mailbox) schedule() {
	if m.scheduled.CompareAndSwap(false, true) {
		m.scheduler.Schedule(m.run)
	}
}

func (m *mailbox) pending() bool {
	return m.urgent.Load() > 0 || m.woken.Load() && !m.suspended
}

// deliver is one run: one message, and the next run if there is more.
func (m *mailbox) deliver() {
	defer m.delivered() // also if a call has ended its goroutine
	m.deliverOne()
}

func (m *mailbox) delivered() {
	if m.pending() {
		m.scheduler.Schedule(m.run)
		return
	}
	suspended := m.suspended // not this run's any more once it has ended
	m.scheduled.Store(false)
	if m.urgent.Load() > 0 || m.woken.Load() && !suspended {
		m.schedule() // it came in between
	}
}

func (m *mailbox) deliverOne() {
	var message any
	defer func() {
		if r := recover(); r != nil {
			m.invoker.EscalateFailure(r, message)
		}
	}()
	if m.urgent.Load() > 0 {
		message = m.nextOfLife()
		switch message.(type) {
		case *actor.SuspendMailbox:
			m.suspended = true
		case *actor.ResumeMailbox:
			m.suspended = false
		default:
			m.invoker.InvokeSystemMessage(message)
		}
		return
	}
	if !m.suspended && m.woken.Swap(false) {
		message = wakeUpMessage
		m.invoker.InvokeUserMessage(message)
	}
}

func (m *mailbox) nextOfLife() any {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.urgent.Add(-1)
	next := m.lifecycle[0]
	m.lifecycle = append(m.lifecycle[:0], m.lifecycle[1:]...)
	return next
}
