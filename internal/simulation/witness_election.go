package simulation

import (
	"strings"

	"github.com/trouperaft/troupe/core"
)

// voteWatch is what a witness remembers of elections.
type voteWatch struct {
	// quietEnd is the end of the quiet period, until and to are of the lease promise
	// that was given last.
	quietEnd, until core.Instant
	to              core.NodeID
	armed           [core.Timers + 1]core.Instant
	// campaign is that of the votes asked for last, ownVote the write with the vote
	// for itself, at is when it was submitted.
	campaign uint64
	ownVote  core.IOID
	at       core.Instant
	// fruitless counts the elections since a leader was known.
	fruitless int
	counts    core.ElectionCounts
	// attempt: a bootstrap of this node has asked for grants.
	attempt bool
}

// promised reports whether a lease promise to somebody else than a node is alive.
func (v *voteWatch) promised(now core.Instant, to core.NodeID) bool {
	return now < v.until && v.to != to
}

// adopts looks at a message that has raised the term.
func (w *witness) adopts(m core.Message) {
	w.sees(termInPromise, w.after.Term > w.before.Term && w.votes.promised(w.now, m.Head().From.ID))
}

// fires looks at a timer. One whose time was moved may have been armed long ago.
func (w *witness) fires(ev *core.TimerFired) {
	at := w.votes.armed[ev.Timer]
	w.sees(lateTimer, at != 0 && w.late(at) > w.election)
}

// askedForVote looks at a request that was answered, or will be.
func (w *witness) askedForVote(m *core.VoteRequest) {
	upToDate := m.Last.Index > w.before.Last
	w.sees(preVoteByHungDisk, m.Pre && upToDate && w.writes.oldest(w.now) > w.election)
	w.sees(rivals, !m.Pre && w.before.Role == core.RoleCandidate && m.ElectionTerm == w.before.Term)
}

func (w *witness) refusesVote(m *core.VoteResponse) {
	if m.WaitMillis == 0 {
		return
	}
	quiet := w.now < w.votes.quietEnd
	ev, _ := w.event.(*core.VoteRequest)
	w.sees(flagRefused, ev != nil && ev.Transfer)
	w.sees(voteInQuietPeriod, quiet)
	w.sees(voteInPromise, !quiet && w.votes.promised(w.now, m.To.ID))
}

// answered looks at a vote for a candidate.
func (w *witness) answered(m *core.VoteResponse) {
	active := w.before.Role == core.RoleCandidate || w.before.Role == core.RolePreCandidate
	w.sees(lateVote, active && m.Granted && m.Campaign != w.votes.campaign)
}

// promises looks at a lease promise that is given.
func (w *witness) promises(m *core.HeartbeatResponse) {
	if m.PromiseMillis == 0 {
		return
	}
	w.sees(leaderInQuietPeriod, w.now < w.votes.quietEnd)
	w.votes.until, w.votes.to = w.now.Add(millis(m.PromiseMillis)), m.To.ID
}

// campaigns looks at how elections have ended, and terms have changed.
func (w *witness) campaigns(counts core.ElectionCounts) {
	v := &w.votes
	for reason := range counts {
		for outcome, n := range counts[reason] {
			if n == v.counts[reason][outcome] {
				continue
			}
			w.sees(termRenewed, reason == int(core.ElectionToRenew) && outcome == int(core.ElectionWon))
			w.sees(electionExpired, outcome == int(core.ElectionExpired))
			w.sees(electionLost, outcome == int(core.ElectionLost))
			if outcome != int(core.ElectionWon) {
				v.fruitless++
			}
		}
	}
	v.counts = counts
	if w.after.Leader != 0 {
		v.fruitless = 0
	}
	w.sees(electionsInARow, w.before.Role != core.RoleCandidate && w.after.Role == core.RoleCandidate && v.fruitless >= 2)
	w.sees(candidateSuperseded, w.before.Role == core.RoleCandidate && w.after.Role == core.RoleFollower && w.after.Term == w.before.Term && w.after.Leader != 0)
	w.sees(leaderlessInPromise, w.before.Leader != 0 && w.before.Role != core.RoleLeader && w.after.Leader == 0 && w.now < v.until)
}

// stepsDown looks at why a leadership ends.
func (w *witness) stepsDown(why string) {
	w.sees(quorumLost, strings.Contains(why, "no quorum answered"))
	w.sees(diskHung, strings.Contains(why, "own disk hangs"))
	w.sees(machineHung, strings.Contains(why, "own state machine hangs"))
	w.sees(entriesStuck, strings.Contains(why, "no quorum accepts entries"))
	w.sees(leaderLeaves, strings.Contains(why, "no longer a voter"))
	w.sees(deposed, strings.Contains(why, "is in term") || strings.Contains(why, "leads term"))
	for i := range w.before.Peers {
		w.sees(transferOfLeaderThatEnds, w.before.Peers[i].Snapshot)
	}
}
