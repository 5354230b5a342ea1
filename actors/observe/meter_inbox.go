package observe

import (
	"time"

	"go.opentelemetry.io/otel/attribute"

	"github.com/trouperaft/troupe/actors/stage"
	"github.com/trouperaft/troupe/metrics"
)

// inboxMeter takes how full an inbox was, and for how long its actor was called:
// every so many calls, because a write alone makes eleven of them. turns and since
// are guarded by the inbox's lock, the others are the taker's.
type inboxMeter struct {
	env         stage.Environment
	depth, wait histogram
	// timesAll: somebody wants to know how long every call waited.
	timesAll bool
	turns    uint64
	since    stage.Instant
	sampled  bool
	woken    stage.Instant
	waited   time.Duration
}

// inbox returns the meter of an inbox of the node, that of the log actor.
func (m *nodeMeter) inbox(actor Actor) *inboxMeter {
	name := attribute.String(metrics.KeyActor, metrics.Actors[actor])
	return &inboxMeter{env: m.env, depth: m.histogram(metrics.InboxDepth, name), wait: m.histogram(metrics.InboxWait, name)}
}

// inbox returns the meter of an inbox of the group.
func (m *groupMeter) inbox(actor Actor) *inboxMeter {
	name := attribute.String(metrics.KeyActor, metrics.Actors[actor])
	box := &inboxMeter{env: m.env, depth: m.histogram(metrics.InboxDepth, name), wait: m.histogram(metrics.InboxWait, name)}
	if actor == ActorCore {
		box.timesAll = true
		m.core = box
	}
	return box
}

func (m *inboxMeter) samples() bool { return m.turns%metrics.InboxSampling == 1 }

// Woken implements stage.Meter.
func (m *inboxMeter) Woken() {
	if m.turns++; m.timesAll || m.samples() {
		m.since = m.env.Now()
	}
}

// Swapped implements stage.Meter.
func (m *inboxMeter) Swapped() { m.woken, m.since, m.sampled = m.since, 0, m.samples() }

// Took implements stage.Meter: it records what was taken last, unless the actor
// came by itself.
func (m *inboxMeter) Took(items int) {
	if m.woken == 0 {
		return
	}
	m.waited = m.env.Now().Sub(m.woken)
	if m.sampled {
		m.depth.count(items)
		m.wait.took(m.waited)
	}
}
