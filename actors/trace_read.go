package actors

import (
	"context"

	"go.opentelemetry.io/otel/trace"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/tracing"
)

// readTrace is what a sampled read carries. The lock of traces guards it.
type readTrace struct {
	traces              *traces
	clock               traceClock
	root, confirm, wait trace.Span
}

// TraceRead decides, before ReadIndex, whether the read is traced, as Trace does.
func (g *Group) TraceRead(ctx context.Context, r *Read) {
	if g.traces.off() || !g.traces.tracer.Samples(ctx) {
		return
	}
	t := g.traces
	clock := t.clock()
	root := t.tracer.StartRoot(ctx, tracing.Read, clock.now(), t.on()...)
	if root == nil {
		return
	}
	r.trace = &readTrace{traces: t, clock: clock, root: root}
	r.trace.confirm = t.tracer.StartChild(root.SpanContext(), tracing.ReadConfirm, clock.now(), t.on()...)
	t.live.Add(1)
}

// confirmed ends the wait for the index and begins that for the state machine.
func (t *traces) confirmed(reads []*Read, index core.Index) {
	if t.idle() {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, r := range reads {
		if r.trace == nil {
			continue
		}
		now, at := r.trace.clock.now(), tracing.IndexKey.Int64(int64(index))
		if r.trace.confirm != nil {
			r.trace.confirm.SetAttributes(at)
		}
		end(&r.trace.confirm, now)
		r.trace.wait = t.tracer.StartChild(r.trace.root.SpanContext(), tracing.ReadApplyWait, now, t.on(at)...)
	}
}

// askedAgain notes that reads have to be asked for once more.
func (t *traces) askedAgain(reads []*Read) {
	if t.idle() {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, r := range reads {
		if r.trace != nil {
			note(r.trace.confirm, r.trace.clock.now(), tracing.EventAgain)
		}
	}
}

// traced is the end of a read, if it was traced.
func (r *Read) traced(index core.Index, err error) {
	t := r.trace
	if t == nil {
		return
	}
	t.traces.mu.Lock()
	defer t.traces.mu.Unlock()
	now := t.clock.now()
	endWith(&t.confirm, now, err)
	endWith(&t.wait, now, err)
	if index > 0 {
		t.root.SetAttributes(tracing.IndexKey.Int64(int64(index)))
	}
	endWith(&t.root, now, err)
	t.traces.live.Add(-1)
}
