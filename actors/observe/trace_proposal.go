package observe

import (
	"context"
	"errors"
	"time"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/tracing"
)

// tracedProposal is a sampled proposal, from its client, or from the node that
// forwarded it, to its end. The lock of its traces guards it: a client, the core
// actor and the apply actor have it in turn.
type tracedProposal struct {
	clock clock
	// root is the whole way; queue and forward are nil while the proposal is
	// not there, to is where forward goes.
	root, queue, forward *openSpan
	to                   membership.Identity
}

// proposing begins to follow a proposal that is sampled: under the span of its
// context, if that has one.
func (t *traces) proposing(b *Proposing) core.TraceContext {
	clock := t.clock()
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.carry(clock, t.begin(context.WithoutCancel(b.Ctx), tracing.Propose, clock.now(), tracing.CommandBytesKey.Int(b.Bytes)))
}

// proposingFor begins the part of a proposal that another node has passed on, if
// that node traces it.
func (t *traces) proposingFor(b *ProposingFor) (c core.TraceContext) {
	clock := t.clock()
	t.mu.Lock()
	defer t.mu.Unlock()
	root := t.from(b.Trace, tracing.ProposeForwarded, clock.now(), peerOf(b.From), tracing.CommandBytesKey.Int(b.Bytes))
	if root == nil {
		return c
	}
	return t.carry(clock, root)
}

// carry begins to follow a proposal. The lock is held.
func (t *traces) carry(clock clock, root *openSpan) core.TraceContext {
	if t.proposals == nil {
		t.proposals = make(map[core.TraceContext]*tracedProposal)
	}
	p := &tracedProposal{clock: clock, root: root}
	t.queued(p, clock.now())
	t.proposals[root.of()] = p
	t.live.Add(1)
	return root.of()
}

// queued begins the wait for a leader, once more if one would not have it. The
// lock is held.
func (t *traces) queued(p *tracedProposal, now time.Time) {
	p.queue = t.under(p.root.of(), tracing.Queue, now)
}

// proposal calls f with a proposal, if it is traced.
func (t *traces) proposal(s Span, f func(p *tracedProposal, now time.Time)) {
	if !s.Traced() {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if p := t.proposals[s.Context]; p != nil {
		f(p, p.clock.now())
	}
}

// waited notes on the wait how far the proposal has come.
func (t *traces) waited(s Span, event string) {
	t.proposal(s, func(p *tracedProposal, now time.Time) { p.queue.note(now, event) })
}

// completed is the end of a proposal.
func (t *traces) completed(e *Completed) {
	t.proposal(e.Span, func(p *tracedProposal, now time.Time) {
		endWith(&p.queue, now, e.Err)
		endWith(&p.forward, now, e.Err)
		if e.ID.Index > 0 {
			p.root.set(entryOf(e.ID)...)
		}
		p.root.set(tracing.OutcomeKey.String(outcomeOf(e.Err)))
		endWith(&p.root, now, e.Err)
		delete(t.proposals, e.Span.Context)
		t.live.Add(-1)
	})
}

// outcomeOf says how a proposal ended.
func outcomeOf(err error) string {
	var notLeader *core.NotLeaderError
	switch {
	case err == nil:
		return tracing.OutcomeApplied
	case core.MayHaveHappened(err):
		return tracing.OutcomeUnknown
	case errors.As(err, &notLeader), errors.Is(err, core.ErrNotReady):
		return tracing.OutcomeNotLeader
	case errors.Is(err, core.ErrOverloaded):
		return tracing.OutcomeNoRoom
	}
	return tracing.OutcomeNever
}

// forwarding begins the way of a proposal to the leader, unless an attempt that
// the network refused has begun it, and returns the context that goes with it.
func (t *traces) forwarding(b *Forwarding) (c core.TraceContext) {
	t.proposal(b.Span, func(p *tracedProposal, now time.Time) {
		if p.to != b.To {
			t.unsent(p, now)
		}
		if b.Traced >= tracedPerMessageMax {
			p.root.note(now, tracing.EventCapped)
			return
		}
		if p.forward == nil {
			end(&p.queue, now)
			p.to = b.To
			p.forward = t.under(p.root.of(), tracing.Forward, now, peerOf(b.To))
		}
		c = p.forward.of()
	})
	return c
}

// forwarded notes that a proposal was sent, or that it was not.
func (t *traces) forwarded(e *Forwarded) {
	t.proposal(e.Span, func(p *tracedProposal, now time.Time) {
		if !e.Taken {
			p.forward.note(now, tracing.EventRefused)
			p.queue.note(now, tracing.EventRefused) // there is one or the other
			return
		}
		end(&p.queue, now)
		p.forward.set(tracing.BatchEntriesKey.Int(e.Batch))
	})
}

// leaderChanged ends the way to a leader that never took a proposal: it waits for
// another.
func (t *traces) leaderChanged(s Span) {
	t.proposal(s, func(p *tracedProposal, now time.Time) { t.unsent(p, now) })
}

// unsent gives up a way that nothing was sent on, and waits again. The lock is
// held.
func (t *traces) unsent(p *tracedProposal, now time.Time) {
	if p.forward != nil {
		leave(&p.forward, now, reasonNewLeader)
		t.queued(p, now)
	}
}

// answered ends the way of a forwarded proposal whose result has come back.
func (t *traces) answered(e *Answered) {
	t.proposal(e.Span, func(p *tracedProposal, now time.Time) {
		var err error
		if e.Result.Code != core.ResultApplied {
			err = errors.New(e.Result.Error)
		}
		p.forward.set(tracing.OutcomeKey.String(outcomeOfCode(e.Result.Code)))
		endWith(&p.forward, now, err)
	})
}

// requeued begins the next wait of a proposal that a leader would not have.
func (t *traces) requeued(s Span) { t.proposal(s, t.queued) }

func outcomeOfCode(c core.ResultCode) string {
	switch c {
	case core.ResultApplied:
		return tracing.OutcomeApplied
	case core.ResultNotLeader, core.ResultStopped:
		return tracing.OutcomeNotLeader
	case core.ResultOverloaded:
		return tracing.OutcomeNoRoom
	case core.ResultUnknown:
		return tracing.OutcomeUnknown
	}
	return tracing.OutcomeNever
}

// admitted begins the stages of a write that was appended. It comes before the
// write is handed to anybody.
func (t *traces) admitted(a *Admitted) {
	t.proposal(a.Span, func(p *tracedProposal, now time.Time) {
		t.unsent(p, now)
		p.queue.set(tracing.BatchEntriesKey.Int(a.Batch))
		end(&p.queue, now)
		if t.batch != a.First {
			t.batch, t.staged = a.First, 0
		}
		if t.staged++; t.staged > tracedPerBatchMax || len(t.entries) >= tracedEntriesMax {
			p.root.note(now, tracing.EventCapped)
			return
		}
		e := &tracedEntry{id: a.ID, clock: p.clock, parent: p.root.of(), own: true}
		e.commit = t.under(e.parent, tracing.Commit, now)
		t.add(e)
	})
}
