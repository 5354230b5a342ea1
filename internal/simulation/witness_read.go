package simulation

import (
	"errors"

	"github.com/trouperaft/troupe/actors"
	"github.com/trouperaft/troupe/core"
)

// This file watches reads: in the engine, and where a client begins and ends them.

// reads looks at a read that a node was asked for.
func (w *witness) reads() {
	lease := false
	switch ev := w.event.(type) {
	case *core.ReadRequest:
		lease = ev.Lease
	case *core.ReadIndexRequest:
		lease = ev.Lease
	case *core.ReadIndexResponse:
		w.readAnswered(ev)
		return
	default:
		return
	}
	if w.after.Role != core.RoleLeader {
		return
	}
	committed := w.after.Committed >= w.leading.first
	w.sees(readBeforeCommit, !committed)
	// One that begins no round waits for the next. By a lease it waits for none.
	byLease := lease && w.now < w.after.Lease
	w.sees(readBehindRound, committed && !w.begins && !byLease)
	w.sees(leaseReadOfAnother, byLease && w.isRequest())
	w.sees(leaseReadInTransfer, lease && committed && w.after.TransferringTo != 0 && w.after.Lease == 0)
	w.sees(leaseReadAfterAbort, lease && committed && w.after.NeedsNewTerm)
	w.sees(leaseRanOut, lease && w.after.Lease != 0 && w.now >= w.after.Lease)
}

// isRequest reports whether another node asks.
func (w *witness) isRequest() bool {
	_, asks := w.event.(*core.ReadIndexRequest)
	return asks
}

// readAnswered looks at a leader's answer to a follower.
func (w *witness) readAnswered(m *core.ReadIndexResponse) {
	w.sees(readBringsCommit, m.OK && w.after.Committed > w.before.Committed)
	w.sees(readOfAnotherTerm, m.OK && m.Header.Term != w.before.Term && w.before.Leader == m.From.ID)
}

// sawRead counts a read that a client has begun, which may be over.
func (w *work) sawRead() {
	s, st := w.replica.sim, &w.replica.status
	deposed := st.Role == core.RoleLeader && st.Term < w.replica.group.check.committedIn
	if deposed && w.read.Mode == actors.ReadLease {
		s.saw(deposedAskedForLease)
	}
	if !w.completed {
		if w.read.Mode == actors.ReadAtLeast && w.read.AtLeast > st.Applied {
			s.saw(readWaitsForIndex)
		}
		return
	}
	if w.err != nil {
		return
	}
	switch {
	case w.read.Mode == actors.ReadLease:
		s.saw(leaseReadAtOnce)
	case w.read.Mode == actors.ReadStale && st.Role != core.RoleLeader:
		s.saw(staleReadAtOnce)
	}
}

// sawReadEnd counts how a read has ended.
func (w *work) sawReadEnd() {
	s, st := w.replica.sim, &w.replica.status
	var stale *core.TooStaleError
	switch {
	case errors.As(w.err, &stale):
		s.saw(readTooStale)
	case w.err == nil && learns(st, w.replica.node):
		s.saw(readOfLearner)
	}
}

// learns reports whether a node is a learner in the configuration that it knows.
func learns(st *actors.Status, n *node) bool {
	k := &st.Configuration.Configuration
	_, member := k.Member(n.disk.identity)
	return member && !k.IsVoter(n.disk.identity)
}
