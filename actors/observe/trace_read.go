package observe

import (
	"context"
	"slices"
	"time"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/tracing"
)

// tracedRead is a sampled read of this node.
type tracedRead struct {
	clock               clock
	root, confirm, wait *openSpan
}

// tracedReadIndex is the request of another node for a read index, until it is
// answered.
type tracedReadIndex struct {
	from  membership.Identity
	id    uint64
	clock clock
	span  *openSpan
}

// tracedConfirm is a span of this node, the leader, that lasts until a quorum
// has answered a heartbeat which was sent after the read came.
type tracedConfirm struct {
	span  *openSpan
	clock clock
	// round is the newest that was begun before the read came; heard are those
	// that have answered a newer one.
	round uint64
	heard []membership.Identity
}

// reading begins to follow a read that is sampled.
func (t *traces) reading(b *Reading) (c core.TraceContext) {
	clock := t.clock()
	now := clock.now()
	t.mu.Lock()
	defer t.mu.Unlock()
	r := &tracedRead{clock: clock, root: t.begin(context.WithoutCancel(b.Ctx), tracing.Read, now)}
	r.root.set(tracing.ModeKey.String(b.Mode))
	c = r.root.of()
	r.confirm = t.under(c, tracing.ReadConfirm, now)
	if t.reads == nil {
		t.reads = make(map[core.TraceContext]*tracedRead)
	}
	t.reads[c] = r
	t.live.Add(1)
	return c
}

// read calls f with a read, if it is traced.
func (t *traces) read(s Span, f func(r *tracedRead, now time.Time)) {
	if !s.Traced() {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if r := t.reads[s.Context]; r != nil {
		f(r, r.clock.now())
	}
}

// readAsked begins to note who confirms that this node leads, for a read that the
// engine is about to be told of.
func (t *traces) readAsked(s Span) {
	t.read(s, func(r *tracedRead, _ time.Time) { t.addConfirm(r.confirm, r.clock) })
}

// addConfirm and endConfirm are called with the lock held.
func (t *traces) addConfirm(span *openSpan, clock clock) {
	if span != nil && len(t.confirms) < tracedEntriesMax {
		t.confirms = append(t.confirms, &tracedConfirm{span: span, clock: clock, round: t.round})
	}
}

func (t *traces) endConfirm(span *openSpan) {
	t.confirms = slices.DeleteFunc(t.confirms, func(c *tracedConfirm) bool { return c.span == span })
}

// heard notes the answer to a heartbeat.
func (t *traces) heard(m *core.HeartbeatResponse) {
	if !t.following() && !t.wasAsked() {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, c := range t.confirms {
		if m.Round > c.round && !slices.Contains(c.heard, m.From) {
			c.heard = append(c.heard, m.From)
			c.span.note(c.clock.now(), tracing.EventConfirmed, peerOf(m.From))
		}
	}
}

// beating notes the round of heartbeats that begins.
func (t *traces) beating(m *core.Heartbeat) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.round = m.Round
}

// askingIndex puts the context of a read beside the request to the leader that it
// shares with others.
func (t *traces) askingIndex(m *core.ReadIndexRequest, s Span) {
	t.read(s, func(r *tracedRead, _ time.Time) { m.Trace = r.confirm.of() })
}

// indexAsked begins the leader's part of a read of another node, before the
// engine has the request. Who does not lead refuses at once.
func (t *traces) indexAsked(m *core.ReadIndexRequest) {
	if m.Trace.IsZero() {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.readIndexes) == tracedRequestsMax {
		return
	}
	clock := t.clock()
	span := t.from(m.Trace, tracing.ReadIndex, clock.now(), peerOf(m.From))
	if span == nil {
		return
	}
	t.readIndexes = append(t.readIndexes, &tracedReadIndex{from: m.From, id: m.ID, clock: clock, span: span})
	t.asked.Add(1)
	t.addConfirm(span, clock)
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

// answeringIndex ends that part.
func (t *traces) answeringIndex(m *core.ReadIndexResponse) {
	t.readIndex(m.To, m.ID, func(r *tracedReadIndex) {
		if m.OK {
			r.span.set(tracing.IndexKey.Int64(int64(m.Index)))
		} else {
			r.span.set(tracing.OutcomeKey.String(tracing.OutcomeNotLeader))
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
	t.endConfirm(r.span)
	finish(r)
	t.readIndexes = slices.DeleteFunc(t.readIndexes, func(o *tracedReadIndex) bool { return o == r })
	t.asked.Add(-1)
}

// closeReads lets go of what this node follows up as the leader. The lock is
// held.
func (t *traces) closeReads() {
	for len(t.readIndexes) > 0 {
		t.endReadIndex(t.readIndexes[0], func(r *tracedReadIndex) { abandon(&r.span, r.clock.now(), reasonSteppedDown) })
	}
	t.confirms = nil
}

// readConfirmed ends the wait for the index and begins that for the state machine.
func (t *traces) readConfirmed(e *ReadConfirmed) {
	t.read(e.Span, func(r *tracedRead, now time.Time) {
		at := tracing.IndexKey.Int64(int64(e.Index))
		r.confirm.set(at)
		t.endConfirm(r.confirm)
		end(&r.confirm, now)
		r.wait = t.under(r.root.of(), tracing.ReadApplyWait, now, at)
	})
}

// readAgain notes that a read has to be asked for once more.
func (t *traces) readAgain(s Span) {
	t.read(s, func(r *tracedRead, now time.Time) {
		t.endConfirm(r.confirm)
		r.confirm.note(now, tracing.EventAgain)
	})
}

// readEnded is the end of a read.
func (t *traces) readEnded(e *ReadEnded) {
	t.read(e.Span, func(r *tracedRead, now time.Time) {
		t.endConfirm(r.confirm)
		endWith(&r.confirm, now, e.Err)
		endWith(&r.wait, now, e.Err)
		if e.Index > 0 {
			r.root.set(tracing.IndexKey.Int64(int64(e.Index)))
		}
		endWith(&r.root, now, e.Err)
		delete(t.reads, e.Span.Context)
		t.live.Add(-1)
	})
}
