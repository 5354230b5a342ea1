package stage

import (
	"fmt"
	"runtime/debug"
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
// Failed takes it, and nothing is restarted.
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
	// Ended is called once, when the actor has closed and no call is under way.
	Ended func()

	mailbox *mailbox
	pid     *actor.PID
	stopped atomic.Bool
	busy    bool
	inPlace bool // Do is on the stack
	broken  bool
	closed  bool
	// The call under way, and how it is carried out.
	call, settle func()
	under        Call
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

// receive takes what protoactor delivers.
func (s *Shell) receive(ctx actor.Context) {
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
	s.closed = true
	s.guard(s.Closing) // whatever it calls: whoever waits for the end must not wait for ever
	if !s.busy {
		s.Ended()
	}
}

// Do carries out a call that may block. settle comes after it, in the actor's
// turn, unless the actor has ended meanwhile: what call holds open it has to
// release itself. A call that ends later lets the actor work again.
//
// Only the actor calls it, from Next or from another call's settle; while a call
// is under way it panics. call may run on another goroutine, beside the actor's
// Closing: it shares with it only what it guards. In production it costs what call
// does, and some tens of nanoseconds; functions made once keep it from allocating.
func (s *Shell) Do(kind Kind, call, settle func()) {
	if s.busy {
		panic("a second call while one is under way")
	}
	if s.under.Run == nil {
		s.under.Run, s.under.Done = func() { s.guard(s.call) }, s.callEnded
	}
	s.call, s.settle, s.under.Kind = call, settle, kind
	s.busy, s.inPlace = true, true
	s.Env.Do(&s.under)
	s.inPlace = false
}

func (s *Shell) callEnded() {
	settle := s.settle
	s.busy, s.call, s.settle = false, nil, nil
	switch {
	case s.closed:
		s.guard(s.Ended)
	case s.broken:
	case s.inPlace:
		s.guard(settle)
	default:
		s.guard(settle)
		s.Wake()
	}
}

// guard turns a panic into the actor's failure: nothing is restarted.
func (s *Shell) guard(f func()) {
	defer func() {
		if r := recover(); r != nil {
			s.broken = true
			s.Failed(&PanicError{Actor: s.Name, Value: r, Stack: debug.Stack()})
		}
	}()
	f()
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

// PanicError is the cause of a failure that began as a panic.
type PanicError struct {
	// Actor is the name of the actor that panicked.
	Actor string
	// Value is what it panicked with, and Stack where.
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
