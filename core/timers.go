package core

import "time"

// deadline is a timer of the engine. Moving it later costs nothing: the timer
// fires at the old time and is armed again for the rest, so that a follower
// does not touch its clock for every heartbeat.
type deadline struct {
	// at is when to act, 0 if never.
	at Instant
	// armed is when the timer will fire, 0 if it will not.
	armed      Instant
	generation uint64
	// excused: a firing that came much too late was let pass once.
	excused bool
}

// set moves the deadline.
func (e *Engine) set(d *deadline, timer Timer, at Instant) {
	d.at = at
	if d.armed == 0 || at < d.armed {
		e.arm(d, timer)
	}
}

func (e *Engine) arm(d *deadline, timer Timer) {
	d.armed = d.at
	d.generation++
	c := e.out.timers.next()
	c.Timer, c.At, c.Generation = timer, d.at, d.generation
	e.out.add(c)
}

func (e *Engine) cancel(d *deadline, timer Timer) {
	d.at = 0
	d.excused = false
	if d.armed != 0 {
		d.armed = 0
		d.generation++
		e.out.add(&CancelTimer{timer})
	}
}

func (e *Engine) onTimer(ev *TimerFired) {
	d, act := &e.electionTimer, e.onElectionTimer
	switch ev.Timer {
	case TimerHeartbeat:
		d, act = &e.heartbeatTimer, e.onHeartbeatTimer
	case TimerForming:
		d, act = &e.forming.timer, e.onFormingTimer
	case TimerTransfer:
		d, act = &e.transferTimer, e.onTransferTimer
	case TimerChange:
		d, act = &e.changes.timer, e.onChangeTimer
	case TimerSnapshot:
		d, act = &e.snapshots.again, e.onSnapshotTimer
	case TimerSnapshotInterval:
		d, act = &e.snapshots.interval, e.onSnapshotInterval
	}
	if ev.Generation != d.generation || d.armed == 0 {
		return
	}
	d.armed = 0
	switch {
	case d.at == 0:
		return
	case e.now < d.at:
		e.arm(d, ev.Timer)
		return
	}
	act()
}

// muchTooLate reports, once, that a deadline passed so long ago that this node
// must have been asleep: it first listens to what was said meanwhile (rule 15).
func (e *Engine) muchTooLate(d *deadline) bool {
	late := e.now.Sub(d.at) > e.cfg.ElectionTimeout
	excuse := late && !d.excused
	d.excused = excuse
	return excuse
}

// jitter draws a duration from [0, d).
func (e *Engine) jitter(d time.Duration) time.Duration {
	return time.Duration(e.rand.Int64N(int64(d)))
}
