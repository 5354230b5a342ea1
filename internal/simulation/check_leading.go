package simulation

import "github.com/trouperaft/troupe/core"

// Names of what is checked about what the application runs while a node leads.
const (
	ruleLeadingAtOnce  = "leading: two contexts live at the same time (rule 14)"
	ruleLeadingTerms   = "leading: a run whose term is not above that of all before (rule 14)"
	ruleLeadingTwice   = "leading: a node runs it beside itself (rule 14)"
	ruleLeadingEarly   = "leading: it begins before all that was committed before is applied (rule 14)"
	ruleLeadingLate    = "leading: a context lives while a vote or TimeoutNow leaves (rule 14)"
	ruleLeadingStopped = "leading: a group has stopped while it runs (rule 28)"
	ruleLeadingNever   = "liveness: the healed cluster's leader does not run it"
)

// fail is the one place where these checks tell what they have found.
func (j *jobs) fail(rule, format string, arguments ...any) {
	j.group.check.fail(rule, format, arguments...)
}

// check checks a job that begins. At this instant no other context of the group may
// live. As none comes to life again, none lives together with this one at any other
// instant either.
func (j *jobs) check(b *job) {
	r := b.replica
	if now := j.running[r.life]; now != nil {
		j.fail(ruleLeadingTwice, "%v in term %d, and term %d has not returned", r, b.term, now.term)
	}
	if b.term <= j.last {
		j.fail(ruleLeadingTerms, "%v in term %d, after term %d", r, b.term, j.last)
	}
	for _, n := range j.group.sim.nodes {
		if o := n.life; o != nil && o != r.life && !o.dead && j.leads(o) {
			j.fail(ruleLeadingAtOnce, "%v in term %d, and %v in term %d", r, b.term, o, j.running[o].term)
		}
	}
	if applied := r.machine.state.applied.Index; applied < j.before(b) {
		j.fail(ruleLeadingEarly, "%v in term %d at %d, and %d was committed before", r, b.term, applied, j.before(b))
	}
}

// before is up to where the log was committed before the leader's own first entry: the
// entry before that, or what somebody of an earlier term was found to know.
func (j *jobs) before(b *job) (committed core.Index) {
	for _, a := range j.group.check.advances {
		if a.in < b.term {
			committed = max(committed, a.to)
		}
	}
	d := b.replica.store
	for i := d.last().Index; i > committed; i-- {
		if id, ok := d.at(i); ok && id.Term < b.term {
			return i
		}
	}
	return committed
}

// sends checks a message that leaves: before a vote and before TimeoutNow, a context has
// ended.
func (j *jobs) sends(r *replica, m core.Message) {
	b := j.running[r.life]
	switch m := m.(type) {
	case *core.TimeoutNow:
		if b != nil && b.term == m.Term && over(b.ctx) {
			r.sim.saw(jobBeforeTold)
		}
	case *core.VoteRequest:
		if m.Pre {
			return
		}
	case *core.VoteResponse:
		if m.Pre || !m.Granted {
			return
		}
	default:
		return
	}
	if b != nil && !over(b.ctx) {
		j.fail(ruleLeadingLate, "%v in term %d: %s", r, b.term, describe(m))
	}
}

// stopped checks a group that has come to its end.
func (j *jobs) stopped(r *replica) {
	if b := j.running[r.life]; b != nil && b.replica == r {
		j.fail(ruleLeadingStopped, "%v in term %d", r, b.term)
	}
}

// lives checks that the leader of the healed group runs the job, or has.
func (j *jobs) lives() {
	s := j.group.sim
	if !s.until(s.clock.now.Add(s.patience()), j.served) {
		j.fail(ruleLeadingNever, "group %d, the last was of term %d: %s", j.group.id, j.last, s.summary())
	}
}
