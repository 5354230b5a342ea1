package core

import (
	"fmt"

	"github.com/trouperaft/troupe/membership"
)

// followLeader accepts from as the leader of its term (Raft 5.2), which is not
// below this node's, and reports whether it did. Who claims the term that this
// node or another was heard to lead contradicts Election Safety: nothing that a
// message says may stop a group, so it is reported and not followed. Nobody leads
// term 0: terms begin at 1.
func (e *Engine) followLeader(from Identity, term Term) bool {
	if term == 0 {
		return false
	}
	if known := e.termLeader; term == e.hard.Term && !known.IsZero() && known != from {
		text := "claims to lead the term that this node was elected for"
		if known != e.cfg.Self {
			text = fmt.Sprintf("claims to lead the term that node %d leads", known.ID)
		}
		e.notice(Notice{Kind: NoticeContradiction, Peer: from, Term: term, Text: text})
		return false
	}
	if e.raisable(term) < term {
		// Rule 32: the term is raised as far as it may be, and is not reached.
		e.becomeFollower(term, Identity{}, fmt.Sprintf("node %d leads term %d", from.ID, term))
		return false
	}
	if term > e.hard.Term || e.leader != from || e.role.active() {
		e.becomeFollower(term, from, fmt.Sprintf("node %d leads term %d", from.ID, term))
	}
	// Who was asked to campaign waits for nothing any more: a leader lives.
	e.failElect(ElectUnderLeader, "")
	e.termLeader = from
	e.electionSucceeded()
	e.resetElectionTimer()
	e.heard = e.now
	return true
}

// onAppendEntries is the receiver's side of Raft 5.3.
func (e *Engine) onAppendEntries(m *AppendEntries) {
	if m.Header.Term < e.hard.Term {
		e.out.send(&AppendResponse{Header: e.head(m.From), Stream: m.Stream, Rejected: m.Prev})
		return
	}
	if !wellFormed(m) || !e.followLeader(m.From, m.Header.Term) {
		return
	}
	if !e.agreesBelowCommit(m) {
		e.notice(Notice{Kind: NoticeContradiction, Peer: m.From, Term: m.Header.Term, Index: m.Prev.Index, Text: "holds another entry where one is committed here"})
		return
	}
	prev, entries := e.skipCommitted(m.Prev, m.Entries)
	if !e.log.holds(prev) {
		e.refuseAppend(m)
		return
	}
	last := prev.Index + Index(len(entries))
	entries = e.skipHeld(entries)
	if len(entries) > 0 && entries[0].Index <= e.proved {
		// Its leader never rewrites its own log, so what was proved equal to it
		// in this term, and acknowledged, cannot be in conflict with it.
		e.notice(Notice{Kind: NoticeContradiction, Peer: m.From, Term: m.Header.Term, Index: entries[0].Index, Text: "holds another entry than it sent in this term"})
		return
	}
	e.adoptCluster(m.Cluster)
	if !m.CommitOnly {
		r := &AppendResponse{Header: e.head(m.From), Stream: m.Stream, Success: true, Match: last}
		if len(entries) > 0 {
			e.appendFromLeader(entries, r)
		} else {
			e.answer(r)
		}
	}
	e.proved = max(e.proved, last)
	e.followCommit(m.Commit)
}

// wellFormed checks what a network cannot know: that the entries continue Prev
// and that configurations can be read. A correct leader sends nothing else.
func wellFormed(m *AppendEntries) bool {
	if m.CommitOnly && len(m.Entries) > 0 {
		return false
	}
	before := m.Prev
	for i := range m.Entries {
		entry := &m.Entries[i]
		if entry.Index != before.Index+1 || entry.Term < before.Term || entry.Term > m.Header.Term {
			return false
		}
		if entry.Kind == EntryConfiguration {
			if _, err := membership.Decode(entry.Data); err != nil {
				return false
			}
		}
		before = entry.LogID
	}
	return true
}

// agreesBelowCommit reports whether the message agrees with what is committed
// and still known here. A leader that does not contradicts Leader Completeness:
// one of the two has lost acknowledged data, and nothing that it says may be
// acknowledged.
func (e *Engine) agreesBelowCommit(m *AppendEntries) bool {
	agrees := func(id LogID) bool {
		return id.Index > e.commit || id.Index < e.log.purged.Index || e.log.holds(id)
	}
	if !agrees(m.Prev) {
		return false
	}
	for i := range m.Entries {
		if m.Entries[i].Index > e.commit {
			break
		}
		if !agrees(m.Entries[i].LogID) {
			return false
		}
	}
	return true
}

// skipCommitted drops what lies below the commit index: every leader holds the
// same there (Leader Completeness, Raft 5.4), and the log may have purged it.
func (e *Engine) skipCommitted(prev LogID, entries []Entry) (LogID, []Entry) {
	if prev.Index >= e.commit {
		return prev, entries
	}
	skip := min(e.commit-prev.Index, Index(len(entries)))
	prev.Index += skip
	if prev.Index < e.log.purged.Index {
		return e.log.purged, nil
	}
	prev.Term, _ = e.log.term(prev.Index)
	return prev, entries[skip:]
}

// skipHeld drops the entries that the log holds already. Rule 4: a log that goes
// on longer than the message is not in conflict with it.
func (e *Engine) skipHeld(entries []Entry) []Entry {
	for i := range entries {
		if !e.log.holds(entries[i].LogID) {
			return entries[i:]
		}
	}
	return nil
}

// appendFromLeader appends entries of which none is held, after removing what
// conflicts (Raft 5.3), and answers when all is durable.
func (e *Engine) appendFromLeader(entries []Entry, r *AppendResponse) {
	w := e.newWrite()
	if first := entries[0].Index; first <= e.log.last.Index {
		w.TruncateFrom = first
		e.truncate(first)
	}
	w.Append = entries
	e.extend(entries)
	e.times.took(entries[len(entries)-1].Time, e.now)
	w.Then = append(w.Then, r)
	e.submit(w)
	e.writes.carries(r)
	e.takeConfigurations(entries)
}

// extend adds entries to the accepted log.
func (e *Engine) extend(entries []Entry) {
	e.log.extend(entries)
	e.sizes.Append(entries)
	e.snapshots.allBytes += uint64(SizeOf(entries))
}

// truncate removes the entries from i on from the accepted log.
func (e *Engine) truncate(i Index) {
	e.log.truncate(i)
	e.sizes.Truncate(i)
	e.writes.clip(i - 1)
	if e.configs.truncate(i) {
		e.configurationChanged()
	}
}

// refuseAppend tells the leader how far the logs can agree, so that it needs at
// most one probe for each term (Raft 5.3, end).
func (e *Engine) refuseAppend(m *AppendEntries) {
	hint := e.log.floor(LogID{m.Prev.Term, min(m.Prev.Index, e.log.last.Index)})
	if hint.Index == m.Prev.Index && hint.Index > 0 {
		// The same index with a lower term is no agreement either.
		hint = e.log.floor(LogID{m.Prev.Term, m.Prev.Index - 1})
	}
	e.out.send(&AppendResponse{Header: e.head(m.From), Stream: m.Stream, Rejected: m.Prev, Hint: hint})
}

// followCommit takes the leader's commit index as far as this log is proved to
// be equal to the leader's (rule 4).
func (e *Engine) followCommit(leaderCommit Index) {
	if c := min(leaderCommit, e.proved); c > e.commit {
		e.setCommit(c)
	}
}

// durableMatch is what may be reported as matching and durable.
func (e *Engine) durableMatch() Index {
	if e.hardDirty || !e.writes.durable(0, e.hard.Term) {
		return 0
	}
	return min(e.proved, e.writes.flushed)
}
