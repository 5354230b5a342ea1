package core

import (
	"fmt"
	"time"

	"github.com/trouperaft/troupe/membership"
)

// election is the state of a campaign (Raft 5.2, pre-vote: dissertation 9.6).
type election struct {
	// campaign numbers this engine's campaigns. It begins at random, so that an
	// answer to a campaign of an earlier life is not taken for one of this.
	campaign uint64
	votes    map[Identity]bool
	// ownVote is the write that makes the vote for oneself durable, 0 if none
	// is awaited: nobody counts a vote that a crash could forget.
	ownVote IOID
	// reason is why the present attempt was begun; running: votes are asked for.
	reason  ElectionReason
	running bool
	counts  ElectionCounts
}

// ElectionReason is why a node asked for votes.
type ElectionReason uint8

const (
	// ElectionTimeout: it heard of no leader for an election time-out.
	ElectionTimeout ElectionReason = iota
	// ElectionStart: it is the only voter, and has just started or founded the
	// cluster.
	ElectionStart

	electionReasons = iota
)

// ElectionOutcome is how an election ended for the node that began it.
type ElectionOutcome uint8

const (
	// ElectionWon: it leads.
	ElectionWon ElectionOutcome = iota
	// ElectionLost: a majority refused.
	ElectionLost
	// ElectionSuperseded: another leads, a higher term was seen, or the
	// configuration changed.
	ElectionSuperseded
	// ElectionExpired: nobody had a majority in time.
	ElectionExpired

	electionOutcomes = iota
)

// ElectionCounts counts the elections that an engine began and that have ended.
type ElectionCounts [electionReasons][electionOutcomes]uint64

// end counts the end of an election, if one is under way.
func (c *election) end(outcome ElectionOutcome) {
	if c.running {
		c.running = false
		c.counts[c.reason][outcome]++
	}
}

func (c *election) stop() {
	clear(c.votes)
	c.ownVote = 0
}

// resetElectionTimer begins a new wait for a leader: a time drawn from one to
// two election time-outs (Raft 5.2), and never less than this node's own
// promise and silence (rules 12, 13).
func (e *Engine) resetElectionTimer() {
	if !e.mayEverCampaign() {
		e.cancel(&e.electionTimer, TimerElection)
		return
	}
	at := e.now.Add(e.cfg.ElectionTimeout + e.jitter(e.cfg.ElectionTimeout))
	e.set(&e.electionTimer, TimerElection, max(at, e.promise.until, e.silentUntil()))
}

// retryElection moves the next attempt to a time soon after wait. The jitter
// keeps two nodes that were refused together from meeting again.
func (e *Engine) retryElection(wait time.Duration) {
	if !e.mayEverCampaign() {
		return
	}
	at := e.now.Add(wait + e.jitter(e.cfg.ElectionTimeout/2))
	e.set(&e.electionTimer, TimerElection, max(at, e.promise.until, e.silentUntil()))
}

// mayEverCampaign carries out rule 20.
func (e *Engine) mayEverCampaign() bool {
	return e.role != RoleLeader && e.configs.voterSince(e.cfg.Self, e.commit)
}

func (e *Engine) onElectionTimer() {
	if !e.mayEverCampaign() {
		e.electionTimer.at = 0
		return
	}
	if e.muchTooLate(&e.electionTimer) {
		e.retryElection(0)
		return
	}
	e.election.end(ElectionExpired)
	e.election.reason = ElectionTimeout
	e.campaignOrWait()
}

// campaignOrWait campaigns, unless something of this node's own forbids it for
// now: a promise, the silence after a start, a snapshot that is being installed
// (rule 24), or a disk or machine that made it leave office (rule 16).
func (e *Engine) campaignOrWait() {
	blocked := e.now < e.promise.until || e.now < e.silentUntil() || e.snapshots.installing != nil || e.sick()
	if blocked {
		if e.role != RoleFollower || !e.leader.IsZero() {
			e.becomeFollower(e.hard.Term, Identity{}, "")
		}
		e.resetElectionTimer()
		return
	}
	e.preCampaign()
}

// preCampaign asks whether an election could be won, without changing a term: a
// node that comes back from a partition disturbs nobody (dissertation 9.6).
func (e *Engine) preCampaign() {
	e.becomeFollower(e.hard.Term, Identity{}, "")
	e.role = RolePreCandidate
	e.election.campaign++
	e.resetElectionTimer()
	if e.configs.latest().Configuration.IsVoter(e.cfg.Self) {
		e.election.votes[e.cfg.Self] = true
	}
	if e.tally() == membership.Won {
		e.campaignForTerm()
		return
	}
	for _, m := range e.voteRequests(true) {
		e.out.send(m)
	}
}

// campaignForTerm begins an election in the next term. Rule 3: the requests
// leave when term and own vote are durable.
func (e *Engine) campaignForTerm() {
	e.becomeFollower(e.hard.Term+1, Identity{}, "")
	e.role = RoleCandidate
	e.election.running = true
	e.election.campaign++
	e.hard.Vote = e.cfg.Self
	e.resetElectionTimer()
	w := e.newWrite()
	w.Then = e.voteRequests(false)
	ioid := e.submit(w)
	if e.configs.latest().Configuration.IsVoter(e.cfg.Self) {
		e.election.ownVote = ioid
	}
	e.out.add(&Notice{Kind: NoticeElectionStarted, Peer: e.cfg.Self, Term: e.hard.Term})
}

func (e *Engine) voteRequests(pre bool) []Message {
	c := &e.configs.latest().Configuration
	var requests []Message
	for i := range c.Members {
		id := c.Members[i].Identity
		if id == e.cfg.Self || !c.IsVoter(id) {
			continue
		}
		r := &VoteRequest{Header: e.head(id), Pre: pre, ElectionTerm: e.hard.Term, Campaign: e.election.campaign, Last: e.log.last}
		if pre {
			r.ElectionTerm++
		}
		requests = append(requests, r)
	}
	return requests
}

func (e *Engine) onVoteResponse(m *VoteResponse) {
	if _, member := e.configs.member(m.From, e.commit); !member {
		return // rule 18: nobody counts whom the group does not know
	}
	if e.farAhead(m.From, m.Header.Term) {
		return
	}
	if e.raisable(m.Header.Term) > e.hard.Term {
		// Out of reach (rule 32) it is one refusal, and no more. Rule 11: the asker adopts a refuser's term, and tries again soon.
		e.becomeFollower(m.Header.Term, Identity{}, fmt.Sprintf("node %d is in term %d", m.From.ID, m.Header.Term))
		e.retryElection(0)
		return
	}
	asked := e.role == RoleCandidate && !m.Pre && m.ElectionTerm == e.hard.Term ||
		e.role == RolePreCandidate && m.Pre && m.ElectionTerm == e.hard.Term+1
	if !asked || m.Campaign != e.election.campaign {
		return
	}
	e.election.votes[m.From] = m.Granted
	if m.WaitMillis > 0 {
		at := e.now.Add(time.Duration(m.WaitMillis)*time.Millisecond + e.jitter(e.cfg.ElectionTimeout/2))
		if at < e.electionTimer.at {
			e.set(&e.electionTimer, TimerElection, max(at, e.silentUntil()))
		}
	}
	e.countVotes()
}

func (e *Engine) tally() membership.Tally {
	return e.configs.latest().Configuration.CountVotes(func(id Identity) (granted, answered bool) {
		granted, answered = e.election.votes[id]
		return granted, answered
	})
}

func (e *Engine) countVotes() {
	switch e.tally() {
	case membership.Won:
		if e.role == RolePreCandidate {
			e.campaignForTerm()
		} else {
			e.takeOffice()
		}
	case membership.Lost:
		e.election.end(ElectionLost)
		// The timer stands: the next attempt comes when it fires.
		e.becomeFollower(e.hard.Term, Identity{}, "")
	}
}
