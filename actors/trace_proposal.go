package actors

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/tracing"
)

// proposalTrace is what a sampled proposal carries. The lock of traces guards
// it: a client, the core actor and the apply actor have it in turn.
type proposalTrace struct {
	traces *traces
	clock  traceClock
	// root is the whole way; queue and forward are nil while the proposal is
	// not there, to is where forward goes.
	root, queue, forward trace.Span
	to                   membership.Identity
}

// Trace decides, before Propose, whether the proposal is traced: under the span
// of ctx, if that has one. One that is not costs nothing else on its way.
func (g *Group) Trace(ctx context.Context, p *Proposal) {
	if !g.traces.off() && g.traces.tracer.Samples(ctx) {
		g.traces.begin(ctx, p)
	}
}

func (t *traces) begin(ctx context.Context, p *Proposal) {
	clock := t.clock()
	root := t.tracer.StartRoot(ctx, tracing.Propose, clock.now(), t.on(tracing.CommandBytesKey.Int(len(p.Data)))...)
	t.carry(p, clock, root)
}

// remote begins the part of a proposal that another node has passed on, if that
// node traces it.
func (t *traces) remote(p *Proposal, c core.TraceContext) {
	if c.IsZero() || t.off() {
		return
	}
	parent, ok := tracing.Extract(c)
	if !ok {
		return
	}
	clock := t.clock()
	attributes := t.on(peerOf(p.from), tracing.CommandBytesKey.Int(len(p.Data)))
	t.carry(p, clock, t.tracer.StartChild(parent, tracing.ProposeForwarded, clock.now(), attributes...))
}

func (t *traces) carry(p *Proposal, clock traceClock, root trace.Span) {
	if root == nil {
		return
	}
	p.trace = &proposalTrace{traces: t, clock: clock, root: root}
	p.trace.queued(clock.now())
	t.proposals.Add(1)
}

// queued begins the wait for a leader, once more if one would not have it.
func (t *proposalTrace) queued(now time.Time) {
	t.queue = t.traces.tracer.StartChild(t.root.SpanContext(), tracing.Queue, now, t.traces.on()...)
}

// event notes on the wait how far the proposal has come.
func (t *proposalTrace) event(name string) {
	if t == nil {
		return
	}
	t.traces.mu.Lock()
	defer t.traces.mu.Unlock()
	note(t.queue, t.clock.now(), name)
}

// traced is the end of a proposal, if it was traced. It is called once, by
// whoever completes it.
func (p *Proposal) traced(id core.LogID, err error) {
	t := p.trace
	if t == nil {
		return
	}
	p.trace = nil
	t.traces.mu.Lock()
	defer t.traces.mu.Unlock()
	now := t.clock.now()
	endWith(&t.queue, now, err)
	endWith(&t.forward, now, err)
	if id.Index > 0 {
		t.root.SetAttributes(entryOf(id)...)
	}
	t.root.SetAttributes(tracing.OutcomeKey.String(outcomeOf(err)))
	endWith(&t.root, now, err)
	t.traces.proposals.Add(-1)
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

// forwarding begins the way of proposals to the leader, unless an attempt that
// the network refused has begun it: m carries them in their order.
func (t *traces) forwarding(m *core.ProposeRequest, batch []*Proposal) {
	if !t.hasProposals() {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	traced := 0
	for i, p := range batch {
		if p.trace == nil {
			continue
		}
		now := p.trace.clock.now()
		if traced++; traced > tracedPerMessageMax {
			note(p.trace.root, now, tracing.EventCapped)
			continue
		}
		if p.trace.to != m.To {
			p.trace.unsent(now)
		}
		if p.trace.forward == nil {
			end(&p.trace.queue, now)
			p.trace.to = m.To
			p.trace.forward = t.tracer.StartChild(p.trace.root.SpanContext(), tracing.Forward, now, t.on(peerOf(m.To))...)
		}
		if p.trace.forward != nil {
			m.Proposals[i].Trace = tracing.Inject(p.trace.forward.SpanContext())
		}
	}
}

// forwarded notes that proposals were sent, or that they were not.
func (t *traces) forwarded(batch []*Proposal, sent bool) {
	if !t.hasProposals() {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, p := range batch {
		if p.trace == nil {
			continue
		}
		now := p.trace.clock.now()
		if !sent {
			note(p.trace.forward, now, tracing.EventRefused)
			note(p.trace.queue, now, tracing.EventRefused) // there is one or the other
			continue
		}
		end(&p.trace.queue, now)
		if p.trace.forward != nil {
			p.trace.forward.SetAttributes(tracing.BatchEntriesKey.Int(len(batch)))
		}
	}
}

// leaderChanged ends the ways to a leader that never took the proposals: they
// wait for another. They are linked from first on.
func (t *traces) leaderChanged(first *Proposal) {
	if !t.hasProposals() {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for p := first; p != nil; p = p.next {
		if p.trace != nil {
			p.trace.unsent(p.trace.clock.now())
		}
	}
}

// unsent gives up a way that nothing was sent on, and waits again. The lock is
// held.
func (t *proposalTrace) unsent(now time.Time) {
	if t.forward != nil {
		leave(&t.forward, now, reasonNewLeader)
		t.queued(now)
	}
}

// answered ends the way of a forwarded proposal whose result has come back.
func (t *proposalTrace) answered(r *core.ForwardedResult) {
	if t == nil {
		return
	}
	t.traces.mu.Lock()
	defer t.traces.mu.Unlock()
	var err error
	if r.Code != core.ResultApplied {
		err = errors.New(r.Error)
	}
	if t.forward != nil {
		t.forward.SetAttributes(tracing.OutcomeKey.String(outcomeOfCode(r.Code)))
	}
	endWith(&t.forward, t.clock.now(), err)
}

// requeued begins the next wait of a proposal that a leader would not have.
func (t *proposalTrace) requeued() {
	if t == nil {
		return
	}
	t.traces.mu.Lock()
	defer t.traces.mu.Unlock()
	t.queued(t.clock.now())
}

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

// admitted begins the stages of what was appended: count proposals, from p on,
// and first is the id of its entry. It comes before the write is handed to
// anybody.
func (t *traces) admitted(first core.LogID, p *Proposal, count int) {
	if !t.hasProposals() || !anyTraced(p, count) {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	traced := 0
	for i := 0; i < count; i, p = i+1, p.next {
		if p.trace == nil {
			continue
		}
		now := p.trace.clock.now()
		p.trace.unsent(now)
		if p.trace.queue != nil {
			p.trace.queue.SetAttributes(tracing.BatchEntriesKey.Int(count))
		}
		end(&p.trace.queue, now)
		if traced++; traced > tracedPerBatchMax || len(t.entries) >= tracedEntriesMax {
			note(p.trace.root, now, tracing.EventCapped)
			continue
		}
		id := core.LogID{Term: first.Term, Index: first.Index + core.Index(i)}
		e := &tracedEntry{id: id, clock: p.trace.clock, parent: p.trace.root.SpanContext(), own: true}
		e.commit = t.tracer.StartChild(e.parent, tracing.Commit, now, t.on()...)
		t.add(e)
	}
}

func anyTraced(p *Proposal, count int) bool {
	for ; count > 0; count, p = count-1, p.next {
		if p.trace != nil {
			return true
		}
	}
	return false
}
