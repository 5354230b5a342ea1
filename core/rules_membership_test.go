package core

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/trouperaft/troupe/membership"
)

// TestIdentity: rule 17: who is meant, and of which cluster, by name.
func TestIdentity(t *testing.T) {
	r := newRig(t, rigOptions{}).follow(1)
	m := r.address(2, 9, &VoteResponse{})
	m.Head().To.Incarnation = 1
	r.expect(r.step(m)) // an answer is dropped, nobody answers it
	identify := r.address(2, 0, &IdentifyRequest{ID: 1})
	identify.Head().To.Incarnation, identify.Head().Cluster = 0, ClusterID{}
	r.expect(r.step(identify), "send ->2 T0 I am 1/10, not empty")
	anyone := r.address(2, 9, &Heartbeat{Round: 1})
	anyone.Head().To.Incarnation = 0
	r.expect(r.step(anyone)) // only Identify addresses whoever is there
	for name, change := range map[string]func(h *Header){
		"another group": func(h *Header) { h.Group = 2 },
		"another node":  func(h *Header) { h.To.ID = 2 },
		"from nobody":   func(h *Header) { h.From.ID = 0 },
		"from oneself":  func(h *Header) { h.From = r.e.cfg.Self },
		"to nobody":     func(h *Header) { h.To = Identity{} },
	} {
		m := r.address(2, 9, &Heartbeat{Round: 1})
		change(m.Head())
		if lines := r.step(m); len(lines) > 0 {
			t.Errorf("%s: %q", name, lines)
		}
	}
}

// TestEmptyNodeAdoptsCluster: rule 17: durably, before its first answer; rule 19:
// it never votes.
func TestEmptyNodeAdoptsCluster(t *testing.T) {
	first := Entry{LogID: LogID{1, 1}, Kind: EntryConfiguration}
	state := rigState(rigOptions{})
	first.Data = state.Configurations[0].Configuration.Encode()
	r := newRigOf(t, State{}, nil)
	r.expect(r.from(2, 3, &VoteRequest{ElectionTerm: 3, Campaign: 1, Last: LogID{1, 1}}), "send ->2 T0 vote for T3 refused")
	introduction := r.address(2, 3, &AppendEntries{Stream: 1, Entries: []Entry{first}})
	introduction.Head().Introduces = true
	r.step(introduction)
	w, ok := find[*Write](r)
	if !ok || w.HardState.Cluster != worldCluster || len(w.Then) != 1 {
		t.Fatalf("%q", r.lines())
	}
	other := r.address(3, 3, &Heartbeat{Round: 1, Stream: 1})
	r.now = r.now.Add(r.e.cfg.ElectionTimeout + 1)
	other.Head().Cluster = clusterID(0xee)
	r.expect(r.step(other), "notice: 3 other cluster in T0: it does not prove to know the cluster "+worldCluster.String())
}

// TestBootstrapRefusals: rule 19.
func TestBootstrapRefusals(t *testing.T) {
	list := func(ids ...Identity) (members []membership.Member) {
		for _, id := range ids {
			members = append(members, membership.Member{Identity: id})
		}
		return members
	}
	p := rigPeers
	for name, test := range map[string]struct {
		members []membership.Member
		want    string
	}{
		"without oneself":                {list(p[1], p[2]), "node 1 was asked to bootstrap, and is not in the list"},
		"nobody":                         {nil, "is not in the list"},
		"another incarnation of oneself": {list(Identity{ID: 1, Incarnation: 99}, p[1]), "is not in the list"},
		"a node twice":                   {list(p[0], p[1], Identity{ID: 2, Incarnation: 99}), "node 2 stands in the list twice"},
		"an incarnation twice":           {list(p[0], Identity{ID: 2, Incarnation: p[0].Incarnation}), "node 2 has the incarnation of another member"},
		"an id of 0":                     {list(p[0], Identity{}), "a member has the id 0"},
		"a long address":                 {append(list(p[0]), membership.Member{Identity: p[1], Address: strings.Repeat("x", 2000)}), "address of 2000 bytes"},
	} {
		r := newRigOf(t, State{}, nil)
		ev := &Bootstrap{Cluster: worldCluster, Members: test.members}
		r.step(ev)
		var refused *BootstrapError
		if !errors.As(ev.Err, &refused) || !strings.Contains(ev.Err.Error(), test.want) || len(r.last) > 0 {
			t.Errorf("%s: %v, %q", name, ev.Err, r.lines())
		}
	}
	r := newRig(t, rigOptions{})
	for _, test := range []struct {
		members []membership.Member
		ok      bool
	}{{list(p[:3]...), true}, {list(p[2], p[0], p[1]), true}, {list(p[:2]...), false}, {list(p[:4]...), false}, {list(p[0], p[1], Identity{ID: 3}), true}, {list(p[0], p[1], p[3]), false}} {
		ev := &Bootstrap{Members: test.members}
		if r.expect(r.step(ev)); (ev.Err == nil) != test.ok {
			t.Errorf("%v: %v", test.members, ev.Err)
		}
	}
}

// TestMayCampaign: rule 20: a voter of the latest configuration, or of any since
// and including the last one known to be committed.
func TestMayCampaign(t *testing.T) {
	with := func(ids ...int) membership.Configuration {
		var c membership.Configuration
		for _, id := range rigPeers[:3] {
			c.Members = append(c.Members, membership.Member{Identity: id})
		}
		for _, i := range ids {
			c.Voters = append(c.Voters, rigPeers[i-1])
		}
		return c
	}
	for _, test := range []struct {
		configurations []membership.Configuration // at 1, 2, ...
		commit         Index
		want           bool
	}{
		{[]membership.Configuration{with(1, 2, 3)}, 0, true},
		{[]membership.Configuration{with(2, 3)}, 1, false},
		{[]membership.Configuration{with(1, 2, 3), with(2, 3)}, 1, true},
		{[]membership.Configuration{with(1, 2, 3), with(2, 3)}, 2, false},
		{[]membership.Configuration{with(2, 3), with(1, 2, 3), with(2, 3)}, 1, true},
		{[]membership.Configuration{with(2, 3), with(1, 2, 3)}, 1, true},
	} {
		s := State{HardState: HardState{Term: 1, Cluster: worldCluster}, Terms: []LogID{{1, 1}}, Commit: test.commit}
		for i, c := range test.configurations {
			s.Last = LogID{1, Index(i) + 1}
			s.Configurations = append(s.Configurations, ConfigurationAt{s.Last, c})
		}
		r := newRigOf(t, s, nil)
		if got := r.e.mayEverCampaign() && r.e.electionTimer.armed != 0; got != test.want {
			t.Errorf("%v at commit %d: may campaign %t", test.configurations, test.commit, got)
			continue
		}
		if !test.want {
			continue
		}
		// It counts itself only where it votes now.
		r.preCampaign()
		latest := test.configurations[len(test.configurations)-1]
		if r.e.election.votes[r.e.cfg.Self] != latest.IsVoter(r.e.cfg.Self) {
			t.Errorf("%v: counts itself %t", test.configurations, r.e.election.votes[r.e.cfg.Self])
		}
	}
}

// TestRemovedLeader: rules 20 and 22: a leader that votes no more does not count
// itself, and steps down when that is committed.
func TestRemovedLeader(t *testing.T) {
	s := rigState(rigOptions{})
	c := s.Configurations[0].Configuration
	c.Voters = c.Voters[1:]
	s.Last = LogID{1, 2}
	s.Configurations = append(s.Configurations, ConfigurationAt{LogID{1, 2}, c})
	s.Commit = 1
	r := newRigOf(t, s, nil).preCampaign()
	answer := func(pre bool) {
		for _, id := range []NodeID{2, 3} {
			r.from(id, r.e.hard.Term, &VoteResponse{Pre: pre, ElectionTerm: max(2, r.e.hard.Term), Campaign: r.e.election.campaign, Granted: true})
		}
	}
	answer(true)
	r.flush()
	if r.e.role != RoleCandidate {
		t.Fatalf("a %v", r.e.role)
	}
	answer(false)
	r.flush()
	r.match(2, 3)
	if r.e.role != RoleLeader || r.e.commit != 1 {
		t.Fatalf("a %v with commit %d: the leader counted itself", r.e.role, r.e.commit)
	}
	r.match(3, 3)
	if r.e.role != RoleLearner || r.e.commit != 3 {
		t.Errorf("a %v with commit %d", r.e.role, r.e.commit)
	}
}

// leftJoint is what a leader of term 1 left behind: its last entry, 1.2, is a joint
// configuration that takes node 1 out of the voters 1, 2 and 3.
func leftJoint() State {
	s := rigState(rigOptions{})
	c := s.Configurations[0].Configuration
	c.Outgoing, c.Voters = c.Voters, c.Voters[1:]
	s.Last = LogID{1, 2}
	s.Configurations = append(s.Configurations, ConfigurationAt{s.Last, c})
	return s
}

// leadJoint makes the rig the leader of a joint configuration, which needs the votes
// of both halves.
func leadJoint(t *testing.T, s State) *rig {
	t.Helper()
	r := newRigOf(t, s, nil).preCampaign()
	for _, pre := range []bool{true, false} {
		for _, id := range []NodeID{2, 3} {
			r.from(id, r.e.hard.Term, &VoteResponse{Pre: pre, ElectionTerm: 2, Campaign: r.e.election.campaign, Granted: true})
		}
		if pre {
			r.flush()
		}
	}
	if r.e.role != RoleLeader {
		t.Fatalf("a %v", r.e.role)
	}
	return r
}

// TestRemovedLeaderStaysForTheCommit: rule 22: a leader that is no voter of the latest
// configuration leads until that is committed, whatever is committed before it.
func TestRemovedLeaderStaysForTheCommit(t *testing.T) {
	r := leadJoint(t, leftJoint())
	if p := r.propose("a", "b"); p.Admitted != 2 { // at 4 and 5, behind the blank entry
		t.Fatal(p.Err)
	}
	r.flush()
	both := func(i Index) {
		r.match(2, i)
		r.match(3, i)
	}
	both(3)
	at := r.e.configs.latest()
	if at.LogID != (LogID{2, 6}) || at.Configuration.Joint() || at.Configuration.IsVoter(r.e.cfg.Self) {
		t.Fatalf("in force is %v: %v", at.LogID, at.Configuration.String())
	}
	if both(5); r.e.role != RoleLeader || r.e.commit != 5 {
		t.Fatalf("a %v with commit %d, before the configuration without it is committed", r.e.role, r.e.commit)
	}
	if both(6); r.e.role == RoleLeader || r.e.commit != 6 {
		t.Errorf("a %v with commit %d", r.e.role, r.e.commit)
	}
}

// TestChangeWaitsForTheOwnTerm: rule 21: though the configuration is committed, the
// next change waits until the leader has committed an entry of its own term: an
// earlier leader may have begun another change that it does not know.
func TestChangeWaitsForTheOwnTerm(t *testing.T) {
	s := leftJoint()
	s.Commit = 2
	r := leadJoint(t, s)
	r.flush()
	if r.e.log.last != (LogID{2, 3}) {
		t.Fatalf("the log goes on to %v before 2.3 is committed", r.e.log.last)
	}
	r.match(2, 3)
	if r.e.commit != 2 || r.e.log.last != (LogID{2, 3}) {
		t.Fatalf("commit %d, the log goes on to %v: node 2 is no quorum of the incoming half", r.e.commit, r.e.log.last)
	}
	r.match(3, 3)
	if at := r.e.configs.latest(); r.e.commit != 3 || at.LogID != (LogID{2, 4}) || at.Configuration.Joint() {
		t.Errorf("commit %d, in force is %v: %v", r.e.commit, at.LogID, at.Configuration.String())
	}
}

// TestConfigurationRollsBack: rule 23: a truncation takes the configuration back.
func TestConfigurationRollsBack(t *testing.T) {
	r := newRig(t, rigOptions{}).follow(2)
	c := r.e.configs.latest().Configuration
	c.Voters = c.Voters[1:]
	r.from(2, 2, &AppendEntries{Stream: 1, Prev: LogID{1, 1}, Entries: []Entry{{LogID: LogID{2, 2}, Kind: EntryConfiguration, Data: c.Encode()}}, Commit: 1})
	if at, ok := find[*ConfigurationChanged](r); !ok || at.At.Index != 2 || r.e.role != RoleLearner {
		t.Fatalf("a %v: %q", r.e.role, r.lines())
	}
	r.from(3, 3, &AppendEntries{Stream: 1, Prev: LogID{1, 1}, Entries: commands(LogID{3, 2})})
	if at, ok := find[*ConfigurationChanged](r); !ok || at.At.LogID != (LogID{1, 1}) || r.e.role != RoleFollower || r.e.electionTimer.at == 0 {
		t.Errorf("a %v: %q", r.e.role, r.lines())
	}
}

// TestSnapshotForgetsNoPredecessor: rule 23: a snapshot is the end of what lies before
// the configuration in force at its entry. That one stays, for as long as a later one
// may be taken back.
func TestSnapshotForgetsNoPredecessor(t *testing.T) {
	s := rigState(rigOptions{terms: []Term{1, 1}, commit: 3, applied: 3})
	old := s.Configurations[0]
	wider := old.Configuration
	wider.Members = append(slices.Clone(wider.Members), membership.Member{Identity: rigPeers[3]})
	// One that a later one has replaced, and that was committed with it.
	s.Configurations = append(s.Configurations, ConfigurationAt{LogID{1, 2}, wider})
	r := newRigOf(t, s, func(c *Config) { c.KeepEntries = 1 }).follow(2)
	c := wider
	c.Voters = c.Voters[1:]
	r.from(2, 2, &AppendEntries{Stream: 1, Prev: LogID{1, 3}, Entries: []Entry{{LogID: LogID{2, 4}, Kind: EntryConfiguration, Data: c.Encode()}}, Commit: 3})
	r.flush()
	if r.e.commit != 3 || r.e.role != RoleLearner {
		t.Fatalf("a %v with commit %d", r.e.role, r.e.commit)
	}
	inForce := r.e.ConfigurationAt(3)
	r.step(&SnapshotBuilt{Meta: SnapshotMeta{LogID: LogID{1, 3}, Cluster: worldCluster, Configuration: inForce}})
	if r.e.snapshots.newest.Index != 3 || inForce.LogID != (LogID{1, 2}) || r.e.configs.at[0].LogID != inForce.LogID {
		t.Fatalf("the snapshot is that of %v, in force there was %v, the first that is remembered is %v", r.e.snapshots.newest.LogID, inForce.LogID, r.e.configs.at[0].LogID)
	}
	r.from(3, 3, &AppendEntries{Stream: 1, Prev: LogID{1, 3}, Entries: commands(LogID{3, 4})})
	if at, ok := find[*ConfigurationChanged](r); !ok || at.At.LogID != (LogID{1, 2}) || !at.At.Configuration.IsVoter(r.e.cfg.Self) || r.e.role != RoleFollower {
		t.Errorf("a %v: %q", r.e.role, r.lines())
	}
}

// TestReaderOfAnotherIncarnation: rule 18: the leader tells it by name, and gives it
// no index.
func TestReaderOfAnotherIncarnation(t *testing.T) {
	r := newRig(t, rigOptions{}).lead()
	m := r.address(3, 2, &ReadIndexRequest{ID: 1})
	m.Head().From.Incarnation = 1
	r.expect(r.step(m), "send ->3 T2 refusal: not the member of that name")
	if refusal, _ := sent[*Refusal](r); refusal == nil || refusal.Known != rigPeers[2] {
		t.Errorf("%+v", refusal)
	}
	if len(r.e.reads.confirming) > 0 {
		t.Error("the read is under way all the same")
	}
}
