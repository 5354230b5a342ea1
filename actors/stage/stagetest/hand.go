// Package stagetest lets a test drive actors by hand.
package stagetest

import "github.com/trouperaft/troupe/actors/stage"

// Hand is an environment in which nothing happens by itself: actors have their
// turns when the test settles it, and a call that may block ends when the test
// says so, as in a simulation. Clock, randomness and timers are production's. One
// goroutine uses it, and makes everything that wakes its actors; they need no end.
type Hand struct {
	stage.Environment
	system *stage.System
	runs   []func()
	calls  []func()
}

var _ stage.Environment = (*Hand)(nil)

// NewHand returns an environment without actors, with a system of its own.
func NewHand() *Hand {
	return &Hand{Environment: stage.Production(), system: stage.NewSystem()}
}

// System implements stage.Environment.
func (h *Hand) System() *stage.System { return h.system }

// Schedule implements stage.Environment. It only queues.
func (h *Hand) Schedule(run func()) { h.runs = append(h.runs, run) }

// Do implements stage.Environment. It only queues.
func (h *Hand) Do(c *stage.Call) {
	h.calls = append(h.calls, func() { c.Run(); c.Done() })
}

// Settle gives actors their turns, in the order in which they asked for them,
// until none has anything to do.
func (h *Hand) Settle() {
	for len(h.runs) > 0 {
		run := h.runs[0]
		h.runs = h.runs[1:]
		run()
	}
}

// Calls returns how many calls are under way.
func (h *Hand) Calls() int { return len(h.calls) }

// Finish carries out the call that began first, of which there must be one, and
// lets its actor go on.
func (h *Hand) Finish() {
	call := h.calls[0]
	h.calls = h.calls[1:]
	call()
	h.Settle()
}
