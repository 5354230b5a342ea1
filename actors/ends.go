package actors

import (
	"slices"
	"time"

	"github.com/trouperaft/troupe/actors/calls"
	"github.com/trouperaft/troupe/actors/stage"
	"github.com/trouperaft/troupe/core"
)

// This file is about ends while a call of foreign code hangs. Rule 28: it takes with it
// only those who need its answer, and these are answered; the group is not Done, and
// cannot be started again, before the call has returned.

// Abandon lets the group end without waiting for any call: everybody who waits is
// answered now, and the context of Apply ends. It begins the end if Stop has not. Done
// is closed when the last call has returned, whose outcome is thrown away.
func (g *Group) Abandon() {
	g.abandon()
	g.end(nil)
}

func (g *Group) abandon() {
	l := &g.life
	l.mu.Lock()
	l.abandoned = true
	closed := l.coreClosed
	l.mu.Unlock()
	g.cancel()
	if closed {
		g.apply.Abandon()
	}
}

// coreClosed ends the apply actor, to which the core has handed the last proposals
// and reads. The others end meanwhile, and nobody waits for them.
func (g *Group) coreClosed() {
	l := &g.life
	l.mu.Lock()
	l.coreClosed = true
	abandoned := l.abandoned
	l.mu.Unlock()
	if abandoned {
		g.apply.Abandon()
	} else {
		g.apply.Stop()
	}
}

// spawn starts an actor that ends before the group does.
func (g *Group) spawn(s *stage.Shell) {
	l := &g.life
	l.mu.Lock()
	l.live++
	l.shells = append(slices.DeleteFunc(l.shells, (*stage.Shell).Over), s)
	l.mu.Unlock()
	s.Start()
}

// Ending reports whether the group has begun to end, because it was told to or has
// failed.
func (g *Group) Ending() bool {
	g.life.mu.Lock()
	defer g.life.mu.Unlock()
	return g.life.stopping
}

// StillRunning says that the group has not ended, and which call it waits for.
func (g *Group) StillRunning() *core.StillRunningError {
	e := &core.StillRunningError{Node: g.node.identity.ID, Group: g.cfg.Group}
	g.life.mu.Lock()
	shells := append(slices.Clone(g.life.shells), &g.node.log.Shell)
	g.life.mu.Unlock()
	name(e, g.env, shells)
	if term, overdue := g.leading.status(instant(g.env)); e.Call == "" && term != 0 {
		e.Call, e.Since = calledWhileLeading, time.Now().Add(-overdue)
	}
	return e
}

// calledWhileLeading names the application's function that runs while this node leads
// (GroupConfig.OnLeading). It is out since its context ended.
const calledWhileLeading = "on leading"

// StillRunning says that the node has not ended, and which call it waits for.
func (n *Node) StillRunning() *core.StillRunningError {
	e := &core.StillRunningError{Node: n.identity.ID}
	for _, g := range n.table.Load().ordered {
		if of := g.StillRunning(); of.Call != "" {
			return of
		}
	}
	name(e, n.env, []*stage.Shell{&n.log.Shell, &n.keeper.Shell})
	return e
}

// name says in e which of the calls that are out was made first.
func name(e *core.StillRunningError, env stage.Environment, shells []*stage.Shell) {
	now := env.Now()
	var oldest time.Duration = -1
	for _, s := range shells {
		if kind, since, out := s.Out(); out && now.Sub(since) > oldest {
			oldest = now.Sub(since)
			e.Call, e.Since = calls.Name(kind), time.Now().Add(-oldest)
		}
	}
}

// stillRunning is StillRunning of a node that may be about to begin.
func stillRunning(n *Node, id core.NodeID) error {
	if n == nil {
		return &core.StillRunningError{Node: id}
	}
	return n.StillRunning()
}

// Abandon abandons all groups of a node that has been stopped.
func (n *Node) Abandon() {
	for _, g := range n.table.Load().ordered {
		g.Abandon()
	}
}
