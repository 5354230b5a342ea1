package core_test

import (
	"testing"
	"time"

	. "github.com/trouperaft/troupe/core"
)

// loaded lets time pass, and a command be proposed in each step to whoever leads and
// is one of some nodes.
func (w *slowWorld) loaded(d time.Duration, by ...NodeID) {
	each := w.each
	defer func() { w.each = each }()
	w.each = func() {
		if each != nil {
			each()
		}
		for _, id := range by {
			if n := w.nodes[id]; n.up && n.engine.Role() == RoleLeader {
				n.step(&Propose{Entries: []Entry{{Kind: EntryCommand, Data: []byte("x")}}})
			}
		}
	}
	w.run(d)
}

// TestSickLeaderThatIsAhead: rule 16: a leader whose machine hangs leaves office with
// entries that the only other node lacks, the third being down. It may not vote for the
// shorter log. So it leads again, brings the other up, and hands over.
func TestSickLeaderThatIsAhead(t *testing.T) {
	w := newSlowWorld(t, "-cluster 3 window=1 entries=1", "-start", "-elect 1", "-stabilize", "-crash 3")
	w.quiet = true
	w.disks[2] = 50 * time.Millisecond
	w.hung[1] = true
	w.loaded(6*time.Second, 1)
	if last, other := w.nodes[1].engine.Last(), w.nodes[2].engine.Last(); w.nodes[1].engine.Role() == RoleLeader || other.Index+100 > last.Index {
		t.Fatalf("node 1 is a %v with a log to %v, that of node 2 ends at %v: the test is worthless", w.nodes[1].engine.Role(), last, other)
	}
	var leaders []NodeID
	w.each = func() {
		if l := w.leader(); l != nil && (len(leaders) == 0 || leaders[len(leaders)-1] != l.id.ID) {
			leaders = append(leaders, l.id.ID)
		}
	}
	last := w.nodes[1].engine.Last()
	w.run(time.Minute)
	if len(leaders) != 2 || leaders[0] != 1 || leaders[1] != 2 {
		t.Errorf("led by %v", leaders)
	}
	if at := w.nodes[2].applied; at.Index != last.Index+2 {
		t.Errorf("node 2 has applied up to %v, and not up to two blank entries behind %v", at, last)
	}
}
