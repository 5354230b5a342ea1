package membership

import (
	"errors"
	"fmt"
	"slices"
)

// The steps of a change (dissertation 4.2 and 4.3). Each returns a new configuration,
// which it has validated.

// ErrNoStep: the configuration is what it was to be.
var ErrNoStep = errors.New("membership: no change is under way")

// Founded returns the configuration of a new cluster: self alone votes. The target is
// recorded for whoever leads to bring the others in, and its hash for as long as the
// cluster lives. self must be among the members, whose ids are distinct.
func Founded(self Identity, members []Member) (Configuration, error) {
	sorted := sortMembers(members)
	i, found := findMember(sorted, self)
	if !found {
		return Configuration{}, fmt.Errorf("troupe: bootstrap without oneself: node %v is not in the list", self)
	}
	c := Configuration{Members: []Member{sorted[i]}, Voters: []Identity{self}, Founding: FoundingOf(sorted)}
	if len(sorted) > 1 {
		c.Target = &Target{Founding: true, Members: sorted, Voters: identitiesOf(sorted)}
	}
	return c, c.Validate()
}

// Exchange returns c with the incarnation of one member of a founding target
// replaced: its node lost its data before it was brought in. The member that stood
// under old, which can only be a learner, is gone; what is wanted as now keeps
// address, priority and tags. It is for whoever leads to find out that old holds
// nothing that was acknowledged.
func (c *Configuration) Exchange(old, now Identity) (Configuration, error) {
	switch {
	case c.Joint():
		return Configuration{}, errors.New("membership: no exchange while the configuration is joint")
	case c.Target == nil || !c.Target.Founding:
		return Configuration{}, errors.New("membership: an exchange is for a cluster that is being formed")
	case c.IsVoter(old):
		return Configuration{}, fmt.Errorf("membership: no exchange of the voter %v", old)
	case now.ID != old.ID || now == old || now.Incarnation == 0:
		return Configuration{}, fmt.Errorf("membership: %v is no other incarnation of %v", now, old)
	}
	target := c.Target.Clone()
	i, found := findMember(target.Members, old)
	if !found {
		return Configuration{}, fmt.Errorf("membership: %v is not wanted", old)
	}
	// A wanted node stands there once, so that the order stays.
	target.Members[i].Identity = now
	target.Voters = identitiesOf(target.Members)
	next := *c
	next.Target = target
	next.Members = slices.DeleteFunc(slices.Clone(c.Members), func(m Member) bool { return m.Identity == old })
	return next, next.Validate()
}

// Next returns the configuration that follows c on the way to its target: wanted
// members that are missing come in as learners; then both halves decide; then the
// target is reached. When it may be appended is for whoever leads to say. ErrNoStep
// says that no change is under way.
func (c *Configuration) Next() (Configuration, error) {
	switch {
	case c.Joint():
		return c.final()
	case c.Target == nil:
		return Configuration{}, ErrNoStep
	case len(c.Missing()) > 0:
		return c.admit()
	}
	next := *c
	next.Outgoing, next.Voters = c.Voters, c.Target.Voters
	return next, next.Validate()
}

// Missing returns the wanted members that are none yet.
func (c *Configuration) Missing() []Member {
	if c.Target == nil || c.Joint() {
		return nil
	}
	var missing []Member
	for _, m := range c.Target.Members {
		if _, ok := c.Member(m.Identity); !ok {
			missing = append(missing, m)
		}
	}
	return missing
}

// Incoming returns the wanted voters that do not vote yet.
func (c *Configuration) Incoming() []Identity {
	if c.Target == nil || c.Joint() {
		return nil
	}
	return without(c.Target.Voters, c.Voters)
}

// admit adds the wanted members that are missing as learners.
func (c *Configuration) admit() (Configuration, error) {
	next := *c
	missing := c.Missing()
	next.Members = sortMembers(append(slices.Clone(c.Members), missing...))
	if !c.Target.Founding {
		target := *c.Target
		target.Added = append(slices.Clone(target.Added), identitiesOf(missing)...)
		slices.SortFunc(target.Added, Identity.Compare)
		next.Target = &target
	}
	return next, next.Validate()
}

// final leaves the joint configuration. A joint configuration without a target, which
// no change of this version makes, loses the members of which only the outgoing half
// knows.
func (c *Configuration) final() (Configuration, error) {
	next := *c
	next.Outgoing, next.Target = nil, nil
	if t := c.Target; t != nil {
		next.Members, next.Voters = t.Members, t.Voters
		if !t.Founding {
			next.Last = Outcome{ID: t.ID, Result: ResultDone}
		}
		return next, next.Validate()
	}
	next.Members = slices.DeleteFunc(slices.Clone(c.Members), func(m Member) bool {
		return contains(c.Outgoing, m.Identity) && !contains(c.Voters, m.Identity)
	})
	return next, next.Validate()
}

// ByHand returns the configuration in which the change that is catching up is one that
// somebody has asked for by hand: it yields to no other any more.
func (c *Configuration) ByHand() (Configuration, error) {
	if c.Target == nil || !c.Target.Automatic || c.Joint() {
		return Configuration{}, errors.New("membership: no automatic change is catching up")
	}
	next, target := *c, *c.Target
	target.Automatic = false
	next.Target = &target
	return next, next.Validate()
}

// GiveUp returns the configuration after a change that is given up while it is
// catching up: the learners that it added are gone, unless they are to be kept. One that
// was to take the place of another incarnation is gone in any case: a node is a member
// twice only while it is replaced. What became of it is recorded; why.ID is set here.
func (c *Configuration) GiveUp(why Outcome) (Configuration, error) {
	if c.Target == nil || c.Target.Founding || c.Joint() {
		return Configuration{}, errors.New("membership: only a change that is catching up can be given up")
	}
	next := *c
	next.Target, next.Last = nil, why
	next.Last.ID = c.Target.ID
	next.Members = slices.DeleteFunc(slices.Clone(c.Members), func(m Member) bool {
		return contains(c.Target.Added, m.Identity) && (!c.Target.KeepAdded || len(c.Incarnations(m.ID)) > 1)
	})
	return next, next.Validate()
}

func identitiesOf(members []Member) []Identity {
	ids := make([]Identity, len(members))
	for i := range members {
		ids[i] = members[i].Identity
	}
	return ids
}

// without returns the identities of list that other does not have.
func without(list, other []Identity) []Identity {
	var rest []Identity
	for _, id := range list {
		if !contains(other, id) {
			rest = append(rest, id)
		}
	}
	return rest
}

func findMember(members []Member, id Identity) (int, bool) {
	return slices.BinarySearchFunc(members, id, func(m Member, id Identity) int { return m.Identity.Compare(id) })
}
