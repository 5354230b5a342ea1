package simulation

import (
	"time"

	"github.com/trouperaft/troupe/actors"
	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/storage"
)

// Names of what is checked in an election.
const (
	ruleElectionSafety = "election safety: two leaders of one term"
	ruleQuorumOfVotes  = "election: a leader without a quorum of votes"
	ruleOneVote        = "election: two votes in a term"
	ruleVoteDurable    = "election: a vote left before it was durable (rule 3)"
	ruleEmptied        = "identity: a node votes that no entry has admitted (rule 18)"
	rulePromise        = "promise: broken (rules 12, 13)"
	ruleDenied         = "identity: a node is said to have lost what no disk loses"
	rulePromiseHeader  = "promise: given before it stands in the disk's header (rule 13)"
	ruleTermBack       = "term: moved back"
	ruleCompleteness   = "leader completeness: a leader lacks a committed entry"
)

// leads takes note that somebody acts as the leader of a term.
func (c *checker) leads(term core.Term, who membership.Identity) {
	known, ok := c.leaders[term]
	if !ok {
		c.leaders[term] = who
		c.elections++
		return
	}
	if known != who {
		c.fail(ruleElectionSafety, "term %d: %v and %v", term, known, who)
	}
}

// noticed takes a notice of an engine.
func (c *checker) noticed(r *replica, n *core.Notice) {
	if n.Kind == core.NoticeElected {
		c.leads(n.Term, r.identity())
	}
	r.removed = r.removed || n.Kind == core.NoticeRemoved
	r.leftBehind = r.leftBehind || n.Kind == core.NoticeLeftBehind
	// Without an index it is what somebody said who proved nothing.
	if n.Kind == core.NoticeLostData && n.Peer == n.Known && n.Index > 0 {
		c.fail(ruleDenied, "%v says of %v, up to %d", r, n.Peer, n.Index)
	}
}

// elected checks a leader of whom this is the first status in its term.
func (c *checker) elected(r *replica, before, now *actors.Status) {
	self := r.identity()
	c.leads(now.Term, self)
	c.sim.faults.elected(r)
	won := func(s *actors.Status) bool {
		tally := s.Configuration.Configuration.CountVotes(func(id membership.Identity) (bool, bool) {
			return c.votes[vote{id, now.Term}] == self, true
		})
		return tally == membership.Won
	}
	if !won(now) && !won(before) {
		c.fail(ruleQuorumOfVotes, "%v (%v) leads term %d of %v", r, self, now.Term, now.Configuration.Configuration.String())
	}
	c.notRemoved(r, before, now)
	if id, ok := c.certainID(c.committed); ok && now.Term > c.committedIn && c.committed > r.store.purged.Index {
		if at, _ := r.store.at(c.committed); at != id {
			c.fail(ruleCompleteness, "%v leads term %d, and has %v where %v was committed in term %d", r, now.Term, at, id, c.committedIn)
		}
	}
}

// hardState checks a hard state that is being written.
func (c *checker) hardState(d *store, o *storage.Operation) {
	h, was := o.HardState, &d.hard
	if h.Term < was.Term {
		c.fail(ruleTermBack, "the disk of %v: from %d to %d", d.identity, was.Term, h.Term)
	}
	c.belongs(d, h)
	c.flagCounts(d, was, h)
	if !h.Vote.IsZero() {
		c.casts(d.identity, h.Term, h.Vote)
		if h.Cluster.IsZero() {
			c.fail(ruleEmptyVotes, "the disk of %v: for %v in term %d", d.identity, h.Vote, h.Term)
		}
	}
}

// casts takes note of a vote. One that stands on a disk and one that was sent
// are the same vote; a disk that has gone on to a later term by the time does
// not show it.
func (c *checker) casts(voter membership.Identity, term core.Term, candidate membership.Identity) {
	key := vote{voter, term}
	if known, ok := c.votes[key]; ok && known != candidate {
		c.fail(ruleOneVote, "%v in term %d: for %v, then for %v", voter, term, known, candidate)
	}
	c.votes[key] = candidate
}

// asked checks a request for votes: the own vote is durable.
func (c *checker) asked(r *replica, m *core.VoteRequest) {
	c.flags(r, m)
	if m.Pre {
		return
	}
	c.voteDurable(r, m.ElectionTerm, r.identity())
	c.keepsPromise(r, m.ElectionTerm, r.identity())
}

// voted checks an answer to such a request.
func (c *checker) voted(r *replica, m *core.VoteResponse) {
	if !m.Granted {
		return
	}
	if !c.admitted[r.identity()] {
		c.fail(ruleEmptied, "%v grants %v a vote in term %d", r, m.To, m.ElectionTerm)
	}
	if r.store.hard.Cluster.IsZero() {
		c.fail(ruleEmptyVotes, "%v grants %v a vote in term %d", r, m.To, m.ElectionTerm)
	}
	if m.Pre {
		return
	}
	c.voteDurable(r, m.ElectionTerm, m.To)
	c.keepsPromise(r, m.ElectionTerm, m.To)
}

func (c *checker) voteDurable(r *replica, term core.Term, candidate membership.Identity) {
	c.casts(r.identity(), term, candidate)
	h := &r.store.hard
	if h.Term < term || h.Term == term && h.Vote != candidate {
		c.fail(ruleVoteDurable, "%v votes for %v in term %d, its disk has term %d and a vote for %v", r, candidate, term, h.Term, h.Vote)
	}
}

// promised takes note of a promise, and checks that the disk knows it.
func (c *checker) promised(r *replica, m *core.HeartbeatResponse) {
	if m.PromiseMillis == 0 {
		return
	}
	d := time.Duration(m.PromiseMillis) * time.Millisecond
	if r.store.promise < d {
		c.fail(rulePromiseHeader, "%v promises %v, its disk knows of %v", r, d, r.store.promise)
	}
	c.promises[r.identity()] = promise{leader: m.To, term: m.Term, by: r.life, given: c.sim.clock.now, length: d}
}

func (c *checker) keepsPromise(r *replica, term core.Term, candidate membership.Identity) {
	p, ok := c.promises[r.identity()]
	sole := r.status.Configuration.Configuration.IsSoleVoter(r.identity())
	// A vote of an earlier term may leave late: who leads that term by it cannot
	// commit anything any more.
	if !ok || term <= p.term {
		return
	}
	if c.flagged[vote{candidate, term}] {
		delete(c.promises, r.identity()) // rule 14: nothing is built on it any more
		return
	}
	if left := p.until(r.life).Sub(c.sim.clock.now); !sole && p.leader != candidate && left > 0 {
		c.fail(rulePromise, "%v votes for %v in term %d, %v before its promise to %v ends", r, candidate, term, left, p.leader)
	}
}
