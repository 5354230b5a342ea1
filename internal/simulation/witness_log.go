package simulation

import (
	"slices"
	"time"

	"github.com/trouperaft/troupe/core"
)

// writeWatch is what a witness remembers of the writes that are not durable.
type writeWatch struct {
	pending []watchedWrite
	// installing: a snapshot takes the place of the log, or of the machine's state.
	installing bool
	// withReset are the answers that leave with the reset of a log.
	withReset map[core.Message]bool
}

// watchedWrite is a write, and up to where it appends, 0 if it does not.
type watchedWrite struct {
	ioid core.IOID
	last core.Index
	at   core.Instant
}

// oldest is for how long the oldest write has been out.
func (w *writeWatch) oldest(now core.Instant) time.Duration {
	if len(w.pending) == 0 {
		return 0
	}
	return now.Sub(w.pending[0].at)
}

// appending reports whether a write that is under way appends an entry from an index
// on.
func (w *writeWatch) appending(from core.Index) bool {
	return slices.ContainsFunc(w.pending, func(p watchedWrite) bool { return p.last >= from })
}

// submits looks at a write.
func (w *witness) submits(c *core.Write) {
	pending := &w.writes
	if c.TruncateFrom != 0 {
		w.sees(truncationBelowFlush, pending.appending(c.TruncateFrom))
		w.sees(conflict, len(c.Append) > 0)
	}
	w.sees(splitWrite, len(c.Append) > w.sim.plan.limits.BatchEntriesMax)
	w.sees(purgeHeldBack, c.Purge.Index != 0 && c.Purge.Index+core.Index(w.sim.plan.group.KeepEntries) < max(w.after.SnapshotIndex, w.after.RecordIndex))
	if c.Reset.Index != 0 {
		pending.installing = true
		w.sees(installAtStart, w.event == nil)
	}
	for _, m := range c.Then {
		switch m := m.(type) {
		case *core.VoteRequest:
			w.votes.campaign, w.votes.ownVote, w.votes.at = m.Campaign, c.IOID, w.now
		case *core.VoteResponse:
			w.sees(voteBehindEntries, m.Granted && pending.appending(1))
			w.flagged(m.To.ID)
		case *core.AppendResponse:
			if c.Reset.Index != 0 {
				pending.withReset[m] = true
			}
		}
	}
	p := watchedWrite{ioid: c.IOID, at: w.now}
	if n := len(c.Append); n > 0 {
		p.last = c.Append[n-1].Index
	}
	pending.pending = append(pending.pending, p)
}

// flushes takes a watermark of durable writes.
func (w *witness) flushes(n core.IOID) {
	pending, done := w.writes.pending, 0
	for done < len(pending) && pending[done].ioid <= n {
		done++
	}
	w.writes.pending = slices.Delete(pending, 0, done)
	if own := w.votes.ownVote; own != 0 && own <= n {
		w.votes.ownVote = 0
		w.sees(slowOwnVote, w.before.Role == core.RoleCandidate && w.late(w.votes.at) > w.election)
	}
}

// appends looks at an append that has been taken in.
func (w *witness) appends(m *core.AppendEntries) {
	last := m.Prev.Index + core.Index(len(m.Entries))
	if m.Header.Term != w.after.Term || w.after.Last < last {
		return
	}
	// The log ends where it did, or behind the message.
	w.sees(heldEntries, len(m.Entries) > 0 && w.after.Last == w.before.Last && last > w.before.Committed && w.writes.appending(m.Prev.Index+1))
	w.sees(shortAppend, len(m.Entries) > 0 && w.after.Last > last && w.after.Last == w.before.Last)
}

// logChanges looks at how far log and machine have come.
func (w *witness) logChanges() {
	before, after := &w.before, &w.after
	w.sees(commitInInstall, w.writes.installing && w.event != nil && after.Committed > before.Committed && after.SnapshotIndex == before.SnapshotIndex)
	durable := !w.sim.plan.volatile[w.node.id-1]
	w.sees(behindDisk, durable && after.Committed > after.Flushed && after.Committed > before.Committed)
}

// reconfigures looks at another configuration in force.
func (w *witness) reconfigures() {
	before, after := &w.before.Configuration, &w.after.Configuration
	w.turned(before, after)
	w.sees(configurationTruncated, after.Index < before.Index && w.event != nil)
	if w.after.Role != core.RoleLeader || w.before.Role != core.RoleLeader {
		return
	}
	was, is := &before.Configuration, &after.Configuration
	w.sees(jointFinishedByAnother, was.Joint() && !is.Joint() && before.Term < after.Term)
	w.sees(leaderOutside, was.Joint() && !is.IsVoter(w.identity()))
	w.sees(wantedExchanged, !is.Joint() && exchanged(was, is))
}
