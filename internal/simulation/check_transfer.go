package simulation

import (
	"errors"

	"github.com/trouperaft/troupe/actors"
	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
)

// Names of what is checked about transfers of leadership and elections by hand.
const (
	ruleToldByLeader  = "transfer: a node is told to campaign by one that does not lead the term"
	ruleToldLog       = "transfer: a node is told to campaign that lacks entries of the leader"
	ruleFlag          = "transfer: requests with the flag of a transfer that nobody asked for (rule 14)"
	ruleFlagTerm      = "transfer: a vote by the flag within a promise, from another durable term (rule 14)"
	ruleTransferred   = "transfer: it is said to have succeeded, and has not"
	ruleTransferError = "transfer: an error that does not belong here"
	ruleElected       = "election by hand: it is said to have succeeded, and has not"
)

func asTransferError(err error, to **core.TransferError) bool { return errors.As(err, to) }

// tells checks a TimeoutNow that leaves.
func (c *checker) tells(r *replica, m *core.TimeoutNow) {
	if leader, ok := c.leaders[m.Term]; !ok || leader != m.From {
		c.fail(ruleToldByLeader, "%v in term %d, to %v", r, m.Term, m.To)
	}
	c.told[vote{m.To, m.Term}] = true
	// The leader's own disk may lag behind its log; what it holds the target holds.
	if d := c.store(m.To); d != nil && d.hard.Term == m.Term && d.last().Index < r.store.last().Index {
		c.fail(ruleToldLog, "%v in term %d: the disk of %v ends at %v, its own at %v", r, m.Term, m.To, d.last(), r.store.last())
	}
}

// flags checks a request with the flag, and remembers that it has one.
func (c *checker) flags(r *replica, m *core.VoteRequest) {
	if !m.Transfer {
		return
	}
	if m.Pre || !c.told[vote{m.From, m.ElectionTerm - 1}] {
		c.fail(ruleFlag, "%v for term %d, pre-vote %v", r, m.ElectionTerm, m.Pre)
	}
	c.flagged[vote{m.From, m.ElectionTerm}] = true
}

// released takes note of a vote by the flag, when it is decided on: where the durable
// term is the one before, nothing is built on the promise any more. The disk may never
// show that vote: it may go on to a later one at once.
func (c *checker) released(d *store, term core.Term, candidate membership.Identity) {
	p, ok := c.promises[d.identity]
	switch {
	case !ok || term <= p.term:
	case d.hard.Term == term-1:
		delete(c.promises, d.identity)
	case p.leader != candidate && c.sim.clock.now < p.until(d.node().life):
		c.fail(ruleFlagTerm, "%v votes for %v in term %d, its disk is in term %d", d.identity, candidate, term, d.hard.Term)
	}
}

// flagCounts checks a vote that becomes durable within a promise to another: only a
// flag allows it, and only where the durable term was the one before.
func (c *checker) flagCounts(d *store, was, now *core.HardState) {
	p, ok := c.promises[d.identity]
	if !ok || now.Vote.IsZero() || now.Term <= was.Term || now.Term <= p.term || p.leader == now.Vote {
		return
	}
	alive := c.sim.clock.now < p.until(d.node().life)
	if alive && c.flagged[vote{now.Vote, now.Term}] && was.Term != now.Term-1 {
		c.fail(ruleFlagTerm, "%v votes for %v in term %d, its disk was in term %d", d.identity, now.Vote, now.Term, was.Term)
	}
}

// transferred checks a transfer that has succeeded: the target, or the best, leads and
// has committed in its term.
func (c *checker) transferred(r *replica, t actors.Transfer, h actors.Handover) {
	leader, ok := c.leaders[h.Term]
	switch {
	case !ok || leader.ID != h.Leader || t.To != 0 && h.Leader != t.To:
		c.fail(ruleTransferred, "%v: to %d: node %d leads term %d, it is said; %v does", r, t.To, h.Leader, h.Term, leader)
	case c.committedIn < h.Term && !c.committedBySomebody(h.Term):
		c.fail(ruleTransferred, "%v: to %d: nothing is committed in term %d", r, t.To, h.Term)
	}
}

// committedBySomebody reports whether anything of a term was found to be committed.
func (c *checker) committedBySomebody(term core.Term) bool {
	for _, f := range c.history {
		if f.id.Term >= term {
			return true
		}
	}
	for _, id := range c.certain {
		if id.Term >= term {
			return true
		}
	}
	return false
}

// notTransferred checks the error of one that has not.
func (c *checker) notTransferred(r *replica, err error) {
	var (
		failed    *core.TransferError
		notLeader *core.NotLeaderError
		fatal     *core.FatalError
	)
	switch {
	case errors.As(err, &failed) && failed.Reason != 0, errors.As(err, &notLeader), errors.Is(err, core.ErrStopped):
	case errors.As(err, &fatal) && r.disk.failing:
	default:
		c.fail(ruleTransferError, "%v: %v", r, err)
	}
}

func (c *checker) electedByHand(r *replica, term core.Term) {
	if leader := c.leaders[term]; leader != r.identity() {
		c.fail(ruleElected, "%v in term %d, which %v leads", r, term, leader)
	}
}

// answeredRequests checks that a group that stopped has answered every request.
func (c *checker) answeredRequests(r *replica) {
	for _, q := range r.requests {
		if !q.done {
			c.fail(ruleNever, "%v stopped and left it unanswered %s", r, q.what)
			return
		}
	}
}
