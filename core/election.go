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
	// ownVote is the write that makes the candidate's term and its vote for itself
	// durable, and with which its requests leave; 0 if none is awaited: nobody
	// counts a vote that a crash could forget.
	ownVote IOID
	// fruitless counts the campaigns since the last leader that ended without one.
	fruitless int
	// ended says what the last attempt since the last leader ended for, and waits
	// what the present one waits for, with that behind it; "" if there was none.
	ended, waits string
	// reason is why the present attempt was begun; running: votes are asked for.
	reason  ElectionReason
	running bool
	counts  ElectionCounts
	// asked are who asked for a campaign by hand and wait for its end.
	asked []uint64
	// paused: this node neither campaigns nor is handed the leadership.
	paused bool
	// byHand: the transfer that this node campaigns for was asked for by hand.
	byHand bool
}

// ElectionReason is why a node asked for votes.
type ElectionReason uint8

const (
	// ElectionByTimeout: it heard of no leader for an election time-out.
	ElectionByTimeout ElectionReason = iota
	// ElectionAtStart: it is the only voter, and has just started or founded the
	// cluster.
	ElectionAtStart
	// ElectionByHand: somebody asked this node to campaign (Elect).
	ElectionByHand
	// ElectionByTransfer: the leader told it to (TimeoutNow, rule 14).
	ElectionByTransfer
	// ElectionToRenew: it led, and needed a new term: after a hand-over that failed, or
	// for what the application runs (RenewTerm).
	ElectionToRenew

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
		if outcome != ElectionWon {
			c.fruitless++
		}
	}
}

func (c *election) stop() {
	clear(c.votes)
	c.ownVote = 0
}

// diskHangs reports whether a write of this node has been out for longer than an
// election time-out: it could not make a vote durable in time (rule 11).
func (e *Engine) diskHangs() bool { return e.writes.oldest(e.now) > e.cfg.ElectionTimeout }

// mayEverCampaign carries out rule 20.
func (e *Engine) mayEverCampaign() bool {
	return e.role != RoleLeader && !e.isRemoved() && e.configs.voterSince(e.cfg.Self, e.commit)
}

func (e *Engine) onElectionTimer() {
	if !e.mayEverCampaign() {
		e.electionTimer.at = 0
		if e.role != RoleLeader {
			e.becomeFollower(e.hard.Term, Identity{}, "")
			e.showItself()
		}
		e.failElect(ElectNotVoter, "")
		return
	}
	if e.muchTooLate(&e.electionTimer) {
		e.retryElection(0)
		return
	}
	if e.role == RoleCandidate || e.role == RolePreCandidate {
		e.election.ended = e.tooFewVotes()
		e.failElect(ElectTooFewVotes, e.election.ended)
	}
	e.election.end(ElectionExpired)
	e.election.reason = ElectionByTimeout
	if len(e.election.asked) > 0 {
		e.election.reason = ElectionByHand
	}
	e.campaignOrWait()
}

// campaignOrWait campaigns, unless something of this node's own forbids it for
// now. What is wrong with its disk or machine does so only until nobody has been
// heard to lead for a while (rule 16).
func (e *Engine) campaignOrWait() {
	why := e.whyBound()
	if unfit := e.unfit(); unfit != Fit && !e.lastResort() {
		why = e.whyUnfit()
		e.failElect(electRefusals[unfit], "")
	}
	if why != "" {
		e.election.waitsFor(why)
		if e.role != RoleFollower || !e.leader.IsZero() {
			e.becomeFollower(e.hard.Term, Identity{}, "")
		}
		e.resetElectionTimer()
		return
	}
	e.preCampaign()
}

// waitsFor says what this node waits for while it knows of no leader.
func (c *election) waitsFor(what string) {
	c.waits = "waits for " + what
	if c.ended != "" {
		c.waits += "; before that " + c.ended
	}
}

// whyBound says what this node has promised that forbids a campaign for now, ""
// if nothing does. The leader to whom it was promised may release it (rule 14).
func (e *Engine) whyBound() string {
	switch {
	case e.now < e.promise.until:
		return "the end of this node's lease promise to the last leader"
	case e.now < e.quietPeriodEnd():
		return "the end of the quiet period after this node's start"
	}
	return ""
}

// tooFewVotes says who kept the attempt that is under way from a majority.
func (e *Engine) tooFewVotes() string {
	what := "votes"
	if e.role == RolePreCandidate {
		what = "pre-votes"
	}
	var refused, silent []NodeID
	c := &e.configs.latest().Configuration
	for _, m := range c.Members {
		granted, answered := e.election.votes[m.Identity]
		switch {
		case !c.IsVoter(m.Identity):
		case !answered:
			silent = append(silent, m.ID)
		case !granted:
			refused = append(refused, m.ID)
		}
	}
	text := fmt.Sprintf("too few %s in term %d: nodes %d refused, nodes %d did not answer", what, e.hard.Term, refused, silent)
	if c.Joint() {
		// Rule 21: a half that dies then is lost for both.
		text += "; the configuration is joint: if half of its voters are lost for good, it needs an offline recovery"
	}
	return text
}

// preCampaign asks whether an election could be won, without changing a term: a
// node that comes back from a partition disturbs nobody (dissertation 9.6).
func (e *Engine) preCampaign() {
	e.becomeFollower(e.hard.Term, Identity{}, "")
	e.election.waitsFor(fmt.Sprintf("pre-votes for term %d", e.hard.Term+1))
	e.role = RolePreCandidate
	e.election.campaign++
	e.resetElectionTimer()
	if e.configs.latest().Configuration.IsVoter(e.cfg.Self) {
		e.election.votes[e.cfg.Self] = true
	}
	if e.tally() == membership.Won {
		e.campaignForTerm(false)
		return
	}
	for _, m := range e.voteRequests(true, false) {
		e.out.send(m)
	}
}

// campaignForTerm begins an election in the next term. Rule 3: the requests
// leave when term and own vote are durable. transfer: they say that the leader of
// this term asked for it (rule 14), in this one campaign and in no other.
func (e *Engine) campaignForTerm(transfer bool) {
	e.becomeFollower(e.hard.Term+1, Identity{}, "campaigns for a new term")
	e.role = RoleCandidate
	e.election.running = true
	e.election.campaign++
	e.hard.Vote = e.cfg.Self
	// Rule 11: its time counts from when it could ask anybody.
	e.electionTimer.at = 0
	w := e.newWrite()
	w.Then = e.voteRequests(false, transfer)
	e.election.ownVote = e.submit(w)
	e.election.waitsFor(fmt.Sprintf("this node's own vote in term %d to be durable", e.hard.Term))
	e.out.add(&Notice{Kind: NoticeElectionStarted, Peer: e.cfg.Self, Term: e.hard.Term})
}

// beginCounting begins the candidate's time, its own vote being durable.
func (e *Engine) beginCounting() {
	e.election.ownVote = 0
	e.election.waitsFor(fmt.Sprintf("votes in term %d", e.hard.Term))
	e.resetElectionTimer()
	if e.configs.latest().Configuration.IsVoter(e.cfg.Self) {
		e.election.votes[e.cfg.Self] = true
	}
	e.countVotes()
}

func (e *Engine) voteRequests(pre, transfer bool) []Message {
	c := &e.configs.latest().Configuration
	var requests []Message
	for i := range c.Members {
		id := c.Members[i].Identity
		if id.ID == e.cfg.Self.ID || !c.IsVoter(id) {
			continue
		}
		r := &VoteRequest{Header: e.head(id), Pre: pre, ElectionTerm: e.hard.Term, Campaign: e.election.campaign, Last: e.log.last, Transfer: transfer}
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
		(e.role == RolePreCandidate || e.renewing()) && m.Pre && m.ElectionTerm == e.hard.Term+1
	if !asked || m.Campaign != e.election.campaign {
		return
	}
	e.election.votes[m.From] = m.Granted
	if m.WaitMillis > 0 {
		e.retryWhenFree(time.Duration(m.WaitMillis) * time.Millisecond)
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
	switch tally := e.tally(); {
	case tally == membership.Won && e.role == RoleCandidate:
		e.becomeLeader()
	case tally == membership.Won:
		e.campaignForTerm(false)
	case tally == membership.Lost && e.role == RoleLeader:
		e.election.stop() // it goes on leading, and asks again
		e.handOver.renewing = false
	case tally == membership.Lost:
		e.election.ended = e.tooFewVotes()
		e.election.waitsFor("the time of the next campaign")
		e.failElect(ElectTooFewVotes, e.election.ended)
		e.election.end(ElectionLost)
		// The timer stands: the next attempt comes when it fires.
		e.becomeFollower(e.hard.Term, Identity{}, "")
	}
}
