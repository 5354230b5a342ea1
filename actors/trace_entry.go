package actors

import (
	"slices"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/tracing"
)

// receivedAppend begins what a peer does with the traced entries of a message. It is
// called where the message comes in, before the core has it.
func (t *traces) receivedAppend(m *core.AppendEntries) {
	if len(m.Traces) == 0 || t.off() {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range m.Traces {
		entry := entryAt(m, m.Traces[i].Index)
		parent, ok := tracing.Extract(m.Traces[i].Context)
		if entry == nil || !ok {
			continue
		}
		e := t.find(entry.LogID)
		if e == nil {
			if len(t.entries) >= tracedEntriesMax {
				return
			}
			e = &tracedEntry{id: entry.LogID, clock: t.clock()}
			t.add(e)
		}
		if e.append != nil {
			continue // it was sent once more, and the first is not done yet
		}
		attributes := append(t.on(peerOf(m.From), tracing.BatchEntriesKey.Int(len(m.Entries))), entryOf(e.id)...)
		e.append = t.tracer.StartChild(parent, tracing.Append, e.clock.now(), attributes...)
		if !e.parent.IsValid() && e.append != nil {
			e.parent = e.append.SpanContext()
		}
	}
}

func entryAt(m *core.AppendEntries, i core.Index) *core.Entry {
	if i <= m.Prev.Index || i-m.Prev.Index > core.Index(len(m.Entries)) {
		return nil
	}
	return &m.Entries[i-m.Prev.Index-1]
}

// stepped ends what the engine had nothing to write for: it refused the message,
// or held the entries already.
func (t *traces) stepped(m *core.AppendEntries) {
	if len(m.Traces) == 0 || !t.keepsAny(m.Entries) {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range m.Traces {
		entry := entryAt(m, m.Traces[i].Index)
		if entry == nil {
			continue
		}
		e := t.find(entry.LogID)
		if e == nil || e.append == nil || e.write != nil {
			continue
		}
		e.append.SetAttributes(tracing.OutcomeKey.String(tracing.OutcomeUnwritten))
		end(&e.append, e.clock.now())
		if !e.stored {
			t.forget(e, "")
		}
	}
}

// submitted begins the way to the disk of the entries of a write, and lets go of
// those that it removes.
func (t *traces) submitted(w *core.Write) {
	removes := w.Reset.Index != 0 || w.TruncateFrom != 0
	if !t.keepsAny(w.Append) && !(removes && t.keepsSome()) {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, e := range slices.Clone(t.entries) {
		switch {
		case w.Reset.Index != 0, w.TruncateFrom != 0 && e.id.Index >= w.TruncateFrom && !within(e.id, w.Append):
			t.forget(e, reasonTruncated)
		case within(e.id, w.Append) && (e.own || e.append != nil) && e.write == nil:
			parent := e.parent
			if e.append != nil {
				parent = e.append.SpanContext()
			}
			e.write = t.tracer.StartChild(parent, tracing.LogAppend, e.clock.now(), t.on()...)
			e.stored = true
		}
	}
}

// within reports whether consecutive entries hold the one with this id.
func within(id core.LogID, entries []core.Entry) bool {
	if len(entries) == 0 || id.Index < entries[0].Index || id.Index > entries[len(entries)-1].Index {
		return false
	}
	return entries[id.Index-entries[0].Index].Term == id.Term
}

// traceWriting notes that the store has a batch, traceWritten that the batch is
// durable. The log actor calls them around each.
func (l *logActor) traceWriting() { l.eachTraced((*traces).writing) }

func (l *logActor) traceWritten() { l.eachTraced((*traces).written) }

func (l *logActor) eachTraced(call func(t *traces, entries []core.Entry, batchEntries, batchBytes int)) {
	for _, g := range l.round {
		if !g.traces.keepsSome() {
			continue
		}
		for i := range l.batch.Operations {
			if op := &l.batch.Operations[i]; op.Group == g.group && g.traces.keepsAny(op.Append) {
				call(g.traces, op.Append, l.count, l.bytes)
			}
		}
	}
}

func (t *traces) writing(entries []core.Entry, _, _ int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, e := range t.entries {
		if e.write != nil && within(e.id, entries) {
			note(e.write, e.clock.now(), tracing.EventSyncBegin)
		}
	}
}

func (t *traces) written(entries []core.Entry, batchEntries, batchBytes int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	settled := false
	for _, e := range t.entries {
		if e.write == nil || !within(e.id, entries) {
			continue
		}
		now := e.clock.now()
		note(e.write, now, tracing.EventSyncEnd)
		e.write.SetAttributes(tracing.BatchEntriesKey.Int(batchEntries), tracing.BatchBytesKey.Int(batchBytes))
		end(&e.write, now)
		note(e.commit, now, tracing.EventAcknowledged, tracing.PeerKey.Int64(int64(t.node)))
		if e.append != nil {
			e.append.SetAttributes(tracing.OutcomeKey.String(tracing.OutcomeWritten))
		}
		end(&e.append, now)
		settled = settled || e.applied
	}
	if settled {
		t.settle()
	}
}

// sending begins the way of entries to a peer, and puts their contexts beside
// them. The message is not sent yet.
func (t *traces) sending(m *core.AppendEntries) {
	if !t.keepsAny(m.Entries) {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.leading {
		return
	}
	for _, e := range t.entries {
		if !within(e.id, m.Entries) || !e.parent.IsValid() {
			continue
		}
		span, begun := e.replicates[m.To]
		switch now := e.clock.now(); {
		case begun && span == nil:
			continue // the peer has it
		case begun:
			note(span, now, tracing.EventResent)
		default:
			span = t.beginReplicate(e, m, now)
		}
		switch {
		case span == nil:
		case len(m.Traces) == tracedPerMessageMax:
			note(span, e.clock.now(), tracing.EventCapped)
		default:
			m.Traces = append(m.Traces, core.EntryTrace{Index: e.id.Index, Context: tracing.Inject(span.SpanContext())})
		}
	}
}

func (t *traces) beginReplicate(e *tracedEntry, m *core.AppendEntries, now time.Time) trace.Span {
	if e.replicates == nil {
		e.replicates = make(map[membership.Identity]trace.Span)
	}
	first, last := m.Entries[0].Index, m.Entries[len(m.Entries)-1].Index
	span := t.tracer.StartChild(e.parent, tracing.Replicate, now, t.on(peerOf(m.To), tracing.BatchEntriesKey.Int(len(m.Entries)),
		tracing.FirstIndexKey.Int64(int64(first)), tracing.LastIndexKey.Int64(int64(last)))...)
	e.replicates[m.To] = span
	return span
}

// sent notes that the network did not take a message: it is sent again. It
// returns ok.
func (t *traces) sent(m *core.AppendEntries, ok bool) bool {
	if ok || len(m.Traces) == 0 {
		return ok
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, e := range t.entries {
		if within(e.id, m.Entries) {
			note(e.replicates[m.To], e.clock.now(), tracing.EventRefused)
		}
	}
	return ok
}

// matched ends the way to a peer of what that has durably, up to match. The
// entries up to followed have been told so; it returns up to which they have now.
func (t *traces) matched(peer membership.Identity, followed, match core.Index) core.Index {
	if match <= followed || !t.keeps(followed+1, match) {
		return max(match, followed)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.leading {
		return followed
	}
	settled := false
	for _, e := range t.entries {
		if e.id.Index <= followed || e.id.Index > match {
			continue
		}
		if span, begun := e.replicates[peer]; begun && span == nil {
			continue
		} else if !begun && e.replicates == nil {
			e.replicates = make(map[membership.Identity]trace.Span)
		}
		now := e.clock.now()
		span := e.replicates[peer]
		end(&span, now)
		e.replicates[peer] = nil
		note(e.commit, now, tracing.EventAcknowledged, peerOf(peer))
		settled = settled || e.applied
	}
	if settled {
		t.settle()
	}
	return match
}

// committed ends the leader's wait for a quorum.
func (t *traces) committed(commit core.Index) {
	if t == nil || commit <= t.followedCommit {
		return
	}
	first := t.followedCommit + 1
	t.followedCommit = commit
	if !t.keeps(first, commit) {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, e := range t.entries {
		if e.id.Index <= commit {
			e.committed = true
			end(&e.commit, e.clock.now())
		}
	}
}

// applying notes when the state machine was given entries, wereApplied when it
// had applied them. Between them no other batch is applied.
func (t *traces) applying(entries []core.Entry) {
	if !t.keepsAny(entries) {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, e := range t.entries {
		if within(e.id, entries) {
			e.applying = e.clock.now()
		}
	}
}

func (t *traces) wereApplied(entries []core.Entry) {
	if !t.keepsAny(entries) {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, e := range t.entries {
		if !within(e.id, entries) {
			continue
		}
		e.applied = true
		if e.own && !e.applying.IsZero() {
			span := t.tracer.StartChild(e.parent, tracing.Apply, e.applying, t.on(tracing.BatchEntriesKey.Int(len(entries)))...)
			end(&span, e.clock.now())
		}
	}
	t.settle()
}

// changed follows the role of this node. A leader that leaves office follows up
// nothing that it began, but for what it still writes itself.
func (t *traces) changed(c *core.Changed) {
	if t.off() {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.campaigns(c)
	led := t.leading
	t.leading = c.Role == core.RoleLeader
	if !led || t.leading {
		return
	}
	t.closeReads()
	for _, e := range t.entries {
		e.abandonOffice(e.clock.now(), reasonLeftOffice)
	}
	t.settle()
}
