package actors

import (
	"errors"
	"slices"

	"github.com/trouperaft/troupe/actors/observe"
	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
)

// This file is about requests that change the members. They wait in the core actor until
// the engine has an answer.

// ChangeOutcome is what became of a request to change the members.
type ChangeOutcome struct {
	// Change is the change that was begun or joined, 0 if none was. GoesOn: it goes on, and
	// was asked for at Since, as in its status.
	Change membership.ChangeID
	Since  int64
	GoesOn bool
	// At is the configuration that it ended with, or the one in force.
	At core.ConfigurationAt
	// Steps are the configurations that were only asked for.
	Steps []membership.Configuration
}

type changeRequest struct {
	order  core.ChangeOrder
	noWait bool
	trace  observe.Span
	id     uint64 // set by the core actor
	done   func(ChangeOutcome, error)
}

type endChangeWait struct {
	request *changeRequest
	cause   error
}

// ChangeMembers changes the members; another node than the leader passes that on to the
// leader. done gets what came of it, once. If noWait is set, that is when a leader has
// taken it. The returned function ends the wait: done is called at once, unless it was
// before, and the change goes on if a leader may have heard of it.
func (g *Group) ChangeMembers(order core.ChangeOrder, noWait bool, trace ChangeTrace, done func(ChangeOutcome, error)) (leave func(cause error)) {
	order.Since = g.env.WallTime()
	changes := make([]membership.Change, len(order.Changes))
	for i := range changes {
		changes[i] = order.Changes[i].Clone()
	}
	order.Changes = changes
	r := &changeRequest{order: order, noWait: noWait, trace: trace.span, done: done}
	if !g.core.put(r) {
		done(ChangeOutcome{}, g.stopCause())
	}
	return func(cause error) { g.core.put(&endChangeWait{r, cause}) }
}

// changeRequests are those that wait.
type changeRequests struct {
	lastID  uint64
	waiting []*changeRequest
	// ended are told at the end of the burst, when the status shows what they are told.
	ended []func()
}

func (c *coreActor) changeMembers(r *changeRequest) {
	l := &c.changes
	l.lastID++
	r.id = l.lastID
	l.waiting = append(l.waiting, r)
	for r.order.ID == 0 {
		r.order.ID = membership.ChangeID(c.Env.Rand())
	}
	c.stepFor(observe.Asking{Context: r.trace.Context}, &core.ChangeMembers{ID: r.id, Order: r.order, NoWait: r.noWait})
}

func (c *coreActor) endChangeWait(item *endChangeWait) {
	c.stepEngine(&core.ChangeWaitEnded{ID: item.request.id, Cause: item.cause})
}

func (l *changeRequests) changeEnded(c *core.ChangeEnded) {
	i := slices.IndexFunc(l.waiting, func(r *changeRequest) bool { return r.id == c.ID })
	if i < 0 {
		return
	}
	r := l.waiting[i]
	l.waiting = slices.Delete(l.waiting, i, i+1)
	o, err := ChangeOutcome{Change: c.Change, Since: c.Since, GoesOn: c.GoesOn, At: c.At, Steps: c.Steps}, c.Err
	o.At.Configuration = o.At.Configuration.Clone()
	l.ended = append(l.ended, func() { r.done(o, err) })
}

// tellEnded tells those whose request has ended in this burst.
func (l *changeRequests) tellEnded() {
	for _, tell := range l.ended {
		tell()
	}
	clear(l.ended)
	l.ended = l.ended[:0]
}

// finish answers everybody when the group stops. Nobody here learns any more what
// becomes of a change.
func (l *changeRequests) finish(cause error) {
	l.tellEnded()
	for _, r := range l.waiting {
		err := cause
		if errors.Is(cause, core.ErrStopped) {
			err = &core.UnknownOutcomeError{Cause: cause}
		}
		r.done(ChangeOutcome{}, err)
	}
	l.waiting = nil
}
