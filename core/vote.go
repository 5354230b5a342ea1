package core

import (
	"fmt"
	"time"
)

// promise is the lease promise of this node: what it may not do for a while
// (rules 11 to 13).
type promise struct {
	// until: no vote for another than to, and no campaign.
	until Instant
	to    Identity
	// quietPeriodEnd: no vote and no campaign at all, because this node's last
	// life may have promised.
	quietPeriodEnd Instant
}

// quietPeriodEnd is the end of the quiet period after a start. Who alone decides in
// every configuration that it knows promised nothing that another could need.
func (e *Engine) quietPeriodEnd() Instant {
	if e.votesAlone() {
		return 0
	}
	return e.promise.quietPeriodEnd
}

// promiseLeft is for how long a vote for candidate is out of the question.
func (e *Engine) promiseLeft(candidate Identity) time.Duration {
	var until Instant
	if candidate != e.promise.to {
		until = e.promise.until
	}
	if e.role == RoleLeader {
		// A leader has an implicit promise to itself, until check-quorum ends it.
		until = max(until, e.now.Add(e.cfg.ElectionTimeout))
	}
	return max(until, e.quietPeriodEnd()).Sub(e.now)
}

// released carries out rule 14 at a voter: the leader of T has given up its lease
// and asked for this one campaign, so that no promise stands against a vote in T+1.
// It counts only where this node's own durable term is T. A leader knows by itself
// whom it told to campaign.
func (e *Engine) released(m *VoteRequest) bool {
	return m.Transfer && !m.Pre && m.ElectionTerm == e.hard.Term+1 && e.writes.durable(0, e.hard.Term) &&
		(e.role != RoleLeader || e.leaderState.handedTo == m.From)
}

// forgetPromise: what this node has promised in this life, it has promised to the
// leader that handed over, or to one before. None of them has a lease any more, so that
// nothing stands against a vote in the terms to come either, should the campaign fail.
// The quiet period stays: what the life before promised is not known.
func (e *Engine) forgetPromise() { e.promise.until = 0 }

// onVoteRequest answers a vote or pre-vote. Rule 20: whatever one's own
// configuration says, it gets an answer, because it may be out of date.
func (e *Engine) onVoteRequest(m *VoteRequest) {
	r := &VoteResponse{Pre: m.Pre, ElectionTerm: m.ElectionTerm, Campaign: m.Campaign}
	if e.replaced(m) {
		// Rule 18: its terms are ignored; rule 20: it gets an answer.
		r.Header = e.head(m.From)
		e.out.send(r)
		return
	}
	e.tellRemoved(m.From)
	released := e.released(m)
	if left := e.promiseLeft(m.From); left > 0 && !released || e.empty() {
		// Rule 11: refused without adopting the term. Rule 19: an empty node
		// does not vote.
		r.WaitMillis = millisUp(left)
		r.Header = e.head(m.From)
		e.out.send(r)
		return
	}
	if !m.Pre && m.ElectionTerm > e.hard.Term {
		why := "another campaigns"
		if e.role == RoleLeader && e.leaderState.handedTo == m.From {
			why = fmt.Sprintf("hands over to node %d", m.From.ID)
		}
		e.becomeFollower(m.ElectionTerm, Identity{}, why)
	}
	// Raft 5.4.1, and rule 6: the accepted log is compared, not only what is
	// durable; the answer then waits for all of it.
	upToDate := !m.Last.Less(e.log.last)
	if m.Pre {
		// Rule 11: not by who could not make the vote durable.
		r.Granted = upToDate && m.ElectionTerm > e.hard.Term && !e.diskHangs()
	} else {
		free := e.hard.Vote.IsZero() || e.hard.Vote == m.From
		r.Granted = upToDate && free && m.ElectionTerm == e.hard.Term && e.leader.IsZero()
	}
	if !r.Granted || m.Pre {
		r.Header = e.head(m.From)
		e.out.send(r)
		return
	}
	if released {
		e.forgetPromise()
	}
	e.grantVote(m.From, r)
}

// replaced reports whether a committed configuration has put another incarnation
// in the place of who asks for a vote (rule 18). Where this log may lack the entry
// that admitted the asker it does not say so (rule 20): that asker's log is ahead
// of this one, and no configuration of this one ever had it.
func (e *Engine) replaced(m *VoteRequest) bool {
	if _, member := e.configs.member(m.From, e.commit); member || !e.configs.knows(m.From.ID, e.commit) {
		return false
	}
	return e.configs.everHad(m.From) || !e.log.last.Less(m.Last)
}

// grantVote records the vote; the answer leaves when it is durable (Raft 5.2,
// rule 3).
func (e *Engine) grantVote(candidate Identity, r *VoteResponse) {
	if e.hard.Vote != candidate {
		e.hard.Vote = candidate
		e.hardDirty = true
	}
	if e.role == RolePreCandidate {
		// It goes on no more: it would end the term of whom it votes for.
		e.becomeFollower(e.hard.Term, Identity{}, "")
	}
	if e.role == RoleFollower {
		e.resetElectionTimer()
	}
	r.Header = e.head(candidate)
	w := e.newWrite()
	w.Then = append(w.Then, r)
	e.submit(w)
}

// millisUp rounds a duration up to milliseconds that fit the wire.
func millisUp(d time.Duration) uint32 {
	ms := (d + time.Millisecond - 1) / time.Millisecond
	return uint32(min(max(ms, 0), 1<<32-1))
}
