package core

import (
	"time"

	"github.com/trouperaft/troupe/membership"
)

// standing is where this node stands among the voters of the configuration in force
// by priority. It is worked out when that changes, so that it costs nothing where a
// deadline is drawn.
type standing struct {
	// ahead are the voters with a higher priority, alike those with the same, this
	// node included, of all. A node that is no voter stands alone.
	ahead, alike, voters int
	// last: this node has PriorityLast, and somebody a higher one.
	last bool
}

// lastWaitTimeouts is for how many election time-outs more than the others a node
// with PriorityLast waits for a leader: only it may have the entries that a leader
// needs, so that this is a delay and not a ban.
const lastWaitTimeouts = 4

// takeStanding works out where this node stands.
func (e *Engine) takeStanding() {
	c := &e.configs.latest().Configuration
	own, member := c.Member(e.cfg.Self)
	if !member || !c.IsVoter(e.cfg.Self) {
		e.standing = standing{alike: 1, voters: 1}
		return
	}
	s := standing{}
	for i := range c.Members {
		m := &c.Members[i]
		if !c.IsVoter(m.Identity) {
			continue
		}
		s.voters++
		switch {
		case m.Rank() > own.Rank():
			s.ahead++
		case m.Rank() == own.Rank():
			s.alike++
		}
	}
	s.last = own.Rank() == membership.PriorityLast && s.ahead > 0
	e.standing = s
}

// share is the part of a spread that this node draws its deadlines from: the voters
// divide the spread, the highest priority first. With equal priorities each draws
// from all of it. So a higher priority campaigns earlier, deadlines are never closer
// to each other than with equal ones, and no node waits for longer than the spread,
// unless it is the last.
func (s *standing) share(spread time.Duration, timeout time.Duration) (first, width time.Duration) {
	first = spread * time.Duration(s.ahead) / time.Duration(s.voters)
	if s.last {
		first += lastWaitTimeouts * timeout
	}
	return first, spread * time.Duration(s.alike) / time.Duration(s.voters)
}
