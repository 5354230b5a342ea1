package simulation

import (
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"time"

	"github.com/trouperaft/troupe/actors/stage"
	"github.com/trouperaft/troupe/core"
)

// sim is one run.
type sim struct {
	seed   uint64
	plan   plan
	clock  clock
	trace  trace
	system *stage.System
	fabric *fabric
	nodes  []*node
	groups []*group
	faults *faults
	// operator moves the leadership about.
	operator *operator
	upkeep   *upkeep
	// changer changes the members.
	changer *changer
	// failure is what a checker found first.
	failure *Failure
	// seen counts the situations.
	seen [situations]int

	// instant says how many of a hundred calls end at once, and draws which.
	instant struct {
		percent int
		draw    *rand.Rand
	}

	// Each concern draws from a generator of its own.
	scheduling, delays, clientRand, lives *rand.Rand

	runnable []runnable
	steps    uint64
	// still counts the steps since the time last moved.
	still int
}

// runnable is an actor that has something to do.
type runnable struct {
	run  func()
	life *life
}

// stillMax is how many steps may happen within one instant before it is clear
// that they never end, and stepsMax the same for a whole run: so many, and so many for
// each simulated second. The slowest disks and windows need an hour for what their
// patience allows, in which three groups beat their hearts all the time.
const (
	stillMax       = 200_000
	stepsMax       = 5_000_000
	stepsSecondMax = 10_000
)

// step runs one actor, or what happens next. False: nothing is left to do, or a
// checker has failed.
func (s *sim) step() bool {
	if s.failure != nil {
		return false
	}
	s.steps++
	if s.still++; s.still > stillMax || s.steps > stepsMax+uint64(s.clock.now.Sub(0)/time.Second)*stepsSecondMax {
		s.fail("liveness: the actors keep each other busy for ever", "%d steps, %d of them within an instant: %s", s.steps, s.still, s.summary())
		return false
	}
	if n := len(s.runnable); n > 0 {
		i := s.scheduling.IntN(n)
		r := s.runnable[i]
		s.runnable[i] = s.runnable[n-1]
		s.runnable[n-1] = runnable{}
		s.runnable = s.runnable[:n-1]
		s.let(r.life, r.run)
		return true
	}
	e := s.clock.next()
	if e == nil {
		return false
	}
	s.still = 0
	s.let(e.life, e.run)
	return true
}

// let runs something of a life, later if its process is paused, never if it has
// ended. A panic is a failure.
func (s *sim) let(l *life, run func()) {
	if l != nil {
		if l.dead {
			return
		}
		if l.paused {
			l.held = append(l.held, run)
			return
		}
	}
	defer func() {
		if r := recover(); r != nil {
			s.fail("panic", "%v: %v\n%s", l, r, debug.Stack())
		}
	}()
	run()
	if l != nil && !l.dead {
		l.observe()
	}
}

// until runs until done reports true or the time is over.
func (s *sim) until(limit core.Instant, done func() bool) bool {
	for s.clock.now < limit {
		if s.failure != nil {
			return false
		}
		if done() {
			return true
		}
		if !s.step() {
			return false
		}
	}
	return false
}

// Failure is what a checker found.
type Failure struct {
	// Rule names what was broken, in words that stay the same from seed to seed.
	Rule string
	// Detail tells this case.
	Detail string
	// At is the virtual time, in nanoseconds from the beginning.
	At core.Instant
}

// fail takes what was found. The first failure is final.
func (s *sim) fail(rule, format string, arguments ...any) {
	if s.failure != nil {
		return
	}
	s.failure = &Failure{Rule: rule, Detail: fmt.Sprintf(format, arguments...), At: s.clock.now}
	s.trace.add(traceVerdict, 0, hashString(rule))
	s.trace.say("%v", s.failure)
}

// Error implements error.
func (f *Failure) Error() string {
	return fmt.Sprintf("%s (at %.3f ms): %s", f.Rule, float64(f.At)/1e6, f.Detail)
}
