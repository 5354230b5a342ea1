package actors

import (
	"slices"
	"sync"

	"github.com/trouperaft/troupe/actors/observe"
	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
)

// Event is something worth telling the operator: a notice, with the node and
// group that it came from.
type Event struct {
	core.Notice
	Node  membership.NodeID
	Group membership.GroupID
	// At is the wall clock, in nanoseconds since 1970 UTC.
	At int64
}

// listeners are functions that want to be told, in the order of their coming.
type listeners[T any] struct {
	mu  sync.Mutex
	all []*func(T)
}

// add adds f, until cancel is called.
func (l *listeners[T]) add(f func(T)) (cancel func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(slices.Clone(l.all), &f)
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.all = slices.DeleteFunc(slices.Clone(l.all), func(o *func(T)) bool { return o == &f })
	}
}

// some reports whether there is anybody.
func (l *listeners[T]) some() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.all) > 0
}

// tell calls all, outside the lock.
func (l *listeners[T]) tell(v T) {
	l.mu.Lock()
	all := l.all
	l.mu.Unlock()
	for _, f := range all {
		(*f)(v)
	}
}

// Events calls f with each event, until cancel. f must not block.
func (g *Group) Events(f func(Event)) (cancel func()) { return g.events.add(f) }

// tell tells a notice to whoever listens, and to the log.
func (g *Group) tell(n *core.Notice) {
	observe.Noticed{Notice: n}.Tell(g.watch)
	g.announce(n)
}

// announce tells a notice to whoever listens.
func (g *Group) announce(n *core.Notice) {
	g.events.tell(Event{Notice: *n, Node: g.node.identity.ID, Group: g.cfg.Group, At: g.env.WallTime()})
}

// tellOfSnapshot tells how an operation on a snapshot ended, and what else there is to
// say.
func (c *coreActor) tellOfSnapshot(ev core.Event, text string) {
	n := core.Notice{Term: c.changed.Term, Text: text}
	switch ev := ev.(type) {
	case *core.SnapshotBuilt:
		if n.Kind, n.Index = core.NoticeSnapshotBuilt, ev.Meta.Index; ev.Record {
			n.Kind = core.NoticeRecorded
		}
		if ev.Err != nil {
			n.Kind, n.Text = core.NoticeSnapshotFailed, ev.Err.Error()
		}
	case *core.SnapshotSent:
		n.Kind, n.Index, n.Peer = core.NoticeSnapshotSent, ev.LogID.Index, ev.Peer
		if !ev.OK {
			n.Kind = core.NoticeSnapshotFailed
		}
	case *core.SnapshotInstalled:
		n.Kind, n.Index = core.NoticeSnapshotInstalled, ev.LogID.Index
	}
	c.notify(&n)
}

// tellOfConfiguration tells of another configuration in force.
func (c *coreActor) tellOfConfiguration(at *core.ConfigurationAt) {
	if !at.Configuration.IsZero() {
		c.notify(&core.Notice{Kind: core.NoticeConfigurationChanged, Term: at.Term, Index: at.Index, Text: at.Configuration.String()})
	}
}
