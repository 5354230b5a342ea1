package membership

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/quick"
	"time"
)

// randomChange is about one of six nodes, and often makes no sense.
func randomChange(r *rand.Rand) Change {
	id := NodeID(r.IntN(7))
	c := Change{Op: Op(1 + r.IntN(int(opsEnd)-1)), ID: id, KeepAsLearner: r.IntN(2) == 0, Standby: r.IntN(2) == 0}
	switch c.Op {
	case OpAdd, OpAddLearner, OpReplace:
		c.Incarnation = Incarnation(r.IntN(3)) * 1000
		fallthrough
	case OpSetAddress:
		c.Address = fmt.Sprintf("n%d:%d", id, r.IntN(2))
	case OpSetPriority:
		c.Priority = r.Uint32N(3)
	case OpSetTags:
		c.Tags = map[string]string{"zone": fmt.Sprint(r.IntN(2))}
	case OpSetVoters:
		for i := range NodeID(7) {
			if r.IntN(2) == 0 {
				c.Voters = append(c.Voters, i)
			}
		}
	}
	return c
}

func add(ids ...NodeID) (changes []Change) {
	for _, id := range ids {
		changes = append(changes, Change{Op: OpAdd, ID: id, Incarnation: Incarnation(id) * 16, Address: fmt.Sprintf("n%d:1", id)})
	}
	return changes
}

func on(op Op, ids ...NodeID) (changes []Change) {
	for _, id := range ids {
		changes = append(changes, Change{Op: op, ID: id})
	}
	return changes
}

// at is a cluster whose members have addresses of their own.
func at(voting []NodeID, learning ...NodeID) Configuration {
	c := cluster(voting, learning...)
	for i := range c.Members {
		c.Members[i].Address = fmt.Sprintf("n%d:1", c.Members[i].ID)
	}
	return c
}

// TestPlan: what is asked for, and the configurations on the way to it.
func TestPlan(t *testing.T) {
	tests := []struct {
		name    string
		from    Configuration
		changes []Change
		want    []string
	}{
		{"a voter more", at([]NodeID{1, 2, 3}), add(4), []string{"voters 1 2 3, learner 4; to be: 1 2 3 4", "voters 1 2 3 4; joint: 1 2 3 -> 1 2 3 4", "voters 1 2 3 4"}},
		{"from one to three", at([]NodeID{1}), add(2, 3), []string{"voter 1, learners 2 3; to be: 1 2 3", "voters 1 2 3; joint: 1 -> 1 2 3", "voters 1 2 3"}},
		{"a learner", at([]NodeID{1, 2}), []Change{{Op: OpAddLearner, ID: 3, Incarnation: 48, Address: "n3:1"}}, []string{"voters 1 2, learner 3"}},
		{"a learner that is there", at([]NodeID{1, 2}, 3), []Change{{Op: OpAddLearner, ID: 3, Address: "n3:1"}}, nil},
		{"a voter that is there", at([]NodeID{1, 2}), add(2), nil},
		{"a voter that learns", at([]NodeID{1, 2}, 3), add(3), []string{"voters 1 2, learner 3; to be: 1 2 3", "voters 1 2 3; joint: 1 2 -> 1 2 3", "voters 1 2 3"}},
		{"promote", at([]NodeID{1, 2}, 3, 4), on(OpPromote, 3), []string{"voters 1 2, learners 3 4; to be: 1 2 3", "voters 1 2 3, learner 4; joint: 1 2 -> 1 2 3", "voters 1 2 3, learner 4"}},
		{"demote", at([]NodeID{1, 2, 3}), on(OpDemote, 3), []string{"voters 1 2 3; joint: 1 2 3 -> 1 2", "voters 1 2, learner 3"}},
		{"remove a voter", at([]NodeID{1, 2, 3}, 4), on(OpRemove, 3), []string{"voters 1 2 3, learner 4; joint: 1 2 3 -> 1 2", "voters 1 2, learner 4"}},
		{"remove a learner", at([]NodeID{1, 2}, 3), on(OpRemove, 3), []string{"voters 1 2"}},
		{"remove and keep", at([]NodeID{1, 2, 3}), []Change{{Op: OpRemove, ID: 3, KeepAsLearner: true}}, []string{"voters 1 2 3; joint: 1 2 3 -> 1 2", "voters 1 2, learner 3"}},
		{"replace", at([]NodeID{1, 2, 3}), []Change{{Op: OpReplace, ID: 3, Incarnation: 99}},
			[]string{"voters 1 2 3/30, learner 3/63; to be: 1 2 3/63", "voters 1 2 3/30 3/63; joint: 1 2 3/30 -> 1 2 3/63", "voters 1 2 3"}},
		{"replace a learner", at([]NodeID{1, 2}, 3), []Change{{Op: OpReplace, ID: 3, Incarnation: 99, Address: "new:1"}}, []string{"voters 1 2, learner 3"}},
		{"set voters", at([]NodeID{1, 2, 3}, 4), []Change{{Op: OpSetVoters, Voters: []NodeID{4, 1}}},
			[]string{"voters 1 2 3, learner 4; to be: 1 4", "voters 1 2 3 4; joint: 1 2 3 -> 1 4", "voters 1 4"}},
		{"set voters and keep", at([]NodeID{1, 2, 3}, 4), []Change{{Op: OpSetVoters, Voters: []NodeID{1}, KeepAsLearner: true}},
			[]string{"voters 1 2 3, learner 4; joint: 1 2 3 -> 1", "voter 1, learners 2 3 4"}},
		{"several at once", at([]NodeID{1, 2, 3}, 5), append(append(add(4), on(OpRemove, 1, 5)...), on(OpDemote, 2)...),
			[]string{"voters 1 2 3, learners 4 5; to be: 3 4", "voters 1 2 3 4, learner 5; joint: 1 2 3 -> 3 4", "voters 3 4, learner 2"}},
		{"everybody", at([]NodeID{1, 2, 3}), append(add(4, 5, 6), on(OpRemove, 1, 2, 3)...),
			[]string{"voters 1 2 3, learners 4 5 6; to be: 4 5 6", "voters 1 2 3 4 5 6; joint: 1 2 3 -> 4 5 6", "voters 4 5 6"}},
		{"an address", at([]NodeID{1, 2}), []Change{{Op: OpSetAddress, ID: 2, Address: "new:1"}}, []string{"voters 1 2"}},
		{"two addresses swapped", at([]NodeID{1, 2}), []Change{{Op: OpSetAddress, ID: 1, Address: "n2:1"}, {Op: OpSetAddress, ID: 2, Address: "n1:1"}}, []string{"voters 1 2"}},
		{"three addresses that go round", at([]NodeID{1, 2}, 3), []Change{{Op: OpSetAddress, ID: 1, Address: "n2:1"}, {Op: OpSetAddress, ID: 2, Address: "n3:1"}, {Op: OpSetAddress, ID: 3, Address: "n1:1"}}, []string{"voters 1 2, learner 3"}},
		{"a newcomer at the address of one that goes", at([]NodeID{1, 2}), []Change{{Op: OpAddLearner, ID: 4, Address: "n1:1"}, {Op: OpSetAddress, ID: 1, Address: "new:1"}}, []string{"voters 1 2, learner 4"}},
		{"the same address", at([]NodeID{1, 2}), []Change{{Op: OpSetAddress, ID: 2, Address: "n2:1"}}, nil},
		{"a priority and tags", at([]NodeID{1, 2}), []Change{{Op: OpSetPriority, ID: 2, Priority: 9}, {Op: OpSetTags, ID: 2, Tags: map[string]string{"a": "b"}}}, []string{"voters 1 2"}},
		{"no tags where none are", at([]NodeID{1, 2}), []Change{{Op: OpSetTags, ID: 2, Tags: map[string]string{}}}, nil},
		{"who is not known yet", at([]NodeID{1}), []Change{{Op: OpAdd, ID: 2, Address: "n2:1"}}, []string{"voter 1, learner 2; to be: 1 2", "voters 1 2; joint: 1 -> 1 2", "voters 1 2"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			before := test.from.Clone()
			o := Order{ID: 77, Changes: test.changes, Since: 5, CatchUpLimit: time.Second}
			steps, err := o.Plan(&test.from)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for i := range steps {
				got = append(got, steps[i].String())
				target, last := steps[i].Target, i == len(steps)-1
				if last != (target == nil) || last != (steps[i].Last == Outcome{ID: 77, Result: ResultDone}) {
					t.Errorf("step %d has the target %+v and the outcome %+v", i, target, steps[i].Last)
				}
				if target != nil && (target.ID != 77 || target.Since != 5 || target.CatchUpLimit != time.Second) {
					t.Errorf("step %d has the target %+v", i, target)
				}
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("%q, want %q", got, test.want)
			}
			if !before.Equal(&test.from) {
				t.Error("the configuration that it was asked of was changed")
			}
		})
	}
}

// TestPlanMatrix: from every set of voters to every other, of up to five nodes: the
// change ends where it was to end, and each half is decided by its own majority.
func TestPlanMatrix(t *testing.T) {
	sets := func(set int) (ids []NodeID) {
		for i := range 5 {
			if set>>i&1 == 1 {
				ids = append(ids, NodeID(i+1))
			}
		}
		return ids
	}
	for from := 1; from < 32; from++ {
		for to := 1; to < 32; to++ {
			c := at(sets(from))
			changes := append(add(sets(to&^from)...), on(OpRemove, sets(from&^to)...)...)
			if from == to {
				changes = add(sets(to)...)
			}
			o := Order{ID: 1, Changes: changes}
			steps, err := o.Plan(&c)
			if err != nil {
				t.Fatalf("%v to %v: %v", sets(from), sets(to), err)
			}
			joints := 0
			for i := range steps {
				if steps[i].Joint() {
					joints++
					if !slices.Equal(steps[i].Outgoing, voters(sets(from)...)) || !slices.Equal(steps[i].Voters, voters(sets(to)...)) {
						t.Errorf("%v to %v: joint between %v", sets(from), sets(to), &steps[i])
					}
				}
			}
			want := at(sets(to))
			if from == to {
				if len(steps) != 0 {
					t.Errorf("%v to itself takes %d steps", sets(from), len(steps))
				}
			} else if last := steps[len(steps)-1]; joints != 1 || !slices.Equal(last.Voters, want.Voters) || len(last.Members) != len(want.Members) {
				t.Errorf("%v to %v: %d joint configurations, ends with %v", sets(from), sets(to), joints, &last)
			}
		}
	}
}

// TestPlanRefuses: each bad input is named, and the change that has it.
func TestPlanRefuses(t *testing.T) {
	long := strings.Repeat("x", AddressBytesMax+1)
	var all, many []NodeID
	for i := range NodeID(MembersMax) {
		many = append(many, 10+i)
	}
	all = append(all, 1, 2)
	tests := []struct {
		name    string
		changes []Change
		want    ChangeReason
		text    string
	}{
		{"nothing", nil, ChangeNothing, "troupe: the members were not changed: no change is asked for"},
		{"no such op", []Change{{Op: opsEnd, ID: 1}}, ChangeUnknownOp, "op 12 1: this version does not know"},
		{"the op 0", []Change{{ID: 1}}, ChangeUnknownOp, ""},
		{"an id of 0", []Change{{Op: OpAdd, Address: "x:1"}}, ChangeIDZero, "add at x:1: a node has no id"},
		{"an id of 0 in a set", []Change{{Op: OpSetVoters, Voters: []NodeID{1, 0}}}, ChangeIDZero, ""},
		{"an id twice", append(add(4), on(OpPromote, 4)...), ChangeIDTwice, "promote 4: the node is named twice"},
		{"a priority twice", []Change{{Op: OpSetPriority, ID: 1}, {Op: OpSetPriority, ID: 1, Priority: 3}}, ChangeIDTwice, ""},
		{"an id twice in a set", []Change{{Op: OpSetVoters, Voters: []NodeID{1, 2, 1}}}, ChangeIDTwice, "set_voters [1 2 1]: the node is named twice: node 1"},
		{"out by a set and in again", []Change{{Op: OpSetVoters, Voters: []NodeID{1}}, {Op: OpAddLearner, ID: 2, Address: "n2:1"}}, ChangeIDTwice, "add_learner 2"},
		{"two sets", []Change{{Op: OpSetVoters, Voters: all}, {Op: OpSetVoters, Voters: all}}, ChangeIDTwice, ""},
		{"an address twice", []Change{{Op: OpAdd, ID: 4, Address: "n2:1"}}, ChangeAddressTwice, "add 4 at n2:1: another member has that address: node 2"},
		{"an address twice in the list", []Change{{Op: OpAdd, ID: 4, Address: "n4:1"}, {Op: OpAdd, ID: 6, Address: "n4:1"}}, ChangeAddressTwice, "node 4"},
		{"the address of another", []Change{{Op: OpSetAddress, ID: 1, Address: "n2:1"}}, ChangeAddressTwice, ""},
		{"half a swap", []Change{{Op: OpSetAddress, ID: 1, Address: "n2:1"}, {Op: OpSetAddress, ID: 2, Address: "n3:1"}}, ChangeAddressTwice, "set_address 2 at n3:1: another member has that address: node 3"},
		{"one address for two", []Change{{Op: OpSetAddress, ID: 1, Address: "new:1"}, {Op: OpSetAddress, ID: 2, Address: "new:1"}}, ChangeAddressTwice, "set_address 2 at new:1: another member has that address: node 1"},
		{"a replacement at another's address", []Change{{Op: OpReplace, ID: 1, Incarnation: 9, Address: "n2:1"}}, ChangeAddressTwice, ""},
		{"no address", on(OpAddLearner, 4), ChangeAddress, "it is empty"},
		{"a long address", []Change{{Op: OpSetAddress, ID: 1, Address: long}}, ChangeAddress, "1025 bytes, at most 1024"},
		{"promote a stranger", on(OpPromote, 9), ChangeNotMember, "promote 9: the node is not a member"},
		{"remove a stranger", on(OpRemove, 9), ChangeNotMember, ""},
		{"tags of a stranger", on(OpSetTags, 9), ChangeNotMember, ""},
		{"a stranger in a set", []Change{{Op: OpSetVoters, Voters: []NodeID{1, 9}}}, ChangeNotMember, "node 9"},
		{"a member at another address", []Change{{Op: OpAdd, ID: 1, Address: "else:1"}}, ChangeIsMember, ""},
		{"a voter to learn", []Change{{Op: OpAddLearner, ID: 1, Address: "n1:1"}}, ChangeIsMember, ""},
		{"a member that lost its data", []Change{{Op: OpAdd, ID: 1, Incarnation: 9, Address: "n1:1"}}, ChangeEmptied, "it has to be replaced"},
		{"promote a voter", on(OpPromote, 1), ChangeIsVoter, ""},
		{"a voter to stand by", []Change{{Op: OpSetStandby, ID: 1, Standby: true}}, ChangeIsVoter, ""},
		{"demote a learner", on(OpDemote, 5), ChangeNotVoter, ""},
		{"the last voters removed", on(OpRemove, 1, 2, 3), ChangeLastVoter, "remove 3: no voter would be left"},
		{"the last voters demoted", on(OpDemote, 1, 2, 3), ChangeLastVoter, ""},
		{"an empty set", []Change{{Op: OpSetVoters}}, ChangeLastVoter, ""},
		{"too many", add(many...), ChangeTooManyMembers, "259, at most 255"},
		{"a priority", []Change{{Op: OpSetPriority, ID: 1, Priority: PriorityMax + 1}}, ChangeLimit, "or 1 to 1000"},
		{"a tag", []Change{{Op: OpSetTags, ID: 1, Tags: map[string]string{long: ""}}}, ChangeLimit, "at most 64 tags"},
		{"replaced by itself", []Change{{Op: OpReplace, ID: 1, Incarnation: 16}}, ChangeSameIncarnation, ""},
	}
	for _, test := range tests {
		c := at([]NodeID{1, 2, 3}, 5)
		o := Order{ID: 1, Changes: test.changes}
		steps, err := o.Plan(&c)
		var wrong *ChangeError
		if !errors.As(err, &wrong) || wrong.Reason != test.want || !strings.Contains(err.Error(), test.text) || steps != nil {
			t.Errorf("%s: %v, %v; want %v, %q", test.name, steps, err, test.want, test.text)
		}
	}
}

// TestAttributesBesideAChange: they are taken into what is in force and into what is
// wanted, and the change goes on behind them.
func TestAttributesBesideAChange(t *testing.T) {
	c := at([]NodeID{1, 2, 3})
	o := Order{ID: 1, Changes: append(add(4), on(OpRemove, 3)...)}
	steps, err := o.Plan(&c)
	if err != nil {
		t.Fatal(err)
	}
	beside := Order{ID: 2, Changes: []Change{{Op: OpSetAddress, ID: 2, Address: "new:1"}, {Op: OpSetPriority, ID: 4, Priority: 7}, {Op: OpSetTags, ID: 3, Tags: map[string]string{"k": "v"}}}}
	for _, under := range steps[:2] {
		next, err := beside.Plan(&under)
		if err != nil || len(next) != 1 || next[0].Last != (Outcome{ID: 2, Result: ResultDone}) || next[0].String() != under.String() {
			t.Fatalf("%v: %v", next, err)
		}
		end := next[0]
		for end.Target != nil {
			end = step(t, end)
		}
		two, _ := end.Member(Identity{2, 32})
		four, _ := end.Member(Identity{4, 64})
		if end.String() != "voters 1 2 4" || two.Address != "new:1" || four.Priority != 7 || end.Last.ID != 1 {
			t.Errorf("ends as %+v", end)
		}
		if again, err := beside.Plan(&next[0]); err != nil || again != nil {
			t.Errorf("asked again: %v, %v", again, err)
		}
		if _, err := (&Order{ID: 3, Changes: on(OpRemove, 2)}).Plan(&under); err == nil {
			t.Error("a second change was planned beside the first")
		}
		if _, err := (&Order{ID: 3, Changes: []Change{{Op: OpSetAddress, ID: 2, Address: "n1:1"}}}).Plan(&under); err == nil {
			t.Error("an address twice")
		}
	}
}

// TestSameAs: who asks again for what is under way is recognised by where it leads.
func TestSameAs(t *testing.T) {
	c := at([]NodeID{1, 2, 3}, 5)
	replace := []Change{{Op: OpReplace, ID: 3, Incarnation: 99}}
	for name, changes := range map[string][]Change{
		"add": add(4), "remove": on(OpRemove, 3), "promote": on(OpPromote, 5), "replace": replace, "several": append(append(add(4), on(OpRemove, 1, 5)...), on(OpDemote, 2)...),
	} {
		steps, err := (&Order{ID: 1, Changes: changes}).Plan(&c)
		if err != nil {
			t.Fatal(err)
		}
		for i, under := range steps {
			again := Order{ID: 2, Changes: changes}
			if same := again.SameAs(&under); same != (i < len(steps)-1) {
				t.Errorf("%s, step %d: the same %t", name, i, same)
			}
			for _, other := range [][]Change{on(OpRemove, 2), add(6), {{Op: OpSetPriority, ID: 1, Priority: 3}}, nil} {
				if (&Order{ID: 2, Changes: other}).SameAs(&under) {
					t.Errorf("%s, step %d: %v is taken for the same", name, i, other)
				}
			}
		}
	}
	// A node that is to go is not one that comes again as a learner, under another incarnation.
	voters := []NodeID{1, 2}
	steps, err := (&Order{ID: 1, Changes: []Change{{Op: OpSetVoters, Voters: voters, KeepAsLearner: true}, replace[0]}}).Plan(&c)
	if err != nil {
		t.Fatal(err)
	}
	for i := range steps {
		for _, other := range [][]Change{on(OpRemove, 3), {{Op: OpSetVoters, Voters: voters}}} {
			if (&Order{ID: 2, Changes: other}).SameAs(&steps[i]) {
				t.Errorf("replaced as a learner, step %d: %v is taken for the same", i, other)
			}
		}
	}
	if founding, _ := Founded(members(1)[0].Identity, members(1, 2)); (&Order{ID: 1, Changes: []Change{{Op: OpSetVoters, Voters: []NodeID{1, 2}}}}).SameAs(&founding) {
		t.Error("a founding is nobody's change")
	}
}

// TestPlanKeepsItsWord: whatever is asked for, the steps are valid, end without a
// target, and are those that Next finds.
func TestPlanKeepsItsWord(t *testing.T) {
	property := func(seed uint64) bool {
		r := rand.New(rand.NewPCG(seed, 4))
		c := at([]NodeID{1, 2, 3}[:1+r.IntN(3)], 4)
		o := Order{ID: 1, Changes: []Change{randomChange(r), randomChange(r), randomChange(r)}[:1+r.IntN(3)]}
		steps, err := o.Plan(&c)
		var wrong *ChangeError
		if err != nil {
			return errors.As(err, &wrong) && wrong.Reason.String() != "unknown"
		}
		for i := range steps {
			if steps[i].Validate() != nil {
				return false
			}
			if next, err := steps[i].Next(); i < len(steps)-1 && (err != nil || !next.Equal(&steps[i+1])) || i == len(steps)-1 && !errors.Is(err, ErrNoStep) {
				return false
			}
		}
		return true
	}
	if err := quick.Check(property, quickCases); err != nil {
		t.Error(err)
	}
}

func TestOpsHaveNames(t *testing.T) {
	for op := Op(1); op < opsEnd; op++ {
		if got, ok := ParseOp(op.String()); !ok || got != op {
			t.Errorf("%v is read as %v", op, got)
		}
	}
	if _, ok := ParseOp(""); ok {
		t.Error("no name is an op")
	}
	for r := ChangeReason(1); r < changeReasonsEnd; r++ {
		if r.String() == "" {
			t.Errorf("reason %d has no name", r)
		}
	}
}
