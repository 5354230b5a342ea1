package core

import (
	"slices"
	"testing"
	"time"
)

// The tests of this file go through sections 5.1 to 5.4 and 8 of the Raft paper
// sentence by sentence, in our words.

// eachRole runs a test with an engine in every role of term 4.
func eachRole(t *testing.T, test func(t *testing.T, r *rig)) {
	for _, role := range matrixRoles[:6] {
		t.Run(role.name, func(t *testing.T) { test(t, role.make(t)) })
	}
}

// 5.1: whoever sees a higher term adopts it, and a candidate or leader becomes a
// follower. Rules 11 and 12 name the exceptions: votes within a promise.
func TestPaperHigherTermIsAdopted(t *testing.T) {
	eachRole(t, func(t *testing.T, r *rig) {
		r.from(3, 9, &AppendEntries{Stream: 1, Prev: LogID{9, 99}})
		if r.e.hard.Term != 9 || r.e.role != r.e.idleRole() || r.e.leader != rigPeers[2] {
			t.Errorf("a %v of T%d that follows %v", r.e.role, r.e.hard.Term, r.e.leader)
		}
	})
}

// 5.1: a request of an old term is refused, and the refusal tells the newer term.
func TestPaperOldTermIsRefused(t *testing.T) {
	requests := map[string]Message{
		"vote":      &VoteRequest{ElectionTerm: 3, Campaign: 1, Last: LogID{9, 99}},
		"append":    &AppendEntries{Stream: 1, Prev: LogID{2, 3}, Entries: commands(LogID{3, 4}), Commit: 4},
		"heartbeat": &Heartbeat{Round: 1, Stream: 1, Commit: 3},
	}
	for name, m := range requests {
		t.Run(name, func(t *testing.T) {
			eachRole(t, func(t *testing.T, r *rig) {
				before := r.e.Status()
				r.from(3, 3, m)
				answer, ok := sent[Message](r)
				if !ok || len(r.last) != 1 || answer.Head().Term != 4 {
					t.Fatalf("commands %q", r.lines())
				}
				switch a := answer.(type) {
				case *VoteResponse:
					ok = !a.Granted
				case *AppendResponse:
					ok = !a.Success
				case *HeartbeatResponse:
					ok = a.PromiseMillis == 0 && a.Match == 0
				}
				if after := r.e.Status(); !ok || after.Role != before.Role || after.Leader != before.Leader || after.Last != before.Last || after.Committed != before.Committed {
					t.Errorf("%q changed %+v into %+v", r.lines(), before, after)
				}
			})
		})
	}
}

// 5.2: a node starts as a follower, and stays one while it hears of a leader.
func TestPaperStartsAndStaysFollower(t *testing.T) {
	r := newRig(t, rigOptions{})
	if r.e.role != RoleFollower {
		t.Fatalf("starts as a %v", r.e.role)
	}
	r.follow(1)
	for round := uint64(2); round < 100; round++ {
		r.now = r.now.Add(900 * time.Millisecond)
		if d := &r.e.electionTimer; d.armed != 0 && d.armed <= r.now {
			r.step(&TimerFired{TimerElection, d.generation})
		}
		r.from(2, 1, &Heartbeat{Round: round, Stream: 1})
	}
	if r.e.role != RoleFollower || r.e.hard.Term != 1 {
		t.Errorf("a %v of T%d in spite of heartbeats", r.e.role, r.e.hard.Term)
	}
}

// 5.2: a leader sends heartbeats to all others, at once and then periodically.
func TestPaperLeaderSendsHeartbeats(t *testing.T) {
	r := newRig(t, rigOptions{voters: 5}).elect()
	count := func() (n int) {
		for _, c := range r.last {
			if s, ok := c.(*Send); ok {
				if _, ok := s.Message.(*Heartbeat); ok {
					n++
				}
			}
		}
		return n
	}
	if n := count(); n != 4 {
		t.Errorf("%d heartbeats at the election, want 4", n)
	}
	r.fire(TimerHeartbeat) // on the grid that all groups of a node share
	for i := range 5 {
		// The beats are multiples of the interval, so the first may come early.
		before := r.now
		r.fire(TimerHeartbeat)
		if n, wait := count(), r.now.Sub(before); n != 4 || wait > 100*time.Millisecond || wait < 100*time.Millisecond && i > 0 {
			t.Errorf("%d heartbeats after %v, want 4 after 100ms", n, wait)
		}
	}
}

// 5.2: who hears of no leader for an election time-out begins an election:
// increments its term, becomes a candidate, votes for itself, asks all others.
func TestPaperElectionBegins(t *testing.T) {
	for name, prepare := range map[string]func(r *rig){
		"follower":  func(r *rig) { r.follow(1) },
		"candidate": func(r *rig) { r.campaign() }, // and again, if none won
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, rigOptions{})
			prepare(r)
			term := r.e.hard.Term
			r.preCampaign()
			if r.e.hard.Term != term {
				t.Errorf("a pre-vote changed the term to %d", r.e.hard.Term)
			}
			r.from(3, term, &VoteResponse{Pre: true, ElectionTerm: term + 1, Campaign: r.e.election.campaign, Granted: true})
			w, ok := find[*Write](r)
			if !ok || r.e.role != RoleCandidate || r.e.hard.Term != term+1 {
				t.Fatalf("a %v of T%d: %q", r.e.role, r.e.hard.Term, r.lines())
			}
			if w.HardState.Term != term+1 || w.HardState.Vote != r.e.cfg.Self || !w.SaveHardState {
				t.Errorf("saved %+v", w.HardState)
			}
			if len(w.Then) != 2 || w.Then[0].Head().To != rigPeers[1] || w.Then[1].Head().To != rigPeers[2] {
				t.Errorf("asks %v", w.Then)
			}
		})
	}
}

// 5.2: a candidate wins with the votes of a majority; it loses with a majority
// against it; otherwise it waits. Each vote counts once.
func TestPaperElectionTable(t *testing.T) {
	tests := []struct {
		voters  int
		granted []NodeID
		refused []NodeID
		want    Role
	}{
		{voters: 1, want: RoleLeader},
		{voters: 3, want: RoleCandidate},
		{voters: 3, granted: []NodeID{2}, want: RoleLeader},
		{voters: 3, granted: []NodeID{2, 3}, want: RoleLeader},
		{voters: 3, refused: []NodeID{2}, want: RoleCandidate},
		{voters: 3, refused: []NodeID{2, 3}, want: RoleFollower},
		{voters: 5, granted: []NodeID{2}, want: RoleCandidate},
		{voters: 5, granted: []NodeID{2, 2, 2}, want: RoleCandidate},
		{voters: 5, granted: []NodeID{2, 3}, want: RoleLeader},
		{voters: 5, granted: []NodeID{2}, refused: []NodeID{3, 4}, want: RoleCandidate},
		{voters: 5, refused: []NodeID{2, 3, 4}, want: RoleFollower},
		{voters: 5, refused: []NodeID{2, 2, 2}, want: RoleCandidate},
	}
	for _, test := range tests {
		r := newRig(t, rigOptions{voters: test.voters})
		if test.voters == 1 {
			r.flush()
		} else {
			r.campaign()
		}
		answer := func(ids []NodeID, granted bool) {
			for _, id := range ids {
				r.from(id, r.e.hard.Term, &VoteResponse{ElectionTerm: r.e.hard.Term, Campaign: r.e.election.campaign, Granted: granted})
			}
		}
		answer(test.granted, true)
		answer(test.refused, false)
		if r.e.role != test.want {
			t.Errorf("%d voters, granted by %v, refused by %v: a %v, want a %v", test.voters, test.granted, test.refused, r.e.role, test.want)
		}
	}
}

// 5.2: a node votes for at most one candidate in a term, first come, first served.
// To the one that has its vote it says so again.
func TestPaperOneVoteATerm(t *testing.T) {
	r := newRig(t, rigOptions{voters: 5})
	ask := func(id NodeID, term Term) (granted bool) {
		r.from(id, term, &VoteRequest{ElectionTerm: term, Campaign: 1, Last: LogID{1, 1}})
		if w, ok := find[*Write](r); ok && len(w.Then) == 1 {
			return w.Then[0].(*VoteResponse).Granted
		}
		m, ok := sent[*VoteResponse](r)
		return ok && m.Granted
	}
	for _, step := range []struct {
		id   NodeID
		term Term
		want bool
	}{{2, 2, true}, {3, 2, false}, {2, 2, true}, {4, 3, true}, {2, 3, false}, {2, 2, false}, {4, 3, true}} {
		if got := ask(step.id, step.term); got != step.want {
			t.Errorf("node %d in T%d: granted %t", step.id, step.term, got)
		}
		r.flush()
	}
}

// 5.2 with rule 3: the vote survives a crash, because its answer waits for the disk.
func TestPaperVoteSurvivesCrash(t *testing.T) {
	r := newRig(t, rigOptions{})
	r.from(2, 2, &VoteRequest{ElectionTerm: 2, Campaign: 1, Last: LogID{1, 1}})
	w, _ := find[*Write](r)
	if _, early := sent[*VoteResponse](r); early || w == nil || len(w.Then) != 1 {
		t.Fatalf("the answer did not wait: %q", r.lines())
	}
	s := rigState(rigOptions{})
	s.HardState = w.HardState
	after := newRigOf(t, s, nil)
	after.from(3, 2, &VoteRequest{ElectionTerm: 2, Campaign: 1, Last: LogID{1, 1}})
	if m, ok := sent[*VoteResponse](after); !ok || m.Granted {
		t.Errorf("a second vote in T2 after a restart: %q", after.lines())
	}
}

// 5.2: a candidate that hears of a leader of its term or a later one follows it.
func TestPaperCandidateFallsBack(t *testing.T) {
	for _, term := range []Term{2, 3} {
		r := newRig(t, rigOptions{}).campaign()
		r.from(3, term, &AppendEntries{Stream: 1, Prev: LogID{1, 1}})
		if r.e.role != RoleFollower || r.e.hard.Term != term || r.e.leader != rigPeers[2] {
			t.Errorf("an append of T%d left a %v of T%d", term, r.e.role, r.e.hard.Term)
		}
	}
	r := newRig(t, rigOptions{term: 4}).campaign()
	r.from(3, 4, &AppendEntries{Stream: 1, Prev: LogID{1, 1}})
	if r.e.role != RoleCandidate || r.e.hard.Term != 5 {
		t.Errorf("an append of T4 made a %v of T%d", r.e.role, r.e.hard.Term)
	}
}

// 5.2: time-outs are drawn at random from a fixed interval, anew each time, so
// that split votes are rare. Ours is one to two time-outs.
func TestPaperTimeoutsAreRandom(t *testing.T) {
	seen := map[time.Duration]bool{}
	for seed := range uint64(50) {
		r := newRig(t, rigOptions{configure: func(c *Config) { c.Seed = seed }})
		for range 4 {
			d := r.e.electionTimer.at.Sub(r.now)
			if d < time.Second || d >= 2*time.Second {
				t.Fatalf("a time-out of %v", d)
			}
			seen[d/(50*time.Millisecond)] = true
			r.preCampaign()
		}
	}
	if len(seen) < 20 {
		t.Errorf("200 time-outs fell into %d of 20 intervals", len(seen))
	}
}

// 5.2: nodes seldom time out together.
func TestPaperTimeoutsSeldomConflict(t *testing.T) {
	conflicts := 0
	for round := range uint64(500) {
		var deadlines []Instant
		for id := range 5 {
			r := newRig(t, rigOptions{voters: 5, configure: func(c *Config) { c.Seed = round*5 + uint64(id) }})
			deadlines = append(deadlines, r.e.electionTimer.at)
		}
		slices.Sort(deadlines)
		if deadlines[1].Sub(deadlines[0]) < 5*time.Millisecond {
			conflicts++
		}
	}
	if conflicts > 50 { // about 12 are to be expected
		t.Errorf("%d of 500 elections among five would have met within 5 ms", conflicts)
	}
}

// 5.3: a leader appends a command to its log and sends it to all others in
// parallel, each entry with its term and index.
func TestPaperReplicationBegins(t *testing.T) {
	r := newRig(t, rigOptions{}).lead()
	p := r.propose("x", "y")
	if p.Err != nil || p.Admitted != 2 || p.First != (LogID{2, 3}) {
		t.Fatalf("%+v", p)
	}
	r.expect(r.lines(), "write 3: append [2.3 x, 2.4 y]; commit 2", "replicate to 4, commit 2")
}

// 5.3: an entry is committed once it is on a majority, and the leader applies it.
func TestPaperCommitTable(t *testing.T) {
	tests := []struct {
		voters  int
		own     bool // the leader's own disk
		matched []NodeID
		want    bool
	}{
		{1, true, nil, true}, {1, false, nil, false},
		{3, true, nil, false}, {3, true, []NodeID{2}, true}, {3, true, []NodeID{2, 3}, true},
		{3, false, []NodeID{2}, false}, {3, false, []NodeID{2, 3}, true}, // rule 2
		{5, true, []NodeID{2}, false}, {5, true, []NodeID{2, 3}, true}, {5, true, []NodeID{2, 3, 4, 5}, true},
		{5, false, []NodeID{2, 3}, false}, {5, false, []NodeID{2, 3, 4}, true},
	}
	for _, test := range tests {
		r := newRig(t, rigOptions{voters: test.voters, configure: func(c *Config) { c.Volatile = true }})
		if test.voters == 1 {
			r.flush() // it campaigned at once
			r.flush()
		} else {
			r.lead()
		}
		p := r.propose("x")
		if test.own {
			r.flush()
		}
		for _, id := range test.matched {
			r.match(id, p.First.Index)
		}
		if got := r.e.commit == p.First.Index; got != test.want {
			t.Errorf("%+v: committed %t", test, got)
		}
		if applies := r.e.issued.apply == p.First.Index; applies != test.want {
			t.Errorf("%+v: apply %t", test, applies)
		}
	}
}

// 5.3: committing an entry commits all before it, those of earlier leaders too.
func TestPaperCommitsPrecedingEntries(t *testing.T) {
	for _, terms := range [][]Term{nil, {2}, {1, 2}, {1, 1, 2, 3}} {
		r := newRig(t, rigOptions{terms: terms}).elect()
		r.flush()
		r.match(2, r.e.log.last.Index)
		if want := Index(len(terms) + 2); r.e.commit != want || r.e.issued.apply != want {
			t.Errorf("%v: committed %d, told to apply %d, want %d", terms, r.e.commit, r.e.issued.apply, want)
		}
	}
}

// 5.3: a follower that learns that an entry is committed applies it, in log order.
func TestPaperFollowerCommits(t *testing.T) {
	for _, commit := range []Index{1, 2, 3, 4, 9} {
		r := newRig(t, rigOptions{})
		r.from(2, 2, &AppendEntries{Stream: 1, Prev: LogID{1, 1}, Entries: commands(LogID{2, 2}, LogID{2, 3}), Commit: commit})
		r.flush()
		if want := min(commit, 3); r.e.commit != want || r.e.issued.apply != want {
			t.Errorf("leader's commit %d: committed %d, told to apply %d, want %d", commit, r.e.commit, r.e.issued.apply, want)
		}
	}
}

// 5.3: a follower refuses entries unless it holds the one before them.
func TestPaperConsistencyCheck(t *testing.T) {
	tests := []struct {
		prev LogID
		want bool
		hint LogID
	}{
		{LogID{0, 0}, true, LogID{}},
		{LogID{1, 1}, true, LogID{}},
		{LogID{1, 2}, true, LogID{}},
		{LogID{2, 3}, true, LogID{}},
		{LogID{1, 3}, false, LogID{1, 2}}, // another term at that index
		{LogID{3, 3}, false, LogID{1, 2}},
		{LogID{2, 4}, false, LogID{2, 3}}, // nothing at that index
		{LogID{3, 9}, false, LogID{2, 3}},
		{LogID{1, 9}, false, LogID{1, 2}},
	}
	for _, test := range tests {
		r := newRig(t, rigOptions{terms: []Term{1, 2}})
		r.from(2, 4, &AppendEntries{Stream: 1, Prev: test.prev})
		var got *AppendResponse
		if w, ok := find[*Write](r); ok && len(w.Then) == 1 {
			got = w.Then[0].(*AppendResponse)
		} else {
			got, _ = sent[*AppendResponse](r)
		}
		if got == nil || got.Success != test.want || !test.want && (got.Hint != test.hint || got.Rejected != test.prev) {
			t.Errorf("after %v: %q", test.prev, r.lines())
		}
		if last := r.e.log.last; last != (LogID{2, 3}) {
			t.Errorf("after %v: an append without entries left a log that ends at %v", test.prev, last)
		}
	}
}

// 5.3: a follower's conflicting entries are removed with all that follow, and
// replaced; what is equal stays, and so does what goes on beyond the message
// (rule 4).
func TestPaperFollowerOverwrites(t *testing.T) {
	tests := []struct {
		prev    LogID
		entries []LogID
		want    []LogID // the term runs afterwards
		last    LogID
		write   string
	}{
		{LogID{2, 3}, []LogID{{4, 4}}, []LogID{{1, 1}, {2, 3}, {4, 4}}, LogID{4, 4}, "append [4.4 e4.4]"},
		{LogID{1, 2}, []LogID{{3, 3}, {4, 4}}, []LogID{{1, 1}, {3, 3}, {4, 4}}, LogID{4, 4}, "truncate from 3; append [3.3 e3.3, 4.4 e4.4]"},
		{LogID{1, 1}, []LogID{{3, 2}}, []LogID{{1, 1}, {3, 2}}, LogID{3, 2}, "truncate from 2; append [3.2 e3.2]"},
		{LogID{1, 1}, []LogID{{1, 2}}, []LogID{{1, 1}, {2, 3}}, LogID{2, 3}, ""},
		{LogID{1, 1}, []LogID{{1, 2}, {2, 3}}, []LogID{{1, 1}, {2, 3}}, LogID{2, 3}, ""},
		{LogID{1, 1}, []LogID{{1, 2}, {2, 3}, {2, 4}}, []LogID{{1, 1}, {2, 3}}, LogID{2, 4}, "append [2.4 e2.4]"},
		{LogID{0, 0}, []LogID{{1, 1}}, []LogID{{1, 1}, {2, 3}}, LogID{2, 3}, ""},
	}
	for _, test := range tests {
		r := newRig(t, rigOptions{terms: []Term{1, 2}, term: 4})
		r.from(2, 4, &AppendEntries{Stream: 1, Prev: test.prev, Entries: commands(test.entries...)})
		if !slices.Equal(r.e.log.runs, test.want) || r.e.log.last != test.last {
			t.Errorf("%+v: runs %v, last %v", test, r.e.log.runs, r.e.log.last)
		}
		w, ok := find[*Write](r)
		if ok != (test.write != "") {
			t.Errorf("%+v: %q", test, r.lines())
		} else if ok {
			match := w.Then[0].(*AppendResponse).Match
			w.Then = nil
			if got := printWrite(w); got != "write 1: "+test.write || match != test.prev.Index+Index(len(test.entries)) {
				t.Errorf("%+v: %q, match %d", test, got, match)
			}
		}
	}
}

// 5.3, Log Matching; figure 7 is testdata/paper_figure_7.txt. Here: the leader
// never removes or overwrites entries of its own (Leader Append-Only).
func TestPaperLeaderAppendOnly(t *testing.T) {
	r := newRig(t, rigOptions{terms: []Term{1, 2, 2}}).lead()
	for _, data := range []string{"a", "b", "c"} {
		r.propose(data)
		w, _ := find[*Write](r)
		if w.TruncateFrom != 0 || w.Reset.Index != 0 || w.Append[0].Index != r.e.log.last.Index {
			t.Errorf("%q", printWrite(w))
		}
	}
}

// 5.4.1: a vote request tells the candidate's last entry.
func TestPaperVoteRequestContents(t *testing.T) {
	for _, terms := range [][]Term{nil, {1}, {2, 2, 3}} {
		r := newRig(t, rigOptions{terms: terms}).preCampaign()
		m, ok := sent[*VoteRequest](r)
		if !ok || m.Last != r.e.log.last || m.ElectionTerm != r.e.hard.Term+1 || m.Header.Term != r.e.hard.Term || !m.Pre {
			t.Errorf("%v: %+v", terms, m)
		}
		r.from(2, r.e.hard.Term, &VoteResponse{Pre: true, ElectionTerm: m.ElectionTerm, Campaign: m.Campaign, Granted: true})
		w, _ := find[*Write](r)
		v := w.Then[0].(*VoteRequest)
		if v.Last != r.e.log.last || v.ElectionTerm != m.ElectionTerm || v.Header.Term != m.ElectionTerm || v.Pre || v.Campaign == m.Campaign {
			t.Errorf("%v: %+v", terms, v)
		}
	}
}

// 5.4.1: the voter refuses if its own log is more up to date: a later last term,
// or the same and a longer log.
func TestPaperUpToDateCheck(t *testing.T) {
	for _, pre := range []bool{false, true} {
		for _, test := range []struct {
			last LogID
			want bool
		}{
			{LogID{2, 3}, true}, {LogID{2, 4}, true}, {LogID{3, 1}, true}, {LogID{3, 9}, true},
			{LogID{2, 2}, false}, {LogID{1, 3}, false}, {LogID{1, 9}, false}, {LogID{}, false},
		} {
			r := newRig(t, rigOptions{terms: []Term{1, 2}})
			m := &VoteRequest{Pre: pre, ElectionTerm: 5, Campaign: 1, Last: test.last}
			if pre {
				r.from(2, 4, m)
			} else {
				r.from(2, 5, m)
			}
			granted := false
			if w, ok := find[*Write](r); ok && len(w.Then) == 1 {
				granted = w.Then[0].(*VoteResponse).Granted
			} else if a, ok := sent[*VoteResponse](r); ok {
				granted = a.Granted
			}
			if granted != test.want {
				t.Errorf("pre %t, last %v: granted %t", pre, test.last, granted)
			}
		}
	}
}

// 5.4.1 and rule 6: a vote compares the accepted log, of which some is not
// durable yet, and then waits for all of it.
func TestPaperVoteComparesAcceptedLog(t *testing.T) {
	r := newRig(t, rigOptions{}).follow(2)
	r.from(2, 2, &AppendEntries{Stream: 1, Prev: LogID{1, 1}, Entries: commands(LogID{2, 2})})
	r.now = r.e.promise.until
	r.from(3, 3, &VoteRequest{ElectionTerm: 3, Campaign: 1, Last: LogID{1, 1}})
	if m, ok := sent[*VoteResponse](r); !ok || m.Granted {
		t.Errorf("a candidate without what is accepted: %q", r.lines())
	}
	r.from(3, 3, &VoteRequest{ElectionTerm: 3, Campaign: 1, Last: LogID{2, 2}})
	w, ok := find[*Write](r)
	if !ok || len(w.Then) != 1 || !w.Then[0].(*VoteResponse).Granted || w.IOID <= 2 {
		t.Errorf("the vote does not wait behind what is accepted: %q", r.lines())
	}
}

// 5.4.2: a leader commits by counting only entries of its own term.
func TestPaperCommitsOwnTermOnly(t *testing.T) {
	for _, test := range []struct {
		match Index
		want  Index
	}{{1, 1}, {2, 1}, {3, 1}, {4, 4}} { // the log is 1.1, 2.2, 2.3, and 3.4 of its own
		r := newRig(t, rigOptions{terms: []Term{2, 2}, commit: 1, applied: 1}).elect()
		r.flush()
		r.match(2, test.match)
		r.match(3, test.match)
		if r.e.commit != test.want {
			t.Errorf("match %d: committed %d, want %d", test.match, r.e.commit, test.want)
		}
	}
}

// 5.4.3: what is committed is in the logs of all later leaders; a follower whose
// commit would be undone stops instead (State Machine Safety).
func TestPaperCommittedIsNeverRemoved(t *testing.T) {
	r := newRig(t, rigOptions{terms: []Term{1, 2}, commit: 3, term: 4})
	r.from(2, 4, &AppendEntries{Stream: 1, Prev: LogID{1, 1}, Entries: commands(LogID{1, 2}, LogID{3, 3})})
	if r.e.log.last != (LogID{2, 3}) {
		t.Errorf("a committed entry was replaced: the log ends at %v", r.e.log.last)
	}
}

// 5.5: a repeated request changes nothing.
func TestPaperRequestsAreIdempotent(t *testing.T) {
	r := newRig(t, rigOptions{})
	for range 3 {
		r.from(2, 2, &AppendEntries{Stream: 1, Prev: LogID{1, 1}, Entries: commands(LogID{2, 2}, LogID{2, 3}), Commit: 2})
		r.flush()
		if r.e.log.last != (LogID{2, 3}) || r.e.commit != 2 {
			t.Fatalf("last %v, commit %d", r.e.log.last, r.e.commit)
		}
	}
	if w, ok := find[*Write](r); ok {
		t.Errorf("held already, and written again: %q", printWrite(w))
	}
}

// 8: a new leader commits a blank entry of its term at its start, and answers no
// read before (rule 26).
func TestPaperBlankEntryBeforeReads(t *testing.T) {
	r := newRig(t, rigOptions{terms: []Term{1, 1}, commit: 2, applied: 2}).elect()
	w, ok := find[*Write](r)
	if !ok || len(w.Append) != 1 || w.Append[0].Kind != EntryBlank || w.Append[0].LogID != (LogID{2, 4}) {
		t.Fatalf("%q", r.lines())
	}
	r.step(&ReadRequest{ID: 1})
	r.from(2, 2, &HeartbeatResponse{Round: r.e.leaderState.round, Stream: 1})
	if _, early := find[*ReadReady](r); early {
		t.Fatal("a read before the first commit of the term")
	}
	r.flush()
	r.match(2, 4)
	r.from(2, 2, &HeartbeatResponse{Round: r.e.leaderState.round, Stream: 1})
	if ready, ok := find[*ReadReady](r); !ok || ready.Index != 4 {
		t.Errorf("%q", r.lines())
	}
}

// 8: a read is answered only after a round of heartbeats that a majority
// answered in this term, begun after the read.
func TestPaperReadNeedsRound(t *testing.T) {
	r := newRig(t, rigOptions{voters: 5}).lead()
	answer := func(id NodeID, round uint64) {
		r.from(id, 2, &HeartbeatResponse{Round: round, Stream: r.e.leaderState.peer(rigPeers[id-1]).stream})
	}
	for id := NodeID(2); id <= 5; id++ {
		answer(id, 1)
	}
	r.step(&ReadRequest{ID: 1})
	for _, step := range []struct {
		id    NodeID
		round uint64
		want  bool
	}{{2, 1, false}, {3, 1, false}, {2, 2, false}, {2, 2, false}, {3, 2, true}} {
		answer(step.id, step.round)
		if _, ready := find[*ReadReady](r); ready != step.want {
			t.Errorf("node %d answered round %d: ready %t", step.id, step.round, ready)
		}
	}
}
