package stage

import "time"

// Environment is everything that actors do not decide themselves. Production
// returns the real one; a simulation or a test brings its own. Actors and those
// who made them call it, from any goroutine, except that Do and Yield are the
// actor's alone. None blocks but Do, and within its call Sleep. The costs are production's.
type Environment interface {
	// Now reads the node's monotonic clock. It counts the time for which the
	// machine was suspended, unless ClockStops, and is never before the last reading.
	// It costs about as much as time.Now, and a system call once a second.
	Now() Instant
	// ClockStops reports whether Now stands still while the machine is suspended, or
	// whether nobody knows. The answer is always the same.
	ClockStops() bool
	// WallTime is nanoseconds since 1970 UTC. It may jump.
	WallTime() int64
	// Rand draws a random number.
	Rand() uint64
	// Secret fills b from a cryptographic generator.
	Secret(b []byte)
	// AfterFunc calls f once, on any goroutine, d from now. f does not block: it
	// puts something into an inbox. It allocates; an actor that sets a timer
	// again and again keeps it and calls Reset.
	AfterFunc(d time.Duration, f func()) Timer
	// System is where the actors are registered.
	System() *System
	// Schedule lets run run, soon and once, on any goroutine. Shells call it: it
	// is how an actor gets its turn, and while a run of an actor is queued or under
	// way there is no second one of it, but for one that closes it beside a call (see
	// Shell.Abandon). What has to be so: every run happens, or
	// the process of that actor is over; each sees what the one before of the same
	// actor wrote. In what order runs come is the environment's business.
	Schedule(run func())
	// Do carries out a call that may block: Run, then Done. In production both run
	// in place, on the calling actor's goroutine. A simulation returns at once and
	// runs both later, at one virtual instant, or never if the node has crashed;
	// until Done, the actor starts no other call. Actors call Shell.Do instead.
	Do(call *Call)
	// Sleep lets a call of Do wait for a time, or until a channel is closed. Where a call
	// takes no time, in a simulation, it returns at once.
	Sleep(d time.Duration, until <-chan struct{})
	// Yield lets others run, once: for an actor that was called by clients who
	// wait for its answer and of whom more would come along. In production those
	// are the goroutines that are ready on the same processor, and it costs about a
	// microsecond: see Inbox.Gather.
	Yield()
}

// Instant is a reading of an Environment's clock in nanoseconds. Instants of
// different environments, or of two lives of one, have nothing to do with each
// other.
type Instant int64

// Sub returns the time from o to i.
func (i Instant) Sub(o Instant) time.Duration { return time.Duration(i - o) }

// Kind sorts the calls that may block, for an environment in which some last
// longer than others or hang together. Actors give the numbers a meaning; the
// stage only hands them on.
type Kind uint8

// Call is an actor's call that may block. It is the same one for all calls of a
// Shell, which sets the fields for each.
type Call struct {
	Kind Kind
	// Run is the call, and Done what follows it. Neither panics; Run may end its
	// goroutine, and Done follows all the same.
	Run, Done func()

	pace pace // production's
}

// Timer is a timer of an Environment. Its methods do not block and are safe for
// concurrent use, cost some tens of nanoseconds and allocate nothing. It ends when it
// fires or is stopped, and one that is dropped while it runs still fires: an actor
// stops its timers when it closes.
type Timer interface {
	// Reset lets the timer fire once, d from now, and no longer at the time set
	// before. A firing that is already under way cannot be taken back.
	Reset(d time.Duration)
	// Stop prevents a firing that is not yet under way.
	Stop()
}
