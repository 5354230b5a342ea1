package stage

import (
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"
)

// Shell is what all actors have in common: a life from Start to Stop, turns, the
// calls that block, and the end. An actor embeds it and fills in the exported
// fields before Start; all but Env and Name are functions that the shell calls,
// never two at a time, and none of them may block.
//
// An actor works in steps: Next takes what piled up, does one thing and says
// whether to go on. While a call of Do is under way there is no step.
//
// A panic in any of these functions, or in a call of Do, is the actor's failure:
// Failed takes it, and nothing is restarted. A call that ends its goroutine
// (runtime.Goexit) fails in the same way.
//
// A life costs some twenty allocations, and nothing between its start and its end:
// an idle actor has no goroutine. It stays registered until it has been stopped.
type Shell struct {
	// Env is what the actor runs in.
	Env Environment
	// Name says in a *PanicError which actor it was.
	Name string
	// Next does one step of the actor's work and reports whether there may be
	// more. It is called after each Wake, and again, when others had their turn,
	// as long as it reports true.
	Next func() bool
	// Closing is called once, at the end of the actor: it closes the inbox and
	// answers whoever waits. A call may still be under way.
	Closing func()
	// Failed takes the cause of the actor's failure, a *PanicError or what Fail
	// was given. The actor works no more; somebody has to Stop it.
	Failed func(cause error)
	// Release, if not nil, lets go of what the actor holds of others. It is called once,
	// when the actor has closed and no call is under way, and may block as a call of
	// Do, of ReleaseKind, may.
	Release     func()
	ReleaseKind Kind
	// Ended is called once, when the actor has closed and no call is under way any
	// more, that of Release included.
	Ended func()

	mailbox  *mailbox
	pid      *actor.PID
	stopped  atomic.Bool
	hurried  atomic.Bool
	over     atomic.Bool
	busy     bool
	inPlace  bool // Do is on the stack
	broken   bool
	exiting  bool // the goroutine of this turn is being ended
	closed   bool
	released bool
	// The call under way, and how it is carried out.
	call, settle func()
	under        Call

	// out is the call under way, for others to see. Who holds its lock while there is
	// one has the actor: it does nothing before it has taken the lock again.
	out struct {
		sync.Mutex
		there bool
		kind  Kind
		since Instant
	}
}

// wakeUp is the only user message: look into your inbox.
type wakeUp struct{}

var wakeUpMessage = &wakeUp{}

// Start begins the actor's life. Whoever made the actor calls it, once. Its inbox
// may wake it from then on, and there is no step before it does.
func (s *Shell) Start() {
	s.mailbox = newMailbox(s.Env)
	s.pid = s.Env.System().spawn(s.receive, s.mailbox)
}

// Wake lets the actor look into its inbox, soon: it does a step. Anybody may call
// it after Start; while the actor is at work it costs an atomic operation or two.
// Wake-ups that come before the step are one.
func (s *Shell) Wake() { s.mailbox.wake() }

// Stop ends the actor, once it has done its present step: Closing is called, and
// Ended when no call is under way. What has woken it and waits for its step is not
// taken any more: Closing finds it in the inbox. Anybody may call it after Start,
// more than once, the actor itself included.
func (s *Shell) Stop() {
	if s.stopped.CompareAndSwap(false, true) {
		s.Env.System().stop(s.pid)
	}
}

// Abandon is Stop for an actor of whose calls nobody knows when they return: Closing
// does not wait for the one under way, but is called beside it, soon. What the call
// brings is thrown away, and Ended waits for it. Anybody may call it after Start, also
// after Stop, and more than once.
func (s *Shell) Abandon() {
	s.hurried.Store(true)
	s.Stop()
	s.out.Lock()
	out := s.out.there
	s.out.Unlock()
	if out { // else a call that is about to begin sees that it is hurried
		s.Env.Schedule(s.closeBeside)
	}
}

// closeBeside closes the actor while it waits for a call.
func (s *Shell) closeBeside() {
	s.out.Lock()
	defer s.out.Unlock()
	if s.out.there && !s.closed {
		s.closed = true
		s.guard(s.Closing)
	}
}

// Out returns the call that is under way, and since when. Anybody may call it.
func (s *Shell) Out() (kind Kind, since Instant, ok bool) {
	s.out.Lock()
	defer s.out.Unlock()
	return s.out.kind, s.out.since, s.out.there
}

// Over reports whether the actor has ended. Anybody may call it.
func (s *Shell) Over() bool { return s.over.Load() }

// receive takes what protoactor delivers.
func (s *Shell) receive(ctx actor.Context) {
	s.exiting = false
	switch ctx.Message().(type) {
	case *wakeUp:
		s.guard(s.work)
	case *actor.Stopping:
		s.guard(s.close)
	}
}

// work does one step. For the next one the actor queues behind the others.
func (s *Shell) work() {
	if !s.busy && !s.broken && !s.closed && s.Next() && !s.busy {
		s.Wake()
	}
}

func (s *Shell) close() {
	if s.closed {
		return // beside a call
	}
	s.closed = true
	s.guard(s.Closing) // whatever it calls: whoever waits for the end must not wait for ever
	if !s.busy {
		s.leave()
	}
}

// leave ends an actor that has closed.
func (s *Shell) leave() {
	if s.Release != nil && !s.released {
		s.released = true
		s.begin(s.ReleaseKind, s.Release, nil)
		return
	}
	s.over.Store(true)
	s.guard(s.Ended)
}

// Do carries out a call that may block. settle comes after it, in the actor's
// turn, unless the actor has ended meanwhile: what call holds open it has to
// release itself. A call that ends later lets the actor work again. In production
// settle comes before Do returns: what it takes from the inbox is newer than what Next
// has taken and not used yet.
//
// Only the actor calls it, from Next or from another call's settle; while a call
// is under way it panics. call may run on another goroutine, beside the actor's
// Closing: it shares with it only what it guards. In production it costs what call
// does, and some hundred nanoseconds; functions made once keep it from allocating.
func (s *Shell) Do(kind Kind, call, settle func()) {
	if s.busy {
		panic("a second call while one is under way")
	}
	s.begin(kind, call, settle)
}

func (s *Shell) begin(kind Kind, call, settle func()) {
	if s.under.Run == nil {
		s.under.Run, s.under.Done = func() { s.guard(s.call) }, s.callEnded
	}
	s.call, s.settle, s.under.Kind = call, settle, kind
	s.busy, s.inPlace = true, true
	since := s.Env.Now()
	s.out.Lock()
	s.out.there, s.out.kind, s.out.since = true, kind, since
	s.out.Unlock()
	if s.hurried.Load() {
		s.Env.Schedule(s.closeBeside)
	}
	defer func() { s.inPlace = false }() // also if the call has ended its goroutine
	s.Env.Do(&s.under)
}

func (s *Shell) callEnded() {
	s.out.Lock()
	s.out.there = false
	s.out.Unlock()
	settle := s.settle
	s.busy, s.call, s.settle = false, nil, nil
	switch {
	case s.closed:
		s.leave()
	case s.broken:
	case s.inPlace:
		s.guard(settle)
	default:
		s.guard(settle)
		s.Wake()
	}
}

// errGoexit is the value of a failure that was no panic.
var errGoexit = errors.New("runtime.Goexit ended the goroutine of a call")

// guard turns a panic, and the end of the goroutine, into the actor's failure: nothing
// is restarted.
func (s *Shell) guard(f func()) {
	whole := false
	defer func() {
		if whole {
			return
		}
		r := recover()
		switch {
		case r != nil:
		case s.exiting:
			return // the call that ended the goroutine was told of further in
		default:
			s.exiting, r = true, errGoexit
		}
		s.broken = true
		s.Failed(&PanicError{Actor: s.Name, Value: r, Stack: debug.Stack()})
	}()
	f()
	whole = true
}

// Fail breaks the actor: it works no more, and waits for its end. Only the actor
// calls it, in its turn; Failed is called with the cause before it returns.
func (s *Shell) Fail(cause error) {
	s.broken = true
	s.Failed(cause)
}

// Survive lets an actor that has failed work on, and wakes it. Only its Failed may
// call it, if the state that the failure has left is good enough for what remains
// to be done: to let others go, say. If it was a call of Do that panicked, its
// settle follows.
func (s *Shell) Survive() {
	s.broken = false
	s.Wake()
}

// PanicError is the cause of a failure that began as a panic, or as the end of the
// goroutine on which something was called.
type PanicError struct {
	// Actor is the name of the actor that panicked.
	Actor string
	// Value is what it panicked with, an error that names runtime.Goexit if it did not,
	// and Stack where.
	Value any
	Stack []byte
}

// Error implements error. It does not tell the stack.
func (e *PanicError) Error() string {
	return fmt.Sprintf("actors: panic in the %s actor: %v", e.Actor, e.Value)
}

// Unwrap returns the panic's value if it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}
