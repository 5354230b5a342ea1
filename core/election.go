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
}

// ElectionReason is why a node asked for votes.
type ElectionReason uint8

const (
	// ElectionByTimeout: it heard of no leader for an election time-out.
	ElectionByTimeout ElectionReason = iota
	// ElectionAtStart: it is the only voter, and has just started or founded the
	// cluster.
	ElectionAtStart

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

// resetElectionTimer begins a new wait for a leader: a time drawn from one to
// two election time-outs (Raft 5.2), and never less than this node's own
// lease promise and quiet period (rules 12, 13).
func (e *Engine) resetElectionTimer() {
	if !e.mayEverCampaign() {
		e.awaitSilentLeader()
		return
	}
	wait := e.electionWait()
	at := e.now.Add(wait + e.jitter(wait))
	e.set(&e.electionTimer, TimerElection, max(at, e.promise.until, e.quietPeriodEnd()))
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

// diskHangs reports whether a write of this node has been out for longer than an
// election time-out: it could not make a vote durable in time (rule 11).
func (e *Engine) diskHangs() bool { return e.writes.oldest(e.now) > e.cfg.ElectionTimeout }

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

// learns reports whether this node is a learner of the configuration in force.
func (e *Engine) learns() bool {
	c := &e.configs.latest().Configuration
	_, member := c.Member(e.cfg.Self)
	return member && !c.IsVoter(e.cfg.Self)
}

// showItself asks all members who they are, for the sake of the connections that
// this makes. A learner asks nobody for votes: if it has moved, nobody would ever
// learn where it is (rule 30).
func (e *Engine) showItself() {
	if !e.learns() {
		return
	}
	for _, m := range e.configs.latest().Configuration.Members {
		if m.Identity != e.cfg.Self {
			e.out.send(&IdentifyRequest{Header: e.head(m.Identity)})
		}
	}
	e.resetElectionTimer()
}

// retryElection moves the next attempt to a time soon after wait. The jitter
// keeps two nodes that were refused together from meeting again.
func (e *Engine) retryElection(wait time.Duration) {
	if !e.mayEverCampaign() {
		return
	}
	at := e.now.Add(wait + e.jitter(e.electionWait()/2))
	e.set(&e.electionTimer, TimerElection, max(at, e.promise.until, e.quietPeriodEnd()))
}

// mayEverCampaign carries out rule 20.
func (e *Engine) mayEverCampaign() bool {
	return e.role != RoleLeader && e.configs.voterSince(e.cfg.Self, e.commit)
}

func (e *Engine) onElectionTimer() {
	if !e.mayEverCampaign() {
		e.electionTimer.at = 0
		if e.role != RoleLeader {
			e.becomeFollower(e.hard.Term, Identity{}, "")
			e.showItself()
		}
		return
	}
	if e.muchTooLate(&e.electionTimer) {
		e.retryElection(0)
		return
	}
	if e.role == RoleCandidate || e.role == RolePreCandidate {
		e.election.ended = e.tooFewVotes()
	}
	e.election.end(ElectionExpired)
	e.election.reason = ElectionByTimeout
	e.campaignOrWait()
}

// campaignOrWait campaigns, unless something of this node's own forbids it for
// now: a lease promise, the quiet period after a start, a snapshot that is being
// installed (rule 24), a disk or machine that made it step down (rule 16), or a
// disk that hangs: who grants no pre-vote for that (rule 11) gives none to itself.
func (e *Engine) campaignOrWait() {
	if why := e.whyNoCampaign(); why != "" {
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

// whyNoCampaign says what forbids a campaign for now, "" if nothing does.
func (e *Engine) whyNoCampaign() string {
	switch {
	case e.now < e.promise.until:
		return "the end of this node's lease promise to the last leader"
	case e.now < e.quietPeriodEnd():
		return "the end of the quiet period after this node's start"
	case e.snapshots.installing != nil:
		return "the snapshot that this node installs"
	case e.catchingUp():
		return "this node's disk or state machine, for which it stepped down, to catch up"
	case e.diskHangs():
		return "a write of this node that has been out for longer than an election time-out"
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
	return fmt.Sprintf("too few %s in term %d: nodes %d refused, nodes %d did not answer", what, e.hard.Term, refused, silent)
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
	// Rule 11: its time counts from when it could ask anybody.
	e.electionTimer.at = 0
	w := e.newWrite()
	w.Then = e.voteRequests(false)
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
			e.set(&e.electionTimer, TimerElection, max(at, e.quietPeriodEnd()))
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
			e.becomeLeader()
		}
	case membership.Lost:
		e.election.ended = e.tooFewVotes()
		e.election.waitsFor("the time of the next campaign")
		e.election.end(ElectionLost)
		// The timer stands: the next attempt comes when it fires.
		e.becomeFollower(e.hard.Term, Identity{}, "")
	}
}
