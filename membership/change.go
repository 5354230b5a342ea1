package membership

import (
	"errors"
	"fmt"
	"slices"
)

// Errors of the changes below.
var (
	// ErrJoint: a change needs a configuration that is not joint.
	ErrJoint = errors.New("membership: the configuration is joint")
	// ErrNotJoint: only a joint configuration can be left.
	ErrNotJoint = errors.New("membership: the configuration is not joint")
	// ErrNotWanted: only a member that is still wanted, and votes nowhere, can be
	// exchanged for another incarnation of its node.
	ErrNotWanted = errors.New("membership: not a wanted member that is no voter yet")
)

// Bootstrap returns the configuration of a new cluster: self alone votes, and
// wanted is recorded for whoever leads to bring in, and its hash for as long as
// the cluster lives. self must be in wanted.
func Bootstrap(self Identity, wanted []Member) (Configuration, error) {
	sorted := sortMembers(wanted)
	i := slices.IndexFunc(sorted, func(m Member) bool { return m.Identity == self })
	if i < 0 {
		return Configuration{}, fmt.Errorf("membership: bootstrap without oneself: node %v is not in the list", self)
	}
	c := Configuration{Members: []Member{sorted[i]}, Voters: []Identity{self}, Wanted: sorted, Founding: FoundingOf(sorted)}
	if len(sorted) == 1 {
		c.Wanted = nil
	}
	return c, c.Validate()
}

// AddLearners returns c with the members added as learners. A member that is
// there already keeps its kind and gets the new address.
func (c *Configuration) AddLearners(members ...Member) (Configuration, error) {
	if c.Joint() {
		return Configuration{}, ErrJoint
	}
	next := *c
	next.Members = slices.Clone(c.Members)
	for _, m := range members {
		i, found := slices.BinarySearchFunc(next.Members, m.Identity, func(m Member, id Identity) int { return m.Identity.Compare(id) })
		if found {
			next.Members[i] = m
		} else {
			next.Members = slices.Insert(next.Members, i, m)
		}
	}
	return next, next.Validate()
}

// ExchangeWanted returns c with the incarnation of one wanted member replaced:
// its node lost its data before it was brought in. The member that stood under
// old, which can only be a learner, is gone; what is wanted as now keeps
// address, priority and tags. It is for whoever leads to find out that old holds
// nothing that was acknowledged. The error is [ErrJoint], one that wraps
// [ErrNotWanted], or that of [Configuration.Validate].
func (c *Configuration) ExchangeWanted(old, now Identity) (Configuration, error) {
	if c.Joint() {
		return Configuration{}, ErrJoint
	}
	i := slices.IndexFunc(c.Wanted, func(m Member) bool { return m.Identity == old })
	switch {
	case i < 0:
		return Configuration{}, fmt.Errorf("%w: %v is not wanted", ErrNotWanted, old)
	case c.IsVoter(old):
		return Configuration{}, fmt.Errorf("%w: %v votes", ErrNotWanted, old)
	case now.ID != old.ID || now == old || now.Incarnation == 0:
		return Configuration{}, fmt.Errorf("%w: %v is no other incarnation of %v", ErrNotWanted, now, old)
	}
	next := *c
	next.Wanted = slices.Clone(c.Wanted)
	// A wanted node stands there once, so that the order stays.
	next.Wanted[i].Identity = now
	next.Members = slices.DeleteFunc(slices.Clone(c.Members), func(m Member) bool { return m.Identity == old })
	return next, next.Validate()
}

// EnterJoint returns the joint configuration on the way from c's voters to
// voters, each of which must be a member (dissertation, 4.3).
func (c *Configuration) EnterJoint(voters []Identity) (Configuration, error) {
	if c.Joint() {
		return Configuration{}, ErrJoint
	}
	next := *c
	next.Outgoing = c.Voters
	next.Voters = slices.Clone(voters)
	slices.SortFunc(next.Voters, Identity.Compare)
	return next, next.Validate()
}

// LeaveJoint returns the configuration after the change: the outgoing half is
// gone, and with it every member that keep does not name and that votes no
// more. Learners stay.
func (c *Configuration) LeaveJoint(keep func(Identity) bool) (Configuration, error) {
	if !c.Joint() {
		return Configuration{}, ErrNotJoint
	}
	next := *c
	next.Outgoing = nil
	next.Members = slices.DeleteFunc(slices.Clone(c.Members), func(m Member) bool {
		return contains(c.Outgoing, m.Identity) && !contains(c.Voters, m.Identity) && (keep == nil || !keep(m.Identity))
	})
	if next.bootstrapped() {
		next.Wanted = nil
	}
	return next, next.Validate()
}

// bootstrapped reports whether the voters are the wanted set.
func (c *Configuration) bootstrapped() bool {
	return slices.EqualFunc(c.Voters, c.Wanted, func(v Identity, m Member) bool { return v == m.Identity })
}

func sortMembers(members []Member) []Member {
	sorted := slices.Clone(members)
	slices.SortFunc(sorted, func(a, b Member) int { return a.Identity.Compare(b.Identity) })
	return sorted
}
