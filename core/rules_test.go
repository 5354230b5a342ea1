package core

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/trouperaft/troupe/internal/settingstest"
)

// The tests of rules_*_test.go are about single rules of safety, by number. Rules that
// need several nodes have their stories in testdata: 1 append_aba, 2 async_writes, 3
// vote_durability, 4 heartbeat_proves_nothing, 7 restarted_leader and single_node, 10
// TestStreamEnds, 11 and 12 check_quorum, pre_vote and stale_leader_term, 13
// quiet_period_after_start, 16 hung_disk and slow_disks, 17 and 18 emptied_member, 19
// to 22 bootstrap_three, bootstrap_interrupted and learner_votes, 24
// snapshot_is_not_newer and crash_during_install, 26 read_index, read_stale_answer and
// read_on_follower.

// TestAnswerWaitsForLastWrite: rule 3: an answer depends on the last write that
// touched an index up to its match, and rides behind it if that is under way.
func TestAnswerWaitsForLastWrite(t *testing.T) {
	r := newRig(t, rigOptions{}).follow(1)
	m := &AppendEntries{Stream: 1, Prev: LogID{1, 1}, Entries: commands(LogID{1, 2})}
	r.expect(r.from(2, 1, m), "write 1: append [1.2 e1.2]; then ->2 T1 appended: match 2")
	// The same again while the first is under way: its answer will be for both.
	r.expect(r.from(2, 1, m))
	// What is durable already is answered at once.
	probe := &AppendEntries{Stream: 1, Prev: LogID{1, 1}}
	r.expect(r.from(2, 1, probe), "send ->2 T1 appended: match 1")
	r.flush()
	r.expect(r.from(2, 1, m), "send ->2 T1 appended: match 2")
	// A new term is part of what the answer depends on.
	r.expect(r.from(2, 2, probe), "write 2: T2 vote for nobody; then ->2 T2 appended: match 1", "now follower of T2, leader 2")
	r.expect(r.from(2, 2, probe))
	// Another stream has not been answered, and rides behind the write of the term.
	other := &AppendEntries{Stream: 2, Prev: LogID{1, 1}}
	r.expect(r.from(2, 2, other), "write 3: then ->2 T2 appended: match 1")
}

// TestAnswerIsCompleteWhenAttached: rule 3: an answer has the term of its request,
// whatever happens before it leaves.
func TestAnswerIsCompleteWhenAttached(t *testing.T) {
	r := newRig(t, rigOptions{}).follow(2)
	r.from(2, 2, &AppendEntries{Stream: 1, Prev: LogID{1, 1}, Entries: commands(LogID{2, 2})})
	w, _ := find[*Write](r)
	first := *w
	r.from(3, 3, &AppendEntries{Stream: 4, Prev: LogID{1, 1}, Entries: commands(LogID{3, 2})})
	a := first.Then[0].(*AppendResponse)
	if a.Header.Term != 2 || a.Stream != 1 || a.To != rigPeers[1] || a.Match != 2 {
		t.Errorf("%+v", a)
	}
}

// TestRepeatedVoteIsDurable: rule 3: a vote that was given already is given again, and
// the answer waits for the same write.
func TestRepeatedVoteIsDurable(t *testing.T) {
	r := newRig(t, rigOptions{})
	ask := func() []string {
		return r.from(2, 2, &VoteRequest{ElectionTerm: 2, Campaign: 1, Last: LogID{1, 1}})
	}
	r.expect(ask(), "write 1: T2 vote for 2; then ->2 T2 vote for T2 granted", "now follower of T2, leader 0")
	r.expect(ask(), "write 2: then ->2 T2 vote for T2 granted")
	r.expect(r.from(3, 2, &VoteRequest{ElectionTerm: 2, Campaign: 1, Last: LogID{1, 1}}), "send ->3 T2 vote for T2 refused")
}

// TestCommitOnlyIsNotAnswered: it proves nothing that the leader does not know;
// only a refusal says something new.
func TestCommitOnlyIsNotAnswered(t *testing.T) {
	r := newRig(t, rigOptions{}).follow(1)
	r.from(2, 1, &AppendEntries{Stream: 1, Prev: LogID{1, 1}, Entries: commands(LogID{1, 2})})
	r.flush()
	r.expect(r.from(2, 1, &AppendEntries{Stream: 1, Prev: LogID{1, 2}, Commit: 2, CommitOnly: true}), "apply to 2")
	r.expect(r.from(2, 1, &AppendEntries{Stream: 1, Prev: LogID{1, 3}, Commit: 3, CommitOnly: true}), "send ->2 T1 append after 1.3 refused, hint 1.2")
}

// TestHeartbeatNeverWaits: rule 3: its answer leaves at once, with what is durable
// and proved in its term.
func TestHeartbeatNeverWaits(t *testing.T) {
	r := newRig(t, rigOptions{}).follow(2)
	match := func() Index {
		t.Helper()
		r.from(2, 2, &Heartbeat{Round: 9, Stream: 1})
		m, ok := sent[*HeartbeatResponse](r)
		if !ok {
			t.Fatalf("no answer: %q", r.lines())
		}
		return m.Match
	}
	r.from(2, 2, &AppendEntries{Stream: 1, Prev: LogID{1, 1}, Entries: commands(LogID{2, 2})})
	if got := match(); got != 0 {
		t.Errorf("match %d while not even the term is durable", got)
	}
	r.step(&Flushed{1})
	if got := match(); got != 1 {
		t.Errorf("match %d, the entry is not durable", got)
	}
	r.flush()
	if got := match(); got != 2 {
		t.Errorf("match %d, want 2", got)
	}
	// What was proved in another term proves nothing now.
	r.from(3, 3, &Heartbeat{Round: 1, Stream: 1})
	r.flush()
	r.from(3, 3, &Heartbeat{Round: 2, Stream: 1})
	if m, _ := sent[*HeartbeatResponse](r); m == nil || m.Match != 0 {
		t.Errorf("match of the last term: %q", r.lines())
	}
}

// TestCommitOnlyWhatIsProved: rule 4.
func TestCommitOnlyWhatIsProved(t *testing.T) {
	r := newRig(t, rigOptions{terms: []Term{1, 1, 1}}).follow(2)
	for _, step := range []struct {
		m    Message
		want Index
	}{
		{&Heartbeat{Round: 2, Stream: 1, Commit: 4}, 0},
		{&AppendEntries{Stream: 1, Prev: LogID{1, 2}, Commit: 4}, 2},
		{&Heartbeat{Round: 3, Stream: 1, Commit: 3}, 2},
		{&AppendEntries{Stream: 1, Prev: LogID{1, 2}, Entries: commands(LogID{1, 3}), Commit: 2}, 2},
		{&Heartbeat{Round: 4, Stream: 1, Commit: 4}, 3},
		{&Heartbeat{Round: 5, Stream: 1, Commit: 1}, 3},
	} {
		r.from(2, 2, step.m)
		if r.e.commit != step.want {
			t.Errorf("after %s: commit %d, want %d", printMessage(step.m), r.e.commit, step.want)
		}
	}
}

// TestStaleAnswersAreDropped: rules 5 and 18, on the leader.
func TestStaleAnswersAreDropped(t *testing.T) {
	for name, change := range map[string]func(m *HeartbeatResponse){
		"another stream":                       func(m *HeartbeatResponse) { m.Stream = 9 },
		"another incarnation":                  func(m *HeartbeatResponse) { m.From.Incarnation = 1 },
		"a lower term":                         func(m *HeartbeatResponse) { m.Header.Term = 1 },
		"a round that was not begun":           func(m *HeartbeatResponse) { m.Round = 99 },
		"a higher term of another incarnation": func(m *HeartbeatResponse) { m.From.Incarnation = 1; m.Header.Term = 9 },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, rigOptions{}).elect()
			r.flush()
			m := r.address(2, 2, &HeartbeatResponse{Round: 1, Stream: 1, Match: 2}).(*HeartbeatResponse)
			change(m)
			r.expect(r.step(m))
			if r.e.commit != 0 || r.e.role != RoleLeader {
				t.Errorf("commit %d, a %v", r.e.commit, r.e.role)
			}
		})
	}
}

// TestStaleMatchesAreDropped: rules 5 and 18: the leader's own entry is durable, so
// that any match that counts commits it.
func TestStaleMatchesAreDropped(t *testing.T) {
	for name, test := range map[string]struct {
		m      Matched
		counts bool
	}{
		"of its stream":                {Matched{rigPeers[1], 1, 2}, true},
		"of a stream that has ended":   {Matched{rigPeers[1], 9, 2}, false},
		"of the stream of another":     {Matched{rigPeers[1], 2, 2}, false},
		"of another incarnation":       {Matched{Identity{ID: 2, Incarnation: 1}, 1, 2}, false},
		"beyond the end of the log":    {Matched{rigPeers[1], 1, 99}, false},
		"of somebody who is no peer":   {Matched{rigPeers[3], 1, 2}, false},
		"of the leader's own identity": {Matched{rigPeers[0], 1, 2}, false},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, rigOptions{}).elect()
			r.flush()
			r.step(&test.m)
			if counted := r.e.commit == 2; counted != test.counts || !counted && len(r.last) > 0 {
				t.Errorf("commit %d: %q", r.e.commit, r.lines())
			}
		})
	}
}

// TestVotesOfStrangersAreIgnored: rule 18: neither a vote nor a term of another
// incarnation counts.
func TestVotesOfStrangersAreIgnored(t *testing.T) {
	r := newRig(t, rigOptions{}).campaign()
	for _, term := range []Term{2, 9} {
		m := r.address(2, term, &VoteResponse{ElectionTerm: 2, Campaign: r.e.election.campaign, Granted: true})
		m.Head().From.Incarnation = 1
		r.expect(r.step(m))
	}
	if r.e.role != RoleCandidate || r.e.hard.Term != 2 {
		t.Errorf("a %v of T%d", r.e.role, r.e.hard.Term)
	}
}

// TestApplyStaysBehindFlush: rule 8: only a volatile machine may run ahead of the
// disk.
func TestApplyStaysBehindFlush(t *testing.T) {
	for _, volatile := range []bool{false, true} {
		r := newRig(t, rigOptions{configure: func(c *Config) { c.Volatile = volatile }}).elect()
		r.match(2, 2)
		r.match(3, 2)
		if a, ok := find[*Apply](r); !ok || a.UpTo != map[bool]Index{false: 1, true: 2}[volatile] {
			t.Errorf("volatile %t: %q", volatile, r.lines())
		}
		r.flush()
		if a, ok := find[*Apply](r); ok == volatile || ok && a.UpTo != 2 {
			t.Errorf("volatile %t, flushed: %q", volatile, r.lines())
		}
	}
}

// TestCommitAtStart: rule 8: max(stored, applied, snapshot), at most last.
func TestCommitAtStart(t *testing.T) {
	snapshot := func(s *State, id LogID) {
		s.Snapshot = SnapshotMeta{LogID: id, Cluster: worldCluster, Configuration: s.Configurations[0]}
	}
	for name, test := range map[string]struct {
		change func(s *State)
		want   Index
	}{
		"nothing":                       {func(*State) {}, 0},
		"stored":                        {func(s *State) { s.Commit = 2 }, 2},
		"beyond last":                   {func(s *State) { s.Commit = 9 }, 4},
		"applied":                       {func(s *State) { s.Commit, s.Applied = 1, LogID{1, 3} }, 3},
		"snapshot":                      {func(s *State) { snapshot(s, LogID{1, 3}) }, 3},
		"a snapshot that the log lacks": {func(s *State) { snapshot(s, LogID{2, 9}) }, 9},
	} {
		s := rigState(rigOptions{terms: []Term{1, 1, 1}, term: 2})
		test.change(&s)
		if r := newRigOf(t, s, nil); r.e.commit != test.want {
			t.Errorf("%s: commit %d, want %d", name, r.e.commit, test.want)
		}
	}
}

// TestProposeLimits: what is admitted, and the error that says why the rest was not.
func TestProposeLimits(t *testing.T) {
	size := (&Entry{Data: []byte("xx")}).Size()
	r := newRig(t, rigOptions{configure: func(c *Config) { c.UncommittedBytesMax = 2 * size }}).lead()
	for _, step := range []struct {
		data     []string
		admitted int
		err      error
	}{
		{[]string{"aa", "bb", "cc"}, 2, ErrOverloaded},
		{[]string{"dd"}, 0, ErrOverloaded},
	} {
		if p := r.propose(step.data...); p.Admitted != step.admitted || !errors.Is(p.Err, step.err) {
			t.Errorf("%v: %d admitted, %v", step.data, p.Admitted, p.Err)
		}
	}
	r.flush()
	r.match(2, r.e.log.last.Index)
	if r.e.leaderState.uncommittedBytes != 0 || len(r.e.leaderState.uncommitted) != 0 {
		t.Errorf("%d bytes are counted after all was committed", r.e.leaderState.uncommittedBytes)
	}
	// One is always admitted while nothing else is uncommitted, whatever its size.
	if p := r.propose(strings.Repeat("x", 10*size), "y"); p.Admitted != 1 || !errors.Is(p.Err, ErrOverloaded) {
		t.Errorf("a large one: %d admitted, %v", p.Admitted, p.Err)
	}
	p := &Propose{ExpectedTerm: 1, Entries: []Entry{{Kind: EntryCommand}}}
	if r.step(p); !errors.Is(p.Err, ErrTermChanged) || p.Admitted != 0 {
		t.Errorf("another term: %d, %v", p.Admitted, p.Err)
	}
	follower := newRig(t, rigOptions{}).follow(1)
	var not *NotLeaderError
	if p := follower.propose("x"); !errors.As(p.Err, &not) || not.Leader != 2 || MayHaveHappened(p.Err) {
		t.Errorf("on a follower: %v", p.Err)
	}
}

// TestTimesGoOnWhereTheLastLeaderWas: a leader's first entry is not earlier than the
// last one that it has, wherever it has the time of that from.
func TestTimesGoOnWhereTheLastLeaderWas(t *testing.T) {
	behind := func(s *State) { // a log that ends with its snapshot
		*s = rigState(rigOptions{terms: []Term{1, 1}, purged: 3})
		s.Snapshot.Time = 100
	}
	for name, test := range map[string]struct {
		state func(s *State)
		hear  func(r *rig)
	}{
		"the log at the start":      {func(s *State) { s.LastTime = 100 }, nil},
		"the snapshot at the start": {behind, nil},
		"a snapshot at the start that the log lacks": {func(s *State) {
			s.Snapshot = rigSnapshot(LogID{1, 9})
			s.Snapshot.Time, s.LastTime = 100, 50
		}, nil},
		"a snapshot older than the log": {func(s *State) {
			*s = rigState(rigOptions{terms: []Term{1, 1}, purged: 2})
			s.Snapshot.Time, s.LastTime = 50, 100
		}, nil},
		"an append": {nil, func(r *rig) {
			entries := commands(LogID{1, 2}, LogID{1, 3})
			entries[0].Time, entries[1].Time = 99, 100
			r.from(2, 1, &AppendEntries{Stream: 1, Prev: LogID{1, 1}, Entries: entries})
		}},
		"a snapshot of the leader": {nil, func(r *rig) {
			meta := rigSnapshot(LogID{1, 9})
			meta.Time = 100
			r.follow(1)
			r.step(&SnapshotReceived{meta, rigPeers[1], 1, 1})
			r.flush()
			r.step(&SnapshotInstalled{meta.LogID})
		}},
	} {
		t.Run(name, func(t *testing.T) {
			s := rigState(rigOptions{})
			if test.state != nil {
				test.state(&s)
			}
			r := newRigOf(t, s, nil)
			if test.hear != nil {
				test.hear(r)
			}
			r.flush()
			if meta := r.e.snapshots.installing; meta != nil {
				r.step(&SnapshotInstalled{meta.LogID})
			}
			r.elect()
			if w, ok := find[*Write](r); !ok || len(w.Append) != 1 || w.Append[0].Time != 100 {
				t.Errorf("the blank entry of the new leader: %+v", w)
			}
		})
	}
}

// TestMalformedAppends: a peer's nonsense changes nothing and panics nowhere.
func TestMalformedAppends(t *testing.T) {
	for name, entries := range map[string][]Entry{
		"a hole":                       commands(LogID{1, 3}),
		"a term that falls":            commands(LogID{2, 2}, LogID{1, 3}),
		"a term above the leader's":    commands(LogID{9, 2}),
		"a configuration that is none": {{LogID: LogID{2, 2}, Kind: EntryConfiguration, Data: []byte("x")}},
	} {
		r := newRig(t, rigOptions{}).follow(2)
		if r.expect(r.from(2, 2, &AppendEntries{Stream: 1, Prev: LogID{1, 1}, Entries: entries})); r.e.log.last != (LogID{1, 1}) {
			t.Errorf("%s: the log ends at %v", name, r.e.log.last)
		}
	}
	r := newRig(t, rigOptions{}).follow(2)
	for _, meta := range []SnapshotMeta{{}, {LogID: LogID{2, 9}}, {LogID: LogID{2, 9}, Cluster: worldCluster}} {
		r.expect(r.from(2, 2, &SnapshotChunk{Stream: 1, Transfer: 1, Meta: meta}), "send ->2 T2 snapshot refused: malformed")
	}
}

// TestConfigValidate names each field.
func TestConfigValidate(t *testing.T) {
	for want, change := range map[string]func(c *Config){
		"Group": func(c *Config) { c.Group = 0 }, "Self": func(c *Config) { c.Self.Incarnation = 0 },
		"ElectionTimeout":     func(c *Config) { c.ElectionTimeout = 0 },
		"HeartbeatInterval":   func(c *Config) { c.HeartbeatInterval = c.ElectionTimeout/3 + 1 },
		"HungLimit":           func(c *Config) { c.HungLimit = c.ElectionTimeout - 1 },
		"QuietPeriod":         func(c *Config) { c.QuietPeriod = -1 },
		"UncommittedBytesMax": func(c *Config) { c.UncommittedBytesMax = 0 },
		"between 10ms and":    func(c *Config) { c.ElectionTimeout, c.HeartbeatInterval = 9*time.Millisecond, time.Millisecond },
	} {
		c := testConfig(rigPeers[0])
		if err := c.Validate(); err != nil {
			t.Fatal(err)
		}
		change(&c)
		if _, err := NewEngine(c, State{}, 1); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

// TestNegativeSettings asserts that each number that can be negative has a rule.
func TestNegativeSettings(t *testing.T) {
	settingstest.Negative(t, testConfig(rigPeers[0]), func(c Config) error { return c.Validate() })
}
