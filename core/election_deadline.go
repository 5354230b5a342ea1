package core

import "time"

// This file is about when a node campaigns. What it waits for while it may not is
// in election.go.

// electionDeadline draws when to campaign: after wait, at a point of the spread
// behind it that this node's priority lets it draw from (Raft 5.2: deadlines that
// differ split fewer votes). Rules 12 and 13: it is never within this node's own
// lease promise or quiet period, and nodes whose promises end together do not
// campaign together.
func (e *Engine) electionDeadline(wait, spread time.Duration) Instant {
	first, width := e.standing.share(spread, e.cfg.ElectionTimeout)
	begin := max(e.now.Add(wait), e.promise.until, e.quietPeriodEnd())
	return begin.Add(first + e.jitter(width))
}

// resetElectionTimer begins a new wait for a leader: a time drawn from one to two
// election time-outs (Raft 5.2), or longer after campaigns without a leader.
func (e *Engine) resetElectionTimer() {
	if !e.mayEverCampaign() {
		e.awaitSilentLeader()
		return
	}
	wait := e.electionWait()
	e.set(&e.electionTimer, TimerElection, e.electionDeadline(wait, wait))
}

// retryElection moves the next attempt to a time soon after wait. The spread keeps
// two nodes that were refused together from meeting again.
func (e *Engine) retryElection(wait time.Duration) {
	if !e.mayEverCampaign() {
		return
	}
	e.set(&e.electionTimer, TimerElection, e.electionDeadline(wait, e.electionWait()/2))
}

// retryWhenFree moves the next attempt forward, if it would come later, to when a
// refuser's promise or quiet period ends.
func (e *Engine) retryWhenFree(left time.Duration) {
	if at := e.electionDeadline(left, e.cfg.ElectionTimeout/2); at < e.electionTimer.at {
		e.set(&e.electionTimer, TimerElection, at)
	}
}

// The waits of elections are at most the longer of so many election time-outs and
// so many of the slowest sync.
const (
	waitTimeoutsMax = 32
	waitSyncsMax    = 8
)

// electionWait is what the waits before a campaign and in it are drawn from: an
// election time-out, doubled for each campaign after the first that has ended
// without a leader (rule 11). Disks that are slower than the time-out need it: the
// requests of a campaign must find the others with no campaign of their own under
// way, and its votes must become durable before it expires.
func (e *Engine) electionWait() time.Duration {
	most := max(waitTimeoutsMax*e.cfg.ElectionTimeout, waitSyncsMax*e.writes.slowest)
	wait := e.cfg.ElectionTimeout
	for i := 1; i < e.election.fruitless && wait < most; i++ {
		wait *= 2
	}
	return min(wait, most)
}

// electionSucceeded ends the doubling of the waits (rule 11): a leader is heard, or
// is this node.
func (e *Engine) electionSucceeded() {
	e.election.fruitless, e.election.ended, e.election.waits = 0, "", ""
	e.writes.slowest = 0
}

// awaitSilentLeader sets when a node that may not campaign lets go of a leader
// that it has not heard of any more, so that nobody goes on asking a leader that
// is gone, and when a learner that hears of none shows itself.
func (e *Engine) awaitSilentLeader() {
	if e.role == RoleLeader || e.leader.IsZero() && !e.learns() {
		e.cancel(&e.electionTimer, TimerElection)
		return
	}
	e.set(&e.electionTimer, TimerElection, e.now.Add(2*e.cfg.ElectionTimeout))
}

// learns reports whether this node is a learner of the configuration in force, or may be
// one of a later configuration: it holds the beginning of a log, which has not admitted it
// yet. So does one that has lost what told its configuration.
func (e *Engine) learns() bool {
	c := &e.configs.latest().Configuration
	return (!c.IsZero() || len(e.kept) > 0) && !c.IsVoter(e.cfg.Self) && !e.isRemoved()
}

// showItself asks all members who they are, for the sake of the connections that
// this makes. A learner asks nobody for votes: if it has moved, nobody would ever
// learn where it is (rule 30). Who knows of no members asks the nodes that it has had to
// do with, whoever they are now.
func (e *Engine) showItself() {
	if !e.learns() {
		return
	}
	c := &e.configs.latest().Configuration
	if c.IsZero() {
		e.out.add(&DialMembers{Members: e.kept, Kept: true})
		for i := range e.kept {
			e.out.send(&IdentifyRequest{Header: e.head(Identity{ID: e.kept[i].ID})})
		}
	}
	for _, m := range c.Members {
		if m.ID != e.cfg.Self.ID {
			e.out.send(&IdentifyRequest{Header: e.head(m.Identity)})
		}
	}
	e.resetElectionTimer()
}
