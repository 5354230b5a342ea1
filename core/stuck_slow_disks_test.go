package core

import "testing"

// TestLeaderStaysBehindSlowDisks: rule 16: entries that wait for the followers' disks
// do not vanish. Here the window is one message and each write takes longer than the
// limit. Between two writes, when the next entry is on its way, the leader must not
// hold the time of the last one against the link: it would lose its office, and so
// would the next one, for ever.
func TestLeaderStaysBehindSlowDisks(t *testing.T) {
	r := newRig(t, rigOptions{}).lead()
	r.propose("u", "v", "w", "x", "y", "z")
	r.flush()
	first, begun := r.e.leaderState.first, r.now
	limit := int(r.e.cfg.HungLimit / r.e.cfg.HeartbeatInterval)
	for i := range 6 * (limit + 6) {
		r.fire(TimerHeartbeat)
		if r.e.role != RoleLeader {
			t.Fatalf("led for %v: %q", r.now.Sub(begun), r.lines())
		}
		// Each entry is accepted, becomes durable after more than a limit, and the
		// next one takes three beats to arrive.
		write, at := Index(i/(limit+6)), i%(limit+6)
		m := HeartbeatResponse{Round: r.e.leaderState.round, Accepted: first + write, Match: first + write}
		if at < limit+3 {
			m.Match--
		}
		for _, p := range r.e.leaderState.peers {
			answer := m
			answer.Stream = p.stream
			r.from(p.ID, 2, &answer)
		}
	}
	// What vanishes is still noticed.
	for range 3 * limit {
		if r.fire(TimerHeartbeat); r.e.role != RoleLeader {
			return
		}
		for _, p := range r.e.leaderState.peers {
			m := HeartbeatResponse{Round: r.e.leaderState.round, Stream: p.stream, Accepted: first + 5, Match: first + 5}
			r.from(p.ID, 2, &m)
		}
	}
	t.Error("it still leads, and nobody accepts its entries")
}
