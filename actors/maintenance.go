package actors

import (
	"slices"

	"github.com/trouperaft/troupe/core"
)

// This file is about requests that concern what this node keeps of the log. They wait in
// the core actor until the engine has an answer.

// upkeepMax bounds the requests of a kind that wait: whoever asked may have left, and is
// waited for all the same, for what hangs may go on.
const upkeepMax = 64

// maintenance is those that wait.
type maintenance struct {
	lastID    uint64
	purges    []*purgeRequest
	snapshots []*snapshotRequest
	// ended are told at the end of the burst, when the status shows what they are told.
	ended []func()
}

type purgeRequest struct {
	upTo core.Index
	id   uint64 // set by the core actor
	done func(core.Index, error)
}

type snapshotRequest struct {
	id   uint64 // set by the core actor
	done func(core.SnapshotMeta, error)
}

type policyRequest struct {
	policy core.SnapshotPolicy
	done   func(error)
}

// Snapshot makes a snapshot now, or joins the one that is being made. done gets its meta
// when it is durable, that of the newest if there is nothing new, or why there is none:
// core.ErrOverloaded while upkeepMax others wait.
func (g *Group) Snapshot(done func(core.SnapshotMeta, error)) {
	if !g.core.put(&snapshotRequest{done: done}) {
		done(core.SnapshotMeta{}, g.stopCause())
	}
}

// SetSnapshotPolicy changes the policy until the group stops. done is called when that is
// so.
func (g *Group) SetSnapshotPolicy(p core.SnapshotPolicy, done func(error)) {
	if !g.core.put(&policyRequest{p, done}) {
		done(g.stopCause())
	}
}

func (c *coreActor) snapshot(r *snapshotRequest) {
	m := &c.upkeep
	if len(m.snapshots) == upkeepMax {
		m.ended = append(m.ended, func() { r.done(core.SnapshotMeta{}, core.ErrOverloaded) })
		return
	}
	m.lastID++
	r.id = m.lastID
	m.snapshots = append(m.snapshots, r)
	// Who asks may have been answered by the apply actor before the core was told.
	if applied, _ := c.memoryLog.Progress(); applied > 0 {
		c.stepEngine(&core.Applied{LogID: core.LogID{Index: applied}})
	}
	c.stepEngine(&core.MakeSnapshot{ID: r.id})
}

func (m *maintenance) snapshotMade(c *core.SnapshotMade) {
	if i := slices.IndexFunc(m.snapshots, func(r *snapshotRequest) bool { return r.id == c.ID }); i >= 0 {
		r := m.snapshots[i]
		m.snapshots = slices.Delete(m.snapshots, i, i+1)
		meta, err := c.Meta, c.Err
		meta.Configuration.Configuration = meta.Configuration.Configuration.Clone()
		m.ended = append(m.ended, func() { r.done(meta, err) })
	}
}

func (c *coreActor) setPolicy(r *policyRequest) {
	c.stepEngine(&core.SetSnapshotPolicy{Policy: r.policy})
	c.upkeep.ended = append(c.upkeep.ended, func() { r.done(nil) })
}

// Purge removes the entries up to an index from this node's log, whatever is to be kept
// below a snapshot. done gets the first index that the log holds then, when that is
// durable, or a *core.PurgeError, or core.ErrOverloaded while upkeepMax others wait.
func (g *Group) Purge(upTo core.Index, done func(first core.Index, err error)) {
	if !g.core.put(&purgeRequest{upTo: upTo, done: done}) {
		done(0, g.stopCause())
	}
}

func (c *coreActor) purge(r *purgeRequest) {
	m := &c.upkeep
	if len(m.purges) == upkeepMax {
		m.ended = append(m.ended, func() { r.done(0, core.ErrOverloaded) })
		return
	}
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
	for _, r := range m.snapshots {
		r.done(core.SnapshotMeta{}, cause)
	}
	m.purges, m.snapshots = nil, nil
}
