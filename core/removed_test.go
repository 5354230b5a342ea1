package core

import (
	"errors"
	"testing"

	"github.com/trouperaft/troupe/membership"
)

// TestRemovedNodeHearsOfItsChange: a node that hears that it was removed, and by which
// change, ends the order that asked for it: it is done. Others go on, or were in vain.
func TestRemovedNodeHearsOfItsChange(t *testing.T) {
	for name, test := range map[string]struct {
		by       membership.ChangeID
		accepted bool
		want     string
	}{
		"by its own change":                       {1, true, "done"},
		"by its own change, which may be lost":    {1, false, "done"},
		"by another change":                       {2, true, "goes on"},
		"by another change, before it was passed": {2, false, "removed"},
		"by an older version":                     {0, true, "goes on"},
	} {
		r := newRig(t, rigOptions{}).follow(3)
		r.step(&ChangeMembers{ID: 1, Order: orderOf(1, removes(1))})
		if test.accepted {
			r.from(2, 3, &ChangeResponse{ID: r.e.changes.asked[0].wireID, Code: ChangeAccepted, Change: 1, At: LogID{3, 5}})
		}
		r.from(3, 3, &Removed{At: LogID{3, 9}, Change: test.by})
		ended, ok := find[*ChangeEnded](r)
		if !ok {
			t.Fatalf("%s: %q", name, r.lines())
		}
		got := "done"
		switch {
		case errors.Is(ended.Err, ErrRemoved):
			got = "removed"
		case ended.GoesOn:
			got = "goes on"
		case ended.Err != nil:
			got = ended.Err.Error()
		}
		if got != test.want {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
		if c := ended.At.Configuration.String(); got == "done" && (c != "voters 2 3" || ended.Change != 1 || ended.At.LogID != LogID{3, 9}) {
			t.Errorf("%s: change %v, %s at %v", name, ended.Change, c, ended.At.LogID)
		}
	}
}

// removedState is a log whose second entry, which is committed, has removed the rig.
func removedState() State {
	s := rigState(rigOptions{})
	c := s.Configurations[0].Configuration.Clone()
	c.Members, c.Voters = c.Members[1:], c.Voters[1:]
	c.Last = membership.Outcome{ID: 7, Result: membership.ResultDone}
	s.Last, s.Commit = LogID{1, 2}, 2
	s.Configurations = append(s.Configurations, ConfigurationAt{s.Last, c})
	return s
}

// TestWhoRemovedIt: who is told that it was removed is told by which change.
func TestWhoRemovedIt(t *testing.T) {
	s := removedState()
	// The rig is node 1: it speaks of node 4, which another change has removed.
	with := s.Configurations[0].Configuration.Clone()
	with.Members = append(with.Members, membership.Member{Identity: rigPeers[3]})
	without := s.Configurations[0].Configuration.Clone()
	without.Last = membership.Outcome{ID: 7, Result: membership.ResultDone}
	s.Configurations[0].Configuration, s.Configurations[1].Configuration = with, without
	givenUp := without.Clone()
	givenUp.Last.Result = membership.ResultCancelled
	for name, test := range map[string]struct {
		last membership.Configuration
		from int
		want membership.ChangeID
	}{
		"a change": {without, 0, 7}, "a change that was given up": {givenUp, 0, 0}, "nobody knows": {without, 1, 0},
	} {
		s.Configurations[1].Configuration = test.last
		state := s
		state.Configurations = s.Configurations[test.from:]
		r := newRigOf(t, state, nil)
		m := r.address(2, 1, &ReadIndexRequest{ID: 1})
		m.Head().From = rigPeers[3]
		r.step(m)
		found := false
		for _, c := range r.last {
			if send, ok := c.(*Send); ok {
				if told, is := send.Message.(*Removed); is {
					found = true
					if told.Change != test.want || told.At != (LogID{1, 2}) {
						t.Errorf("%s: %+v, want %d", name, told, test.want)
					}
				}
			}
		}
		if !found {
			t.Errorf("%s: not told: %q", name, r.lines())
		}
	}
}

// TestRemovedOverARestart: a removed node knows that it is one after a restart too, with
// a snapshot of after its removal: it keeps the entries that tell it.
func TestRemovedOverARestart(t *testing.T) {
	s := removedState()
	if r := newRigOf(t, s, nil); !r.e.Status().Removed {
		t.Error("it does not know from its log")
	}
	r := newRigOf(t, s, func(c *Config) { c.KeepEntries = 0 })
	meta := SnapshotMeta{LogID: s.Last, Cluster: worldCluster, Configuration: s.Configurations[1]}
	r.step(&Applied{LogID: s.Last})
	r.step(&SnapshotBuilt{Meta: meta})
	if _, purged := find[*Write](r); purged || !r.e.Status().Removed {
		t.Errorf("a removed node purges its log: %q", r.lines())
	}
	s.Snapshot, s.Applied = meta, s.Last
	if r := newRigOf(t, s, nil); !r.e.Status().Removed || r.e.mayEverCampaign() {
		t.Error("it does not know any more after a snapshot and a restart")
	}
	// A newcomer whose admission is still to come was removed by nobody.
	s.Configurations = s.Configurations[1:]
	if r := newRigOf(t, s, nil); r.e.Status().Removed {
		t.Error("a newcomer takes itself for removed")
	}
}

// TestRemovalIsDurable: a node that was told that it was removed knows it after a restart,
// though its log does not tell of it; and so does one whose log a leader's snapshot has
// replaced, by the same write. By a later configuration it is a member again.
func TestRemovalIsDurable(t *testing.T) {
	again := func(name string, s State) *rig {
		t.Helper()
		r := newRigOf(t, s, nil)
		if !r.e.Status().Removed || r.e.mayEverCampaign() {
			t.Errorf("%s: it does not know any more", name)
		}
		return r
	}
	s := rigState(rigOptions{})
	r := newRigOf(t, s, nil)
	r.from(2, 1, &Removed{At: LogID{2, 9}})
	w, _ := find[*Write](r)
	if s.HardState = w.HardState; s.HardState.Removed != (LogID{2, 9}) {
		t.Fatalf("%q", r.lines())
	}
	r = again("told", s)
	r.from(2, 3, &AppendEntries{Stream: 1, Prev: s.Last, Entries: []Entry{{LogID: LogID{3, 2}, Kind: EntryConfiguration, Data: s.Configurations[0].Configuration.Encode()}}})
	if r.e.Status().Removed || !r.e.mayEverCampaign() {
		t.Error("a member again, and it does not know")
	}

	r = newRigOf(t, rigState(rigOptions{}), nil).follow(3)
	meta := SnapshotMeta{LogID: LogID{2, 9}, Cluster: worldCluster, Configuration: ConfigurationAt{LogID{2, 8}, removedState().Configurations[1].Configuration}}
	r.step(&SnapshotReceived{Meta: meta, From: rigPeers[1], Term: 3, Stream: 1})
	w, _ = find[*Write](r)
	if !w.SaveHardState || w.Reset != meta.LogID {
		t.Fatalf("the removal is not in the write that takes the log away: %q", r.lines())
	}
	again("a snapshot", State{HardState: w.HardState, Commit: 9, Purged: meta.LogID, Last: meta.LogID, Applied: meta.LogID, Snapshot: meta})
}

// TestLeftOut: a node whose log does not have it any more was removed when that is
// committed. Before it hears so it is no newcomer either.
func TestLeftOut(t *testing.T) {
	s := removedState()
	s.Commit = s.Last.Index - 1
	r := newRigOf(t, s, nil)
	if st := r.e.Status(); st.Removed || !st.LeftOut {
		t.Errorf("removed %v, left out %v before it is committed", st.Removed, st.LeftOut)
	}
	s.Configurations = s.Configurations[1:]
	if newRigOf(t, s, nil).e.Status().LeftOut {
		t.Error("a newcomer is left out")
	}
}

// TestRemovalThatIsHeld: rule 22: a node that holds the entry that removed it, and does not
// know that it is committed, is told, and campaigns no more. Nobody else takes itself for
// removed by the latest configuration that it has.
func TestRemovalThatIsHeld(t *testing.T) {
	for name, test := range map[string]struct {
		change func(s *State)
		want   bool
	}{
		"its own removal": {func(s *State) {}, true},
		"one that it has been added behind": {func(s *State) {
			s.Last = LogID{1, 3}
			s.Configurations = append(s.Configurations, ConfigurationAt{s.Last, s.Configurations[0].Configuration})
		}, false},
		"it was never a member": {func(s *State) { s.Configurations[0].Configuration = s.Configurations[1].Configuration }, false},
		"it is a member":        {func(s *State) { s.Configurations[1].Configuration = s.Configurations[0].Configuration }, false},
	} {
		s := removedState()
		s.Commit = 1
		test.change(&s)
		r := newRigOf(t, s, nil)
		could := r.e.mayEverCampaign()
		r.from(2, 1, &Removed{At: LogID{1, 2}, Change: 7})
		if r.e.Status().Removed != test.want || r.e.mayEverCampaign() != (could && !test.want) {
			t.Errorf("%s: removed %t, may campaign %t, and could %t", name, r.e.Status().Removed, r.e.mayEverCampaign(), could)
		}
		// What is committed after all, and has it again, ends it.
		if test.want {
			r.from(2, 3, &AppendEntries{Stream: 1, Prev: LogID{1, 2}, Entries: []Entry{{LogID: LogID{3, 3}, Kind: EntryConfiguration, Data: s.Configurations[0].Configuration.Encode()}}})
			if r.e.Status().Removed {
				t.Errorf("%s: a member again, and it does not know", name)
			}
		}
	}
}

// TestRemovedBehindASnapshot: a leader's snapshot takes the place of the log of a node
// that was removed: it knows that it was a member.
func TestRemovedBehindASnapshot(t *testing.T) {
	for _, member := range []bool{true, false} {
		s := removedState()
		with := rigState(rigOptions{})
		if !member {
			with.Configurations[0].Configuration = s.Configurations[1].Configuration
		}
		r := newRigOf(t, with, nil).follow(3)
		meta := SnapshotMeta{LogID: LogID{2, 9}, Cluster: worldCluster, Configuration: ConfigurationAt{LogID{2, 8}, s.Configurations[1].Configuration}}
		r.step(&SnapshotReceived{Meta: meta, From: rigPeers[1], Term: 3, Stream: 1})
		if r.e.Status().Removed != member {
			t.Errorf("was a member: %t, says that it was removed: %t; %q", member, r.e.Status().Removed, r.lines())
		}
	}
}

// TestEndedChangeTellsItsOwnConfiguration: whoever asked is told the configuration that
// the change ended with, also where the next change has begun by the same commit.
func TestEndedChangeTellsItsOwnConfiguration(t *testing.T) {
	r := newRig(t, rigOptions{}).follow(3)
	r.step(&ChangeMembers{ID: 1, Order: orderOf(1, removes(3))})
	r.from(2, 3, &ChangeResponse{ID: r.e.changes.asked[0].wireID, Code: ChangeAccepted, Change: 1, At: LogID{3, 2}})
	end := r.e.configs.latest().Configuration.Clone()
	end.Members, end.Voters = end.Members[:2], end.Voters[:2]
	end.Last = membership.Outcome{ID: 1, Result: membership.ResultDone}
	next := end.Clone()
	next.Target = &membership.Target{ID: 2, Members: end.Members, Voters: end.Voters[:1]}
	r.from(2, 3, &AppendEntries{Stream: 1, Prev: LogID{1, 1}, Commit: 3, Entries: []Entry{
		{LogID: LogID{3, 2}, Kind: EntryConfiguration, Data: end.Encode()}, {LogID: LogID{3, 3}, Kind: EntryConfiguration, Data: next.Encode()},
	}})
	ended, ok := find[*ChangeEnded](r)
	if !ok || ended.Err != nil || ended.At.LogID != (LogID{3, 2}) {
		t.Errorf("%+v: %q", ended, r.lines())
	}
}
