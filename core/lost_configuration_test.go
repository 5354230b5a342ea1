package core

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

// lostRecord is the state of a node whose log is purged up to 2.4 and goes on with so many
// entries of term 3, and whose machine has kept everything up to the entry applied, while
// what told the configuration and the time there is lost.
func lostRecord(applied Index, entries int) State {
	terms := append([]Term{1, 2, 2}, slices.Repeat([]Term{3}, entries)...)
	s := rigState(rigOptions{terms: terms, purged: 4, applied: applied, commit: 4})
	s.Snapshot, s.Peers = SnapshotMeta{}, rigMembers[1:3]
	return s
}

// withConfiguration lets the log of a state have the configuration of rigs at an index.
func withConfiguration(s State, at LogID) State {
	s.Configurations = []ConfigurationAt{{at, rigState(rigOptions{}).Configurations[0].Configuration}}
	return s
}

// builds reports whether the last step asked for a snapshot or a record.
func (r *rig) builds() bool {
	_, builds := find[*BuildSnapshot](r)
	return builds
}

// TestLostConfiguration: a durable machine can hold all that the log has purged, while what
// told the configuration and the time is lost. Such a node votes and acknowledges, applies
// nothing, does not campaign, makes neither a snapshot nor a record, and asks its leader. A
// snapshot of just what its machine holds is news.
func TestLostConfiguration(t *testing.T) {
	s := rigState(rigOptions{terms: []Term{1, 1, 1}, purged: 3, applied: 4})
	if _, err := NewEngine(testConfig(rigPeers[0]), s, Instant(time.Hour)); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		state   State
		applied Index
	}{
		"what was purged, and the log has nothing more": {lostRecord(4, 0), 4},
		"what was purged, and the log goes on":          {lostRecord(4, 2), 4},
		"more than what was purged":                     {lostRecord(5, 2), 5},
		"and a configuration may be taken back":         {withConfiguration(lostRecord(4, 2), LogID{3, 6}), 4},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRigOf(t, test.state, func(c *Config) { c.Records, c.SnapshotEntries, c.SnapshotInterval = true, 1, time.Minute })
			last := r.e.log.last
			if s := r.e.Status(); !s.LacksMachine || s.Unfit != UnfitSick || r.e.votesAlone() {
				t.Fatalf("lacks something %t, %v", s.LacksMachine, s.Unfit)
			}
			r.from(3, 4, &VoteRequest{ElectionTerm: 4, Last: LogID{3, 9}, Campaign: 9})
			if r.flush(); r.e.hard.Vote != rigPeers[2] {
				t.Error("it does not vote")
			}
			r.from(3, 4, &Heartbeat{Round: 1, Stream: 1, Commit: 4})
			if m, ok := sent[*HeartbeatResponse](r); !ok || m.Lacks != test.applied || m.Unfit != UnfitSick {
				t.Errorf("its leader hears %+v", m)
			}
			if r.fire(TimerSnapshotInterval); r.builds() {
				t.Errorf("it makes one: %q", r.lines())
			}
			if _, known := r.e.RecordOf(LogID{3, 5}); known {
				t.Error("a record is made of it")
			}
			if test.applied == last.Index {
				r.from(3, 4, &AppendEntries{Stream: 1, Prev: last, Entries: commands(LogID{4, last.Index + 1}), Commit: last.Index + 1})
			} else {
				r.from(3, 4, &AppendEntries{Stream: 1, Prev: LogID{3, 5}, Entries: commands(LogID{4, 6}), Commit: 6})
			}
			if _, applies := find[*Apply](r); applies {
				t.Errorf("applies %q", r.lines())
			}
			r.flush()
			last = r.e.log.last
			at, _ := r.e.log.term(test.applied)
			if test.applied == 4 {
				at = 2
			}
			news := rigSnapshot(LogID{at, test.applied})
			r.expect(r.from(3, 4, &SnapshotChunk{Stream: 1, Transfer: 2, Meta: news, Done: true}), "receive snapshot "+news.LogID.String())
			r.step(&SnapshotReceived{news, rigPeers[2], 4, 1})
			if w, ok := find[*Write](r); !ok || w.Reset.Index != 0 || r.e.log.last != last {
				t.Fatalf("the log is not kept: %q", r.lines())
			}
			r.expect(r.flush(), "install snapshot "+news.LogID.String())
			r.step(&SnapshotInstalled{news.LogID})
			if _, applies := find[*Apply](r); !applies {
				t.Errorf("it does not go on: %q", r.lines())
			}
			if s := r.e.Status(); s.LacksMachine || s.Unfit != Fit || !s.Configuration.Configuration.IsVoter(rigPeers[0]) {
				t.Errorf("afterwards: %+v", s)
			}
			if at, known := r.e.RecordOf(last); !known || at.Index == 0 {
				t.Errorf("a record would have the configuration of %v", at.LogID)
			}
		})
	}
}

// TestLostConfigurationIsInTheLog: whoever knows that one in the log is committed needs no
// snapshot. The entries before it are under one that is not known, and no record is made of
// them.
func TestLostConfigurationIsInTheLog(t *testing.T) {
	known := withConfiguration(lostRecord(4, 3), LogID{3, 6})
	known.Commit = 6
	learns := withConfiguration(lostRecord(4, 3), LogID{3, 6})
	for name, state := range map[string]State{"at the start": known, "as soon as its leader says so": learns} {
		r := newRigOf(t, state, func(c *Config) { c.Records = true })
		if name != "at the start" {
			if !r.e.Status().LacksMachine {
				t.Errorf("%s: it knows before", name)
			}
			r.step(&MakeSnapshot{ID: 1})
			r.from(3, 4, &AppendEntries{Stream: 1, Prev: LogID{3, 7}, Commit: 7})
			if !r.builds() {
				t.Errorf("%s: who has asked for a snapshot waits in vain: %q", name, r.lines())
			}
		}
		s := r.e.Status()
		if s.LacksMachine || s.Unfit != Fit || r.e.issued.apply < 6 {
			t.Errorf("%s: %+v, applies to %d", name, s, r.e.issued.apply)
		}
		for i, want := range map[Index]bool{5: false, 6: true, 7: true} {
			if at, known := r.e.RecordOf(LogID{3, i}); known != want || known && at.LogID != (LogID{3, 6}) {
				t.Errorf("%s: entry %d is of %v", name, i, at.LogID)
			}
		}
	}
}

// TestLostConfigurationAlone: nobody can send what is lost to a sole voter, nor to whoever
// has never had to do with anybody. It says what is missing, and what the way back is. One
// that alone votes by an entry that may be taken back serves its quiet period: by the
// configuration before, which it has lost, it may have promised something.
func TestLostConfigurationAlone(t *testing.T) {
	alone := rigState(rigOptions{voters: 1}).Configurations[0]
	nobody, sole := lostRecord(4, 1), lostRecord(4, 1)
	nobody.Peers = nil
	sole.Snapshot = SnapshotMeta{LogID: LogID{2, 3}, Cluster: worldCluster, Configuration: alone}
	for name, state := range map[string]State{"it knows nobody": nobody, "an older snapshot says that it alone votes": sole} {
		_, err := NewEngine(testConfig(rigPeers[0]), state, Instant(time.Hour))
		if !errors.Is(err, ErrCorrupt) {
			t.Fatalf("%s: %v", name, err)
		}
		for _, part := range []string{"after 2.4", "holds up to 2.4", "configuration", "time", "put the snapshots back", "backup"} {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%s: %q is not in %v", name, part, err)
			}
		}
	}
	s := lostRecord(4, 2)
	s.Configurations, s.Peers = []ConfigurationAt{{LogID{3, 6}, alone.Configuration}}, nil
	r := newRigOf(t, s, func(c *Config) { c.QuietPeriod = 5 * time.Second })
	if r.e.role != RoleFollower || r.e.quietPeriodEnd() == 0 {
		t.Errorf("%v, quiet until %v", r.e.role, r.e.quietPeriodEnd())
	}
	begun := r.now
	for r.e.role != RoleLeader {
		r.fire(TimerElection)
		r.flush()
		if r.now.Sub(begun) > time.Minute {
			t.Fatal("it never leads")
		}
	}
	if r.now.Sub(begun) < 5*time.Second {
		t.Errorf("it leads after %v", r.now.Sub(begun))
	}
	r.flush()
	r.apply()
	r.fire(TimerHeartbeat)
	if s := r.e.Status(); s.LacksMachine || !s.Ready || s.Unfit != Fit {
		t.Errorf("it leads, and its configuration is committed: %+v", s)
	}
}

// TestLostConfigurationIsTakenBack: with it goes what told the members. The node asks on.
func TestLostConfigurationIsTakenBack(t *testing.T) {
	r := newRigOf(t, withConfiguration(lostRecord(4, 2), LogID{3, 6}), nil)
	r.from(3, 4, &AppendEntries{Stream: 1, Prev: LogID{3, 5}, Entries: commands(LogID{4, 6}), Commit: 6})
	r.flush()
	if s := r.e.Status(); !s.LacksMachine || r.e.commit != 6 || r.e.role != RoleLearner || !r.e.learns() {
		t.Errorf("%v, %+v", r.e.role, s)
	}
}

// TestLostNodeShowsItself: rule 30: who has lost what told its members asks nobody for
// votes, and knows nobody as a member. If it has moved as well, it has to show itself to
// those whom it has had to do with.
func TestLostNodeShowsItself(t *testing.T) {
	for name, state := range map[string]State{"its machine is lost too": lostMachine(false), "its machine is whole": lostRecord(4, 1)} {
		r := newRigOf(t, state, nil)
		for range 3 {
			if at := r.e.electionTimer.at; at != r.now.Add(2*r.e.cfg.ElectionTimeout) {
				t.Fatalf("%s: shows itself %v from now", name, at.Sub(r.now))
			}
			r.fire(TimerElection)
			dial, dials := find[*DialMembers](r)
			if !dials || !dial.Kept || len(dial.Members) != 2 || dial.Members[0].Address != "two" {
				t.Errorf("%s: dials %+v", name, dial)
			}
			asked := map[Identity]bool{}
			for _, c := range r.out.Commands {
				if s, ok := c.(*Send); ok {
					asked[s.Message.(*IdentifyRequest).To] = true
				}
			}
			// Whoever they are now.
			if len(asked) != 2 || !asked[Identity{ID: 2}] || !asked[Identity{ID: 3}] {
				t.Errorf("%s: asks %v", name, asked)
			}
		}
		r.follow(4)
		r.from(2, 4, &Heartbeat{Round: 2, Stream: 1})
		if _, asks := sent[*IdentifyRequest](r); asks {
			t.Errorf("%s: shows itself to its leader", name)
		}
		removed := state
		removed.HardState.Removed = LogID{3, 9}
		if r := newRigOf(t, removed, nil); r.e.electionTimer.at != 0 {
			t.Errorf("%s: shows itself though it was removed", name)
		}
	}
}

// TestLostConfigurationOfWhoCameBack: rule 22: who was removed and has come back is not taken for
// removed when what told that it came back is lost: its data would be deleted as if nobody
// counted on it. Nor does it heed a removal that it had outlived.
func TestLostConfigurationOfWhoCameBack(t *testing.T) {
	for name, removed := range map[string]LogID{"removed before": {1, 1}, "never removed": {}} {
		s := rigState(rigOptions{terms: []Term{1, 1, 1, 1}})
		s.HardState.Removed, s.Commit = removed, 1
		s.Configurations[0].LogID = LogID{1, 2}
		r := newRigOf(t, s, nil)
		r.from(3, 4, &AppendEntries{Stream: 1, Prev: LogID{1, 4}, Commit: 4})
		r.flush()
		lost := lostRecord(4, 1)
		lost.HardState.Removed = r.e.hard.Removed
		r = newRigOf(t, lost, nil)
		r.follow(4)
		for _, at := range []LogID{{1, 1}, {2, 4}} {
			r.from(2, 4, &Removed{At: at})
		}
		if r.e.Status().Removed || !r.e.learns() {
			t.Errorf("%s: is removed", name)
		}
		if r.from(2, 4, &Removed{At: LogID{4, 9}}); !r.e.Status().Removed {
			t.Errorf("%s: it does not hear that it is removed", name)
		}
	}
}
