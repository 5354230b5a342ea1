package membership

import (
	"errors"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/quick"
)

// step takes the next step of a change.
func step(t *testing.T, c Configuration) Configuration {
	t.Helper()
	before := c.Clone()
	next, err := c.Next()
	if err != nil {
		t.Fatalf("after %v: %v", &c, err)
	}
	if !c.Equal(&before) {
		t.Fatalf("the step from %v changed the value that it began from", &before)
	}
	return next
}

func TestFounded(t *testing.T) {
	wanted := members(3, 1, 2)
	c, err := Founded(wanted[1].Identity, wanted)
	if err != nil {
		t.Fatal(err)
	}
	// Rule 19: a cluster of oneself alone, whose first entry records the rest.
	want := Configuration{
		Members: members(1), Voters: voters(1), Founding: FoundingOf(wanted),
		Target: &Target{Founding: true, Members: members(1, 2, 3), Voters: voters(1, 2, 3)},
	}
	if !c.Equal(&want) {
		t.Errorf("Founded = %+v", c)
	}
	if wanted[0].ID != 3 {
		t.Error("the caller's list was sorted in place")
	}
	if alone, err := Founded(members(7)[0].Identity, members(7)); err != nil || alone.Target != nil {
		t.Errorf("a cluster of one waits for somebody: %+v, %v", alone, err)
	}
	if _, err := Founded(Identity{ID: 1, Incarnation: 99}, wanted); err == nil || !strings.Contains(err.Error(), "without oneself") {
		t.Errorf("bootstrap without oneself: %v", err)
	}
}

// TestFoundingSteps walks the way of a bootstrap: learners, joint, done.
func TestFoundingSteps(t *testing.T) {
	wanted := members(1, 2, 3)
	c, err := Founded(wanted[0].Identity, wanted)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"voter 1, learners 2 3", "voters 1 2 3; joint: 1 -> 1 2 3", "voters 1 2 3"} {
		if c = step(t, c); c.String() != want || (c.Target == nil) != (want == "voters 1 2 3") {
			t.Fatalf("%v with the target %v, want %s", &c, c.Target, want)
		}
	}
	if _, err := c.Next(); !errors.Is(err, ErrNoStep) || !c.Last.IsZero() {
		t.Errorf("%v; %+v: a founding is no change that somebody waits for", err, c.Last)
	}
}

// TestLeftJoint: a joint configuration without a target loses whom only the outgoing
// half knows; learners stay.
func TestLeftJoint(t *testing.T) {
	c := cluster([]NodeID{1, 2, 4}, 3, 5)
	c.Outgoing = voters(1, 2, 3)
	if left := step(t, c); left.String() != "voters 1 2 4, learner 5" {
		t.Errorf("%v: who left is no member, who learns stays", &left)
	}
}

// TestFoundingIsCarried: random steps and changes of a cluster's members never change
// what it was founded with, and are all valid.
func TestFoundingIsCarried(t *testing.T) {
	wanted := members(1, 2, 3)
	founding := FoundingOf(wanted)
	property := func(seed uint64) bool {
		r := rand.New(rand.NewPCG(seed, 3))
		c, err := Founded(wanted[0].Identity, wanted)
		for range 30 {
			if err != nil || c.Founding != founding {
				t.Errorf("%v, founded with %v: %v", &c, c.Founding, err)
				return false
			}
			d, err := Decode(c.Encode())
			if err != nil || !d.Equal(&c) {
				t.Errorf("decoded: %v: %v", &d, err)
				return false
			}
			c = randomStep(r, c)
		}
		return true
	}
	if err := quick.Check(property, &quick.Config{MaxCount: 300}); err != nil {
		t.Error(err)
	}
}

// randomStep returns what something random makes of c, or c if that is refused.
func randomStep(r *rand.Rand, c Configuration) Configuration {
	next, err := c, error(nil)
	switch {
	case c.Target != nil && c.Target.Founding && r.IntN(3) == 0:
		old := c.Target.Members[r.IntN(len(c.Target.Members))].Identity
		next, err = c.Exchange(old, Identity{old.ID, Incarnation(1 + r.Uint64N(1000))})
	case c.Target != nil && r.IntN(4) == 0:
		next, err = c.GiveUp(Outcome{Result: ResultCancelled})
	case c.Target != nil:
		next, err = c.Next()
	default:
		o := Order{ID: ChangeID(r.Uint64() | 1), Changes: []Change{randomChange(r), randomChange(r)}[:1+r.IntN(2)], KeepAdded: r.IntN(2) == 0}
		steps, wrong := o.Plan(&c)
		if err = wrong; err == nil && len(steps) > 0 {
			next = steps[0]
		}
	}
	if err != nil {
		return c
	}
	return next
}

// TestExchange: a wanted member that was not brought in yet, and shows itself under
// another incarnation, is wanted as that.
func TestExchange(t *testing.T) {
	wanted := members(1, 2, 3)
	wanted[1].Address, wanted[1].Priority, wanted[1].Tags = "two:1", 5, map[string]string{"zone": "a"}
	old, now := wanted[1].Identity, Identity{ID: 2, Incarnation: 99}
	begun, err := Founded(wanted[0].Identity, wanted)
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		c    Configuration
		want string
	}{
		"nobody was brought in": {begun, "voter 1"},
		"all were brought in":   {step(t, begun), "voter 1, learner 3"},
	} {
		t.Run(name, func(t *testing.T) {
			before := test.c.Clone()
			next, err := test.c.Exchange(old, now)
			if err != nil || next.String() != test.want {
				t.Fatalf("%v, %v; want %s", &next, err, test.want)
			}
			want := wanted[1]
			want.Identity = now
			if !reflect.DeepEqual(next.Target.Members[1], want) || len(next.Target.Members) != 3 || next.Target.Voters[1] != now {
				t.Errorf("wanted is %+v", next.Target)
			}
			if next.Founding != FoundingOf(wanted) || !before.Equal(&test.c) {
				t.Error("the founding list is another one now, or the configuration that it was called on")
			}
			if done := step(t, step(t, step(t, next))); done.String() != "voters 1 2 3" || !slices.Equal(done.Incarnations(2), []Identity{now}) {
				t.Errorf("the exchanged member was not brought in: %v", done)
			}
		})
	}
}

func TestExchangeRefuses(t *testing.T) {
	wanted := members(1, 2, 3)
	begun, err := Founded(wanted[0].Identity, wanted)
	if err != nil {
		t.Fatal(err)
	}
	learning := step(t, begun)
	under := learning.Clone()
	under.Target.Founding, under.Target.ID = false, 5
	two := wanted[1].Identity
	for name, test := range map[string]struct {
		c        Configuration
		old, now Identity
		want     string
	}{
		"joint":                  {step(t, learning), two, Identity{2, 99}, "is joint"},
		"a voter":                {learning, wanted[0].Identity, Identity{1, 99}, "the voter 1/10"},
		"another incarnation":    {learning, Identity{2, 77}, Identity{2, 99}, "2/4d is not wanted"},
		"a stranger":             {learning, Identity{9, 1}, Identity{9, 2}, "9/1 is not wanted"},
		"a formed cluster":       {cluster([]NodeID{1, 2, 3}), two, Identity{2, 99}, "being formed"},
		"a change by hand":       {under, two, Identity{2, 99}, "being formed"},
		"for another node":       {learning, two, Identity{5, 99}, "no other incarnation"},
		"for itself":             {learning, two, two, "no other incarnation"},
		"for no incarnation":     {learning, two, Identity{2, 0}, "no other incarnation"},
		"nobody, in a new group": {Configuration{}, Identity{}, Identity{}, "being formed"},
	} {
		if next, err := test.c.Exchange(test.old, test.now); err == nil || !strings.Contains(err.Error(), test.want) || !next.IsZero() {
			t.Errorf("%s: %v, %v; want %s", name, &next, err, test.want)
		}
	}
}

func TestGiveUp(t *testing.T) {
	c := cluster([]NodeID{1, 2, 3}, 4)
	plan := func(keep bool) []Configuration {
		o := Order{ID: 9, KeepAdded: keep, Changes: []Change{{Op: OpAdd, ID: 5, Incarnation: 80, Address: "n5:1"}, {Op: OpPromote, ID: 4}}}
		steps, err := o.Plan(&c)
		if err != nil {
			t.Fatal(err)
		}
		return steps
	}
	why := Outcome{Result: ResultNotCaughtUp, Node: 5, LagEntries: 100, SilentMillis: -1}
	for keep, want := range map[bool]string{false: "voters 1 2 3, learner 4", true: "voters 1 2 3, learners 4 5"} {
		next, err := plan(keep)[0].GiveUp(why)
		if want := (Outcome{9, ResultNotCaughtUp, 5, 100, -1}); err != nil || next.Target != nil || next.Last != want {
			t.Errorf("%+v: %v", next, err)
		}
		if next.String() != want {
			t.Errorf("keeping them %t: %v, want %s", keep, &next, want)
		}
	}
	replacing := Order{ID: 9, KeepAdded: true, Changes: []Change{{Op: OpReplace, ID: 3, Incarnation: 80, Address: "n3:9"}}}
	steps, err := replacing.Plan(&c)
	if err != nil || len(steps[0].Incarnations(3)) != 2 {
		t.Fatal(steps, err)
	}
	if next, err := steps[0].GiveUp(why); err != nil || next.String() != "voters 1 2 3, learner 4" {
		t.Errorf("who was to replace a member stays: %v, %v", &next, err)
	}
	founding, _ := Founded(members(1)[0].Identity, members(1, 2))
	for name, c := range map[string]Configuration{"nothing": c, "joint": plan(false)[1], "a founding": founding} {
		if _, err := c.GiveUp(why); err == nil {
			t.Errorf("%s was given up", name)
		}
	}
}
