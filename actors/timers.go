package actors

import "github.com/trouperaft/troupe/core"

// timersMax is above every core.Timer.
const timersMax = core.Timers + 1

// engineTimer is the one timer behind a timer of the engine. A firing cannot be
// taken back once it is in the inbox, so each is judged when it is read: it
// counts if the timer is armed and due, with the generation armed last.
type engineTimer struct {
	timer      Timer
	armed      bool
	at         core.Instant
	generation uint64
}

func (t *engineTimer) cancel() {
	if t.armed {
		t.armed = false
		t.timer.Stop()
	}
}

func (c *coreActor) armTimer(cmd *core.ArmTimer) {
	t := &c.timers[cmd.Timer]
	t.armed, t.at, t.generation = true, cmd.At, cmd.Generation
	d := max(cmd.At.Sub(c.now), 0)
	if t.timer == nil {
		timer := cmd.Timer
		t.timer = c.env.AfterFunc(d, func() { c.put(&timerDue{timer}) })
		return
	}
	t.timer.Reset(d)
}

// fire gives a timer that came due to the engine.
func (c *coreActor) fire(timer core.Timer) {
	t := &c.timers[timer]
	switch {
	case !t.armed:
	case c.now < t.at:
		// A firing from before the timer was armed again.
		t.timer.Reset(t.at.Sub(c.now))
	default:
		t.armed = false
		c.group.traces.electionTimer(timer)
		c.stepEngine(&core.TimerFired{Timer: timer, Generation: t.generation})
		c.group.traces.tried(timer, c.changed)
	}
}
