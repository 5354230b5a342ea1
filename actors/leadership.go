package actors

import (
	"errors"
	"slices"

	"github.com/trouperaft/troupe/actors/observe"
	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
)

// This file is about requests that concern who leads: elections by hand, pauses and
// transfers. They wait in the core actor until the engine has an answer.

// leadershipRequests are those that wait.
type leadershipRequests struct {
	lastID    uint64
	elects    []*electRequest
	transfers []*transferRequest
	pauses    []*pauseRequest
	// ended are told at the end of the burst, when the status shows what they are
	// told.
	ended []func()
}

type electRequest struct {
	id   uint64 // set by the core actor
	done func(core.Term, error)
}

type cancelElect struct {
	request *electRequest
	cause   error
}

// Transfer says how the leadership is to be handed over.
type Transfer struct {
	// To is the node that is to lead, 0 for the best voter.
	To membership.NodeID
	// Not are nodes that are not the best, because they were tried.
	Not []membership.NodeID
	// ByHand: somebody wants it so. The automatic hand-over to a higher priority
	// rests for a while after it.
	ByHand bool
	// Own: only if this node leads.
	Own bool
	// Trace is that of who asks, zero if it is not traced.
	Trace TransferTrace
}

// Handover is a transfer that has succeeded: Leader leads Term.
type Handover struct {
	Leader membership.NodeID
	Term   core.Term
}

type transferRequest struct {
	Transfer
	id   uint64 // set by the core actor
	done func(Handover, error)
}

type cancelTransfer struct {
	request *transferRequest
	cause   error
}

type pauseRequest struct {
	paused bool
	done   func(error)
}

// Elect campaigns now, or when this node's own lease promise and quiet period end.
// done gets the term that this node leads, or a *core.ElectError. The returned
// function ends the wait: done gets a *core.ElectError that wraps cause at once, unless
// it was called before.
func (g *Group) Elect(done func(core.Term, error)) (cancel func(cause error)) {
	r := &electRequest{done: done}
	if !g.core.put(r) {
		done(0, g.stopCause())
	}
	return func(cause error) { g.core.put(&cancelElect{r, cause}) }
}

// PauseElections says whether this node shall neither campaign nor be handed the
// leadership, until the group stops. done is called when that is so.
func (g *Group) PauseElections(paused bool, done func(error)) {
	if !g.core.put(&pauseRequest{paused, done}) {
		done(g.stopCause())
	}
}

// TransferLeadership hands the leadership over; another node than the leader passes
// that on to the leader. done gets who leads then, or a *core.TransferError, or a
// *core.NotLeaderError. The returned function ends the wait: done gets a
// *core.TransferError that wraps cause at once, unless it was called before.
func (g *Group) TransferLeadership(t Transfer, done func(Handover, error)) (cancel func(cause error)) {
	r := &transferRequest{Transfer: t, done: done}
	if !g.core.put(r) {
		done(Handover{}, g.stopCause())
	}
	return func(cause error) { g.core.put(&cancelTransfer{r, cause}) }
}

func (c *coreActor) elect(r *electRequest) {
	l := &c.leadership
	l.lastID++
	r.id = l.lastID
	l.elects = append(l.elects, r)
	c.stepEngine(&core.Elect{ID: r.id})
}

func (c *coreActor) pauseElections(r *pauseRequest) {
	l := &c.leadership
	l.pauses = append(l.pauses, r)
	c.stepEngine(&core.PauseElections{Paused: r.paused})
	l.pauses = l.pauses[:0]
	l.ended = append(l.ended, func() { r.done(nil) })
}

func (c *coreActor) transfer(r *transferRequest) {
	l := &c.leadership
	l.lastID++
	r.id = l.lastID
	l.transfers = append(l.transfers, r)
	c.stepFor(observe.Asking{Context: r.Trace.span.Context}, &core.TransferLeadership{ID: r.id, To: r.To, Not: slices.Clone(r.Not), ByHand: r.ByHand, Own: r.Own})
}

// stepFor steps the engine for somebody whose trace goes on in what comes of it.
func (c *coreActor) stepFor(asking observe.Asking, ev core.Event) {
	asking.Tell(c.watch)
	c.stepEngine(ev)
	observe.Asking{}.Tell(c.watch)
}

func (c *coreActor) cancelElect(item *cancelElect) {
	c.stepEngine(&core.ElectCancelled{ID: item.request.id, Cause: item.cause})
}

func (c *coreActor) cancelTransfer(item *cancelTransfer) {
	c.stepEngine(&core.TransferCancelled{ID: item.request.id, Cause: item.cause})
}

func (l *leadershipRequests) electEnded(c *core.ElectEnded) {
	if i := slices.IndexFunc(l.elects, func(r *electRequest) bool { return r.id == c.ID }); i >= 0 {
		r := l.elects[i]
		l.elects = slices.Delete(l.elects, i, i+1)
		term, err := c.Term, c.Err
		l.ended = append(l.ended, func() { r.done(term, err) })
	}
}

func (l *leadershipRequests) transferEnded(c *core.TransferEnded) {
	if i := slices.IndexFunc(l.transfers, func(r *transferRequest) bool { return r.id == c.ID }); i >= 0 {
		r := l.transfers[i]
		l.transfers = slices.Delete(l.transfers, i, i+1)
		h, err := Handover{c.Leader, c.Term}, c.Err
		l.ended = append(l.ended, func() { r.done(h, err) })
	}
}

// tellEnded tells those whose request has ended in this burst.
func (l *leadershipRequests) tellEnded() {
	for _, tell := range l.ended {
		tell()
	}
	clear(l.ended)
	l.ended = l.ended[:0]
}

// finish answers everybody when the group stops. Nobody knows any more what becomes
// of a transfer.
func (l *leadershipRequests) finish(cause error) {
	l.tellEnded()
	for _, r := range l.elects {
		r.done(0, cause)
	}
	for _, r := range l.transfers {
		err := &core.TransferError{Reason: core.TransferStopped, To: r.To, Sent: true}
		if !errors.Is(cause, core.ErrStopped) {
			err.Cause = cause
		}
		r.done(Handover{}, err)
	}
	for _, r := range l.pauses {
		r.done(cause)
	}
	l.elects, l.transfers, l.pauses = nil, nil, nil
}
