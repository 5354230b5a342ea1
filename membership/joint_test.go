package membership

import (
	"fmt"
	"testing"
)

// TestJointArithmeticExhaustively: every pair of halves of up to five voters each, with
// every overlap: who decides is checked for every set of voters against what a
// majority is, word for word; and two quorums of configurations that follow each other
// always meet.
func TestJointArithmeticExhaustively(t *testing.T) {
	for a := 1; a <= 5; a++ {
		for b := 0; b <= 5; b++ {
			for overlap := 0; overlap <= min(a, b); overlap++ {
				checkHalves(t, a, b, overlap)
			}
		}
	}
}

func checkHalves(t *testing.T, a, b, overlap int) {
	t.Helper()
	nodes := a + b - overlap
	half := func(from, n int) []Identity {
		var ids []NodeID
		for i := range n {
			ids = append(ids, NodeID(from+i+1))
		}
		return voters(ids...)
	}
	incoming, outgoing := half(0, a), half(a-overlap, b)
	old, joint, final := halves(outgoing, nil), halves(incoming, outgoing), halves(incoming, nil)
	name := fmt.Sprintf("%d incoming, %d outgoing, %d in both", a, b, overlap)
	for set := range 1 << nodes {
		in := func(set int) func(Identity) uint64 {
			return func(id Identity) uint64 { return uint64(set >> (id.ID - 1) & 1) }
		}
		yes := func(id Identity) bool { return in(set)(id) == 1 }
		want := decided(incoming, yes) && (b == 0 || decided(outgoing, yes))
		if got := joint.QuorumValue(in(set)) == 1; got != want {
			t.Fatalf("%s: %b is a quorum: %t", name, set, got)
		}
		// Who has all others against it, and who has nobody's answer.
		voted := joint.CountVotes(func(id Identity) (bool, bool) { return yes(id), true })
		if (voted == Won) != want || voted == Pending {
			t.Fatalf("%s: all have voted, %b for it: %v", name, set, voted)
		}
		if got := joint.CountVotes(func(id Identity) (bool, bool) { return true, yes(id) }); (got == Won) != want || got == Lost {
			t.Fatalf("%s: %b have voted for it: %v", name, set, got)
		}
		if got, lost := joint.CountVotes(func(id Identity) (bool, bool) { return false, !yes(id) }), !want; (got == Lost) != lost || got == Won {
			t.Fatalf("%s: all but %b have voted against it: %v", name, set, got)
		}
		if b == 0 || !want {
			continue
		}
		rest := 1<<nodes - 1 - set
		for what, next := range map[string]*Configuration{"the old one": old, "itself": joint, "the new one": final} {
			if next.QuorumValue(in(rest)) == 1 {
				t.Fatalf("%s: the quorum %b of the joint configuration and %b of %s do not meet", name, set, rest, what)
			}
		}
	}
}
