package troupe

import "testing"

// TestLeftOutNodeDoesNotAsk: a node whose log has removed it, and which does not know yet
// whether that is committed, waits for that. If it asked it would let itself in again.
func TestLeftOutNodeDoesNotAsk(t *testing.T) {
	self := Identity{ID: 4, Incarnation: 1}
	s := Status{Self: self, LeftOut: true, Configuration: Configuration{Voters: []Identity{{ID: 1, Incarnation: 1}}}}
	for rejoin, want := range map[bool]joinStep{false: joinWait, true: joinAsk} {
		j := join{raft: &Raft{}, config: JoinConfig{Rejoin: rejoin}}
		if step, err := j.next(&s); err != nil || step != want {
			t.Errorf("rejoin %v: step %d, %v", rejoin, step, err)
		}
	}
}
