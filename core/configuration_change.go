package core

import (
	"errors"
	"fmt"
	"slices"

	"github.com/trouperaft/troupe/membership"
)

// The changes that the engine makes to a configuration (dissertation, 4.3). Each
// returns a new value, which it has validated.

// Errors of the changes.
var (
	// errJoint: a change needs a configuration that is not joint.
	errJoint = errors.New("troupe: the configuration is joint")
	// errNotJoint: only a joint configuration can be left.
	errNotJoint = errors.New("troupe: the configuration is not joint")
	// errNotWanted: only a member that is still wanted, and votes nowhere, can be
	// exchanged for another incarnation of its node.
	errNotWanted = errors.New("troupe: not a wanted member that is no voter yet")
)

// foundingConfiguration returns the configuration of a new cluster: self alone
// votes, and wanted is recorded for whoever leads to bring in, and its hash for as
// long as the cluster lives. self must be in wanted.
func foundingConfiguration(self Identity, wanted []membership.Member) (membership.Configuration, error) {
	sorted := slices.Clone(wanted)
	slices.SortFunc(sorted, func(a, b membership.Member) int { return a.Identity.Compare(b.Identity) })
	i := slices.IndexFunc(sorted, func(m membership.Member) bool { return m.Identity == self })
	if i < 0 {
		return membership.Configuration{}, fmt.Errorf("troupe: bootstrap without oneself: node %v is not in the list", self)
	}
	c := membership.Configuration{Members: []membership.Member{sorted[i]}, Voters: []Identity{self}, Wanted: sorted, Founding: membership.FoundingOf(sorted)}
	if len(sorted) == 1 {
		c.Wanted = nil
	}
	return c, c.Validate()
}

// addLearners returns c with the members added as learners. A member that is
// there already keeps its kind and gets the new address.
func addLearners(c *membership.Configuration, members ...membership.Member) (membership.Configuration, error) {
	if c.Joint() {
		return membership.Configuration{}, errJoint
	}
	next := *c
	next.Members = slices.Clone(c.Members)
	for _, m := range members {
		i, found := slices.BinarySearchFunc(next.Members, m.Identity, func(m membership.Member, id Identity) int { return m.Identity.Compare(id) })
		if found {
			next.Members[i] = m
		} else {
			next.Members = slices.Insert(next.Members, i, m)
		}
	}
	return next, next.Validate()
}

// exchangeWanted returns c with the incarnation of one wanted member replaced:
// its node lost its data before it was brought in. The member that stood under
// old, which can only be a learner, is gone; what is wanted as now keeps
// address, priority and tags. It is for whoever leads to find out that old holds
// nothing that was acknowledged. The error is errJoint, one that wraps
// errNotWanted, or that of Configuration.Validate.
func exchangeWanted(c *membership.Configuration, old, now Identity) (membership.Configuration, error) {
	if c.Joint() {
		return membership.Configuration{}, errJoint
	}
	i := slices.IndexFunc(c.Wanted, func(m membership.Member) bool { return m.Identity == old })
	switch {
	case i < 0:
		return membership.Configuration{}, fmt.Errorf("%w: %v is not wanted", errNotWanted, old)
	case c.IsVoter(old):
		return membership.Configuration{}, fmt.Errorf("%w: %v votes", errNotWanted, old)
	case now.ID != old.ID || now == old || now.Incarnation == 0:
		return membership.Configuration{}, fmt.Errorf("%w: %v is no other incarnation of %v", errNotWanted, now, old)
	}
	next := *c
	next.Wanted = slices.Clone(c.Wanted)
	// A wanted node stands there once, so that the order stays.
	next.Wanted[i].Identity = now
	next.Members = slices.DeleteFunc(slices.Clone(c.Members), func(m membership.Member) bool { return m.Identity == old })
	return next, next.Validate()
}

// enterJoint returns the joint configuration on the way from c's voters to
// voters, each of which must be a member (dissertation, 4.3).
func enterJoint(c *membership.Configuration, voters []Identity) (membership.Configuration, error) {
	if c.Joint() {
		return membership.Configuration{}, errJoint
	}
	next := *c
	next.Outgoing = c.Voters
	next.Voters = slices.Clone(voters)
	slices.SortFunc(next.Voters, Identity.Compare)
	return next, next.Validate()
}

// leaveJoint returns the configuration after the change: the outgoing half is
// gone, and with it every member that keep does not name and that votes no
// more. Learners stay.
func leaveJoint(c *membership.Configuration, keep func(Identity) bool) (membership.Configuration, error) {
	if !c.Joint() {
		return membership.Configuration{}, errNotJoint
	}
	next := *c
	next.Outgoing = nil
	next.Members = slices.DeleteFunc(slices.Clone(c.Members), func(m membership.Member) bool {
		return slices.Contains(c.Outgoing, m.Identity) && !slices.Contains(c.Voters, m.Identity) && (keep == nil || !keep(m.Identity))
	})
	if bootstrapped(&next) {
		next.Wanted = nil
	}
	return next, next.Validate()
}

// bootstrapped reports whether the voters are the wanted set.
func bootstrapped(c *membership.Configuration) bool {
	return slices.EqualFunc(c.Voters, c.Wanted, func(v Identity, m membership.Member) bool { return v == m.Identity })
}
