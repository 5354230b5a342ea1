package observe

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel/attribute"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/tracing"
)

// A change of the members has a span on the node that was asked, and one on each leader
// that leads it: from its first entry, or from what an earlier leader has left, to its
// last.

func (t *traces) changingMembers(b *ChangingMembers) core.TraceContext {
	return t.rare(context.WithoutCancel(b.Ctx), tracing.Change, tracing.ChangesKey.String(b.What))
}

func (t *traces) membersChanged(e *MembersChanged) {
	if e.Err == nil {
		t.set(e.Span, tracing.ChangeKey.String(e.Change.String()), tracing.IndexKey.Int64(int64(e.Index)))
	}
	t.end(e.Span, e.Err)
}

// askingChange puts the context of who asks beside the request to the leader.
func (t *traces) askingChange(m *core.ChangeRequest) {
	t.mu.Lock()
	defer t.mu.Unlock()
	m.Trace = t.askedFor.Context
}

// leadsChange begins or ends the leader's part of a change, and returns its context. Each
// configuration on the way is an event, and so is each quarter of a newcomer's way. The lock
// is held.
func (t *traces) leadsChange(n *core.Notice) (c core.TraceContext) {
	now := t.wallNow()
	c = t.change.of()
	switch n.Kind {
	case core.NoticeChangeStarted:
		about := []attribute.KeyValue{tracing.TermKey.Int64(int64(n.Term)), tracing.IndexKey.Int64(int64(n.Index)), tracing.ChangesKey.String(n.Text)}
		switch asked := t.askedFor; {
		case asked.Context.IsZero() && t.tracer.SamplesRare():
			t.change = t.begin(context.Background(), tracing.ChangeLead, now, about...)
		case asked.Remote:
			t.change = t.from(asked.Context, tracing.ChangeLead, now, about...)
		default:
			t.change = t.under(asked.Context, tracing.ChangeLead, now, about...)
		}
		c = t.change.of()
	case core.NoticeConfigurationChanged:
		t.change.note(now, tracing.EventConfiguration, tracing.IndexKey.Int64(int64(n.Index)))
	case core.NoticeCatchUpProgress:
		t.change.note(now, tracing.EventCatchUp, peerOf(n.Peer), tracing.IndexKey.Int64(int64(n.Index)), tracing.ProgressKey.String(n.Text))
	case core.NoticeChangeEnded:
		end(&t.change, now)
	case core.NoticeChangeGivenUp:
		endWith(&t.change, now, errors.New(n.Text))
	case core.NoticeSteppedDown:
		abandon(&t.change, now, n.Text)
	}
	return c
}
