package simulation

import (
	"math/rand/v2"
	"time"

	"github.com/trouperaft/troupe/actors/calls"
	"github.com/trouperaft/troupe/actors/stage"
	"github.com/trouperaft/troupe/core"
)

// environment is what the actors of one life take from outside.
type environment struct {
	life *life
	rand *rand.Rand
	// The node's clock shows base when the life began at start, and runs by
	// drift parts in a thousand too fast.
	base, start core.Instant
	drift       int64
}

var _ stage.Environment = (*environment)(nil)

func (e *environment) Now() stage.Instant {
	passed := int64(e.life.sim.clock.now - e.start)
	return stage.Instant(e.base) + stage.Instant(passed+passed/1000*e.drift)
}

// ClockStops implements stage.Environment: a pause is no standstill of the clock.
func (e *environment) ClockStops() bool { return false }

// wallStart is the wall clock at the beginning of each run.
const wallStart = int64(1_700_000_000_000_000_000)

func (e *environment) WallTime() int64 {
	return wallStart + int64(e.life.sim.clock.now) + e.drift*int64(time.Millisecond) + int64(e.life.node.wallAhead)
}

func (e *environment) Rand() uint64 { return e.rand.Uint64() }

// Secret is no secret here: it has to come again with the seed.
func (e *environment) Secret(b []byte) {
	for i := range b {
		b[i] = byte(e.rand.Uint64())
	}
}

func (e *environment) Yield() {}

// Sleep returns at once: a call has lasted when it is carried out.
func (e *environment) Sleep(time.Duration, <-chan struct{}) {}

func (e *environment) System() *stage.System { return e.life.sim.system }

// real is how much virtual time passes while the node's clock shows d.
func (e *environment) real(d time.Duration) time.Duration { return d - d/1000*time.Duration(e.drift) }

// realMost is how much virtual time passes at most while the node's clock shows d.
func (e *environment) realMost(d time.Duration) time.Duration {
	return time.Duration(float64(d)/(1+float64(e.drift)/1000)) + microsecond
}

func (e *environment) AfterFunc(d time.Duration, f func()) stage.Timer {
	return &timer{e, e.life.sim.clock.after(e.real(d), e.life, f)}
}

type timer struct {
	environment *environment
	event       *event
}

func (t *timer) Reset(d time.Duration) {
	c := &t.environment.life.sim.clock
	c.cancel(t.event)
	c.arm(t.event, t.environment.real(d))
}

func (t *timer) Stop() { t.environment.life.sim.clock.cancel(t.event) }

// Schedule only queues: the loop decides who runs.
func (e *environment) Schedule(run func()) {
	l := e.life
	s := l.sim
	if s.plan.stall > 0 && s.scheduling.IntN(1000) < s.plan.stall {
		s.clock.after(s.plan.stalls.draw(s.scheduling), l, func() { s.runnable = append(s.runnable, runnable{run, l}) })
		return
	}
	s.runnable = append(s.runnable, runnable{run, l})
}

// call is one call of Do that is under way.
type call struct {
	kind      stage.Kind
	run, done func()
}

// Do holds the call until its time has come, or carries it out at once.
func (e *environment) Do(of *stage.Call) {
	l := e.life
	if l.dead {
		return
	}
	if of.Kind == calls.Close || of.Kind == calls.Observe || l.atOnce(of.Kind) {
		of.Run()
		of.Done()
		return
	}
	c := &call{of.Kind, of.Run, of.Done}
	l.calls = append(l.calls, c)
	l.sim.clock.after(l.lasts(of.Kind), l, func() { l.finish(c) })
}

// atOnce draws whether a call ends before Do returns, as it does in production: its actor
// settles it within the turn that began it.
func (l *life) atOnce(kind stage.Kind) bool {
	s := l.sim
	if s.instant.percent == 0 || s.instant.draw.IntN(100) >= s.instant.percent || l.hangsUntil(kind) > s.clock.now {
		return false
	}
	s.traceCall(l, kind)
	return true
}

// hangsUntil is until when what a call needs hangs.
func (l *life) hangsUntil(kind stage.Kind) core.Instant {
	if kind == calls.Apply || kind == calls.View || kind == calls.Restore {
		return l.node.machineHangs
	}
	return l.node.diskHangs
}

func (s *sim) traceCall(l *life, kind stage.Kind) {
	s.trace.add(traceCall, uint64(l.node.id), uint64(kind))
	if s.trace.on() {
		s.trace.say("%s", calls.Name(kind))
	}
}

// lasts draws how long a call takes.
func (l *life) lasts(kind stage.Kind) time.Duration {
	p, r := &l.sim.plan, l.sim.delays
	switch kind {
	case calls.Write, calls.Keep:
		if int(l.node.id) <= p.slowDisks {
			return p.slowWrite.draw(r)
		}
		return p.write.draw(r) * time.Duration(l.node.diskSlow)
	case calls.Read, calls.SnapshotRead:
		return p.read.draw(r) * time.Duration(l.node.diskSlow)
	case calls.Restore:
		return p.restore.draw(r) * time.Duration(l.node.machineSlow)
	case calls.SnapshotWrite:
		return p.snapshotWrite.draw(r) * time.Duration(l.node.diskSlow)
	}
	return p.apply.draw(r) * time.Duration(l.node.machineSlow)
}

// finish carries a call out, unless what it needs hangs.
func (l *life) finish(c *call) {
	if wait := l.hangsUntil(c.kind).Sub(l.sim.clock.now); wait > 0 {
		l.sim.clock.after(wait+l.lasts(c.kind), l, func() { l.finish(c) })
		return
	}
	for i, other := range l.calls {
		if other == c {
			l.calls = append(l.calls[:i], l.calls[i+1:]...)
			break
		}
	}
	l.sim.traceCall(l, c.kind)
	c.run()
	c.done()
}

// tear lets the calls that a crash interrupts reach the disk as far as they
// still do. Nobody hears of it.
func (l *life) tear() {
	r := l.sim.delays
	for _, c := range l.calls {
		volatile := l.sim.plan.volatile[l.node.id-1]
		if c.kind == calls.Read || c.kind == calls.View || c.kind == calls.SnapshotRead || volatile && (c.kind == calls.Apply || c.kind == calls.Restore) {
			continue
		}
		l.disk.tearing, l.disk.budget = true, r.IntN(4)
		if chance(r, 20) {
			l.disk.budget = 1 << 30
		}
		l.sim.trace.add(traceTorn, uint64(l.node.id), uint64(c.kind), uint64(l.disk.budget))
		c.run()
	}
	l.calls = nil
}
