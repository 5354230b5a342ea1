package core

import (
	"fmt"
	"strings"
	"time"

	"github.com/trouperaft/troupe/membership"
)

// This file is about what the others know of a change of the members that the leader has
// under way: its heartbeats tell for whom it waits, and a node whose caller waits knows from
// the answers to its order that the leader asks who the newcomers are.

// ChangeTold is what a leader tells of the change of the members that is under way. It is
// immutable.
type ChangeTold struct {
	ChangeStatus
	// WaitsFor are the first ChangeToldWaitsMax members that keep it, and why, in few words.
	WaitsFor []Waiting
}

// String writes "change 7 asking since 5, waits for [node 4: why]".
func (c *ChangeTold) String() string {
	return fmt.Sprintf("change %d %v since %d, waits for %v", c.ID, c.State, c.Since, c.WaitsFor)
}

const (
	// ChangeToldWaitsMax is of how many members a heartbeat tells that a change waits for
	// them. The leader itself knows all.
	ChangeToldWaitsMax = 16
	// changeToldWhyBytesMax bounds why it waits for one of them.
	changeToldWhyBytesMax = 200
)

// tellOthers makes what the heartbeats tell until the next firing of their timer. The rounds
// of reads in between tell the same.
func (e *Engine) tellOthers() {
	l := &e.leaderState.changes
	l.told = nil
	s := e.changeStatus()
	if s.State == ChangeIdle {
		return
	}
	waits := e.changeWaits(nil)
	waits = waits[:min(len(waits), ChangeToldWaitsMax)]
	for i := range waits {
		if w := &waits[i]; len(w.Why) > changeToldWhyBytesMax {
			w.Why = strings.ToValidUTF8(w.Why[:changeToldWhyBytesMax], "") + "..."
		}
	}
	l.told = &ChangeTold{s, waits}
}

// askedByLeader is the change whose newcomers the leader of this node asks who they are. No
// log tells of it.
func (e *Engine) askedByLeader() ChangeStatus {
	if e.role == RoleLeader || e.leader.IsZero() || e.isRemoved() {
		return ChangeStatus{}
	}
	if t := e.changes.told; t != nil && t.State == ChangeAsking && !e.knowsChange(t.ID) {
		return t.ChangeStatus
	}
	// The next heartbeat will tell. Those of an earlier version never do.
	for i := range e.changes.asked {
		if a := &e.changes.asked[i]; a.taken && !a.accepted && a.leader == e.leader && !e.knowsChange(a.names()) {
			return ChangeStatus{ChangeAsking, a.names(), a.since()}
		}
	}
	return ChangeStatus{}
}

// toldWaits appends for whom a change waits, as far as the leader of this node has told.
func (e *Engine) toldWaits(waits []Waiting, s ChangeStatus) []Waiting {
	t := e.changes.told
	if t == nil || e.leader.IsZero() || t.ID != s.ID || (t.State == ChangeAsking) != (s.State == ChangeAsking) {
		return waits
	}
	return append(waits, t.WaitsFor...)
}

// since is when the change was asked for that an order waits for, 0 if that is not known.
func (a *askedChange) since() int64 {
	if a.names() == a.order.ID {
		return a.order.Since
	}
	return a.joinedSince
}

// joined takes which change an order has joined, and how much later it was asked for.
func (a *askedChange) joined(id membership.ChangeID, age time.Duration) {
	a.change, a.joinedSince = id, 0
	if age > 0 { // an earlier version does not tell it
		a.joinedSince = a.order.Since - int64(age)
	}
}

// ageOf is how much later an order was asked for than the change that it joins.
func ageOf(o *ChangeOrder, since int64) time.Duration {
	if since == 0 {
		return 0
	}
	return time.Duration(max(o.Since-since, 0))
}
