package actors

import (
	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
)

// Status is what a group says of itself: an immutable value.
type Status struct {
	core.EngineStatus

	Group membership.GroupID
	Self  membership.Identity
	// Err is why the group has failed, nil if it has not.
	Err error
	// Stopped: the group runs no more.
	Stopped bool
}

// Status returns the group's state as of the end of the last burst of events;
// what is applied and durable since is in it.
func (g *Group) Status() Status {
	s := *g.status.Load()
	applied, flushed := g.tail.progress()
	s.Applied, s.Flushed = max(s.Applied, applied), max(s.Flushed, min(flushed, s.Last))
	return s
}

// Watch calls f with each new status, from an actor, until cancel. f must not
// block.
func (g *Group) Watch(f func(Status)) (cancel func()) {
	remove := g.watchers.add(f)
	g.core.inbox.attendApplied(g.watchers.any)
	return func() {
		remove()
		g.core.inbox.attendApplied(g.watchers.any)
	}
}

// publish makes an engine's status the group's, if it says anything new.
func (g *Group) publish(s core.EngineStatus) {
	if old := g.status.Load(); !worthTelling(&old.EngineStatus, &s) {
		return
	}
	g.publishStatus(&Status{EngineStatus: s, Group: g.cfg.Group, Self: g.node.identity})
}

func (g *Group) publishStatus(s *Status) {
	g.status.Store(s)
	g.watchers.tell(*s)
}

func worthTelling(a, b *core.EngineStatus) bool {
	if a.Role != b.Role || a.Term != b.Term || a.Leader != b.Leader || a.Ready != b.Ready ||
		a.Last != b.Last || a.Committed != b.Committed || a.Applied != b.Applied || a.Flushed != b.Flushed ||
		a.Purged != b.Purged || a.SnapshotIndex != b.SnapshotIndex || a.Cluster != b.Cluster ||
		a.Configuration.LogID != b.Configuration.LogID || a.Bootstrapping != b.Bootstrapping ||
		a.UnknownToGroup != b.UnknownToGroup || len(a.WaitsFor) != len(b.WaitsFor) || len(a.Peers) != len(b.Peers) {
		return true
	}
	for i := range a.WaitsFor {
		if a.WaitsFor[i] != b.WaitsFor[i] {
			return true
		}
	}
	for i := range a.Peers {
		if a.Peers[i] != b.Peers[i] {
			return true
		}
	}
	return false
}
