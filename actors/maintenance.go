package actors

import (
	"slices"

	"github.com/trouperaft/troupe/core"
)

// This file is about requests that concern what this node keeps of the log. They wait in
// the core actor until the engine has an answer.

// maintenance is those that wait.
type maintenance struct {
	lastID uint64
	purges []*purgeRequest
	// ended are told at the end of the burst, when the status shows what they are told.
	ended []func()
}

type purgeRequest struct {
	upTo core.Index
	id   uint64 // set by the core actor
	done func(core.Index, error)
}

// Purge removes the entries up to an index from this node's log, whatever is to be kept
// below a snapshot. done gets the first index that the log holds then, when that is
// durable, or a *core.PurgeError.
func (g *Group) Purge(upTo core.Index, done func(first core.Index, err error)) {
	if !g.core.put(&purgeRequest{upTo: upTo, done: done}) {
		done(0, g.stopCause())
	}
}

func (c *coreActor) purge(r *purgeRequest) {
	m := &c.upkeep
	m.lastID++
	r.id = m.lastID
	m.purges = append(m.purges, r)
	c.stepEngine(&core.PurgeLog{ID: r.id, UpTo: r.upTo})
}

func (m *maintenance) purgeEnded(c *core.PurgeEnded) {
	if i := slices.IndexFunc(m.purges, func(r *purgeRequest) bool { return r.id == c.ID }); i >= 0 {
		r := m.purges[i]
		m.purges = slices.Delete(m.purges, i, i+1)
		first, err := c.First, c.Err
		m.ended = append(m.ended, func() { r.done(first, err) })
	}
}

// tellEnded tells those whose request has ended in this burst.
func (m *maintenance) tellEnded() {
	for _, tell := range m.ended {
		tell()
	}
	clear(m.ended)
	m.ended = m.ended[:0]
}

// finish answers everybody when the group stops.
func (m *maintenance) finish(cause error) {
	m.tellEnded()
	for _, r := range m.purges {
		r.done(0, cause)
	}
	m.purges = nil
}
