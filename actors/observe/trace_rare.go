package observe

import (
	"context"
	"errors"
	"slices"

	"go.opentelemetry.io/otel/attribute"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/tracing"
)

// tracedRare is the span of something that is always traced while tracing is on.
type tracedRare struct {
	clock clock
	span  *openSpan
}

// rare begins such a span, under the span of ctx if that has one.
func (t *traces) rare(ctx context.Context, row *tracing.SpanType, attributes ...attribute.KeyValue) (c core.TraceContext) {
	if !t.tracer.SamplesRare() {
		return c
	}
	clock := t.clock()
	return t.follow(clock, t.begin(context.WithoutCancel(ctx), row, clock.now(), attributes...))
}

func (t *traces) follow(clock clock, span *openSpan) core.TraceContext {
	if span == nil {
		return core.TraceContext{}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.rares = append(t.rares, &tracedRare{clock, span})
	return span.of()
}

// underWay calls f with such a span, if it has not ended.
func (t *traces) underWay(s Span, f func(r *tracedRare)) {
	if !s.Traced() {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if i := slices.IndexFunc(t.rares, func(r *tracedRare) bool { return r.span.of() == s.Context }); i >= 0 {
		f(t.rares[i])
	}
}

// note adds an event.
func (t *traces) note(s Span, event string, attributes ...attribute.KeyValue) {
	t.underWay(s, func(r *tracedRare) { r.span.note(r.clock.now(), event, attributes...) })
}

// set adds attributes.
func (t *traces) set(s Span, attributes ...attribute.KeyValue) {
	t.underWay(s, func(r *tracedRare) { r.span.set(attributes...) })
}

// end ends the span, the first time that it is called.
func (t *traces) end(s Span, err error) {
	t.underWay(s, func(r *tracedRare) {
		endWith(&r.span, r.clock.now(), err)
		t.rares = slices.DeleteFunc(t.rares, func(o *tracedRare) bool { return o == r })
	})
}

// closeRares lets go of all. The lock is held.
func (t *traces) closeRares() {
	for _, r := range t.rares {
		abandon(&r.span, r.clock.now(), reasonStopped)
	}
	t.rares = nil
}

func (t *traces) recovered(e *Recovered) {
	t.note(e.Span, [...]string{tracing.EventPromise, tracing.EventLog, tracing.EventSnapshot, tracing.EventMachine}[e.Part])
}

func (t *traces) started(e *Started) {
	if e.Err == nil {
		t.set(e.Span, entryOf(e.Last)...)
	}
	t.end(e.Span, e.Err)
}

// snapshotOf says which snapshot a span is about.
func snapshotOf(meta *core.SnapshotMeta) []attribute.KeyValue {
	return append(entryOf(meta.LogID), tracing.SnapshotBytesKey.Int64(int64(meta.SizeBytes)))
}

func (t *traces) built(e *Built) {
	if e.Err == nil {
		t.set(e.Span, snapshotOf(e.Meta)...)
	}
	t.end(e.Span, e.Err)
}

func (t *traces) transferring(e *Transferring) { t.set(e.Span, snapshotOf(e.Meta)...) }

func (t *traces) resumed(e *Resumed) {
	if e.Offset > 0 {
		t.note(e.Span, tracing.EventResumed)
	}
}

func (t *traces) progressed(e *Progressed) {
	t.note(e.Span, tracing.EventProgress, tracing.ArrivedBytesKey.Int64(int64(e.Bytes)), tracing.BytesPerSecondKey.Int64(int64(e.BytesPerSecond)))
}

var errTransferEnded = errors.New("the transfer has ended before its snapshot had arrived")

func (t *traces) transferred(e *Transferred) {
	var err error
	if !e.Done {
		err = errTransferEnded
	}
	t.end(e.Span, err)
}

// receivingSnapshot begins the span of a transfer as its receiver sees it.
func (t *traces) receivingSnapshot(m *core.SnapshotChunk) core.TraceContext {
	clock := t.clock()
	return t.follow(clock, t.from(m.Trace, tracing.SnapshotReceive, clock.now(), append(snapshotOf(&m.Meta), peerOf(m.From))...))
}

// arrived ends that span, and keeps its context for the installation.
func (t *traces) arrived(e *Arrived) {
	err := e.Err
	switch {
	case e.Meta == nil && err == nil:
		err = errTransferEnded
	case e.Meta != nil && err == nil && e.Span.Traced():
		t.mu.Lock()
		t.came, t.cameContext = e.Meta.LogID, e.Span.Context
		t.mu.Unlock()
	}
	t.end(e.Span, err)
}

// restoring begins the span of an installation: under that of its transfer, if
// it has just arrived.
func (t *traces) restoring(meta *core.SnapshotMeta) core.TraceContext {
	t.mu.Lock()
	parent, known := t.cameContext, t.came == meta.LogID
	t.mu.Unlock()
	if !known || parent.IsZero() {
		return t.rare(context.Background(), tracing.SnapshotInstall, snapshotOf(meta)...)
	}
	clock := t.clock()
	return t.follow(clock, t.under(parent, tracing.SnapshotInstall, clock.now(), snapshotOf(meta)...))
}

// restored ends that span, and lets go of the entries that a snapshot overtook.
func (t *traces) restored(e *Restored) {
	t.end(e.Span, e.Err)
	if e.Err != nil || !t.keeps(1, e.Meta.Index) {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, o := range t.entries {
		o.applied = o.applied || o.id.Index <= e.Meta.Index
	}
	t.settle()
}
