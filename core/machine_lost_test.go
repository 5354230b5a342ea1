package core

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

// lostMachine is the state of a node whose log is 3.5, 3.6 behind the purge point 2.4, and
// whose machine and snapshots hold less than that. The configuration stands in the log, or
// is not known.
func lostMachine(known bool) State {
	s := rigState(rigOptions{terms: []Term{1, 2, 2, 3, 3}, purged: 4, commit: 5})
	at := s.Snapshot.Configuration
	s.Snapshot, s.Applied, s.Peers = SnapshotMeta{}, LogID{}, rigMembers[1:3]
	if known {
		at.LogID = LogID{3, 5}
		s.Configurations = []ConfigurationAt{at}
	}
	return s
}

// TestMachineIsLost: rule 24: a node whose log is whole, and whose machine lacks what was
// purged, starts, votes, acknowledges, applies nothing, does not campaign while somebody
// may, and asks its leader. Of what it gets only the machine is restored: the log above it
// is kept.
func TestMachineIsLost(t *testing.T) {
	for _, known := range []bool{true, false} {
		for _, durable := range []bool{true, false} {
			r := newRigOf(t, lostMachine(known), func(c *Config) { c.Volatile = !durable })
			if !r.e.Status().LacksMachine || r.e.commit != 5 {
				t.Fatalf("lacks its machine: %t, commit %d", r.e.Status().LacksMachine, r.e.commit)
			}
			r.from(3, 4, &VoteRequest{ElectionTerm: 4, Last: LogID{3, 6}, Campaign: 9})
			r.flush()
			if r.e.hard.Vote != rigPeers[2] {
				t.Error("it does not vote")
			}
			r.from(3, 4, &Heartbeat{Round: 1, Stream: 1, Commit: 6})
			m, ok := sent[*HeartbeatResponse](r)
			if !ok || m.Lacks != 4 || m.Unfit != UnfitSick {
				t.Errorf("its leader hears %+v", m)
			}
			r.from(3, 4, &AppendEntries{Stream: 1, Prev: LogID{3, 6}, Entries: commands(LogID{4, 7}), Commit: 7})
			if _, applies := find[*Apply](r); applies {
				t.Errorf("applies %q", r.lines())
			}
			r.expect(r.flush()) // the answer rides in the write
			if r.e.commit != 7 || r.e.log.last.Index != 7 {
				t.Fatalf("commit %d of %v", r.e.commit, r.e.log.last)
			}
			old, news := rigSnapshot(LogID{2, 3}), rigSnapshot(LogID{3, 6})
			r.expect(r.from(3, 4, &SnapshotChunk{Stream: 1, Transfer: 1, Meta: old, Done: true}),
				"send ->3 T4 appended: match 3", "send ->3 T4 snapshot refused: not needed")
			r.expect(r.from(3, 4, &SnapshotChunk{Stream: 1, Transfer: 2, Meta: news, Done: true}), "receive snapshot 3.6")
			r.from(3, 4, &AppendEntries{Stream: 1, Prev: LogID{4, 7}, Entries: commands(LogID{4, 8}), Commit: 7})
			before := r.e.log.last
			r.step(&SnapshotReceived{news, rigPeers[2], 4, 1})
			if w, ok := find[*Write](r); !ok || w.Reset.Index != 0 || w.TruncateFrom != 0 || len(w.Then) != 1 || r.e.log.last != before || r.e.log.purged.Index != 4 {
				t.Fatalf("the log is not kept: %q", r.lines())
			}
			if _, early := find[*InstallSnapshot](r); early {
				t.Error("it is installed before what the log writes is durable (rule 8)")
			}
			r.from(3, 4, &Heartbeat{Round: 2, Stream: 1, Commit: 7})
			if m, _ := sent[*HeartbeatResponse](r); m.Lacks != 0 || m.Unfit != UnfitInstalling {
				t.Errorf("while it restores its leader hears %+v", m)
			}
			r.expect(r.flush(), "install snapshot 3.6")
			r.expect(r.step(&SnapshotInstalled{LogID{3, 6}}), "apply to 7")
			if s := r.e.Status(); s.LacksMachine || s.Unfit != Fit || !s.Configuration.Configuration.IsVoter(rigPeers[0]) || s.SnapshotIndex != 6 {
				t.Errorf("afterwards: %+v", s)
			}
			r.from(3, 4, &Heartbeat{Round: 3, Stream: 1, Commit: 8})
			if m, _ := sent[*HeartbeatResponse](r); m.Lacks != 0 || m.Unfit != Fit {
				t.Errorf("afterwards its leader hears %+v", m)
			}
		}
	}
}

// TestLostMachineMakesNoSnapshot: of what it holds nothing may be made, by time neither.
func TestLostMachineMakesNoSnapshot(t *testing.T) {
	state := lostMachine(true)
	state.Applied = LogID{2, 3}
	r := newRigOf(t, state, func(c *Config) { c.SnapshotInterval = time.Minute })
	r.fire(TimerSnapshotInterval)
	if _, builds := find[*BuildSnapshot](r); builds {
		t.Errorf("%q", r.lines())
	}
	if r.e.snapshots.interval.at == 0 {
		t.Error("and none is made later")
	}
}

// TestMachineIsLostAndTheLogToo: a snapshot that the log lacks is installed as any other.
func TestMachineIsLostAndTheLogToo(t *testing.T) {
	r := newRigOf(t, lostMachine(true), nil)
	r.follow(4)
	r.step(&SnapshotReceived{rigSnapshot(LogID{3, 9}), rigPeers[1], 4, 1})
	if w, ok := find[*Write](r); !ok || w.Reset != (LogID{3, 9}) || r.e.snapshots.lacks {
		t.Errorf("%q", r.lines())
	}
}

// TestLostMachineCampaignsLast: not to campaign is a delay, not a ban (rule 16): only this
// node may have the entries. As the leader it admits nothing, and hands over.
func TestLostMachineCampaignsLast(t *testing.T) {
	r := newRigOf(t, lostMachine(true), nil)
	begun := r.now
	for r.e.role == RoleFollower {
		r.fire(TimerElection)
		if r.now.Sub(begun) > 10*time.Second {
			t.Fatal("it never campaigns")
		}
	}
	if waited := r.now.Sub(begun); waited < lastResortTimeouts*time.Second {
		t.Errorf("it campaigns after %v", waited)
	}
	for id := NodeID(2); r.e.role == RolePreCandidate; id++ {
		r.from(id, r.e.hard.Term, &VoteResponse{Pre: true, ElectionTerm: r.e.hard.Term + 1, Campaign: r.e.election.campaign, Granted: true})
	}
	r.flush()
	r.from(2, r.e.hard.Term, &VoteResponse{ElectionTerm: r.e.hard.Term, Campaign: r.e.election.campaign, Granted: true})
	if r.e.role != RoleLeader || r.e.ready() || r.e.Status().Ready {
		t.Errorf("it is a %v, ready: %t", r.e.role, r.e.ready())
	}
	unknown := newRigOf(t, lostMachine(false), nil)
	if unknown.e.mayEverCampaign() {
		t.Error("who does not know who votes may campaign")
	}
}

// TestLostMachineAlone: rule 24: nobody can send a sole voter what its machine lacks, nor
// whoever has never had to do with anybody.
func TestLostMachineAlone(t *testing.T) {
	alone := rigState(rigOptions{voters: 1}).Configurations[0]
	for name, change := range map[string]func(s *State){
		"its log says that it alone votes": func(s *State) {
			s.Configurations = []ConfigurationAt{{LogID{3, 5}, alone.Configuration}}
		},
		"an older snapshot says that": func(s *State) {
			s.Snapshot = SnapshotMeta{LogID: LogID{2, 3}, Cluster: worldCluster, Configuration: alone}
		},
		"it knows nobody": func(s *State) { s.Peers = nil },
	} {
		s := lostMachine(false)
		change(&s)
		if _, err := NewEngine(testConfig(rigPeers[0]), s, 1); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestLeaderGivesAMachine: a leader that hears of a machine that lacks something sends a
// snapshot that is not below that node's purge point, and builds one if it has none.
func TestLeaderGivesAMachine(t *testing.T) {
	r := newRig(t, rigOptions{configure: func(c *Config) { c.KeepEntries = 100 }}).lead()
	asks := func(purged Index) []string {
		lines := r.from(2, 2, &HeartbeatResponse{Round: 1, Stream: 1, Match: 2, Lacks: purged, Unfit: UnfitSick})
		return slices.DeleteFunc(lines, func(line string) bool { return strings.HasPrefix(line, "alive") })
	}
	built := func(i Index) {
		r.step(&SnapshotBuilt{Meta: SnapshotMeta{LogID: LogID{2, i}, Cluster: worldCluster, Configuration: *r.e.configs.latest()}})
	}
	r.expect(asks(2), "build snapshot")
	r.expect(asks(2)) // it is being built
	built(2)
	r.expect(asks(2), "send snapshot ->2")
	r.expect(asks(2)) // it is on its way
	if p := r.e.Status().Peers[0]; !p.LacksMachine || !p.Snapshot {
		t.Errorf("it is shown as %+v", p)
	}
	r.step(&SnapshotSent{Peer: rigPeers[1], Stream: 1, LogID: LogID{2, 2}, OK: true})
	for range 3 {
		r.propose("x")
		r.flush()
		r.match(2, r.e.log.last.Index)
		r.apply()
	}
	r.expect(asks(4), "build snapshot") // the one that is there is below its purge point
	built(5)
	r.expect(asks(4), "send snapshot ->2")
	r.step(&SnapshotSent{Peer: rigPeers[1], Stream: 1, LogID: LogID{2, 5}, OK: true})
	if r.expect(asks(0)); r.e.Status().Peers[0].LacksMachine {
		t.Error("it is shown to lack its machine for ever")
	}
}

// TestBrokenTransferGoesOn: rule 25: a newer snapshot does not begin a transfer anew that
// broke, as long as the log goes on from the old one.
func TestBrokenTransferGoesOn(t *testing.T) {
	r := newRig(t, rigOptions{configure: func(c *Config) { c.SnapshotEntries, c.KeepEntries, c.HoldBytesMax = 4, 6, 0 }}).lead()
	grow := func() {
		t.Helper()
		for !r.e.snapshots.building {
			r.propose("x")
			r.flush()
			r.match(2, r.e.log.last.Index)
			r.apply()
		}
		r.step(&SnapshotBuilt{Meta: SnapshotMeta{LogID: LogID{2, r.e.applied}, Cluster: worldCluster, Configuration: *r.e.configs.latest()}})
	}
	broke := func(at Index, reason string) {
		r.step(&SnapshotSent{Peer: rigPeers[2], Stream: 2, LogID: LogID{2, at}, Reason: reason})
	}
	grow() // at 4
	r.expect(r.step(&SnapshotNeeded{Peer: rigPeers[2], Stream: 2}), "send snapshot ->3")
	grow() // at 8
	broke(4, "")
	r.expect(r.step(&SnapshotNeeded{Peer: rigPeers[2], Stream: 2}), "send snapshot ->3, on with 2.4")
	if p := r.e.leaderState.peer(rigPeers[2]); p.pinned != 4 {
		t.Errorf("the log is kept from %d on", p.pinned)
	}
	broke(4, "no room") // the receiver has nothing of it
	r.expect(r.step(&SnapshotNeeded{Peer: rigPeers[2], Stream: 2}), "send snapshot ->3")
	broke(8, "")
	grow()
	grow() // at 16: what follows 8 is purged
	r.expect(r.step(&SnapshotNeeded{Peer: rigPeers[2], Stream: 2}), "send snapshot ->3")
}
