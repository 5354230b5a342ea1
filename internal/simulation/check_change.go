package simulation

import (
	"slices"

	"github.com/trouperaft/troupe/actors"
	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
)

// Names of what is checked about changes of the members.
const (
	ruleChangeEarly   = "membership: a change before its leader has committed in its own term (rule 21)"
	ruleChangeBefore  = "membership: a configuration before the last one is committed (rule 21)"
	ruleQuorumsMeet   = "membership: quorums of two configurations in a row that do not meet (rule 21)"
	ruleOneChange     = "membership: a change inside another (rule 21)"
	ruleVoterAdmitted = "membership: a voter that lacks the entry that admitted it (rule 21)"
	ruleRemovedLeads  = "membership: a removed node leads (rule 22)"
	ruleChangeEnds    = "liveness: a change of the members does not end"
)

// configurationFact is a configuration that was seen, and the one before it in its log,
// nil if there is none.
type configurationFact struct {
	core.ConfigurationAt
	before *configurationFact
}

// configurationBefore returns the one in force at an entry.
func (c *checker) configurationBefore(id core.LogID) *configurationFact {
	for id.Index > 0 {
		if f := c.seen[id]; f != nil {
			return f
		}
		fact, known := c.entries[id]
		if !known {
			return nil
		}
		id = fact.before
	}
	return nil
}

// changes checks a configuration that is seen first. The one that begins the cluster
// has nobody before it.
func (c *checker) changes(e *core.Entry, before core.LogID) {
	if e.Kind != core.EntryConfiguration {
		return
	}
	configuration, err := membership.Decode(e.Data)
	if err != nil {
		c.fail(ruleSnapshotConfiguration, "%v cannot be read: %v", e.LogID, err)
		return
	}
	f := &configurationFact{core.ConfigurationAt{LogID: e.LogID, Configuration: configuration}, c.configurationBefore(before)}
	c.seen[e.LogID] = f
	for _, m := range configuration.Members {
		c.admitted[m.Identity] = true
	}
	if e.Index == 1 {
		return
	}
	c.changesEarly(e)
	if f.before != nil {
		c.follows(f)
	}
}

// changesEarly: rule 21: whoever changes the members has committed in its own term.
func (c *checker) changesEarly(e *core.Entry) {
	id, _ := c.certainID(c.committed)
	for id.Term > e.Term {
		id = c.entries[id].before
	}
	if id.Term != e.Term {
		c.fail(ruleChangeEarly, "%v, committed is %d in term %d", e.LogID, c.committed, c.committedIn)
	}
}

// follows holds a configuration against the one before it.
func (c *checker) follows(f *configurationFact) {
	was, is := &f.before.Configuration, &f.Configuration
	if id, ok := c.certainID(f.before.Index); f.before.Index > c.committed || ok && id != f.before.LogID {
		c.fail(ruleChangeBefore, "%v is appended behind that of %v; committed is %d, %v there", f.LogID, f.before.LogID, c.committed, id)
	}
	if !quorumsMeet(was, is) {
		c.fail(ruleQuorumsMeet, "%v, %v, and %v, %v", f.before.LogID, was, f.LogID, is)
	}
	if why := inside(was, is); why != "" {
		c.fail(ruleOneChange, "%s: %v, %v, and %v, %v", why, f.before.LogID, was, f.LogID, is)
	}
	if is.Joint() && !was.Joint() && !c.inherits {
		c.votersAdmitted(f)
	}
}

// inside says what is wrong with a step from one configuration to the next, "" if it is
// the next step of the change that is under way, its end, or the first of another.
func inside(was, is *membership.Configuration) string {
	sameVoters := slices.Equal(was.Voters, is.Voters)
	switch t := was.Target; {
	case t != nil && is.Target != nil && (t.ID != is.Target.ID || t.Founding != is.Target.Founding):
		return "another change has begun"
	case t != nil && !t.Founding && is.Target == nil && is.Last.ID != t.ID:
		return "the change has no end"
	case was.Joint() && is.Joint() && (!sameVoters || !slices.Equal(was.Outgoing, is.Outgoing)):
		return "from one joint configuration to another"
	case is.Joint() && !was.Joint() && !slices.Equal(was.Voters, is.Outgoing):
		return "the outgoing half never decided"
	case !is.Joint() && !sameVoters:
		return "voters come or go without a joint configuration"
	}
	return ""
}

// votersAdmitted: rule 21: each voter that comes has acknowledged, in this term, the
// entry that made it a member.
func (c *checker) votersAdmitted(f *configurationFact) {
	for _, id := range f.Configuration.Voters {
		if slices.Contains(f.Configuration.Outgoing, id) || c.leaders[f.Term] == id {
			continue
		}
		at := f.before
		_, member := at.Configuration.Member(id)
		for b := at.before; member && b != nil; b = b.before {
			if _, was := b.Configuration.Member(id); !was {
				break
			}
			at = b
		}
		if acked := c.matched[vote{id, f.Term}]; !member || acked < at.Index {
			c.fail(ruleVoterAdmitted, "%v is to vote by %v, was admitted by %v, and has acknowledged up to %d", id, f.LogID, at.LogID, acked)
		}
	}
}

// quorumsMeet reports whether every quorum of one configuration has a member of every
// quorum of the other.
func quorumsMeet(a, b *membership.Configuration) bool {
	for _, x := range halves(a) {
		for _, y := range halves(b) {
			if majoritiesMeet(x, y) {
				return true
			}
		}
	}
	return false
}

func halves(c *membership.Configuration) [][]membership.Identity {
	if c.Joint() {
		return [][]membership.Identity{c.Voters, c.Outgoing}
	}
	return [][]membership.Identity{c.Voters}
}

// majoritiesMeet reports whether no majority of one set is without all of some majority
// of the other: those whom both have do not suffice for what each needs of them.
func majoritiesMeet(x, y []membership.Identity) bool {
	both := 0
	for _, id := range x {
		both += int(truth(slices.Contains(y, id)))
	}
	needs := func(set []membership.Identity) int { return max(len(set)/2+1-(len(set)-both), 0) }
	return needs(x)+needs(y) > both
}

// notRemoved checks a leader of whom this is the first status in its term. One that is no
// member of the last configuration that was committed has that, and has not heard of its
// commit: then it may campaign (rule 20).
func (c *checker) notRemoved(r *replica, before, now *actors.Status) {
	n := len(c.configurations)
	if n == 0 || now.Term <= c.committedIn {
		return
	}
	at, own := &c.configurations[n-1], &now.Configuration
	if _, member := at.Configuration.Member(r.identity()); member {
		return
	}
	if _, member := own.Configuration.Member(r.identity()); before.Removed || own.Index < at.Index || !member && own.Index <= before.Committed {
		c.fail(ruleRemovedLeads, "%v (%v) leads term %d by %v, and %v has %v", r, r.identity(), now.Term, own.LogID, at.LogID, &at.Configuration)
	}
}

// alive are the configurations that may still decide, or come to: the last one that was
// applied anywhere, and all later ones.
func (c *checker) alive() (list []*membership.Configuration) {
	for _, f := range c.seen {
		if f.Index >= c.decided() {
			list = append(list, &f.Configuration)
		}
	}
	return list
}

// decided is the index of the last configuration that was applied anywhere, 0 if none
// was.
func (c *checker) decided() core.Index {
	if n := len(c.configurations); n > 0 {
		return c.configurations[n-1].Index
	}
	return 0
}
