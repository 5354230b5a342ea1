package actors

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/tracing"
)

// traces are the traces of one group on one node. Every actor of the group, and
// the log actor, calls it: each hook begins with idle, which is one atomic load,
// and goes on only while a sampled write or read is under way. The engine knows
// nothing of it.
//
// It keeps the sampled writes by their (term, index): on the leader from the
// append until every peer has the entry, on a peer until the entry is applied.
// A new leader goes on with those that it took over.
type traces struct {
	tracer *tracing.Tracer // nil: off
	env    Environment
	node   membership.NodeID
	group  membership.GroupID
	// streams are the peers that this node replicates to.
	streams func() map[streamKey]*replicationActor

	// live counts what hooks have to look for: proposals, entries and reads.
	live atomic.Int64

	mu      sync.Mutex
	leading bool
	// entries are in the order in which they came.
	entries []*tracedEntry
	// election is the attempt under way, nil if there is none.
	election trace.Span
	// received is the snapshot that came last, with its transfer.
	received        core.LogID
	receivedContext trace.SpanContext
}

// Bounds of what is kept of one group.
const (
	// tracedEntriesMax bounds the entries under way.
	tracedEntriesMax = 1024
	// tracedPerBatchMax is how many writes of one batch get spans of stages.
	tracedPerBatchMax = 16
	// tracedLateMax is how many applied entries wait for peers that are behind.
	tracedLateMax = 64
	// tracedPerMessageMax bounds the contexts in one message; it leaves room in
	// what a network allows beside the data.
	tracedPerMessageMax = 128
)

// Why spans are ended before their time.
const (
	reasonLeftOffice = "left office"
	reasonBehind     = "the peer stays behind"
	reasonTruncated  = "a newer leader's log took its place"
	reasonStopped    = "the group has stopped"
	reasonNoStream   = "no stream to the peer any more"
)

// tracedEntry is one sampled entry of the log.
type tracedEntry struct {
	id     core.LogID
	clock  traceClock
	parent trace.SpanContext
	// own: this node proposed it, as the leader; else a leader sent it.
	own bool
	// append is the whole of it on a peer, write its way to the disk, commit
	// the wait for a quorum. nil while they are not under way.
	append, write, commit trace.Span
	// applying is when the state machine was given it.
	applying time.Time
	applied  bool
	// stored: this node's log has it, as far as is known here.
	stored bool
	// replicates are the spans to peers, nil once a peer has the entry.
	replicates map[membership.Identity]trace.Span
}

func newTraces(n *Node, g *Group) *traces {
	return &traces{
		tracer: n.tracer, env: n.env, node: n.identity.ID, group: g.cfg.Group,
		streams: func() map[streamKey]*replicationActor { return *g.streams.Load() },
	}
}

// off reports whether tracing is off.
func (t *traces) off() bool { return t == nil || t.tracer == nil }

// idle reports whether there is nothing to look for.
func (t *traces) idle() bool { return t == nil || t.live.Load() == 0 }

// on are the attributes of a span: those of every one, and more.
func (t *traces) on(more ...attribute.KeyValue) []attribute.KeyValue {
	return append(tracing.On(t.node, t.group), more...)
}

func (t *traces) clock() traceClock {
	return traceClock{env: t.env, wall: t.env.WallTime(), at: t.env.Now()}
}

// traceClock turns the node's monotonic clock into wall time, by one reading of
// both: within a trace no span of a node ends before it began.
type traceClock struct {
	env  Environment
	wall int64
	at   core.Instant
}

func (c *traceClock) now() time.Time {
	return time.Unix(0, c.wall+int64(c.env.Now().Sub(c.at)))
}

// end ends a span, if there is one, and forgets it.
func end(span *trace.Span, at time.Time) {
	if s := *span; s != nil {
		s.End(trace.WithTimestamp(at))
		*span = nil
	}
}

// endWith ends a span with an error, if err is one.
func endWith(span *trace.Span, at time.Time, err error) {
	if s := *span; s != nil && err != nil {
		s.SetStatus(codes.Error, err.Error())
	}
	end(span, at)
}

// abandon ends a span that nobody follows up any more.
func abandon(span *trace.Span, at time.Time, reason string) {
	if s := *span; s != nil {
		note(s, at, tracing.EventAbandoned, tracing.ReasonKey.String(reason))
		s.SetStatus(codes.Error, reason)
	}
	end(span, at)
}

// note adds an event to a span, if there is one.
func note(span trace.Span, at time.Time, event string, attributes ...attribute.KeyValue) {
	if span != nil {
		span.AddEvent(event, trace.WithTimestamp(at), trace.WithAttributes(attributes...))
	}
}

func peerOf(id membership.Identity) attribute.KeyValue { return tracing.PeerKey.Int64(int64(id.ID)) }

func entryOf(id core.LogID) []attribute.KeyValue {
	return []attribute.KeyValue{tracing.TermKey.Int64(int64(id.Term)), tracing.IndexKey.Int64(int64(id.Index))}
}

// add begins to keep an entry. The lock is held.
func (t *traces) add(e *tracedEntry) {
	t.live.Add(1)
	t.entries = append(t.entries, e)
}

// find returns the entry with this id, nil if it is not traced. The lock is held.
func (t *traces) find(id core.LogID) *tracedEntry {
	for _, e := range t.entries {
		if e.id == id {
			return e
		}
	}
	return nil
}

// forget lets go of an entry; what is still open ends for that reason. The lock
// is held.
func (t *traces) forget(e *tracedEntry, reason string) {
	e.abandon(reason)
	t.entries = slices.DeleteFunc(t.entries, func(o *tracedEntry) bool { return o == e })
	t.live.Add(-1)
}

func (e *tracedEntry) abandon(reason string) {
	now := e.clock.now()
	for _, s := range []*trace.Span{&e.write, &e.append, &e.commit} {
		abandon(s, now, reason)
	}
	e.abandonReplicates(now, reason)
}

func (e *tracedEntry) abandonReplicates(now time.Time, reason string) {
	for _, s := range e.replicates {
		abandon(&s, now, reason)
	}
	e.replicates = nil
}

// settle lets go of entries that are applied, durable, and that every peer has,
// and of the oldest that wait for peers when they are too many. The lock is held.
func (t *traces) settle() {
	streams := t.streams()
	late := 0
	for _, e := range slices.Backward(slices.Clone(t.entries)) {
		if !e.applied {
			continue
		}
		if reason := e.done(streams); reason != "" {
			t.forget(e, reason)
		} else if late++; late > tracedLateMax {
			t.forget(e, reasonBehind)
		}
	}
}

// done says why nothing more is to come of an applied entry, "" if it is.
func (e *tracedEntry) done(streams map[streamKey]*replicationActor) string {
	if e.write != nil || e.append != nil {
		return "" // a volatile machine does not wait for its own disk
	}
	for key := range streams {
		if s, begun := e.replicates[key.peer]; !begun || s != nil {
			return ""
		}
	}
	return reasonNoStream
}

// close ends everything: the group has stopped.
func (t *traces) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for len(t.entries) > 0 {
		t.forget(t.entries[0], reasonStopped)
	}
	t.endElection(tracing.OutcomeLost)
}

// context is what a rare span is started in: the caller's, or none.
func (t *traces) startRare(ctx context.Context, row *tracing.SpanType, at time.Time, more ...attribute.KeyValue) trace.Span {
	if !t.tracer.SamplesRare() {
		return nil
	}
	return t.tracer.StartRoot(ctx, row, at, t.on(more...)...)
}
