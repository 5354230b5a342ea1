package actors

import (
	"github.com/trouperaft/troupe/actors/observe"
	"github.com/trouperaft/troupe/actors/stage"
	"github.com/trouperaft/troupe/core"
)

// timersMax is above every core.Timer.
const timersMax = core.Timers + 1

// engineTimer is the one timer behind a timer of the engine. A firing cannot be
// taken back once it is in the inbox, so each is judged when it is read: it
// counts if the timer is armed and due, with the generation armed last.
type engineTimer struct {
	timer      stage.Timer
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
		t.timer = c.Env.AfterFunc(d, func() { c.put(&timerDue{timer}) })
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
		observe.TimerFires{Timer: timer}.Tell(c.watch)
		if timer == core.TimerHeartbeat {
			c.tellProgress()
		}
		c.stepEngine(&core.TimerFired{Timer: timer, Generation: t.generation})
		observe.TimerFired{Timer: timer, Changed: c.changed}.Tell(c.watch)
	}
}

// tellProgress tells the engine how many bytes have left to its peers, before it
// judges whether their links are stuck (rule 16). It judges none that has the whole
// log: where most groups are idle, nothing is asked for them. That nothing of the
// stream is on its way is no reason not to ask: others may fill the connection.
func (c *coreActor) tellProgress() {
	last := c.engine.Last().Index
	for _, s := range c.streams.running {
		if core.Index(s.figures.match.Load()) < last {
			c.tellLeft(s, core.ClassBulk)
		}
		if core.StreamMode(s.figures.mode.Load()) == core.StreamSnapshot {
			c.tellLeft(s, core.ClassSnapshot)
		}
	}
}

// tellLeft tells what has left to a stream's peer, if that is new or was on its
// way.
func (c *coreActor) tellLeft(s *replicationActor, class core.Class) {
	left := c.network.Sent(s.key.peer.ID, class)
	own, inflight := uint64(s.figures.onTheWay.Load()), uint64(max(s.figures.toPeer.Load(), 0))
	if left > s.left[class] || inflight > 0 && class == core.ClassBulk {
		s.left[class] = left
		c.progress = core.PeerProgress{Node: s.key.peer.ID, Class: class, Bytes: left, Inflight: inflight, Shared: inflight > own}
		c.stepEngine(&c.progress)
	}
}
