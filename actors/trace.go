package actors

import (
	"context"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/trouperaft/troupe/actors/stage"
	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/tracing"
)

// traces are the traces of one group on one node. Every actor of the group, and
// the log actor, calls it: each hook begins with one or two atomic loads, and
// goes on only if what it is told of can be sampled. The engine knows nothing of
// it.
//
// It keeps the sampled writes by their (term, index): on the leader from the
// append until every peer has the entry, on a peer until the entry is applied.
// A new leader goes on with those that it took over.
type traces struct {
	tracer *tracing.Tracer // nil: off
	env    stage.Environment
	node   membership.NodeID
	group  membership.GroupID
	// streams are the peers that this node replicates to.
	streams func() map[streamKey]*replicationActor

	// proposals and reads count the sampled ones that have not ended, asked the
	// requests of other nodes that are traced and not answered.
	proposals, reads, asked atomic.Int64
	// lowest and highest are the ends of the entries that are kept, 0 without
	// any. The newest sampled write is seldom part of a batch, however many of
	// the old ones wait for a peer.
	lowest, highest atomic.Uint64
	// followedCommit is the commit index up to which entries know that they are
	// committed. It is the core actor's.
	followedCommit core.Index

	mu      sync.Mutex
	leading bool
	// entries are in the order in which they came.
	entries []*tracedEntry
	// election is the attempt under way, nil if there is none.
	election trace.Span
	// votes are the requests that this node has not answered, readIndexes those
	// of other nodes for a read index, confirms the reads that wait for heartbeats
	// to be answered: of this node or of others.
	votes       []*tracedVote
	readIndexes []*tracedReadIndex
	confirms    []*tracedConfirm
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
	reasonNewLeader  = "it was not sent, and the leader has changed"
	reasonNoAnswer   = "it is not answered"
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
	applying           time.Time
	committed, applied bool
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

// Whether any of them is under way. A nil t has none, here and below.
func (t *traces) hasProposals() bool { return t != nil && t.proposals.Load() > 0 }
func (t *traces) hasReads() bool     { return t != nil && t.reads.Load() > 0 }
func (t *traces) wasAsked() bool     { return t != nil && t.asked.Load() > 0 }

// keeps reports whether an entry from first to last may be traced.
func (t *traces) keeps(first, last core.Index) bool {
	return t != nil && first <= core.Index(t.highest.Load()) && core.Index(t.lowest.Load()) <= last
}

// keepsSome reports whether any entry is traced.
func (t *traces) keepsSome() bool { return t.keeps(1, math.MaxUint64) }

// keepsAny is keeps for consecutive entries.
func (t *traces) keepsAny(entries []core.Entry) bool {
	return len(entries) > 0 && t.keeps(entries[0].Index, entries[len(entries)-1].Index)
}

// on are the attributes of a span: those of every one, and more.
func (t *traces) on(more ...attribute.KeyValue) []attribute.KeyValue {
	return append(tracing.On(t.node, t.group), more...)
}

func (t *traces) clock() traceClock {
	return traceClock{env: t.env, wall: t.env.WallTime(), at: instant(t.env)}
}

// traceClock turns the node's monotonic clock into wall time, by one reading of
// both: within a trace no span of a node ends before it began.
type traceClock struct {
	env  stage.Environment
	wall int64
	at   core.Instant
}

func (c *traceClock) now() time.Time {
	return time.Unix(0, c.wall+int64(instant(c.env).Sub(c.at)))
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

// leave ends a span that nobody follows up any more, and that has not failed.
func leave(span *trace.Span, at time.Time, reason string) {
	note(*span, at, tracing.EventAbandoned, tracing.ReasonKey.String(reason))
	end(span, at)
}

// abandon ends a span that nobody follows up any more, as a failure.
func abandon(span *trace.Span, at time.Time, reason string) {
	if s := *span; s != nil {
		s.SetStatus(codes.Error, reason)
	}
	leave(span, at, reason)
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
	t.entries = append(t.entries, e)
	t.bound()
}

// bound tells the hooks which entries are kept. The lock is held.
func (t *traces) bound() {
	var lowest, highest core.Index
	for _, e := range t.entries {
		if lowest == 0 || e.id.Index < lowest {
			lowest = e.id.Index
		}
		highest = max(highest, e.id.Index)
	}
	t.lowest.Store(uint64(lowest))
	t.highest.Store(uint64(highest))
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
	t.bound()
}

func (e *tracedEntry) abandon(reason string) {
	now := e.clock.now()
	e.abandonSpan(&e.write, now, reason)
	e.abandonSpan(&e.append, now, reason)
	e.abandonOffice(now, reason)
}

// abandonOffice ends what a leader alone follows up.
func (e *tracedEntry) abandonOffice(now time.Time, reason string) {
	e.abandonSpan(&e.commit, now, reason)
	for _, s := range e.replicates {
		e.abandonSpan(&s, now, reason)
	}
	e.replicates = nil
}

// abandonSpan: a write that is safe has not failed because nobody waits for the
// last of its peers.
func (e *tracedEntry) abandonSpan(span *trace.Span, now time.Time, reason string) {
	if e.committed || e.applied {
		leave(span, now, reason)
	} else {
		abandon(span, now, reason)
	}
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
	t.closeVotes()
	t.closeReads()
}

// startRare begins a rare span under that of ctx, if it has one. nil: not sampled.
func (t *traces) startRare(ctx context.Context, row *tracing.SpanType, at time.Time, more ...attribute.KeyValue) trace.Span {
	if !t.tracer.SamplesRare() {
		return nil
	}
	return t.tracer.StartRoot(ctx, row, at, t.on(more...)...)
}
