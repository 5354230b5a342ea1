package observe

import (
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"

	"github.com/trouperaft/troupe/actors/stage"
	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/tracing"
)

// traces are the traces of one group on one node. What it is told of begins with
// one or two atomic loads, and goes on only if it can be sampled. The engine knows
// nothing of it.
//
// It keeps the sampled writes by their (term, index): on the leader from the
// append until every peer has the entry, on a peer until the entry is applied.
// A new leader goes on with those that it took over.
type traces struct {
	tracer *tracing.Tracer
	env    stage.Environment
	node   membership.NodeID
	group  membership.GroupID
	// spans takes those that have ended.
	spans *observer[*tracing.Record]

	// live counts the sampled proposals and reads that have not ended, asked the
	// requests of other nodes that are traced and not answered.
	live, asked atomic.Int64
	// lowest and highest are the ends of the entries that are kept, 0 without
	// any. The newest sampled write is seldom part of a batch, however many of
	// the old ones wait for a peer.
	lowest, highest atomic.Uint64
	// followedCommit is the commit index up to which entries know that they are
	// committed. It is the core actor's.
	followedCommit core.Index

	mu      sync.Mutex
	leading bool
	// peers are those that this node replicates to.
	peers []membership.Identity
	// entries are in the order in which they came.
	entries []*tracedEntry
	// proposals and reads are those of this node that have not ended, by their
	// spans; rares is what else is under way, in the order of its beginning.
	proposals map[core.TraceContext]*tracedProposal
	reads     map[core.TraceContext]*tracedRead
	rares     []*tracedRare
	// batch is the first entry of the batch that was appended last, and staged how
	// many of its writes have spans of stages.
	batch  core.LogID
	staged int
	// election is the attempt under way, nil if there is none.
	election *openSpan
	// handOver is the leader's part of a transfer of leadership, stepDown its way out of
	// office, change its part of a change of the members, nil if there is none. askedFor is
	// for what the engine is being stepped.
	handOver, stepDown, change *openSpan
	askedFor                   Asking
	// round is the newest one of heartbeats that this node has begun.
	round uint64
	// votes are the requests that this node has not answered, readIndexes those
	// of other nodes for a read index, confirms the reads that wait for heartbeats
	// to be answered: of this node or of others.
	votes       []*tracedVote
	readIndexes []*tracedReadIndex
	confirms    []*tracedConfirm
	// came is the snapshot that came last, with the context of its transfer.
	came        core.LogID
	cameContext core.TraceContext
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
	reasonSteppedDown = "stepped down"
	reasonBehind      = "the peer stays behind"
	reasonTruncated   = "a newer leader's log took its place"
	reasonStopped     = "the group has stopped"
	reasonNoStream    = "no stream to the peer any more"
	reasonNewLeader   = "it was not sent, and the leader has changed"
	reasonNoAnswer    = "it is not answered"
)

// tracedEntry is one sampled entry of the log.
type tracedEntry struct {
	id     core.LogID
	clock  clock
	parent core.TraceContext
	// own: this node proposed it, as the leader; else a leader sent it.
	own bool
	// append is the whole of it on a peer, write its way to the disk, commit
	// the wait for a quorum. nil while they are not under way.
	append, write, commit *openSpan
	committed, applied    bool
	// stored: this node's log has it, as far as is known here.
	stored bool
	// replicates are the spans to peers, nil once a peer has the entry.
	replicates map[membership.Identity]*openSpan
}

// following reports whether a proposal or a read is traced, wasAsked whether a
// request of another node is.
func (t *traces) following() bool { return t.live.Load() > 0 }
func (t *traces) wasAsked() bool  { return t.asked.Load() > 0 }

// keeps reports whether an entry from first to last may be traced.
func (t *traces) keeps(first, last core.Index) bool {
	return first <= core.Index(t.highest.Load()) && core.Index(t.lowest.Load()) <= last
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
	e.abandonLeading(now, reason)
}

// abandonLeading ends what a leader alone follows up.
func (e *tracedEntry) abandonLeading(now time.Time, reason string) {
	e.abandonSpan(&e.commit, now, reason)
	for _, s := range e.replicates {
		e.abandonSpan(&s, now, reason)
	}
	e.replicates = nil
}

// abandonSpan: a write that is safe has not failed because nobody waits for the
// last of its peers.
func (e *tracedEntry) abandonSpan(span **openSpan, now time.Time, reason string) {
	if e.committed || e.applied {
		leave(span, now, reason)
	} else {
		abandon(span, now, reason)
	}
}

// settle lets go of entries that are applied, durable, and that every peer has,
// and of the oldest that wait for peers when they are too many. The lock is held.
func (t *traces) settle() {
	late := 0
	for _, e := range slices.Backward(slices.Clone(t.entries)) {
		if !e.applied {
			continue
		}
		if reason := e.done(t.peers); reason != "" {
			t.forget(e, reason)
		} else if late++; late > tracedLateMax {
			t.forget(e, reasonBehind)
		}
	}
}

// done says why nothing more is to come of an applied entry, "" if it is.
func (e *tracedEntry) done(peers []membership.Identity) string {
	if e.write != nil || e.append != nil {
		return "" // a volatile machine does not wait for its own disk
	}
	for _, peer := range peers {
		if s, begun := e.replicates[peer]; !begun || s != nil {
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
	abandon(&t.handOver, t.wallNow(), reasonStopped)
	abandon(&t.stepDown, t.wallNow(), reasonStopped)
	abandon(&t.change, t.wallNow(), reasonStopped)
	t.closeVotes()
	t.closeReads()
	t.closeRares()
}

// replicates takes the peers that this node replicates to.
func (t *traces) replicates(peers []membership.Identity) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.peers = slices.Clone(peers)
}
