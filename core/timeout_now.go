package core

// This file is about the target of a transfer (rule 14). The voters' side is
// released, in vote.go.

// onTimeoutNow campaigns, at once and without a pre-vote, because the leader of this
// term asks for it. Neither a lease promise nor the quiet period stands against it:
// the leader has given up its lease, and asks for the next term only.
func (e *Engine) onTimeoutNow(m *TimeoutNow) {
	r := &TimeoutNowResponse{Transfer: m.Transfer}
	// Rule 14: it counts in this node's own term only, and that is durable.
	inTerm := m.Header.Term == e.hard.Term && e.writes.durable(0, e.hard.Term)
	if inTerm && !e.followLeader(m.From, m.Header.Term) {
		return
	}
	if !inTerm || !e.mayEverCampaign() || e.unfitTarget() != Fit {
		if r.Unfit = e.unfitTarget(); inTerm && !e.mayEverCampaign() {
			r.Unfit = UnfitNotVoter
		}
		r.Header = e.head(m.From)
		e.out.send(r)
		return
	}
	e.forgetPromise()
	e.election.reason, e.election.byHand = ElectionByTransfer, m.ByHand
	e.campaignForTerm(true)
}
