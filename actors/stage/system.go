package stage

import (
	"io"
	"log/slog"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// System is where actors are registered from their start to their end: an actor
// system of protoactor, which supervises their lives. It costs some megabytes and
// has no goroutine, so that one for a process is right, and needs no end. An actor
// that is never stopped stays in it: who lets whole nodes crash without a word
// takes a new system now and then. It may be shared, also by environments.
type System struct{ system *actor.ActorSystem }

// NewSystem makes a system, for an Environment of its own. It takes
// milliseconds. Production has one already.
func NewSystem() *System {
	// Metrics stay off (they make a message ten times as dear), and nothing is
	// written to stderr. A wake-up that comes while its actor ends is a dead
	// letter; the throttle of the log of dead letters, which nobody reads,
	// would keep a goroutine for its interval.
	return &System{actor.NewActorSystem(
		actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger {
			return slog.New(slog.NewTextHandler(io.Discard, nil))
		}),
		actor.WithDeadLetterThrottleInterval(time.Millisecond),
	)}
}

// spawn registers an actor and schedules its start.
func (s *System) spawn(receive func(actor.Context), box *mailbox) *actor.PID {
	return s.system.Root.Spawn(actor.PropsFromFunc(receive,
		actor.WithDispatcher(dispatcher{box.scheduler}), actor.WithGuardian(neverRestart),
		actor.WithMailbox(func() actor.Mailbox { return box })))
}

// stop ends an actor after what it is doing.
func (s *System) stop(pid *actor.PID) { s.system.Root.Stop(pid) }

// scheduler runs mailboxes.
type scheduler interface{ Schedule(run func()) }

// dispatcher is a scheduler as protoactor wants it.
type dispatcher struct{ scheduler }

var _ actor.Dispatcher = dispatcher{}

// Throughput implements actor.Dispatcher; our mailbox takes one message a run.
func (dispatcher) Throughput() int { return 1 }

// neverRestart is the supervisor of all actors: whatever gets past guard stops
// the actor. An actor that was restarted would have lost its state.
var neverRestart = &stopStrategy{}

// stopStrategy has a field because protoactor compares strategies by address.
type stopStrategy struct{ _ byte }

// HandleFailure implements actor.SupervisorStrategy.
func (*stopStrategy) HandleFailure(_ *actor.ActorSystem, supervisor actor.Supervisor, child *actor.PID, _ *actor.RestartStatistics, _ any, _ any) {
	supervisor.StopChildren(child)
}
