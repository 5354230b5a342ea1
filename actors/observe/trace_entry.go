package observe

import (
	"slices"
	"time"

	"go.opentelemetry.io/otel/attribute"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/tracing"
)

// receivedAppend begins what a peer does with the traced entries of a message. It is
// called where the message comes in, before the core has it.
func (t *traces) receivedAppend(m *core.AppendEntries) {
	if len(m.Traces) == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range m.Traces {
		entry, parent := entryAt(m, m.Traces[i].Index), m.Traces[i].Context
		if _, ok := tracing.Extract(parent); entry == nil || !ok {
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
		attributes := append([]attribute.KeyValue{peerOf(m.From), tracing.BatchEntriesKey.Int(len(m.Entries))}, entryOf(e.id)...)
		e.append = t.from(parent, tracing.Append, e.clock.now(), attributes...)
		if e.parent.IsZero() {
			e.parent = e.append.of()
		}
	}
}

func entryAt(m *core.AppendEntries, i core.Index) *core.Entry {
	if i <= m.Prev.Index || i-m.Prev.Index > core.Index(len(m.Entries)) {
		return nil
	}
	return &m.Entries[i-m.Prev.Index-1]
}

// appendStepped ends what the engine had nothing to write for: it refused the
// message, or held the entries already.
func (t *traces) appendStepped(m *core.AppendEntries) {
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
		e.append.set(tracing.OutcomeKey.String(tracing.OutcomeUnwritten))
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
				parent = e.append.of()
			}
			e.write = t.under(parent, tracing.LogAppend, e.clock.now())
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

// durable ends the way to the disk of entries that the store has written.
func (t *traces) durable(d *Durable) {
	if !t.keepsAny(d.Entries) {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	settled := false
	for _, e := range t.entries {
		if e.write == nil || !within(e.id, d.Entries) {
			continue
		}
		now := e.clock.now()
		e.write.note(e.clock.of(d.Span.Begun), tracing.EventSyncBegin)
		e.write.note(now, tracing.EventSyncEnd)
		e.write.set(tracing.BatchEntriesKey.Int(d.BatchEntries), tracing.BatchBytesKey.Int(d.BatchBytes))
		end(&e.write, now)
		e.commit.note(now, tracing.EventAcknowledged, tracing.PeerKey.Int64(int64(t.node)))
		e.append.set(tracing.OutcomeKey.String(tracing.OutcomeWritten))
		end(&e.append, now)
		settled = settled || e.applied
	}
	if settled {
		t.settle()
	}
}

// sendingEntries begins the way of entries to a peer, and puts their contexts
// beside them. The message is not sent yet.
func (t *traces) sendingEntries(m *core.AppendEntries) {
	if !t.keepsAny(m.Entries) {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.leading {
		return
	}
	for _, e := range t.entries {
		if !within(e.id, m.Entries) || e.parent.IsZero() {
			continue
		}
		span, begun := e.replicates[m.To]
		switch now := e.clock.now(); {
		case begun && span == nil:
			continue // the peer has it
		case begun:
			span.note(now, tracing.EventResent)
		default:
			span = t.beginReplicate(e, m, now)
		}
		switch {
		case span == nil:
		case len(m.Traces) == tracedPerMessageMax:
			span.note(e.clock.now(), tracing.EventCapped)
		default:
			m.Traces = append(m.Traces, core.EntryTrace{Index: e.id.Index, Context: span.of()})
		}
	}
}

func (t *traces) beginReplicate(e *tracedEntry, m *core.AppendEntries, now time.Time) *openSpan {
	if e.replicates == nil {
		e.replicates = make(map[membership.Identity]*openSpan)
	}
	first, last := m.Entries[0].Index, m.Entries[len(m.Entries)-1].Index
	span := t.under(e.parent, tracing.Replicate, now, peerOf(m.To), tracing.BatchEntriesKey.Int(len(m.Entries)),
		tracing.FirstIndexKey.Int64(int64(first)), tracing.LastIndexKey.Int64(int64(last)))
	e.replicates[m.To] = span
	return span
}

// sent notes that the network did not take a message: it is sent again.
func (t *traces) sent(s *Sent) {
	if s.Taken || len(s.Message.Traces) == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, e := range t.entries {
		if within(e.id, s.Message.Entries) {
			e.replicates[s.Message.To].note(e.clock.now(), tracing.EventRefused)
		}
	}
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
			e.replicates = make(map[membership.Identity]*openSpan)
		}
		now := e.clock.now()
		span := e.replicates[peer]
		end(&span, now)
		e.replicates[peer] = nil
		e.commit.note(now, tracing.EventAcknowledged, peerOf(peer))
		settled = settled || e.applied
	}
	if settled {
		t.settle()
	}
	return match
}

// committed ends the leader's wait for a quorum.
func (t *traces) committed(commit core.Index) {
	if commit <= t.followedCommit {
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

// applied ends the way of entries here, unless a peer still lacks them.
func (t *traces) applied(a *Applied) {
	if !t.keepsAny(a.Entries) {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, e := range t.entries {
		if !within(e.id, a.Entries) {
			continue
		}
		e.applied = true
		if e.own && a.Span.Begun != 0 {
			span := t.under(e.parent, tracing.Apply, e.clock.of(a.Span.Begun), tracing.BatchEntriesKey.Int(len(a.Entries)))
			end(&span, e.clock.now())
		}
	}
	t.settle()
}

// changed follows the role of this node. A leader that steps down follows up
// nothing that it began, but for what it still writes itself.
func (t *traces) changed(c *core.Changed) {
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
		e.abandonLeading(e.clock.now(), reasonSteppedDown)
	}
	t.settle()
}
