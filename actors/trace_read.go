package actors

import (
	"context"
	"slices"

	"go.opentelemetry.io/otel/trace"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/tracing"
)

// readTrace is what a sampled read carries. The lock of traces guards it.
type readTrace struct {
	traces              *traces
	clock               traceClock
	root, confirm, wait trace.Span
}

// tracedReadIndex is the request of another node for a read index, until it is
// answered.
type tracedReadIndex struct {
	from  membership.Identity
	id    uint64
	clock traceClock
	span  trace.Span
}

// tracedConfirm is a span of this node, the leader, that lasts until a quorum
// has answered a heartbeat which was sent after the read came.
type tracedConfirm struct {
	span  *trace.Span
	clock traceClock
	// round is the newest that was begun before the read came; heard are those
	// that have answered a newer one.
	round uint64
	heard []membership.Identity
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
	t.reads.Add(1)
}

// confirming begins to note who confirms that this node leads, for reads that
// the engine is about to be told of.
func (t *traces) confirming(reads []*Read, round uint64) {
	if !t.hasReads() {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, r := range reads {
		if r.trace != nil && r.trace.confirm != nil {
			t.addConfirm(&r.trace.confirm, r.trace.clock, round)
		}
	}
}

// addConfirm and endConfirm are called with the lock held.
func (t *traces) addConfirm(span *trace.Span, clock traceClock, round uint64) {
	if len(t.confirms) < tracedEntriesMax {
		t.confirms = append(t.confirms, &tracedConfirm{span: span, clock: clock, round: round})
	}
}

func (t *traces) endConfirm(span *trace.Span) {
	t.confirms = slices.DeleteFunc(t.confirms, func(c *tracedConfirm) bool { return c.span == span })
}

// heard notes the answer to a heartbeat.
func (t *traces) heard(m *core.HeartbeatResponse) {
	if !t.hasReads() && !t.wasAsked() {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, c := range t.confirms {
		if m.Round > c.round && !slices.Contains(c.heard, m.From) {
			c.heard = append(c.heard, m.From)
			note(*c.span, c.clock.now(), tracing.EventConfirmed, peerOf(m.From))
		}
	}
}

// indexAsking puts the context of a read beside the request to the leader that
// it shares with others: of the first that is traced.
func (t *traces) indexAsking(m *core.ReadIndexRequest, reads []*Read) {
	if !t.hasReads() {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, r := range reads {
		if r.trace != nil && r.trace.confirm != nil {
			m.Trace = tracing.Inject(r.trace.confirm.SpanContext())
			return
		}
	}
}

// indexAsked begins the leader's part of a read of another node, before the
// engine has the request. Who does not lead refuses at once.
func (t *traces) indexAsked(m *core.ReadIndexRequest, round uint64) {
	parent, ok := t.asksTraced(m.Trace)
	if !ok {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.readIndexes) == tracedRequestsMax {
		return
	}
	clock := t.clock()
	span := t.tracer.StartChild(parent, tracing.ReadIndex, clock.now(), t.on(peerOf(m.From))...)
	if span == nil {
		return
	}
	r := &tracedReadIndex{from: m.From, id: m.ID, clock: clock, span: span}
	t.readIndexes = append(t.readIndexes, r)
	t.asked.Add(1)
	t.addConfirm(&r.span, clock, round)
}

// indexStepped ends what the engine passed over.
func (t *traces) indexStepped(m *core.ReadIndexRequest, leads bool) {
	if leads {
		return // it may have to wait
	}
	t.readIndex(m.From, m.ID, (*tracedReadIndex).pass)
}

// pass ends a request that is not answered.
func (r *tracedReadIndex) pass() { leave(&r.span, r.clock.now(), reasonNoAnswer) }

// indexAnswered ends that part.
func (t *traces) indexAnswered(m *core.ReadIndexResponse) {
	t.readIndex(m.To, m.ID, func(r *tracedReadIndex) {
		if m.OK {
			r.span.SetAttributes(tracing.IndexKey.Int64(int64(m.Index)))
		} else {
			r.span.SetAttributes(tracing.OutcomeKey.String(tracing.OutcomeNotLeader))
		}
		end(&r.span, r.clock.now())
	})
}

// readIndex calls finish with a request, if it is traced, and lets go of it.
func (t *traces) readIndex(from membership.Identity, id uint64, finish func(*tracedReadIndex)) {
	if !t.wasAsked() {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if i := slices.IndexFunc(t.readIndexes, func(r *tracedReadIndex) bool { return r.from == from && r.id == id }); i >= 0 {
		t.endReadIndex(t.readIndexes[i], finish)
	}
}

// endReadIndex lets go of a request, whose span finish ends. The lock is held.
func (t *traces) endReadIndex(r *tracedReadIndex, finish func(*tracedReadIndex)) {
	t.endConfirm(&r.span)
	finish(r)
	t.readIndexes = slices.DeleteFunc(t.readIndexes, func(o *tracedReadIndex) bool { return o == r })
	t.asked.Add(-1)
}

// closeReads lets go of what this node follows up as the leader. The lock is
// held.
func (t *traces) closeReads() {
	for len(t.readIndexes) > 0 {
		t.endReadIndex(t.readIndexes[0], func(r *tracedReadIndex) { abandon(&r.span, r.clock.now(), reasonLeftOffice) })
	}
	t.confirms = nil
}

// confirmed ends the wait for the index and begins that for the state machine.
func (t *traces) confirmed(reads []*Read, index core.Index) {
	if !t.hasReads() {
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
		t.endConfirm(&r.trace.confirm)
		end(&r.trace.confirm, now)
		r.trace.wait = t.tracer.StartChild(r.trace.root.SpanContext(), tracing.ReadApplyWait, now, t.on(at)...)
	}
}

// askedAgain notes that reads have to be asked for once more.
func (t *traces) askedAgain(reads []*Read) {
	if !t.hasReads() {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, r := range reads {
		if r.trace != nil {
			t.endConfirm(&r.trace.confirm)
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
	t.traces.endConfirm(&t.confirm)
	endWith(&t.confirm, now, err)
	endWith(&t.wait, now, err)
	if index > 0 {
		t.root.SetAttributes(tracing.IndexKey.Int64(int64(index)))
	}
	endWith(&t.root, now, err)
	t.traces.reads.Add(-1)
}
