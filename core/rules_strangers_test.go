package core

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/trouperaft/troupe/membership"
)

// Rule 27: a message counts only with the group's own cluster id, which its sender
// has proved to know (rule 29).

var rigStranger = Identity{ID: 99, Incarnation: 0x99}

// unprovedKinds are what a script's stranger can say.
var unprovedKinds = []string{
	"heartbeat", "append", "snapshot", "vote-request", "pre-vote-request", "vote-answer", "pre-vote-answer", "heartbeat-answer",
	"append-answer", "snapshot-answer", "read-request", "read-answer", "refusal",
}

// fingerprint is everything of an engine that a message could have changed, but
// for what was reported of strangers.
func fingerprint(e *Engine) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%v %v, leader %v, last %v, commit %d, proved %d, promise %+v, timer %d, votes %v, unknown %d, writes %d",
		e.role, e.hard, e.leader, e.log.last, e.commit, e.proved, e.promise, e.electionTimer.at, e.election.votes, e.unknownAt, e.writes.next)
	fmt.Fprintf(&b, ", reads %+v, heard %d, jumped %d", e.reads, e.heard, e.jumped)
	for _, p := range e.leaderState.peers {
		fmt.Fprintf(&b, "; %+v", *p)
	}
	return b.String()
}

// says addresses a message that proves nothing to the rig's engine.
func (r *rig) says(from Identity, term Term, m Message) []string {
	r.t.Helper()
	*m.Head() = Header{Group: 1, From: from, To: r.e.cfg.Self, Term: term}
	return r.step(m)
}

// TestUnprovedMessagesCountForNothing: rule 27: whoever says it, in whatever role it
// arrives, of whatever term, and even if it claims the group's own id: nothing changes,
// and the answer, if there is one, tells neither the term nor the id.
func TestUnprovedMessagesCountForNothing(t *testing.T) {
	for _, role := range matrixRoles {
		for _, kind := range unprovedKinds {
			for _, from := range []Identity{rigStranger, rigPeers[1], rigPeers[2]} {
				for _, claim := range []Header{{}, {Cluster: clusterID(0xee)}, {Cluster: worldCluster, Introduces: true}} {
					for _, term := range []Term{0, 4, 5, CounterMax} {
						r := role.make(t)
						if r.e.empty() {
							continue // another test's
						}
						r.step(&ReadRequest{ID: 1})
						before := fingerprint(r.e)
						m := unproved(r.e, from, kind)
						h := claim
						h.Group, h.From, h.To, h.Term = 1, from, r.e.cfg.Self, term
						*m.Head() = h
						r.step(m)
						if after := fingerprint(r.e); after != before {
							t.Errorf("%s, %s of %v in T%d, introduces %t:\n%s, was\n%s", role.name, kind, from, term, h.Introduces, after, before)
						}
						checkToldNothing(t, r, role.name+", "+kind)
					}
				}
			}
		}
	}
}

// checkToldNothing: what left in the last step names no cluster and no term, and is an
// answer that refuses.
func checkToldNothing(t *testing.T, r *rig, what string) {
	t.Helper()
	for _, c := range r.last {
		s, ok := c.(*Send)
		if _, notice := c.(*Notice); notice {
			continue
		}
		if !ok {
			t.Errorf("%s: the engine wants %s", what, printCommand(c, r.now))
			continue
		}
		if h := s.Message.Head(); !h.Cluster.IsZero() || h.Term != 0 || !s.Message.Response() {
			t.Errorf("%s: is told T%d of cluster %v by a %T", what, h.Term, h.Cluster, s.Message)
		}
		switch m := s.Message.(type) {
		case *VoteResponse:
			if m.Granted || m.WaitMillis > 0 {
				t.Errorf("%s: %+v", what, m)
			}
		case *ReadIndexResponse:
			if m.OK || m.Index > 0 {
				t.Errorf("%s: %+v", what, m)
			}
		case *IdentifyResponse:
			if m.Last != (LogID{}) {
				t.Errorf("%s: %+v", what, m)
			}
		default:
			t.Errorf("%s: answered with a %T", what, m)
		}
	}
}

// TestRequestsOfStrangersAreAnswered: who asks for a vote, an index or a name gets an
// answer (rule 20), so that it does not wait for nothing.
func TestRequestsOfStrangersAreAnswered(t *testing.T) {
	for _, kind := range []string{"vote-request", "pre-vote-request", "read-request", "identify"} {
		r := newRig(t, rigOptions{}).lead()
		if r.says(rigStranger, 9, unproved(r.e, rigStranger, kind)); len(r.last) != 1 {
			t.Errorf("%s: %q", kind, r.lines())
		}
		checkToldNothing(t, r, kind)
	}
}

// TestWhoHasProvedTheIDGetsAVote: the line between rules 20 and 27: whether the asker is
// a member decides nothing, for one's own configuration may be old; whether it knows
// the cluster does.
func TestWhoHasProvedTheIDGetsAVote(t *testing.T) {
	r := newRig(t, rigOptions{term: 3})
	request := func() *VoteRequest {
		return &VoteRequest{ElectionTerm: 4, Campaign: 7, Last: LogID{3, 9}}
	}
	r.expect(r.says(rigPeers[1], 4, request()), "send ->2 T0 vote for T4 refused")
	r.expect(r.from(5, 4, request()), "write 1: T4 vote for 5; then ->5 T4 vote for T4 granted", "now follower of T4, leader 0")
}

// TestLaggingFollowerAcceptsUnknownLeader: membership alone cannot be the test: a
// follower that lags has to accept a leader that was added by an entry which it
// lacks, also when everybody that it knew was replaced.
func TestLaggingFollowerAcceptsUnknownLeader(t *testing.T) {
	for name, now := range map[string][]int{"one was added": {1, 2, 3, 5}, "all others were replaced": {1, 4, 5}} {
		r := newRig(t, rigOptions{})
		var c membership.Configuration
		for _, id := range now {
			c.Members = append(c.Members, membership.Member{Identity: rigPeers[id-1]})
			c.Voters = append(c.Voters, rigPeers[id-1])
		}
		r.from(5, 7, &Heartbeat{Round: 1, Stream: 1})
		if r.e.leader != rigPeers[4] || r.e.hard.Term != 7 {
			t.Fatalf("%s: follows %v in T%d", name, r.e.leader, r.e.hard.Term)
		}
		entry := Entry{LogID: LogID{7, 2}, Kind: EntryConfiguration, Data: c.Encode()}
		r.from(5, 7, &AppendEntries{Stream: 1, Prev: LogID{1, 1}, Entries: []Entry{entry}, Commit: 2})
		if got := r.e.configs.latest(); got.Index != 2 || !got.Configuration.Equal(&c) || r.e.commit != 2 {
			t.Errorf("%s: %v at %d, commit %d", name, got.Configuration, got.Index, r.e.commit)
		}
	}
}

// learnerRig leads three voters and the learner 4, which has acknowledged nothing.
func learnerRig(t *testing.T) *rig {
	s := rigState(rigOptions{})
	c := s.Configurations[0].Configuration
	c.Members = append(c.Members, membership.Member{Identity: rigPeers[3]})
	s.Configurations[0].Configuration = c
	return newRigOf(t, s, nil).lead()
}

// TestNewLearnerHasNothingToProve: rule 29: the answer of a learner that has
// acknowledged nothing keeps its stream going, and counts for nothing else.
func TestNewLearnerHasNothingToProve(t *testing.T) {
	answer := func(r *rig) *HeartbeatResponse {
		p := r.e.leaderState.peer(rigPeers[3])
		return &HeartbeatResponse{Round: r.e.leaderState.round, Stream: p.stream, PromiseMillis: 1000, Match: r.e.log.last.Index, Applied: 99}
	}
	r := learnerRig(t)
	r.step(&ReadRequest{ID: 1})
	r.now = r.now.Add(10 * time.Millisecond)
	p := r.e.leaderState.peer(rigPeers[3])
	before := *p
	r.expect(r.says(rigPeers[3], 2, answer(r)), "alive: 4, match 0")
	before.seen = r.now
	if fmt.Sprint(*p) != fmt.Sprint(before) {
		t.Errorf("the leader knows of it %+v, and knew %+v", *p, before)
	}
	for name, test := range map[string]func(r *rig) []string{
		"a voter": func(r *rig) []string {
			m := answer(r)
			m.Stream = r.e.leaderState.peer(rigPeers[1]).stream
			return r.says(rigPeers[1], 2, m)
		},
		"a stranger":          func(r *rig) []string { return r.says(rigStranger, 2, answer(r)) },
		"another incarnation": func(r *rig) []string { return r.says(Identity{ID: 4, Incarnation: 1}, 2, answer(r)) },
		"a higher term":       func(r *rig) []string { return r.says(rigPeers[3], 3, answer(r)) },
		"another stream":      func(r *rig) []string { m := answer(r); m.Stream = 99; return r.says(rigPeers[3], 2, m) },
		"a round to come":     func(r *rig) []string { m := answer(r); m.Round = 99; return r.says(rigPeers[3], 2, m) },
		"one that has acknowledged": func(r *rig) []string {
			r.match(4, 1)
			return r.says(rigPeers[3], 2, answer(r))
		},
	} {
		if lines := test(learnerRig(t)); len(lines) > 0 {
			t.Errorf("%s: %q", name, lines)
		}
	}
}

// TestNewLearnerThatAnswersIsNotAsked: it is there, and slow: nobody need be looked for.
func TestNewLearnerThatAnswersIsNotAsked(t *testing.T) {
	for _, answers := range []bool{true, false} {
		r := learnerRig(t)
		asked := false
		for range 20 {
			r.fire(TimerHeartbeat)
			for _, c := range r.last {
				if s, ok := c.(*Send); ok {
					_, identify := s.Message.(*IdentifyRequest)
					asked = asked || identify && s.Message.Head().To.ID == 4
				}
			}
			for _, p := range r.e.leaderState.peers {
				m := &HeartbeatResponse{Round: r.e.leaderState.round, Stream: p.stream}
				if p.ID != 4 {
					m.Match = r.e.log.last.Index
					r.from(p.ID, 2, m)
				} else if answers {
					r.says(p.Identity, 2, m)
				}
			}
		}
		if asked == answers {
			t.Errorf("it answers %t, and is asked who it is %t", answers, asked)
		}
	}
}

// TestHungConnectionOfANewLearner: rule 16: its group was started anew within the
// process, so that the entries on their way are lost and the connection is not.
func TestHungConnectionOfANewLearner(t *testing.T) {
	r := learnerRig(t)
	for range 30 {
		r.fire(TimerHeartbeat)
		if c, ok := find[*BreakConnection](r); ok {
			if c.Node != 4 || c.Class != ClassBulk {
				t.Errorf("%+v", *c)
			}
			return
		}
		for _, p := range r.e.leaderState.peers {
			m := &HeartbeatResponse{Round: r.e.leaderState.round, Stream: p.stream}
			if p.ID == 4 {
				r.says(p.Identity, 2, m)
			} else {
				m.Match = r.e.log.last.Index
				r.from(p.ID, 2, m)
			}
		}
	}
	t.Error("the connection was left as it is for three seconds")
}

// TestIntroductions: rule 27: the id is told to a learner of the configuration that has
// acknowledged nothing, by streams and snapshots, and to nobody else.
func TestIntroductions(t *testing.T) {
	r := learnerRig(t)
	r.e.snapshots.usable, r.e.snapshots.newest = true, rigSnapshot(LogID{1, 1})
	for _, test := range []struct {
		id    NodeID
		match Index
		want  bool
	}{{2, 0, false}, {3, 0, false}, {4, 0, true}, {4, 1, false}} {
		if test.match > 0 {
			r.match(test.id, test.match)
		}
		p := r.e.leaderState.peer(rigPeers[test.id-1])
		p.snapshot = false
		r.step(&SnapshotNeeded{Peer: p.Identity, Stream: p.stream})
		if c, ok := find[*SendSnapshot](r); !ok || c.Introduces != test.want {
			t.Errorf("node %d of match %d is sent %+v", test.id, test.match, c)
		}
	}
	if r.e.introduces(rigStranger, 0) || r.e.introduces(Identity{ID: 4, Incarnation: 1}, 0) {
		t.Error("who is no member would be told the id")
	}
	// A voter of a configuration that may still be in force is none of them.
	s := rigState(rigOptions{learner: true})
	c := s.Configurations[0].Configuration
	c.Voters = []Identity{rigPeers[0], rigPeers[1]}
	s.Configurations = append(s.Configurations, ConfigurationAt{LogID{1, 2}, c})
	s.Last = LogID{1, 2}
	r = newRigOf(t, s, nil)
	if r.e.introduces(rigPeers[2], 0) {
		t.Error("a voter of the committed configuration would be told the id")
	}
}

// introduction is the first message of a stream that brings the rig's engine in.
func (r *rig) introduction(from NodeID, term Term) *AppendEntries {
	c := rigState(rigOptions{}).Configurations[0].Configuration
	m := &AppendEntries{Stream: 1, Entries: []Entry{{LogID: LogID{1, 1}, Kind: EntryConfiguration, Data: c.Encode()}}}
	r.address(from, term, m)
	m.Introduces = true
	return m
}

func (r *rig) introducingChunk(from NodeID, term Term, meta SnapshotMeta) *SnapshotChunk {
	m := &SnapshotChunk{Stream: 1, Transfer: 1, Meta: meta, Done: true}
	r.address(from, term, m)
	m.Introduces = true
	return m
}

// TestAdoptionIsDurableBeforeTheFirstAck: rule 17, for entries and for a snapshot.
func TestAdoptionIsDurableBeforeTheFirstAck(t *testing.T) {
	meta := rigSnapshot(LogID{3, 9})
	for name, bringIn := range map[string]func(r *rig){
		"entries": func(r *rig) { r.step(r.introduction(2, 3)) },
		"a snapshot": func(r *rig) {
			if r.step(r.introducingChunk(2, 3, meta)); len(r.last) != 1 || !r.e.empty() {
				t.Errorf("a piece of a snapshot: %q", r.lines())
			}
			r.step(&SnapshotReceived{meta, rigPeers[1], 3, 1})
		},
	} {
		r := newRigOf(t, State{}, nil)
		bringIn(r)
		w, ok := find[*Write](r)
		if !ok || w.HardState.Cluster != worldCluster || w.HardState.Term != 3 || len(w.Then) != 1 {
			t.Fatalf("%s: %q", name, r.lines())
		}
		if ack, ok := w.Then[0].(*AppendResponse); !ok || ack.Match != r.e.log.last.Index || ack.Cluster != worldCluster {
			t.Errorf("%s: the ack is %+v", name, w.Then[0])
		}
		if _, early := sent[*AppendResponse](r); early {
			t.Errorf("%s: acknowledged at once: %q", name, r.lines())
		}
		r.from(2, 3, &Heartbeat{Round: 2, Stream: 1, Commit: 1})
		if answer, ok := sent[*HeartbeatResponse](r); !ok || answer.Match != 0 {
			t.Errorf("%s: before it is durable, a heartbeat is answered with %+v", name, answer)
		}
	}
}

// TestEmptyGroupIsNotCaptured: rule 17: but for its first entries or a whole snapshot,
// nothing that it hears changes an empty group; rule 31: while a grant lives, not
// those either, unless they come from whom it was given to.
func TestEmptyGroupIsNotCaptured(t *testing.T) {
	meta := rigSnapshot(LogID{3, 9})
	messages := map[string]func(r *rig) Message{
		"heartbeat":                     func(r *rig) Message { return r.address(3, 1<<40, &Heartbeat{Round: 1, Stream: 1, Commit: 9}) },
		"heartbeat of term 0":           func(r *rig) Message { return r.address(3, 0, &Heartbeat{Round: 1, Stream: 1}) },
		"probe":                         func(r *rig) Message { m := r.introduction(3, 4); m.Entries, m.Prev = nil, LogID{2, 7}; return m },
		"probe at the beginning":        func(r *rig) Message { m := r.introduction(3, 4); m.Entries = nil; return m },
		"entries of term 0":             func(r *rig) Message { m := r.introduction(3, 4); m.Header.Term = 0; return m },
		"entries that do not introduce": func(r *rig) Message { m := r.introduction(3, 4); m.Introduces = false; return m },
		"entries without a cluster":     func(r *rig) Message { m := r.introduction(3, 4); m.Cluster = ClusterID{}; return m },
		"entries that begin later": func(r *rig) Message {
			m := r.introduction(3, 4)
			m.Prev, m.Entries = LogID{1, 1}, commands(LogID{2, 2})
			return m
		},
		"entries for somebody":  func(r *rig) Message { m := r.introduction(3, 4); m.Header.To.Incarnation = 0; return m },
		"a piece of a snapshot": func(r *rig) Message { return r.introducingChunk(3, 1<<40, meta) },
		"a snapshot of no meaning": func(r *rig) Message {
			return r.introducingChunk(3, 2, meta) // of a term above its leader's
		},
		"a snapshot without a cluster": func(r *rig) Message { m := r.introducingChunk(3, 4, meta); m.Introduces = false; return m },
		"vote request":                 func(r *rig) Message { return r.address(3, 4, &VoteRequest{ElectionTerm: 4, Campaign: 1}) },
	}
	for name, make := range messages {
		for _, granted := range []bool{false, true} {
			r := newRigOf(t, State{}, nil)
			if granted {
				r.ask(2, 77, 10_000)
				r.flush()
			}
			before := fingerprint(r.e)
			r.step(make(r))
			if after := fingerprint(r.e); after != before {
				t.Errorf("%s:\n%s, was\n%s", name, after, before)
			}
			if _, vote := sent[*VoteResponse](r); granted && len(r.last) > 0 && !vote {
				t.Errorf("%s, granted to another: %q", name, r.lines())
			}
		}
	}
	for _, from := range []NodeID{2, 3} {
		r := newRigOf(t, State{}, nil)
		r.ask(2, 77, 10_000)
		r.flush()
		r.step(r.introduction(from, 4))
		if adopted := !r.e.hard.Cluster.IsZero(); adopted != (from == 2) {
			t.Errorf("granted to node 2, entries of node %d: adopted %t", from, adopted)
		}
		// Node 3 began to send a snapshot before the grant was given.
		r = newRigOf(t, State{}, nil)
		r.step(r.introducingChunk(from, 4, meta))
		r.ask(2, 77, 10_000)
		r.flush()
		r.step(&SnapshotReceived{meta, rigPeers[from-1], 4, 1})
		if adopted := !r.e.hard.Cluster.IsZero(); adopted != (from == 2) {
			t.Errorf("granted to node 2, a snapshot of node %d: adopted %t", from, adopted)
		}
	}
}

// TestForgedRefusal: nobody who has not proved the id can say that a member lost its
// data, or that this node did.
func TestForgedRefusal(t *testing.T) {
	r := newRig(t, rigOptions{}).lead()
	from := Identity{ID: 3, Incarnation: 0x99}
	r.expect(r.says(from, 0, &Refusal{Reason: RefusedIncarnation, Known: from}))
	for _, p := range r.e.Status().Peers {
		if p.LostData {
			t.Errorf("node %d has lost its data, says a refusal that proves nothing", p.ID)
		}
	}
	r = newRigOf(t, State{}, nil)
	r.expect(r.says(rigPeers[1], 0, &Refusal{Reason: RefusedUnknownMember, Known: Identity{ID: 1, Incarnation: 77}}))
	if r.e.Status().UnknownToGroup {
		t.Error("an empty node believes that it lost its data, says a refusal that proves nothing")
	}
}

// TestStrayMessagesDoNotKeepAGroupFromForming: what an empty group was told once by
// somebody who is gone: the members are asked whether it is true.
func TestStrayMessagesDoNotKeepAGroupFromForming(t *testing.T) {
	for name, m := range map[string]Message{
		"a heartbeat of a founder that is gone": &Heartbeat{Header: Header{To: rigPeers[0], Term: 1}, Round: 1, Stream: 1},
		"a message for another incarnation":     &Heartbeat{Header: Header{To: Identity{ID: 1, Incarnation: 77}, Term: 1}, Round: 1, Stream: 1},
		"a message for anybody":                 &Heartbeat{Header: Header{To: Identity{ID: 1}, Term: 1}, Round: 1, Stream: 1},
		"a refusal":                             &Refusal{Header: Header{To: rigPeers[0]}, Reason: RefusedUnknownMember, Known: Identity{ID: 1, Incarnation: 77}},
	} {
		for _, alone := range []bool{false, true} {
			r := newRigOf(t, State{}, nil)
			h := m.Head()
			h.Group, h.From, h.Cluster = 1, rigPeers[1], clusterID(0xdead)
			r.step(m)
			b := bootstrapOf(1, 2, 3)
			if alone {
				// Nobody could be asked: it passes, for nobody has proved it.
				b = bootstrapOf(1)
				r.now = r.now.Add(time.Minute)
			}
			if r.step(b); b.Err != nil || r.e.hard.Grant.To != r.e.cfg.Self && r.e.empty() {
				t.Errorf("%s, alone %t: %v, %q", name, alone, b.Err, r.lines())
			}
		}
	}
}

// unproved returns a message that would count if it came from who it says.
func unproved(e *Engine, from Identity, kind string) Message {
	last := e.log.last
	next := LogID{max(last.Term, 1), last.Index + 1}
	var stream uint64
	if p := e.leaderState.peer(from); p != nil {
		stream = p.stream
	}
	switch kind {
	case "heartbeat":
		return &Heartbeat{Round: 9, Stream: 1, Commit: next.Index}
	case "append":
		return &AppendEntries{Stream: 1, Prev: last, Entries: commands(next), Commit: next.Index}
	case "snapshot":
		return &SnapshotChunk{Stream: 1, Transfer: 1, Meta: rigSnapshot(LogID{next.Term, 99}), Done: true}
	case "vote-request":
		return &VoteRequest{ElectionTerm: e.hard.Term + 1, Campaign: 1, Last: next}
	case "pre-vote-request":
		return &VoteRequest{Pre: true, ElectionTerm: e.hard.Term + 1, Campaign: 1, Last: next}
	case "vote-answer":
		return &VoteResponse{ElectionTerm: e.hard.Term, Campaign: e.election.campaign, Granted: true}
	case "pre-vote-answer":
		return &VoteResponse{Pre: true, ElectionTerm: e.hard.Term + 1, Campaign: e.election.campaign, Granted: true}
	case "heartbeat-answer":
		return &HeartbeatResponse{Round: e.leaderState.round, Stream: stream, PromiseMillis: 1000, Match: last.Index, Applied: last.Index}
	case "append-answer":
		return &AppendResponse{Stream: stream, Success: true, Match: last.Index}
	case "snapshot-answer":
		return &SnapshotResponse{Stream: stream, Transfer: 1, Offset: 1}
	case "read-request":
		return &ReadIndexRequest{ID: 1}
	case "read-answer":
		return &ReadIndexResponse{ID: e.reads.nextWireID, OK: true, Index: last.Index}
	case "identify":
		return &IdentifyRequest{ID: 1}
	case "refusal":
		return &Refusal{Reason: RefusedIncarnation, Known: Identity{ID: from.ID, Incarnation: 0x98}}
	}
	return nil
}
