package actors

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/tracing"
)

// rareTrace is the span of something that is always traced while tracing is on.
// nil traces nothing.
type rareTrace struct {
	traces *traces
	clock  traceClock
	span   trace.Span
}

// rare begins such a span, under the span of ctx if that has one.
func (t *traces) rare(ctx context.Context, row *tracing.SpanType, attributes ...attribute.KeyValue) *rareTrace {
	if t.off() {
		return nil
	}
	clock := t.clock()
	return t.rareOf(clock, t.startRare(ctx, row, clock.now(), attributes...))
}

func (t *traces) rareOf(clock traceClock, span trace.Span) *rareTrace {
	if span == nil {
		return nil
	}
	return &rareTrace{t, clock, span}
}

func (r *rareTrace) event(name string, attributes ...attribute.KeyValue) {
	if r != nil {
		note(r.span, r.clock.now(), name, attributes...)
	}
}

func (r *rareTrace) set(attributes ...attribute.KeyValue) {
	if r != nil && r.span != nil {
		r.span.SetAttributes(attributes...)
	}
}

// end ends the span, the first time that it is called.
func (r *rareTrace) end(err error) {
	if r != nil {
		endWith(&r.span, r.clock.now(), err)
	}
}

func (r *rareTrace) context() trace.SpanContext {
	if r == nil || r.span == nil {
		return trace.SpanContext{}
	}
	return r.span.SpanContext()
}

// logIDs adds the ids of the span to the fields of a line of the log.
func (r *rareTrace) logIDs(fields ...any) []any {
	if r == nil {
		return fields
	}
	for _, a := range logIDs(r.span) {
		fields = append(fields, a)
	}
	return fields
}

// BootstrapTrace is the span of a bootstrap, from the question to the complete
// cluster. nil traces nothing.
type BootstrapTrace struct{ rare *rareTrace }

// TraceBootstrap begins the span, under the span of ctx if that has one.
func (g *Group) TraceBootstrap(ctx context.Context, members int) BootstrapTrace {
	return BootstrapTrace{g.traces.rare(ctx, tracing.Bootstrap, tracing.MembersKey.Int(members))}
}

// Begun notes that the cluster exists.
func (b BootstrapTrace) Begun() { b.rare.event(tracing.EventBegun) }

// End ends the span. It is called once.
func (b BootstrapTrace) End(err error) { b.rare.end(err) }

type recoveryKey struct{}

// traceRecovery begins the span of a group's start; what is read notes itself by
// recovered.
func (n *Node) traceRecovery(ctx context.Context, group membership.GroupID) (context.Context, *rareTrace) {
	t := &traces{tracer: n.tracer, env: n.env, node: n.identity.ID, group: group}
	r := t.rare(ctx, tracing.Recover)
	if r == nil {
		return ctx, nil
	}
	return context.WithValue(ctx, recoveryKey{}, r), r
}

func recovered(ctx context.Context, event string) {
	if r, ok := ctx.Value(recoveryKey{}).(*rareTrace); ok {
		r.event(event)
	}
}

// ended ends the span of a start.
func (r *rareTrace) ended(g *Group, err error) {
	if g != nil {
		r.set(entryOf(core.LogID{Term: core.Term(g.term.Load()), Index: g.StatusToRead().Last})...)
	}
	r.end(err)
}

// building begins the span of a snapshot that is built.
func (t *traces) building() *rareTrace { return t.rare(context.Background(), tracing.SnapshotBuild) }

// transferring begins the span of a snapshot on its way to a peer.
func (t *traces) transferring(peer core.Identity) *rareTrace {
	return t.rare(context.Background(), tracing.SnapshotSend, peerOf(peer))
}

// snapshot says which snapshot the span is about.
func (r *rareTrace) snapshot(meta *core.SnapshotMeta) {
	r.set(append(entryOf(meta.LogID), tracing.SnapshotBytesKey.Int64(int64(meta.SizeBytes)))...)
}

// built ends the span of a build.
func (r *rareTrace) built(meta *core.SnapshotMeta, err error) {
	if err == nil {
		r.snapshot(meta)
	}
	r.end(err)
}

// resumed notes that the receiver had a part of the snapshot.
func (r *rareTrace) resumed(offset uint64) {
	if offset > 0 {
		r.event(tracing.EventResumed)
	}
}

var errTransferEnded = errors.New("the transfer has ended before its snapshot had arrived")

// concluded ends the span of a transfer.
func (r *rareTrace) concluded(ok bool) {
	if ok {
		r.end(nil)
	} else {
		r.end(errTransferEnded)
	}
}

// onWire is what the pieces of a transfer carry.
func (r *rareTrace) onWire() core.TraceContext { return tracing.Inject(r.context()) }

// traceTransfer begins the span of a transfer as its receiver sees it, with its
// first piece.
func (r *snapshotReceiver) traceTransfer(m *core.SnapshotChunk) {
	t := r.group.traces
	if t.off() || r.transfer == m.Transfer {
		return
	}
	r.trace.concluded(false)
	r.trace, r.transfer = nil, m.Transfer
	parent, ok := tracing.Extract(m.Trace)
	if !ok {
		return
	}
	clock := t.clock()
	r.trace = t.rareOf(clock, t.tracer.StartChild(parent, tracing.SnapshotReceive, clock.now(), t.on(peerOf(m.From))...))
	r.trace.snapshot(&m.Meta)
}

// arrived ends that span, and keeps its context for the installation.
func (t *traces) arrived(r *rareTrace, id core.LogID) {
	if r == nil || r.span == nil {
		return
	}
	t.mu.Lock()
	t.received, t.receivedContext = id, r.context()
	t.mu.Unlock()
	r.end(nil)
}

// installing begins the span of an installation: under that of its transfer, if
// it has just arrived.
func (t *traces) installing(meta *core.SnapshotMeta) *rareTrace {
	if t.off() {
		return nil
	}
	attributes := append(entryOf(meta.LogID), tracing.SnapshotBytesKey.Int64(int64(meta.SizeBytes)))
	t.mu.Lock()
	parent, known := t.receivedContext, t.received == meta.LogID
	t.mu.Unlock()
	if !known || !parent.IsValid() {
		return t.rare(context.Background(), tracing.SnapshotInstall, attributes...)
	}
	clock := t.clock()
	return t.rareOf(clock, t.tracer.StartChild(parent, tracing.SnapshotInstall, clock.now(), t.on(attributes...)...))
}

// installed lets go of the entries that a snapshot overtook.
func (t *traces) installed(upTo core.Index) {
	if !t.keeps(1, upTo) {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, e := range t.entries {
		e.applied = e.applied || e.id.Index <= upTo
	}
	t.settle()
}
