package core

import (
	"math"
	"testing"
	"time"
)

// Rule 32: terms and indexes that nobody can have reached.

// TestImplausibleMessagesAreDropped: above 2^62 nothing is looked at, whoever says it.
func TestImplausibleMessagesAreDropped(t *testing.T) {
	const above = CounterMax + 1
	index := LogID{1, above}
	meta := rigSnapshot(LogID{2, 9})
	meta.Configuration.LogID = index
	for name, make := range map[string]func() (Term, Message){
		"heartbeat, term":           func() (Term, Message) { return above, &Heartbeat{Round: 1, Stream: 1} },
		"heartbeat, commit":         func() (Term, Message) { return 2, &Heartbeat{Round: 1, Stream: 1, Commit: above} },
		"heartbeat answer, term":    func() (Term, Message) { return above, &HeartbeatResponse{} },
		"heartbeat answer, match":   func() (Term, Message) { return 2, &HeartbeatResponse{Match: above} },
		"heartbeat answer, applied": func() (Term, Message) { return 2, &HeartbeatResponse{Applied: above} },
		"append, term":              func() (Term, Message) { return above, &AppendEntries{Stream: 1, Prev: LogID{1, 1}} },
		"append, commit":            func() (Term, Message) { return 2, &AppendEntries{Stream: 1, Prev: LogID{1, 1}, Commit: above} },
		"append, before":            func() (Term, Message) { return 2, &AppendEntries{Stream: 1, Prev: index} },
		"append, entry": func() (Term, Message) {
			return 2, &AppendEntries{Stream: 1, Prev: LogID{1, CounterMax}, Entries: commands(index)}
		},
		"vote request, term":              func() (Term, Message) { return 1, &VoteRequest{ElectionTerm: above, Last: LogID{9, 9}} },
		"vote request, log":               func() (Term, Message) { return 2, &VoteRequest{ElectionTerm: 2, Last: LogID{above, 1}} },
		"vote answer, term":               func() (Term, Message) { return above, &VoteResponse{} },
		"vote answer, election":           func() (Term, Message) { return 2, &VoteResponse{ElectionTerm: above} },
		"snapshot, index":                 func() (Term, Message) { return 2, &SnapshotChunk{Stream: 1, Meta: rigSnapshot(index)} },
		"snapshot, term":                  func() (Term, Message) { return 2, &SnapshotChunk{Stream: 1, Meta: rigSnapshot(LogID{above, 9})} },
		"snapshot, configuration's index": func() (Term, Message) { return 2, &SnapshotChunk{Stream: 1, Meta: meta} },
		"read answer":                     func() (Term, Message) { return 2, &ReadIndexResponse{OK: true, Index: math.MaxUint64} },
		"identified, log":                 func() (Term, Message) { return 2, &IdentifyResponse{Last: index} },
		"who are you, term":               func() (Term, Message) { return math.MaxUint64, &IdentifyRequest{ID: 1} },
		"refusal, term":                   func() (Term, Message) { return above, &Refusal{Reason: RefusedIncarnation, Known: rigPeers[2]} },
	} {
		for _, role := range matrixRoles {
			r := role.make(t)
			before := fingerprint(r.e)
			term, m := make()
			if r.from(2, term, m); len(r.last) > 0 || fingerprint(r.e) != before {
				t.Errorf("%s at a %s: %q", name, role.name, r.lines())
			}
		}
	}
}

// TestSnapshotMeta: of a term above its leader's, or of a configuration that is none or
// later, it is refused, and nothing is reset for it; also if it comes another way.
func TestSnapshotMeta(t *testing.T) {
	for name, change := range map[string]func(m *SnapshotMeta){
		"a term above its leader's":  func(m *SnapshotMeta) { m.Term = 3 },
		"no index":                   func(m *SnapshotMeta) { m.LogID = LogID{} },
		"the last index of all":      func(m *SnapshotMeta) { m.Index = CounterMax },
		"a later configuration":      func(m *SnapshotMeta) { m.Configuration.Index = m.Index + 1 },
		"a configuration of nobody":  func(m *SnapshotMeta) { m.Configuration.Configuration.Voters = nil },
		"another cluster":            func(m *SnapshotMeta) { m.Cluster = clusterID(0xee) },
		"no cluster":                 func(m *SnapshotMeta) { m.Cluster = ClusterID{} },
		"nothing (it would be fine)": func(*SnapshotMeta) {},
	} {
		fine := name == "nothing (it would be fine)"
		meta := rigSnapshot(LogID{2, 50})
		change(&meta)
		r := newRig(t, rigOptions{}).follow(2)
		r.from(2, 2, &SnapshotChunk{Stream: 1, Transfer: 1, Meta: meta, Done: true})
		if _, taken := find[*ReceiveChunk](r); taken != fine {
			t.Errorf("%s: %q", name, r.lines())
		}
		if refusal, refused := sent[*SnapshotResponse](r); refused == fine || refused && !refusal.Refused {
			t.Errorf("%s: answered with %+v", name, refusal)
		}
		if name == "another cluster" {
			continue // of a file that is there, it is the group's own
		}
		r.step(&SnapshotReceived{Meta: meta, From: rigPeers[1], Term: 2, Stream: 1})
		if reset := r.e.log.last.Index > 1; reset != fine {
			t.Errorf("%s: the log ends at %v", name, r.e.log.last)
		}
	}
}

// TestTermJump: one message raises the term by 2^32 at most, and so does everything in
// an election time-out; no vote is given in that step. An empty group takes any term.
func TestTermJump(t *testing.T) {
	const far, jump = Term(1 << 40), Term(1 << 32)
	for name, m := range map[string]Message{
		"heartbeat":    &Heartbeat{Round: 1, Stream: 1},
		"append":       &AppendEntries{Stream: 1, Prev: LogID{1, 1}},
		"snapshot":     &SnapshotChunk{Stream: 1, Meta: rigSnapshot(LogID{2, 9})},
		"vote request": &VoteRequest{ElectionTerm: far, Campaign: 1, Last: LogID{9, 9}},
		"vote refusal": &VoteResponse{ElectionTerm: 2},
	} {
		r := newRig(t, rigOptions{})
		for i, wait := range []time.Duration{0, 999 * time.Millisecond, time.Millisecond} {
			r.now = r.now.Add(wait)
			want := 1 + jump
			if i == 2 {
				want += jump
			}
			if r.from(2, far, m); r.e.hard.Term != want || !r.e.hard.Vote.IsZero() || !r.e.leader.IsZero() {
				t.Errorf("%s, time %d: term %d, want %d, vote %v, leader %v", name, i, r.e.hard.Term, want, r.e.hard.Vote, r.e.leader)
			}
			if v, ok := sent[*VoteResponse](r); ok && v.Granted {
				t.Errorf("%s: a vote for a term that was not reached", name)
			}
		}
	}
	r := newRig(t, rigOptions{})
	if r.from(2, 1+jump, &Heartbeat{Round: 1, Stream: 1}); r.e.leader != rigPeers[1] {
		t.Errorf("a leader within reach is not followed: %q", r.lines())
	}
	r = newRigOf(t, State{}, nil)
	if r.step(r.introduction(2, far)); r.e.hard.Term != far || r.e.leader != rigPeers[1] {
		t.Errorf("an empty group: term %d, leader %v", r.e.hard.Term, r.e.leader)
	}
}

// TestAnswerFarAhead: whoever answers in a term out of reach deposes no leader that a
// quorum answers without it; it is reported. A leader without such a quorum follows.
func TestAnswerFarAhead(t *testing.T) {
	const far = Term(1 << 40)
	for name, say := range map[string]func(r *rig){
		"heartbeat answer":        func(r *rig) { r.from(3, far, &HeartbeatResponse{}) },
		"late refusal of a vote":  func(r *rig) { r.from(3, far, &VoteResponse{ElectionTerm: 2, Campaign: r.e.election.campaign}) },
		"append answer, a stream": func(r *rig) { r.step(&HigherTerm{rigPeers[2], far}) },
	} {
		for _, quorum := range []bool{true, false} {
			r := newRig(t, rigOptions{}).lead()
			id := NodeID(3) // itself answered before, and does not count now
			if quorum {
				id = 2
			}
			p := r.e.leaderState.peer(rigPeers[id-1])
			r.from(id, 2, &HeartbeatResponse{Round: r.e.leaderState.round, Stream: p.stream, Match: p.match})
			say(r)
			notice, told := find[*Notice](r)
			told = told && notice.Kind == NoticeTermAhead && notice.Peer == rigPeers[2]
			if leads := r.e.role == RoleLeader; leads != quorum || told != quorum {
				t.Errorf("%s, a quorum answers %t: a %v of T%d, told %t", name, quorum, r.e.role, r.e.hard.Term, told)
			}
		}
		// Within reach it is a term like any other.
		r := newRig(t, rigOptions{}).lead()
		p := r.e.leaderState.peer(rigPeers[1])
		r.from(2, 2, &HeartbeatResponse{Round: r.e.leaderState.round, Stream: p.stream, Match: p.match})
		if r.from(3, 1<<32, &HeartbeatResponse{}); r.e.role == RoleLeader || r.e.hard.Term != 1<<32 {
			t.Errorf("a higher term within reach: a %v of T%d", r.e.role, r.e.hard.Term)
		}
	}
}
