package simulation

import (
	"errors"
	"strings"

	"github.com/trouperaft/troupe/core"
)

// This file watches how the leadership moves: by transfers, and by hand.

// toldNow looks at a TimeoutNow. Rule 14: it counts in the target's own term only.
func (w *witness) toldNow(m *core.TimeoutNow) {
	campaigns := w.after.Role == core.RoleCandidate && w.after.Term == m.Term+1 && w.before.Term == m.Term
	if campaigns {
		w.sees(toldInPromise, w.now < w.votes.until)
		w.sees(toldInQuietPeriod, w.now < w.votes.quietEnd)
		w.votes.until = 0 // nothing is built on it any more
		w.group.check.released(w.store, w.after.Term, w.identity())
	}
	w.sees(toldLate, m.Term < w.after.Term && !campaigns)
}

// flagged looks at a vote that is granted to who was told to campaign.
func (w *witness) flagged(to core.NodeID) {
	if m, ok := w.event.(*core.VoteRequest); ok && m.Transfer {
		w.sees(flagInPromise, w.votes.promised(w.now, to))
		w.sees(flagInQuietPeriod, w.now < w.votes.quietEnd)
		w.votes.until = 0
		w.group.check.released(w.store, m.ElectionTerm, m.From)
	}
}

// transferBegins looks at who wants a transfer.
func (w *witness) transferBegins() {
	switch w.event.(type) {
	case *core.TransferLeadership:
	case *core.TransferRequest:
		w.sees(transferByFollower, true)
	default:
		w.sees(transferByPriority, !w.leavesFirst())
		w.sees(leavingHandsOver, w.leavesFirst())
	}
}

// transferFails looks at a transfer that has come to nothing.
func (w *witness) transferFails(why string) {
	w.sees(transferBeforeTold, w.before.Role == core.RoleLeader && w.after.Role == core.RoleLeader && !w.after.NeedsNewTerm)
	w.sees(transferAfterTold, w.after.NeedsNewTerm)
	w.sees(transferAnotherWon, strings.Contains(why, core.TransferAnotherWon.String()))
}

// hands looks at what operators and clients ask in a transfer or of an election.
func (w *witness) hands() {
	switch ev := w.event.(type) {
	case *core.TimeoutNow:
		w.toldNow(ev)
	case *core.TimeoutNowResponse:
		w.sees(targetUnfit, ev.Unfit != core.Fit && w.before.TransferringTo == ev.From.ID)
	case *core.Propose:
		w.sees(proposalInTransfer, errors.Is(ev.Err, core.ErrTransferring))
	case *core.Elect:
		bound := w.now < max(w.votes.until, w.votes.quietEnd)
		w.sees(electBound, bound && w.before.Leader == 0 && w.before.Role == core.RoleFollower && w.after.Role == core.RoleFollower)
	case *core.TimerFired:
		w.sees(pausedWithoutLeader, ev.Timer == core.TimerElection && w.after.ElectionsPaused && w.after.Leader == 0 && w.after.NoLeader != "")
	}
}
