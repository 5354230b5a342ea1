package core

import (
	"errors"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/trouperaft/troupe/membership"
)

var newCluster = clusterID(0xd2)

// recover plans a recovery of a rig's node 1, and returns it with what the store holds
// then.
func recovered(t *testing.T, s State) (*Recovery, State) {
	t.Helper()
	r, err := PlanRecovery(s, rigPeers[0], "new:1", newCluster, 77)
	if err != nil {
		t.Fatal(err)
	}
	c, err := membership.Decode(r.Entry.Data)
	if err != nil {
		t.Fatal(err)
	}
	log := termRuns{purged: s.Purged, last: s.Last, runs: slices.Clone(s.Terms)}
	s.Configurations = slices.Clone(s.Configurations)
	if r.Reset.Index > 0 {
		log.reset(r.Reset)
		s.Configurations = nil
	}
	log.extend([]Entry{r.Entry})
	s.HardState, s.Purged, s.Last, s.Terms = r.HardState, log.purged, log.last, log.runs
	s.Commit, s.LastTime = r.Entry.Index, r.Entry.Time
	s.Configurations = append(s.Configurations, ConfigurationAt{r.Entry.LogID, c})
	return r, s
}

// TestPlanRecovery: whatever the survivor holds, it goes on from its last entry, alone,
// in a term that nobody has reached, and under another id.
func TestPlanRecovery(t *testing.T) {
	joint := func(s *State) {
		c := s.Configurations[0].Configuration.Clone()
		c.Outgoing = c.Voters
		c.Voters = []Identity{rigPeers[1], rigPeers[2]}
		s.Configurations = append(s.Configurations, ConfigurationAt{LogID{2, 3}, c})
	}
	for name, test := range map[string]struct {
		options rigOptions
		change  func(s *State)
		last    LogID
		term    Term
		commit  Index
		reset   LogID
		alone   bool
	}{
		"a follower":            {options: rigOptions{terms: []Term{1, 2, 2}, term: 5, commit: 2}, last: LogID{2, 4}, term: 5, commit: 2},
		"a learner":             {options: rigOptions{terms: []Term{1}, learner: true}, last: LogID{1, 2}, term: 1},
		"a joint configuration": {options: rigOptions{terms: []Term{1, 2, 2}, commit: 2}, change: joint, last: LogID{2, 4}, term: 2, commit: 2},
		"a purged log":          {options: rigOptions{terms: []Term{1, 2, 2}, purged: 3}, last: LogID{2, 4}, term: 2, commit: 3},
		"alone already":         {options: rigOptions{terms: []Term{1}, voters: 1}, last: LogID{1, 2}, term: 1, alone: true},
		"a machine of its own":  {options: rigOptions{terms: []Term{1, 2, 2}, purged: 3, applied: 4}, last: LogID{2, 4}, term: 2, commit: 3},
		"a snapshot above the log": {options: rigOptions{terms: []Term{1}}, change: func(s *State) {
			s.Snapshot = SnapshotMeta{LogID: LogID{3, 9}, Cluster: worldCluster, Configuration: s.Configurations[0], Time: 90}
		}, last: LogID{3, 9}, term: 1, commit: 9, reset: LogID{3, 9}},
		"nothing left of the log": {options: rigOptions{terms: []Term{1, 2, 2}, purged: 4}, change: func(s *State) {
			s.Snapshot.Time, s.LastTime = math.MaxInt64, 0
		}, last: LogID{2, 4}, term: 2, commit: 4},
		"nothing left but a record": {options: rigOptions{terms: []Term{1, 2, 2}, purged: 4, applied: 4}, change: func(s *State) {
			s.Record, s.Snapshot, s.LastTime = s.Snapshot, SnapshotMeta{}, 0
			s.Record.Time = math.MaxInt64
		}, last: LogID{2, 4}, term: 2, commit: 4},
		"a snapshot alone": {options: rigOptions{}, change: func(s *State) {
			*s = State{Snapshot: SnapshotMeta{LogID: LogID{3, 9}, Cluster: worldCluster, Configuration: s.Configurations[0]}}
		}, last: LogID{3, 9}, commit: 9, reset: LogID{3, 9}},
	} {
		t.Run(name, func(t *testing.T) {
			s := rigState(test.options)
			if test.change != nil {
				test.change(&s)
			}
			r, after := recovered(t, s)
			if r.Last != test.last || r.Term != test.term || r.Commit != test.commit || r.Reset != test.reset || r.Alone != test.alone || r.Before != worldCluster {
				t.Errorf("%+v", r)
			}
			term := max(test.term, test.last.Term) + 1<<20
			if want := (HardState{Term: term, Vote: rigPeers[0], Cluster: newCluster}); r.HardState != want || r.Entry.LogID != (LogID{term, test.last.Index + 1}) || r.Entry.Time < max(s.LastTime, s.Snapshot.Time, s.Record.Time) || r.LastTime < max(s.Snapshot.Time, s.Record.Time) {
				t.Errorf("hard state %+v, entry %v", r.HardState, r.Entry)
			}
			c := after.Configurations[len(after.Configurations)-1].Configuration
			if !c.IsSoleVoter(rigPeers[0]) || len(c.Members) != 1 || c.Members[0].Address != "new:1" || c.Target != nil || c.Founding.IsZero() ||
				!RecoveredFrom(&c, worldCluster) || RecoveredFrom(&c, newCluster) || c.Recovered.Left(rigPeers[0]) {
				t.Errorf("%+v", c)
			}
			for _, p := range rigPeers[1:] {
				_, member := r.Configuration.Configuration.Member(p)
				if c.Recovered.Left(p) != member {
					t.Errorf("%v was left behind: %t", p, !member)
				}
			}
			lead(t, after)
		})
	}
}

// lead has node 1 lead and commit, alone, from what its store holds.
func lead(t *testing.T, s State) *rig {
	t.Helper()
	r := newRigOf(t, s, func(c *Config) { c.QuietPeriod, c.Volatile = time.Minute, true })
	if r.e.role == RoleLeader {
		t.Fatal("it led before the silence of its start was over")
	}
	if install, restores := find[*InstallSnapshot](r); restores {
		r.step(&SnapshotInstalled{install.Meta.LogID})
	}
	r.now = r.now.Add(time.Minute)
	if r.e.role == RoleFollower {
		r.campaign()
	}
	for r.e.role == RoleCandidate {
		r.flush()
	}
	r.flush()
	if r.e.role != RoleLeader || r.e.commit != r.e.log.last.Index || r.e.hard.Cluster != newCluster {
		t.Fatalf("a %v that has committed %d of %v", r.e.role, r.e.commit, r.e.log.last)
	}
	return r
}

// TestRecoveryOfNothing: a group that belongs to no cluster has nothing to go on from,
// nor has one whose parts contradict each other.
func TestRecoveryOfNothing(t *testing.T) {
	meta := SnapshotMeta{LogID: LogID{3, 9}, Cluster: worldCluster, Configuration: rigState(rigOptions{}).Configurations[0]}
	for name, test := range map[string]struct {
		state State
		want  error
	}{
		"empty":                      {State{}, ErrNoCluster},
		"a grant":                    {State{HardState: HardState{Grant: Grant{To: rigPeers[1]}}, Snapshot: meta}, ErrNoCluster},
		"a log without a hard state": {State{Last: LogID{1, 1}, Snapshot: meta}, ErrCorrupt},
		"no configuration":           {State{HardState: HardState{Term: 3, Cluster: worldCluster}, Purged: LogID{1, 1}, Last: LogID{1, 1}}, ErrCorrupt},
		"a term out of reach":        {State{HardState: HardState{Term: CounterMax, Cluster: worldCluster}, Last: LogID{1, 1}, Terms: []LogID{{1, 1}}, Configurations: rigState(rigOptions{}).Configurations}, ErrCorrupt},
	} {
		if r, err := PlanRecovery(test.state, rigPeers[0], "", newCluster, 0); !errors.Is(err, test.want) {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
}

// TestFormerSnapshot: a crash may leave the snapshot under the id of the cluster before.
// It counts for what lies before the recovery, and no other of that cluster does.
func TestFormerSnapshot(t *testing.T) {
	s := rigState(rigOptions{terms: []Term{1, 2, 2}, purged: 3})
	_, after := recovered(t, s)
	if r := lead(t, after); r.e.snapshots.newest.Cluster != newCluster {
		t.Errorf("the snapshot is of %v", r.e.snapshots.newest.Cluster)
	}
	// A second recovery finds it so, too.
	if r, err := PlanRecovery(after, rigPeers[0], "", clusterID(0xd3), 0); err != nil || !r.Alone {
		t.Errorf("%+v, %v", r, err)
	}
	for name, change := range map[string]func(m *SnapshotMeta){
		"of what the cluster before decided later": func(m *SnapshotMeta) { m.Index = after.Last.Index },
		"of a third cluster":                       func(m *SnapshotMeta) { m.Cluster = otherCluster },
	} {
		bad := after
		change(&bad.Snapshot)
		if _, err := NewEngine(testConfig(rigPeers[0]), bad, Instant(time.Hour)); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestLeftBehind: a member of the cluster before is told by name that it was left
// behind, nothing of it counts, and it reports that and goes on: nobody has proved it.
func TestLeftBehind(t *testing.T) {
	_, after := recovered(t, rigState(rigOptions{terms: []Term{1, 2}}))
	for _, m := range []Message{
		&Heartbeat{Round: 1, Stream: 1}, &AppendEntries{Stream: 1, Prev: LogID{2, 3}}, &ReadIndexRequest{ID: 1},
		&VoteRequest{ElectionTerm: 1 << 40, Campaign: 1, Last: LogID{9, 9}}, &VoteRequest{Pre: true, ElectionTerm: 1 << 40, Last: LogID{9, 9}},
	} {
		r := lead(t, after)
		before := fingerprint(r.e)
		r.says(rigPeers[1], 1<<40, m)
		refusal, refused := sent[*Refusal](r)
		if !refused || refusal.Reason != RefusedLeftBehind || refusal.Known != rigPeers[1] || !refusal.Cluster.IsZero() || refusal.Header.Term != 0 {
			t.Errorf("%T: %q", m, r.lines())
		}
		if fingerprint(r.e) != before {
			t.Errorf("%T of one that was left behind has changed something", m)
		}
		r.says(Identity{ID: 2, Incarnation: 77}, 1<<40, m)
		if _, refused := sent[*Refusal](r); refused {
			t.Errorf("%T: another incarnation was not left behind: %q", m, r.lines())
		}
	}
	r := newRig(t, rigOptions{}).lead()
	before := fingerprint(r.e)
	r.says(rigPeers[4], 0, &Refusal{Reason: RefusedLeftBehind, Known: rigPeers[0]})
	if _, told := find[*Notice](r); told {
		t.Errorf("a stranger was believed: %q", r.lines())
	}
	r.says(rigPeers[2], 0, &Refusal{Reason: RefusedLeftBehind, Known: rigPeers[0]})
	if n, told := find[*Notice](r); !told || n.Kind != NoticeLeftBehind || n.Peer != rigPeers[2] {
		t.Errorf("it does not report it: %q", r.lines())
	}
	if fingerprint(r.e) != before {
		t.Error("what nobody has proved has changed something")
	}
}

// TestRecoveredTwice: who was left behind by the first recovery is still left behind by
// the second one.
func TestRecoveredTwice(t *testing.T) {
	_, after := recovered(t, rigState(rigOptions{terms: []Term{1, 2}}))
	grown := after.Configurations[len(after.Configurations)-1].Configuration.Clone()
	for _, id := range rigPeers[3:5] {
		grown.Members = append(grown.Members, membership.Member{Identity: id})
		grown.Voters = append(grown.Voters, id)
	}
	at := LogID{after.Last.Term, after.Last.Index + 1}
	after.Configurations, after.Last = append(after.Configurations, ConfigurationAt{at, grown}), at
	r, err := PlanRecovery(after, rigPeers[0], "", clusterID(0xd3), 0)
	if err != nil || r.Before != newCluster {
		t.Fatalf("%+v, %v", r, err)
	}
	c, _ := membership.Decode(r.Entry.Data)
	if !slices.Equal(c.Recovered.Without, rigPeers[1:5]) || !RecoveredFrom(&c, newCluster) || c.Founding != grown.Founding {
		t.Errorf("%+v", c.Recovered)
	}
}
