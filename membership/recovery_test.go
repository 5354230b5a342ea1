package membership

import (
	"slices"
	"testing"
)

// TestRecover: the survivor is alone, with what was said of it, and remembers whom it
// left behind, the latest first where there are too many.
func TestRecover(t *testing.T) {
	c := cluster([]NodeID{1, 2, 3}, 4)
	c.Members[1].Tags, c.Members[1].Priority = map[string]string{"k": "v"}, 7
	c.Outgoing, c.Founding, c.Last = voters(1), FoundingOf(c.Members), Outcome{ID: 3, Result: ResultDone}
	c.Recovered = &Recovery{Index: 3, Without: voters(2, 8)}
	self := c.Members[1].Identity
	next, err := c.Recover(self, "", [16]byte{9}, 77, voters(1, 5))
	if err != nil {
		t.Fatal(err)
	}
	want := Configuration{Members: []Member{c.Members[1]}, Voters: []Identity{self}, Founding: c.Founding,
		Recovered: &Recovery{From: [16]byte{9}, Index: 77, Without: voters(1, 3, 4, 5, 8)}}
	if !next.Equal(&want) {
		t.Errorf("%+v, %+v", next, next.Recovered)
	}
	if !next.Recovered.Left(voters(8)[0]) || next.Recovered.Left(self) || (*Recovery)(nil).Left(self) {
		t.Error("who was left behind is not known")
	}
	// Every configuration that comes of it has it.
	order := Order{ID: 1, Changes: []Change{{Op: OpAdd, ID: 6, Incarnation: 66, Address: "six:1"}}}
	steps, err := order.Plan(&next)
	if err != nil || len(steps) != 3 {
		t.Fatalf("%v, %v", steps, err)
	}
	for _, step := range steps {
		if !step.Recovered.Equal(next.Recovered) {
			t.Errorf("%v has forgotten the recovery", step)
		}
	}
	moved, err := c.Recover(Identity{9, 9}, "nine:1", [16]byte{}, 1, nil)
	if err != nil || len(moved.Members) != 1 || moved.Members[0].Address != "nine:1" || !slices.Equal(moved.Recovered.Without, voters(1, 2, 3, 4, 8)) {
		t.Errorf("%+v, %v", moved, err)
	}
	var many []Identity
	for i := range NodeID(MembersMax + 9) {
		many = append(many, Identity{i + 100, 1})
	}
	full, err := c.Recover(self, "", [16]byte{}, 1, many)
	if err != nil || len(full.Recovered.Without) != MembersMax || !full.Recovered.Left(voters(1)[0]) || full.Recovered.Left(many[len(many)-1]) || full.Recovered.Left(voters(8)[0]) {
		t.Errorf("%d are remembered, %v", len(full.Recovered.Without), err)
	}
	if full.SizeBytes() < len(full.Encode()) {
		t.Errorf("it counts %d, and has %d", full.SizeBytes(), len(full.Encode()))
	}
}
