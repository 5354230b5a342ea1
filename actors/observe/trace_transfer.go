package observe

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel/attribute"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/tracing"
)

// A transfer of leadership has a span on the node that was asked, one on the leader,
// under which the campaign of the target stands, and so the votes for it.

func (t *traces) movingLeadership(b *MovingLeadership) core.TraceContext {
	var more []attribute.KeyValue
	if b.To != 0 {
		more = append(more, tracing.PeerKey.Int64(int64(b.To)))
	}
	return t.rare(context.WithoutCancel(b.Ctx), tracing.Transfer, more...)
}

func (t *traces) leadershipMoved(e *LeadershipMoved) {
	if e.Err == nil {
		t.set(e.Span, tracing.PeerKey.Int64(int64(e.Leader)), tracing.TermKey.Int64(int64(e.Term)))
	}
	t.end(e.Span, e.Err)
}

// asking notes for what the engine is stepped.
func (t *traces) asking(e *Asking) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.askedFor = *e
}

// askingTransfer puts the context of who asks for a transfer beside the request to the
// leader.
func (t *traces) askingTransfer(m *core.TransferRequest) {
	t.mu.Lock()
	defer t.mu.Unlock()
	m.Trace = t.askedFor.Context
}

// tellingToCampaign puts the context of the hand-over beside the order to campaign.
func (t *traces) tellingToCampaign(m *core.TimeoutNow) {
	t.mu.Lock()
	defer t.mu.Unlock()
	m.Trace = t.handOver.of()
	t.handOver.note(t.wallNow(), tracing.EventTold)
}

// handsOver begins or ends the leader's part of a transfer, and returns its context.
// The lock is held.
func (t *traces) handsOver(n *core.Notice) (c core.TraceContext) {
	c = t.handOver.of()
	now := t.wallNow()
	switch n.Kind {
	case core.NoticeTransferStarted:
		about := []attribute.KeyValue{peerOf(n.Peer), tracing.TermKey.Int64(int64(n.Term))}
		if n.Text != "" {
			about = append(about, tracing.ReasonKey.String(n.Text))
		}
		switch asked := t.askedFor; {
		case asked.Context.IsZero() && t.tracer.SamplesRare():
			t.handOver = t.begin(context.Background(), tracing.TransferLead, now, about...)
		case asked.Remote:
			t.handOver = t.from(asked.Context, tracing.TransferLead, now, about...)
		default:
			t.handOver = t.under(asked.Context, tracing.TransferLead, now, about...)
		}
		c = t.handOver.of()
	case core.NoticeTransferred:
		end(&t.handOver, now)
	case core.NoticeTransferFailed:
		endWith(&t.handOver, now, errors.New(n.Text))
	}
	return c
}

// leavesOffice begins or ends the span of a leader's way out of office, and returns its
// context. The lock is held.
func (t *traces) leavesOffice(n *core.Notice) core.TraceContext {
	now := t.wallNow()
	if t.stepDown == nil && n.Kind != core.NoticeWorksAgain && t.tracer.SamplesRare() {
		t.stepDown = t.begin(context.Background(), tracing.StepDown, now, tracing.TermKey.Int64(int64(n.Term)))
	}
	if n.Text != "" {
		t.stepDown.set(tracing.ReasonKey.String(n.Text))
	}
	c := t.stepDown.of()
	switch n.Kind {
	case core.NoticeSteppedDown:
		t.stepDown.set(tracing.OutcomeKey.String(tracing.OutcomeLeft))
		end(&t.stepDown, now)
	case core.NoticeWorksAgain:
		t.stepDown.set(tracing.OutcomeKey.String(tracing.OutcomeStayed))
		end(&t.stepDown, now)
	}
	return c
}
