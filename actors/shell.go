package actors

import (
	"fmt"
	"runtime/debug"
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"
)

// shell is what all actors have in common: the life that protoactor gives them,
// the calls that block, and the end.
//
// Its actor works in steps: next takes what piled up, does one thing and says
// whether to go on. While a call of do is under way there is no step.
type shell struct {
	env  Environment
	name string
	// next does one step of the actor's work and reports whether there may be
	// more.
	next func() bool
	// closing is called once, at the end of the actor: it closes the inbox and
	// answers whoever waits. A call may still be under way.
	closing func()
	// failed takes the cause of the actor's failure; the actor works no more.
	failed func(error)
	// ended is called once, when the actor has closed and no call is under way.
	ended func()

	mailbox *mailbox
	pid     *actor.PID
	stopped atomic.Bool
	busy    bool
	inPlace bool // do is on the stack
	broken  bool
	closed  bool
	// The call under way, and two functions that carry it out, made once.
	call, settle     func()
	runCall, endCall func()
}

// bell is the only user message: look into your inbox.
type bell struct{}

var bellMessage = &bell{}

// start spawns the actor. Its inbox may ring from then on.
func (s *shell) start() {
	s.mailbox = newMailbox()
	props := actor.PropsFromFunc(s.Receive, actor.WithDispatcher(s.env.Dispatcher()), actor.WithGuardian(neverRestart),
		actor.WithMailbox(func() actor.Mailbox { return s.mailbox }))
	s.pid = s.env.System().Root.Spawn(props)
}

// ring lets the actor look into its inbox.
func (s *shell) ring() { s.mailbox.ring() }

// stop ends the actor, once it has done its present step. Anybody may call it,
// more than once.
func (s *shell) stop() {
	if s.stopped.CompareAndSwap(false, true) {
		s.env.System().Root.Stop(s.pid)
	}
}

// Receive implements actor.Actor.
func (s *shell) Receive(ctx actor.Context) {
	switch ctx.Message().(type) {
	case *bell:
		s.guard(s.work)
	case *actor.Stopping:
		s.guard(s.close)
	}
}

// work does one step. For the next one the actor queues behind the others.
func (s *shell) work() {
	if !s.busy && !s.broken && !s.closed && s.next() && !s.busy {
		s.ring()
	}
}

func (s *shell) close() {
	s.closed = true
	s.guard(s.closing) // whatever it calls: whoever waits for the end must not wait for ever
	if !s.busy {
		s.ended()
	}
}

// do carries out a call that may block. settle comes after it, unless the actor
// has ended meanwhile: what call holds open it has to release itself. A call that
// ends later lets the actor work again.
func (s *shell) do(kind CallKind, call, settle func()) {
	if s.runCall == nil {
		s.runCall, s.endCall = func() { s.guard(s.call) }, s.callEnded
	}
	s.call, s.settle = call, settle
	s.busy, s.inPlace = true, true
	s.env.Do(kind, s.runCall, s.endCall)
	s.inPlace = false
}

func (s *shell) callEnded() {
	settle := s.settle
	s.busy, s.call, s.settle = false, nil, nil
	switch {
	case s.closed:
		s.guard(s.ended)
	case s.broken:
	case s.inPlace:
		s.guard(settle)
	default:
		s.guard(settle)
		s.ring()
	}
}

// guard turns a panic into the actor's failure: nothing is restarted.
func (s *shell) guard(f func()) {
	defer func() {
		if r := recover(); r != nil {
			s.broken = true
			s.failed(&panicError{actor: s.name, value: r, stack: debug.Stack()})
		}
	}()
	f()
}

// fail breaks the actor: it works no more, and waits for its end.
func (s *shell) fail(cause error) {
	s.broken = true
	s.failed(cause)
}

// panicError is the cause of a failure that began as a panic.
type panicError struct {
	actor string
	value any
	stack []byte
}

// Error implements error.
func (e *panicError) Error() string {
	return fmt.Sprintf("actors: panic in the %s actor: %v", e.actor, e.value)
}

// Unwrap returns the panic's value if it is an error.
func (e *panicError) Unwrap() error {
	err, _ := e.value.(error)
	return err
}

// neverRestart is the supervisor of all actors: whatever gets past guard stops
// the actor. An actor that was restarted would have lost its state.
var neverRestart = &stopStrategy{}

// stopStrategy has a field because protoactor compares strategies by address.
type stopStrategy struct{ _ byte }

// HandleFailure implements actor.SupervisorStrategy.
func (*stopStrategy) HandleFailure(_ *actor.ActorSystem, supervisor actor.Supervisor, child *actor.PID, _ *actor.RestartStatistics, _ any, _ any) {
	supervisor.StopChildren(child)
}
