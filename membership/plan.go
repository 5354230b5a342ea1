package membership

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// Order is what is asked for: changes that are carried out as one, and how.
type Order struct {
	// ID names the change; not 0.
	ID      ChangeID
	Changes []Change
	// Since, CatchUpLimit, KeepAdded and Automatic are those of the Target.
	Since        int64
	CatchUpLimit time.Duration
	KeepAdded    bool
	Automatic    bool
}

// Plan returns the configurations that lead from c to what is asked for, in order:
//
//   - none, if c is that already;
//   - one, if no voter comes or goes;
//   - else first, if a voter comes, one in which the newcomers are learners; then the
//     joint one; then what is wanted.
//
// Who the nodes are that are added or replaced is taken as it stands in the changes,
// 0 where that is not known yet. No change may be under way, but one that is catching
// up or joint if the changes are [AttributesOnly]: then there is one configuration,
// and that change goes on behind it. An error is a *ChangeError, or that of Validate.
func (o *Order) Plan(c *Configuration) ([]Configuration, error) {
	if c.Target != nil || c.Joint() {
		return o.planAttributes(c)
	}
	g, err := o.goal(c)
	if err != nil {
		return nil, err
	}
	if g.sameAs(c) {
		return nil, nil
	}
	begin := *c
	if slices.Equal(g.voters, c.Voters) {
		begin.Members, begin.Last = g.members, Outcome{ID: o.ID, Result: ResultDone}
		return []Configuration{begin}, begin.Validate()
	}
	begin.Target = &Target{
		ID: o.ID, Automatic: o.Automatic, Members: g.members, Voters: g.voters,
		KeepAdded: o.KeepAdded, Since: o.Since, CatchUpLimit: o.limit(),
	}
	var steps []Configuration
	if len(begin.Missing()) == 0 && len(begin.Incoming()) > 0 {
		steps = append(steps, begin)
		if err := begin.Validate(); err != nil {
			return nil, err
		}
	}
	for at := begin; at.Target != nil; {
		if at, err = at.Next(); err != nil {
			return nil, err
		}
		steps = append(steps, at)
	}
	return steps, nil
}

// limit is the catch-up limit in whole milliseconds; one that is not 0 stays so.
func (o *Order) limit() time.Duration {
	if o.CatchUpLimit > 0 {
		return max(o.CatchUpLimit.Truncate(time.Millisecond), time.Millisecond)
	}
	return 0
}

// planAttributes changes what is said of members beside a change that is under way.
func (o *Order) planAttributes(c *Configuration) ([]Configuration, error) {
	if !AttributesOnly(o.Changes) {
		return nil, fmt.Errorf("membership: another change is under way")
	}
	g, err := o.goal(c)
	if err != nil {
		return nil, err
	}
	if g.sameAs(c) {
		return nil, nil
	}
	next := *c
	next.Members, next.Last = g.members, Outcome{ID: o.ID, Result: ResultDone}
	if c.Target != nil {
		target := *c.Target
		target.Members = slices.Clone(target.Members)
		for i := range target.Members {
			// Only of members that stay: of one that is to go nothing is wanted.
			for _, change := range o.Changes {
				if m := &target.Members[i]; m.ID == change.ID {
					m.set(&change)
				}
			}
		}
		next.Target = &target
	}
	return []Configuration{next}, next.Validate()
}

// SameAs reports whether the change that is under way in c leads to what is asked
// for, so that who asks joins it.
func (o *Order) SameAs(c *Configuration) bool {
	if c.Target == nil || c.Target.Founding || len(o.Changes) == 0 || AttributesOnly(o.Changes) {
		return false
	}
	base := Configuration{Members: c.Members, Voters: c.Voters}
	if c.Joint() {
		base.Voters = c.Outgoing
	}
	g, err := o.goal(&base)
	return err == nil && c.Target.leadsTo(&Target{Members: g.members, Voters: g.voters})
}

// goal is what changes make of the members and voters of a configuration.
type goal struct {
	// before are the members as they were.
	before  []Member
	members []Member
	voters  []Identity
}

func (g *goal) sameAs(c *Configuration) bool {
	return slices.EqualFunc(g.members, c.Members, memberEqual) && slices.Equal(g.voters, c.Voters)
}

// ChangesMax is how many changes an order may have.
const ChangesMax = 1024

// Check holds the changes against what needs no configuration, and returns a
// *ChangeError that names the first that is wrong.
func (o *Order) Check() error {
	switch {
	case len(o.Changes) == 0:
		return &ChangeError{Reason: ChangeNothing}
	case len(o.Changes) > ChangesMax:
		return &ChangeError{Reason: ChangeTooManyMembers, Text: fmt.Sprintf("%d changes, at most %d", len(o.Changes), ChangesMax)}
	}
	for i := range o.Changes {
		c := &o.Changes[i]
		if reason, node := c.checkAlone(); reason != 0 {
			return c.wrong(reason, node)
		}
		if slices.ContainsFunc(o.Changes[:i], c.collides) {
			return c.wrong(ChangeIDTwice, 0)
		}
	}
	return nil
}

func (c *Change) wrong(reason ChangeReason, node NodeID) error {
	e := &ChangeError{Reason: reason, Change: c.Clone(), Node: node, Text: c.limit(reason)}
	if len(c.Address) > AddressBytesMax {
		e.Change.Address = "" // the text says how long it is
	}
	if reason == ChangeLimit {
		e.Change.Tags = nil
	}
	return e
}

// addressTwice refuses an address that another member has in the end: two may swap theirs.
// Of two changes that name one address the later is wrong.
func (o *Order) addressTwice(g *goal) error {
	for i := range o.Changes {
		change := &o.Changes[i]
		other := g.whoHas(change.Address, change.ID)
		later := func(c Change) bool { return c.ID == other && c.Address != "" }
		if other != 0 && !slices.ContainsFunc(o.Changes[i+1:], later) {
			return change.wrong(ChangeAddressTwice, other)
		}
	}
	return nil
}

// goal carries the changes out one after the other.
func (o *Order) goal(c *Configuration) (*goal, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	g := &goal{before: c.Members, members: cloneMembers(c.Members), voters: slices.Clone(c.Voters)}
	for i := range o.Changes {
		change := &o.Changes[i]
		reason, node := g.carryOut(change)
		if reason == 0 && len(g.voters) == 0 {
			reason = ChangeLastVoter
		}
		if reason != 0 {
			return nil, change.wrong(reason, node)
		}
	}
	if err := o.addressTwice(g); err != nil {
		return nil, err
	}
	if len(g.members) > MembersMax {
		return nil, &ChangeError{Reason: ChangeTooManyMembers, Text: fmt.Sprintf("%d, at most %d", len(g.members), MembersMax)}
	}
	return g, nil
}

// collides reports whether two changes say something different of one node. What it
// is and each thing that is said of it may stand there once.
func (c *Change) collides(o Change) bool {
	return c.ID == o.ID && (c.Op == o.Op || !c.attribute() && !o.attribute())
}

// checkAlone holds a change against what needs no configuration.
func (c *Change) checkAlone() (reason ChangeReason, node NodeID) {
	m := Member{Identity: Identity{ID: 1}, Address: c.Address, Tags: c.Tags}
	switch {
	case c.Op == 0 || c.Op >= opsEnd:
		return ChangeUnknownOp, 0
	case c.Op == OpSetVoters:
		for i, id := range c.Voters {
			if id == 0 {
				return ChangeIDZero, 0
			}
			if slices.Contains(c.Voters[:i], id) {
				return ChangeIDTwice, id
			}
		}
		return 0, 0
	case c.ID == 0:
		return ChangeIDZero, 0
	case c.Address == "" && (c.Op == OpAdd || c.Op == OpAddLearner || c.Op == OpSetAddress), len(c.Address) > AddressBytesMax:
		return ChangeAddress, 0
	case c.Op == OpSetPriority && c.Priority > PriorityMax, c.Op == OpSetTags && m.Validate() != nil:
		return ChangeLimit, 0
	}
	return 0, 0
}

// limit says which limit a change breaks.
func (c *Change) limit(reason ChangeReason) string {
	switch {
	case reason == ChangeAddress && c.Address == "":
		return "it is empty"
	case reason == ChangeAddress:
		return fmt.Sprintf("it has %d bytes, at most %d", len(c.Address), AddressBytesMax)
	case reason == ChangeLimit && c.Op == OpSetPriority:
		return fmt.Sprintf("it is 0 for the normal one, or %d to %d", PriorityLast, PriorityMax)
	case reason == ChangeLimit:
		return fmt.Sprintf("at most %d tags, of %d bytes", TagsMax, TagBytesMax)
	}
	return ""
}

// carryOut changes the goal; node is who stands in the way, where it is another.
func (g *goal) carryOut(c *Change) (reason ChangeReason, node NodeID) {
	switch c.Op {
	case OpAdd, OpAddLearner:
		return g.add(c)
	case OpSetVoters:
		return g.setVoters(c)
	}
	m := g.find(c.ID)
	if m == nil {
		return ChangeNotMember, 0
	}
	votes := slices.Contains(g.voters, m.Identity)
	switch c.Op {
	case OpPromote:
		if votes {
			return ChangeIsVoter, 0
		}
		g.vote(m.Identity)
	case OpDemote:
		if !votes {
			return ChangeNotVoter, 0
		}
		g.leave(m.Identity, true)
	case OpRemove:
		g.leave(m.Identity, c.KeepAsLearner && votes)
	case OpReplace:
		return g.replace(m, c)
	case OpSetStandby:
		if votes && c.Standby {
			return ChangeIsVoter, 0
		}
		g.set(c)
	default:
		g.set(c)
	}
	return 0, 0
}

// find returns the member of an id: while a node is replaced, the one that votes.
func (g *goal) find(id NodeID) *Member {
	var found *Member
	for i := range g.members {
		if m := &g.members[i]; m.ID == id && (found == nil || contains(g.voters, m.Identity)) {
			found = m
		}
	}
	return found
}

// whoHas returns another node than id that has the address, 0 if none does.
func (g *goal) whoHas(address string, id NodeID) NodeID {
	for i := range g.members {
		if m := &g.members[i]; m.ID != id && m.Address == address && address != "" {
			return m.ID
		}
	}
	return 0
}

// add makes a node a voter or a learner. What is so already stays as it is.
func (g *goal) add(c *Change) (ChangeReason, NodeID) {
	if m := g.find(c.ID); m != nil {
		votes := contains(g.voters, m.Identity)
		switch {
		case c.Incarnation != 0 && m.Incarnation != 0 && c.Incarnation != m.Incarnation:
			return ChangeEmptied, 0
		case m.Address != c.Address || votes && c.Op == OpAddLearner:
			return ChangeIsMember, 0
		case !votes && c.Op == OpAdd:
			g.vote(m.Identity)
		}
		return 0, 0
	}
	if slices.ContainsFunc(g.before, func(m Member) bool { return m.ID == c.ID }) {
		return ChangeIDTwice, 0 // another change takes it out
	}
	m := Member{Identity: Identity{c.ID, c.Incarnation}, Address: c.Address, Standby: c.Standby && c.Op == OpAddLearner}
	g.insert(m)
	if c.Op == OpAdd {
		g.vote(m.Identity)
	}
	return 0, 0
}

func (g *goal) setVoters(c *Change) (ChangeReason, NodeID) {
	before := g.voters
	g.voters = nil
	for _, id := range c.Voters {
		m := g.find(id)
		if m == nil {
			return ChangeNotMember, id
		}
		g.vote(m.Identity)
	}
	if !c.KeepAsLearner {
		for _, id := range without(before, g.voters) {
			g.leave(id, false)
		}
	}
	return 0, 0
}

// replace puts another incarnation in the place of a member, which keeps what is said
// of it. While a replacement is under way the newcomer is a learner already.
func (g *goal) replace(old *Member, c *Change) (ChangeReason, NodeID) {
	now := *old
	now.Tags = maps.Clone(old.Tags)
	now.Incarnation = c.Incarnation
	if c.Address != "" {
		now.Address = c.Address
	}
	if now.Identity == old.Identity {
		return ChangeSameIncarnation, 0
	}
	was, voted := old.Identity, contains(g.voters, old.Identity)
	g.leave(was, false)
	g.members = slices.DeleteFunc(g.members, func(m Member) bool { return m.Identity == now.Identity })
	g.insert(now)
	if voted {
		g.vote(now.Identity)
	}
	return 0, 0
}

func (g *goal) insert(m Member) { g.members = sortMembers(append(g.members, m)) }

func (g *goal) vote(id Identity) {
	if i, found := slices.BinarySearchFunc(g.voters, id, Identity.Compare); !found {
		g.voters = slices.Insert(g.voters, i, id)
	}
}

// leave takes a voter's vote away, and the member too unless it is kept: while a node is
// replaced, under each of its incarnations.
func (g *goal) leave(id Identity, kept bool) {
	g.voters = slices.DeleteFunc(g.voters, func(v Identity) bool { return v == id })
	if !kept {
		g.members = slices.DeleteFunc(g.members, func(m Member) bool { return m.ID == id.ID })
	}
}

// set changes what is said of a node, under each of its incarnations.
func (g *goal) set(c *Change) {
	for i := range g.members {
		if m := &g.members[i]; m.ID == c.ID {
			m.set(c)
		}
	}
}

// set changes what is said of the member.
func (m *Member) set(c *Change) {
	switch c.Op {
	case OpSetAddress:
		m.Address = c.Address
	case OpSetPriority:
		m.Priority = c.Priority
	case OpSetStandby:
		m.Standby = c.Standby
	case OpSetTags:
		m.Tags = maps.Clone(c.Tags)
		if len(m.Tags) == 0 {
			m.Tags = nil
		}
	}
}
