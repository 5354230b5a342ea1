package actors

import (
	"context"
	"log/slog"
	"slices"
	"sync"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
)

// Event is something worth telling the operator: a notice of the engine, with
// the node and group that it came from.
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
	g.logger.LogAttrs(context.Background(), noticeLevel(n.Kind), noticeText(n.Kind), append(noticeAttributes(n), g.traces.noticed(n)...)...)
	g.events.tell(Event{Notice: *n, Node: g.node.identity.ID, Group: g.cfg.Group, At: g.env.WallTime()})
}

// noticeLevel is a warning for what an operator should look into.
func noticeLevel(kind core.NoticeKind) slog.Level {
	switch kind {
	case core.NoticeLostData, core.NoticeUnknownToGroup, core.NoticeOtherCluster, core.NoticeConnectionBroken, core.NoticeContradiction:
		return slog.LevelWarn
	}
	return slog.LevelInfo
}

// noticeAttributes are the fields of a notice that say something.
func noticeAttributes(n *core.Notice) []slog.Attr {
	var attributes []slog.Attr
	add := func(says bool, a slog.Attr) {
		if says {
			attributes = append(attributes, a)
		}
	}
	add(n.Term != 0, slog.Uint64("term", uint64(n.Term)))
	add(!n.Peer.IsZero(), slog.Any("peer", n.Peer))
	add(!n.Known.IsZero(), slog.Any("known", n.Known))
	add(n.Index != 0, slog.Uint64("index", uint64(n.Index)))
	add(n.Text != "", slog.String("text", n.Text))
	return attributes
}

// noticeText names a kind of notice in the log.
func noticeText(kind core.NoticeKind) string {
	switch kind {
	case core.NoticeElectionStarted:
		return "election started"
	case core.NoticeElected:
		return "elected"
	case core.NoticeSteppedDown:
		return "stepped down"
	case core.NoticeNewLeader:
		return "new leader"
	case core.NoticeLostData:
		return "a member has lost its data"
	case core.NoticeUnknownToGroup:
		return "this node is unknown to the group"
	case core.NoticeOtherCluster:
		return "a node of another cluster"
	case core.NoticeConnectionBroken:
		return "connection broken"
	case core.NoticeContradiction:
		return "a contradiction"
	case core.NoticeBootstrapped:
		return "cluster complete"
	}
	return "notice"
}
