package core

import (
	"errors"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/quick"

	"github.com/trouperaft/troupe/membership"
)

func member(id NodeID, incarnation membership.Incarnation) membership.Member {
	return membership.Member{Identity: Identity{ID: id, Incarnation: incarnation}, Address: "host:1"}
}

func members(ids ...NodeID) (list []membership.Member) {
	for _, id := range ids {
		list = append(list, member(id, membership.Incarnation(id)*16))
	}
	return list
}

func voters(ids ...NodeID) (half []Identity) {
	for _, m := range members(ids...) {
		half = append(half, m.Identity)
	}
	return half
}

// clusterOf is a configuration of voters and learners, in the order of their ids.
func clusterOf(voting []NodeID, learning ...NodeID) membership.Configuration {
	return membership.Configuration{Members: members(slices.Concat(voting, learning)...), Voters: voters(voting...)}
}

func TestFoundingConfiguration(t *testing.T) {
	wanted := members(3, 1, 2)
	c, err := foundingConfiguration(wanted[1].Identity, wanted)
	if err != nil {
		t.Fatal(err)
	}
	// Rule 19: a cluster of oneself alone, whose first entry records the rest.
	want := membership.Configuration{Members: members(1), Voters: voters(1), Wanted: members(1, 2, 3), Founding: membership.FoundingOf(wanted)}
	if !c.Equal(&want) {
		t.Errorf("foundingConfiguration = %+v", c)
	}
	if wanted[0].ID != 3 {
		t.Error("the caller's list was sorted in place")
	}
	if alone, err := foundingConfiguration(members(7)[0].Identity, members(7)); err != nil || alone.Wanted != nil {
		t.Errorf("a cluster of one waits for somebody: %+v, %v", alone, err)
	}
	if _, err := foundingConfiguration(Identity{ID: 1, Incarnation: 99}, wanted); err == nil || !strings.Contains(err.Error(), "without oneself") {
		t.Errorf("bootstrap without oneself: %v", err)
	}
}

// TestBootstrapSteps walks the way of a bootstrap: learners, joint, done.
func TestBootstrapSteps(t *testing.T) {
	wanted := members(1, 2, 3)
	c, err := foundingConfiguration(wanted[0].Identity, wanted)
	if err != nil {
		t.Fatal(err)
	}
	learning, err := addLearners(&c, wanted[1:]...)
	if err != nil || learning.String() != "voter 1, learners 2 3" {
		t.Fatalf("%v, %v", &learning, err)
	}
	joint, err := enterJoint(&learning, voters(3, 2, 1))
	if err != nil || joint.String() != "voters 1 2 3; joint: 1 -> 1 2 3" || len(joint.Wanted) != 3 {
		t.Fatalf("%v, %v", &joint, err)
	}
	done, err := leaveJoint(&joint, nil)
	if err != nil || done.String() != "voters 1 2 3" || done.Wanted != nil {
		t.Fatalf("%v wanted %v, %v", &done, done.Wanted, err)
	}
	// The values before are as they were.
	if c.String() != "voter 1" || learning.String() != "voter 1, learners 2 3" || joint.String() != "voters 1 2 3; joint: 1 -> 1 2 3" {
		t.Errorf("a change touched the value that it began from: %v, %v, %v", &c, &learning, &joint)
	}
}

func TestAddLearners(t *testing.T) {
	c := clusterOf([]NodeID{1, 3})
	moved := member(3, 48)
	moved.Address = "elsewhere:1"
	next, err := addLearners(&c, moved, member(2, 1), member(3, 99))
	if err != nil {
		t.Fatal(err)
	}
	if got := next.String(); got != "voters 1 3/30, learners 2 3/63" {
		t.Errorf("addLearners = %q", got)
	}
	if m, _ := next.Member(Identity{ID: 3, Incarnation: 48}); m.Address != "elsewhere:1" {
		t.Errorf("the address of a member that was there stayed %q", m.Address)
	}
	if m, _ := c.Member(Identity{ID: 3, Incarnation: 48}); m.Address != "host:1" {
		t.Error("addLearners changed the configuration that it was called on")
	}
	if _, err := addLearners(&c, membership.Member{}); err == nil {
		t.Error("a member with id 0 was added")
	}
	joint, err := enterJoint(&c, voters(1))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := addLearners(&joint, member(2, 1)); !errors.Is(err, errJoint) {
		t.Errorf("while joint: %v, want errJoint", err)
	}
}

func TestJointChanges(t *testing.T) {
	c := clusterOf([]NodeID{1, 2, 3}, 4, 5)
	if _, err := leaveJoint(&c, nil); !errors.Is(err, errNotJoint) {
		t.Errorf("leaving what is not joint: %v", err)
	}
	for name, half := range map[string][]Identity{"nobody": nil, "a stranger": voters(1, 9), "a node twice": append(voters(1), voters(1)...)} {
		if _, err := enterJoint(&c, half); err == nil {
			t.Errorf("%s: a joint configuration was made", name)
		}
	}
	joint, err := enterJoint(&c, voters(4, 2, 1))
	if err != nil || joint.String() != "voters 1 2 3 4, learner 5; joint: 1 2 3 -> 1 2 4" {
		t.Fatalf("%v, %v", &joint, err)
	}
	if _, err := enterJoint(&joint, voters(1)); !errors.Is(err, errJoint) {
		t.Errorf("entering twice: %v", err)
	}
	left, err := leaveJoint(&joint, nil)
	if err != nil || left.String() != "voters 1 2 4, learner 5" {
		t.Errorf("%v, %v: who left is no member, who learns stays", &left, err)
	}
	kept, err := leaveJoint(&joint, func(id Identity) bool { return id.ID == 3 })
	if err != nil || kept.String() != "voters 1 2 4, learners 3 5" {
		t.Errorf("%v, %v: who is kept learns", &kept, err)
	}
}

// TestReplaceIncarnation: the old counts only in the old half, the new only in
// the new (rule 18).
func TestReplaceIncarnation(t *testing.T) {
	c := clusterOf([]NodeID{1, 2, 3})
	learning, err := addLearners(&c, member(3, 99))
	if err != nil {
		t.Fatal(err)
	}
	joint, err := enterJoint(&learning, []Identity{{ID: 3, Incarnation: 99}, {ID: 1, Incarnation: 16}, {ID: 2, Incarnation: 32}})
	if err != nil {
		t.Fatal(err)
	}
	done, err := leaveJoint(&joint, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := done.Incarnations(3); !slices.Equal(got, []Identity{{ID: 3, Incarnation: 99}}) {
		t.Errorf("after the change node 3 is %v", got)
	}
}

// TestFoundingIsCarried: random changes of a cluster's members never change what
// it was founded with.
func TestFoundingIsCarried(t *testing.T) {
	wanted := members(1, 2, 3)
	founding := membership.FoundingOf(wanted)
	property := func(seed uint64) bool {
		r := rand.New(rand.NewPCG(seed, 3))
		c, err := foundingConfiguration(wanted[0].Identity, wanted)
		for range 20 {
			if err != nil || c.Founding != founding {
				t.Errorf("%v, founded with %v: %v", &c, c.Founding, err)
				return false
			}
			d, err := membership.Decode(c.Encode())
			if err != nil || d.Founding != founding {
				t.Errorf("decoded: founded with %v: %v", d.Founding, err)
				return false
			}
			c = randomChange(r, c)
		}
		return true
	}
	if err := quick.Check(property, &quick.Config{MaxCount: 300}); err != nil {
		t.Error(err)
	}
}

// randomChange returns what a random change makes of c, or c if that change is
// refused.
func randomChange(r *rand.Rand, c membership.Configuration) membership.Configuration {
	var next membership.Configuration
	var err error
	switch r.IntN(4) {
	case 0:
		next, err = addLearners(&c, member(NodeID(1+r.IntN(6)), membership.Incarnation(1+r.IntN(3))*16))
	case 1:
		var half []Identity
		for _, m := range c.Members {
			if r.IntN(3) > 0 {
				half = append(half, m.Identity)
			}
		}
		next, err = enterJoint(&c, half)
	case 2:
		next, err = leaveJoint(&c, nil)
	default:
		if len(c.Wanted) == 0 {
			return c
		}
		old := c.Wanted[r.IntN(len(c.Wanted))].Identity
		next, err = exchangeWanted(&c, old, Identity{ID: old.ID, Incarnation: membership.Incarnation(1 + r.Uint64N(1000))})
	}
	if err != nil {
		return c
	}
	return next
}

// TestExchangeWanted: a wanted member that was not brought in yet, and shows
// itself under another incarnation, is wanted as that.
func TestExchangeWanted(t *testing.T) {
	wanted := members(1, 2, 3)
	wanted[1].Address, wanted[1].Priority, wanted[1].Tags = "two:1", 5, map[string]string{"zone": "a"}
	old, now := wanted[1].Identity, Identity{ID: 2, Incarnation: 99}
	begun, err := foundingConfiguration(wanted[0].Identity, wanted)
	if err != nil {
		t.Fatal(err)
	}
	learning, err := addLearners(&begun, wanted[1:]...)
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		c    membership.Configuration
		want string
	}{
		"nobody was brought in":        {begun, "voter 1"},
		"it learns by its old name":    {learning, "voter 1, learner 3"},
		"it learns by its new name":    {added(t, begun, member(2, 99)), "voter 1, learner 2"},
		"it learns by either name":     {added(t, learning, member(2, 99)), "voter 1, learners 2 3"},
		"node 3 has two names as well": {added(t, learning, member(3, 99)), "voter 1, learners 3/30 3/63"},
	} {
		t.Run(name, func(t *testing.T) {
			before := test.c.Clone()
			next, err := exchangeWanted(&test.c, old, now)
			if err != nil || next.String() != test.want {
				t.Fatalf("%v, %v; want %s", &next, err, test.want)
			}
			if _, ok := next.Member(old); ok {
				t.Error("it is still a member by its old name")
			}
			want := wanted[1]
			want.Identity = now
			if !reflect.DeepEqual(next.Wanted[1], want) || len(next.Wanted) != 3 {
				t.Errorf("wanted is %+v", next.Wanted)
			}
			if next.Founding != membership.FoundingOf(wanted) {
				t.Error("the founding list is another one now")
			}
			if err := next.Validate(); err != nil {
				t.Error(err)
			}
			if !before.Equal(&test.c) {
				t.Error("the configuration that it was called on was changed")
			}
		})
	}
}

// TestExchangedMemberIsBroughtIn walks the rest of the way of a bootstrap.
func TestExchangedMemberIsBroughtIn(t *testing.T) {
	wanted := members(1, 2)
	c, err := foundingConfiguration(wanted[0].Identity, wanted)
	if err != nil {
		t.Fatal(err)
	}
	c = added(t, c, wanted[1])
	if c, err = exchangeWanted(&c, wanted[1].Identity, Identity{ID: 2, Incarnation: 99}); err != nil {
		t.Fatal(err)
	}
	c = added(t, c, c.Wanted[1])
	if c, err = enterJoint(&c, []Identity{{ID: 1, Incarnation: 16}, {ID: 2, Incarnation: 99}}); err != nil {
		t.Fatal(err)
	}
	if c, err = leaveJoint(&c, nil); err != nil || c.Wanted != nil || c.String() != "voters 1 2" {
		t.Errorf("%v wanted %v: %v", &c, c.Wanted, err)
	}
}

func TestExchangeWantedRefuses(t *testing.T) {
	wanted := members(1, 2, 3)
	c, err := foundingConfiguration(wanted[0].Identity, wanted)
	if err != nil {
		t.Fatal(err)
	}
	learning := added(t, c, append(slices.Clone(wanted[1:]), member(4, 64))...)
	joint, err := enterJoint(&learning, voters(1, 2, 3))
	if err != nil {
		t.Fatal(err)
	}
	two := wanted[1].Identity
	for name, test := range map[string]struct {
		c        membership.Configuration
		old, now Identity
		want     error
	}{
		"joint":                  {joint, two, Identity{ID: 2, Incarnation: 99}, errJoint},
		"a voter":                {learning, wanted[0].Identity, Identity{ID: 1, Incarnation: 99}, errNotWanted},
		"a learner only":         {learning, Identity{ID: 4, Incarnation: 64}, Identity{ID: 4, Incarnation: 99}, errNotWanted},
		"another incarnation":    {learning, Identity{ID: 2, Incarnation: 77}, Identity{ID: 2, Incarnation: 99}, errNotWanted},
		"a stranger":             {learning, Identity{ID: 9, Incarnation: 1}, Identity{ID: 9, Incarnation: 2}, errNotWanted},
		"a formed cluster":       {clusterOf([]NodeID{1, 2, 3}), two, Identity{ID: 2, Incarnation: 99}, errNotWanted},
		"for another node":       {learning, two, Identity{ID: 5, Incarnation: 99}, errNotWanted},
		"for itself":             {learning, two, two, errNotWanted},
		"for no incarnation":     {learning, two, Identity{ID: 2, Incarnation: 0}, errNotWanted},
		"nobody, in a new group": {membership.Configuration{}, Identity{}, Identity{}, errNotWanted},
	} {
		if next, err := exchangeWanted(&test.c, test.old, test.now); !errors.Is(err, test.want) || !next.IsZero() {
			t.Errorf("%s: %v, %v; want %v", name, &next, err, test.want)
		}
	}
}

func added(t *testing.T, c membership.Configuration, learners ...membership.Member) membership.Configuration {
	t.Helper()
	next, err := addLearners(&c, learners...)
	if err != nil {
		t.Fatal(err)
	}
	return next
}
