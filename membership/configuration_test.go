package membership

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func member(id NodeID, incarnation Incarnation) Member {
	return Member{Identity: Identity{id, incarnation}, Address: "host:1"}
}

func members(ids ...NodeID) []Member {
	var list []Member
	for _, id := range ids {
		list = append(list, member(id, Incarnation(id)*16))
	}
	return list
}

// cluster is a configuration of voters and learners as voters(...) names them.
func cluster(voting []NodeID, learning ...NodeID) Configuration {
	return Configuration{Members: sortMembers(members(append(slices.Clone(voting), learning...)...)), Voters: voters(voting...)}
}

// target is one of a change to voters with the given ids.
func target(ids ...NodeID) *Target {
	return &Target{ID: 7, Members: sortMembers(members(ids...)), Voters: voters(ids...), CatchUpLimit: 30 * time.Second}
}

func TestValidate(t *testing.T) {
	long := strings.Repeat("x", AddressBytesMax+1)
	many := make([]NodeID, MembersMax+1)
	for i := range many {
		many[i] = NodeID(i + 1)
	}
	tags := map[string]string{}
	for i := range TagsMax + 1 {
		tags[strings.Repeat("k", i)] = ""
	}
	tests := []struct {
		name   string
		change func(c *Configuration)
		want   string // "" is valid
	}{
		{"as it is", func(*Configuration) {}, ""},
		{"a learner", func(c *Configuration) { c.Voters = voters(1, 2) }, ""},
		{"joint", func(c *Configuration) { c.Outgoing = voters(1) }, ""},
		{"nobody votes", func(c *Configuration) { c.Voters = nil }, "without a voter"},
		{"nothing at all", func(c *Configuration) { *c = Configuration{} }, "without a voter"},
		{"an outgoing half alone", func(c *Configuration) { c.Voters, c.Outgoing = nil, voters(1) }, "without a voter"},
		{"a voter who is no member", func(c *Configuration) { c.Voters = voters(1, 4) }, "voters: 4/40 is not a member"},
		{"a voter of another incarnation", func(c *Configuration) { c.Voters = []Identity{{1, 99}} }, "voters: 1/63 is not a member"},
		{"an outgoing voter who is no member", func(c *Configuration) { c.Outgoing = voters(5) }, "outgoing voters: 5/50 is not a member"},
		{"voters out of order", func(c *Configuration) { c.Voters = []Identity{c.Voters[1], c.Voters[0]} }, "strict order"},
		{"a voter twice", func(c *Configuration) { c.Voters = append(voters(1), voters(1)...) }, "strict order"},
		{"members out of order", func(c *Configuration) { slices.Reverse(c.Members) }, "members are not in strict order"},
		{"a member twice", func(c *Configuration) { c.Members = append(c.Members, c.Members[2]) }, "members are not in strict order"},
		{"id 0", func(c *Configuration) { c.Members[0].ID = 0 }, "ids begin at 1"},
		{"a node twice in one half", func(c *Configuration) {
			c.Members = append(c.Members, member(3, 99))
			c.Voters = append(c.Voters, Identity{3, 99})
		}, "under two incarnations"},
		{"a node in both halves under two incarnations", func(c *Configuration) {
			c.Members = append(c.Members, member(3, 99))
			c.Outgoing = c.Voters
			c.Voters = []Identity{c.Voters[0], c.Voters[1], {3, 99}}
		}, ""},
		{"a long address", func(c *Configuration) { c.Members[1].Address = long }, "address of 1025 bytes"},
		{"the longest address", func(c *Configuration) { c.Members[1].Address = long[1:] }, ""},
		{"a long tag", func(c *Configuration) { c.Members[1].Tags = map[string]string{"k": long[:TagBytesMax+1]} }, "a tag is longer"},
		{"a long key", func(c *Configuration) { c.Members[1].Tags = map[string]string{long[:TagBytesMax+1]: ""} }, "a tag is longer"},
		{"many tags", func(c *Configuration) { c.Members[1].Tags = tags }, "65 tags, at most 64"},
		{"many members", func(c *Configuration) { *c = cluster(many) }, "more than 255 members"},
		{"a target", func(c *Configuration) { c.Target = target(1, 2, 4) }, ""},
		{"a target with a member of id 0", func(c *Configuration) { c.Target.Members[0].ID = 0 }, "target: member with id 0"},
		{"a target out of order", func(c *Configuration) { slices.Reverse(c.Target.Members) }, "target: members are not in strict order"},
		{"a target with a node twice", func(c *Configuration) { c.Target.Members = []Member{member(1, 16), member(1, 17)} }, "target: voters: 2/20 is not a member"},
		{"a target with two incarnations", func(c *Configuration) {
			c.Target.Members = append(c.Target.Members, member(4, 65))
		}, "target: node 4 stands there under two incarnations"},
		{"a target without voters", func(c *Configuration) { c.Target.Voters = nil }, "target: configuration without a voter"},
		{"a target without an id", func(c *Configuration) { c.Target.ID = 0 }, "without an id"},
		{"a founding with an id", func(c *Configuration) { c.Target.Founding = true }, "without an id"},
		{"a founding in which one learns", func(c *Configuration) { c.Target.Founding, c.Target.ID, c.Target.Voters = true, 0, voters(1, 2) }, "does not vote"},
		{"added out of order", func(c *Configuration) { c.Target.Added = []Identity{{4, 64}, {3, 48}} }, "added members are not in strict order"},
		{"a part of a millisecond", func(c *Configuration) { c.Target.CatchUpLimit = 1 }, "catch-up limit of 1ns"},
		{"a recovery by no entry", func(c *Configuration) { c.Recovered = &Recovery{} }, "recovery by no entry"},
		{"left behind out of order", func(c *Configuration) { c.Recovered = &Recovery{Index: 1, Without: []Identity{{2, 1}, {1, 1}}} }, "those left behind are not in strict order"},
		{"many left behind", func(c *Configuration) { c.Recovered = &Recovery{Index: 1, Without: make([]Identity, MembersMax+1)} }, "more than 255 were left behind"},
		{"joint on the way to another target", func(c *Configuration) { c.Outgoing = voters(1) }, "the incoming half is another one"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := cluster([]NodeID{1, 2, 3})
			if strings.Contains(test.name, "target") || strings.Contains(test.name, "founding") || strings.Contains(test.name, "added") || strings.Contains(test.name, "part of") {
				c.Target = target(1, 2, 4)
			}
			test.change(&c)
			err := c.Validate()
			switch {
			case test.want == "" && err != nil:
				t.Errorf("refused: %v", err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("error %v, want one that says %q", err, test.want)
			}
		})
	}
}

func TestLookUps(t *testing.T) {
	c := cluster([]NodeID{1, 2, 4}, 5)
	c.Outgoing = voters(1, 2, 3)
	c.Members = sortMembers(members(1, 2, 3, 4, 5))
	c.Members = slices.Insert(c.Members, 3, member(3, 99))
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	for id, want := range map[Identity]Kind{{1, 16}: Voter, {3, 48}: Voter, {3, 99}: Learner, {4, 64}: Voter, {5, 80}: Learner, {6, 96}: Learner} {
		if got := c.Kind(id); got != want {
			t.Errorf("Kind(%v) = %v, want %v", id, got, want)
		}
	}
	if got := c.Incarnations(3); !slices.Equal(got, []Identity{{3, 48}, {3, 99}}) {
		t.Errorf("Incarnations(3) = %v", got)
	}
	if got := c.Incarnations(9); got != nil {
		t.Errorf("Incarnations(9) = %v", got)
	}
	if _, ok := c.Member(Identity{3, 50}); ok {
		t.Error("an incarnation that is no member was found")
	}
	if m, ok := c.Member(Identity{3, 99}); !ok || m.Incarnation != 99 {
		t.Errorf("Member(3/99) = %v, %t", m, ok)
	}
	if got, want := c.String(), "voters 1 2 3/30 4, learners 3/63 5; joint: 1 2 3/30 -> 1 2 4"; got != want {
		t.Errorf("String() = %q, want %q", got, want)
	}
}

func TestConfigurationIsReadable(t *testing.T) {
	for want, c := range map[string]Configuration{
		"no members":                                  {},
		"voter 1":                                     cluster([]NodeID{1}),
		"voters 1 2 3, learner 4":                     cluster([]NodeID{1, 2, 3}, 4),
		"voters 1 2 3, learners 4 5":                  cluster([]NodeID{1, 2, 3}, 4, 5),
		"voters 1 2 3 4; joint: 1 2 3 -> 1 2 4":       {Members: members(1, 2, 3, 4), Voters: voters(1, 2, 4), Outgoing: voters(1, 2, 3)},
		"voters 1 2, learner 5; joint: 1 -> 1 2":      {Members: members(1, 2, 5), Voters: voters(1, 2), Outgoing: voters(1)},
		"voters 1 2/20 2/63; joint: 1 2/20 -> 1 2/63": {Members: append(members(1, 2), member(2, 99)), Voters: append(voters(1), Identity{2, 99}), Outgoing: voters(1, 2)},
		"voters 1 2, learner 4; to be: 1 2 4":         {Members: members(1, 2, 4), Voters: voters(1, 2), Target: target(1, 2, 4)},
		"voters 1 2 3 4 5 6; joint: 1 2 3 -> 4 5 6":   {Members: members(1, 2, 3, 4, 5, 6), Voters: voters(4, 5, 6), Outgoing: voters(1, 2, 3)},
	} {
		if got := c.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// TestCloneSharesNothing: whatever is done to a clone, the original stays.
func TestCloneSharesNothing(t *testing.T) {
	build := func() Configuration {
		c := cluster([]NodeID{1, 2, 3}, 4)
		c.Outgoing = voters(1, 2)
		c.Target = target(1, 2)
		c.Target.Added = voters(1, 2)
		c.Members[0].Tags, c.Target.Members[1].Tags = map[string]string{"k": "v"}, map[string]string{"k": "v"}
		c.Founding = FoundingOf(c.Target.Members)
		c.Recovered = &Recovery{Index: 1, Without: voters(8, 9)}
		return c
	}
	c, same := build(), build()
	clone := c.Clone()
	if !clone.Equal(&c) {
		t.Fatalf("the clone is %+v", clone)
	}
	slices.Reverse(clone.Members)
	slices.Reverse(clone.Voters)
	slices.Reverse(clone.Outgoing)
	slices.Reverse(clone.Target.Members)
	for _, list := range [][]Member{clone.Members, clone.Target.Members} {
		for i := range list {
			list[i].Address = "elsewhere:1"
			clear(list[i].Tags)
		}
	}
	clear(clone.Voters)
	clear(clone.Outgoing)
	clear(clone.Target.Voters)
	clear(clone.Target.Added)
	clone.Recovered.Index++
	clear(clone.Recovered.Without)
	if !c.Equal(&same) {
		t.Errorf("the original is now %+v", c)
	}
	if zero := (&Configuration{}).Clone(); zero.Members != nil || zero.Voters != nil || zero.Outgoing != nil || zero.Target != nil || zero.Recovered != nil {
		t.Errorf("the clone of nothing is %+v", zero)
	}
}

func TestIsSoleVoter(t *testing.T) {
	one := voters(1)[0]
	for name, test := range map[string]struct {
		c    Configuration
		want bool
	}{
		"nobody":                {Configuration{}, false},
		"alone":                 {Configuration{Voters: voters(1)}, true},
		"another":               {Configuration{Voters: voters(2)}, false},
		"two":                   {Configuration{Voters: voters(1, 2)}, false},
		"alone in both halves":  {Configuration{Voters: voters(1), Outgoing: voters(1)}, true},
		"not alone in the old":  {Configuration{Voters: voters(1), Outgoing: voters(1, 2)}, false},
		"not alone in the new":  {Configuration{Voters: voters(1, 2), Outgoing: voters(1)}, false},
		"another in the old":    {Configuration{Voters: voters(1), Outgoing: voters(2)}, false},
		"another of one's name": {Configuration{Voters: []Identity{{1, 99}}}, false},
	} {
		if got := test.c.IsSoleVoter(one); got != test.want {
			t.Errorf("%s: IsSoleVoter = %t", name, got)
		}
	}
}

func TestNames(t *testing.T) {
	for got, want := range map[string]string{
		Learner.String(): "learner", Voter.String(): "voter", Kind(7).String(): "kind 7",
		Pending.String(): "pending", Won.String(): "won", Lost.String(): "lost",
		Identity{10, 255}.String(): "10/ff",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if !(Identity{}).IsZero() || (Identity{Incarnation: 1}).IsZero() {
		t.Error("IsZero")
	}
}
