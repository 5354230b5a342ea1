package core

import "testing"

// TestStaleHeartbeatNamesNoRound: rules 5 and 26. Streams and rounds of a group
// that is started again count from 1, so that the refusal of a heartbeat from
// before, made in the term that the same node leads now, would look like an
// answer to a round that had not begun when it was made.
func TestStaleHeartbeatNamesNoRound(t *testing.T) {
	r := newRig(t, rigOptions{}).follow(8)
	r.from(2, 5, &Heartbeat{Round: 7, Stream: 1})
	m, ok := sent[*HeartbeatResponse](r)
	if !ok || m.Header.Term != 8 || m.Round != 0 || m.PromiseMillis != 0 {
		t.Errorf("answered with %+v", m)
	}
	r.from(2, 8, &Heartbeat{Round: 2, Stream: 1})
	if m, ok = sent[*HeartbeatResponse](r); !ok || m.Round != 2 {
		t.Errorf("the leader of the term is answered with %+v", m)
	}
}
