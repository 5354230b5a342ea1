package actors

import (
	"context"

	"github.com/trouperaft/troupe/actors/observe"
	"github.com/trouperaft/troupe/membership"
)

// Trace decides, before Propose, whether the proposal is traced: under the span
// of ctx, if that has one. One that is not costs nothing else on its way.
func (g *Group) Trace(ctx context.Context, p *Proposal) {
	p.span = observe.Proposing{Ctx: ctx, Bytes: len(p.Data)}.Begin(g.watch)
}

// TraceRead decides, before ReadNow and ReadIndex, whether the read is traced, as
// Trace does.
func (g *Group) TraceRead(ctx context.Context, r *Read) {
	r.span = observe.Reading{Ctx: ctx, Mode: r.Mode.String()}.Begin(g.watch)
}

// TransferTrace is the span of a transfer of leadership.
type TransferTrace struct {
	watch *observe.Watch
	span  observe.Span
}

// TraceTransfer begins the span, under the span of ctx if that has one.
func (g *Group) TraceTransfer(ctx context.Context, to membership.NodeID) TransferTrace {
	return TransferTrace{g.watch, observe.MovingLeadership{Ctx: ctx, To: to}.Begin(g.watch)}
}

// End ends the span. It is called once.
func (t TransferTrace) End(h Handover, err error) {
	observe.LeadershipMoved{Span: t.span, Leader: h.Leader, Term: h.Term, Err: err}.Tell(t.watch)
}

// BootstrapTrace is the span of a bootstrap, from the question to the complete
// cluster.
type BootstrapTrace struct {
	watch *observe.Watch
	span  observe.Span
}

// TraceBootstrap begins the span, under the span of ctx if that has one.
func (g *Group) TraceBootstrap(ctx context.Context, members int) BootstrapTrace {
	return BootstrapTrace{g.watch, observe.Bootstrapping{Ctx: ctx, Members: members}.Begin(g.watch)}
}

// Begun notes that the cluster exists.
func (b BootstrapTrace) Begun() { observe.Formed{Span: b.span}.Tell(b.watch) }

// End ends the span. It is called once.
func (b BootstrapTrace) End(err error) {
	observe.Bootstrapped{Span: b.span, Err: err}.Tell(b.watch)
}

// ChangeTrace is the span of a change of the members.
type ChangeTrace struct {
	watch *observe.Watch
	span  observe.Span
}

// TraceChange begins the span, under the span of ctx if that has one.
func (g *Group) TraceChange(ctx context.Context, what string) ChangeTrace {
	return ChangeTrace{g.watch, observe.ChangingMembers{Ctx: ctx, What: what}.Begin(g.watch)}
}

// End ends the span. It is called once.
func (t ChangeTrace) End(o ChangeOutcome, err error) {
	observe.MembersChanged{Span: t.span, Change: o.Change, Index: o.At.Index, Err: err}.Tell(t.watch)
}
