package membership

import (
	"errors"
	"slices"
	"testing"
)

// TestExchangeWanted: a wanted member that was not brought in yet, and shows
// itself under another incarnation, is wanted as that.
func TestExchangeWanted(t *testing.T) {
	wanted := members(1, 2, 3)
	wanted[1].Address, wanted[1].Priority, wanted[1].Tags = "two:1", 5, map[string]string{"zone": "a"}
	old, now := wanted[1].Identity, Identity{2, 99}
	begun, err := Bootstrap(wanted[0].Identity, wanted)
	if err != nil {
		t.Fatal(err)
	}
	learning, err := begun.AddLearners(wanted[1:]...)
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		c    Configuration
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
			next, err := test.c.ExchangeWanted(old, now)
			if err != nil || next.String() != test.want {
				t.Fatalf("%v, %v; want %s", &next, err, test.want)
			}
			if _, ok := next.Member(old); ok {
				t.Error("it is still a member by its old name")
			}
			want := wanted[1]
			want.Identity = now
			if !memberEqual(next.Wanted[1], want) || len(next.Wanted) != 3 {
				t.Errorf("wanted is %+v", next.Wanted)
			}
			if next.Founding != FoundingOf(wanted) {
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
	c, err := Bootstrap(wanted[0].Identity, wanted)
	if err != nil {
		t.Fatal(err)
	}
	c = added(t, c, wanted[1])
	if c, err = c.ExchangeWanted(wanted[1].Identity, Identity{2, 99}); err != nil {
		t.Fatal(err)
	}
	c = added(t, c, c.Wanted[1])
	if c, err = c.EnterJoint([]Identity{{1, 16}, {2, 99}}); err != nil {
		t.Fatal(err)
	}
	if c, err = c.LeaveJoint(nil); err != nil || c.Wanted != nil || c.String() != "voters 1 2" {
		t.Errorf("%v wanted %v: %v", &c, c.Wanted, err)
	}
}

func TestExchangeWantedRefuses(t *testing.T) {
	wanted := members(1, 2, 3)
	c, err := Bootstrap(wanted[0].Identity, wanted)
	if err != nil {
		t.Fatal(err)
	}
	learning := added(t, c, append(slices.Clone(wanted[1:]), member(4, 64))...)
	joint, err := learning.EnterJoint(voters(1, 2, 3))
	if err != nil {
		t.Fatal(err)
	}
	two := wanted[1].Identity
	for name, test := range map[string]struct {
		c        Configuration
		old, now Identity
		want     error
	}{
		"joint":                  {joint, two, Identity{2, 99}, ErrJoint},
		"a voter":                {learning, wanted[0].Identity, Identity{1, 99}, ErrNotWanted},
		"a learner only":         {learning, Identity{4, 64}, Identity{4, 99}, ErrNotWanted},
		"another incarnation":    {learning, Identity{2, 77}, Identity{2, 99}, ErrNotWanted},
		"a stranger":             {learning, Identity{9, 1}, Identity{9, 2}, ErrNotWanted},
		"a formed cluster":       {cluster([]NodeID{1, 2, 3}), two, Identity{2, 99}, ErrNotWanted},
		"for another node":       {learning, two, Identity{5, 99}, ErrNotWanted},
		"for itself":             {learning, two, two, ErrNotWanted},
		"for no incarnation":     {learning, two, Identity{2, 0}, ErrNotWanted},
		"nobody, in a new group": {Configuration{}, Identity{}, Identity{}, ErrNotWanted},
	} {
		if next, err := test.c.ExchangeWanted(test.old, test.now); !errors.Is(err, test.want) || !next.IsZero() {
			t.Errorf("%s: %v, %v; want %v", name, &next, err, test.want)
		}
	}
}

func added(t *testing.T, c Configuration, learners ...Member) Configuration {
	t.Helper()
	next, err := c.AddLearners(learners...)
	if err != nil {
		t.Fatal(err)
	}
	return next
}
