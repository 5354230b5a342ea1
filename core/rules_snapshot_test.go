package core

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/trouperaft/troupe/membership"
)

// TestStateCheck: rule 24: parts that contradict each other are damage.
func TestStateCheck(t *testing.T) {
	// The log is 1.1, 1.2, 2.3, 2.4; the purged part ends at Purged.
	for name, test := range map[string]struct {
		change func(s *State)
		ok     bool
	}{
		"as it is":                                       {func(*State) {}, true},
		"nothing at all":                                 {func(s *State) { *s = State{} }, true},
		"purged, and the machine has it":                 {func(s *State) { s.Purged, s.Applied = LogID{1, 2}, LogID{2, 3} }, true},
		"purged, and the machine is right there":         {func(s *State) { s.Purged, s.Applied = LogID{1, 2}, LogID{1, 2} }, true},
		"purged, and the snapshot has it":                {func(s *State) { s.Purged, s.Snapshot.LogID = LogID{1, 2}, LogID{1, 2} }, true},
		"purged, and nobody has it":                      {func(s *State) { s.Purged = LogID{1, 2} }, false},
		"purged, the machine short of it":                {func(s *State) { s.Purged, s.Applied = LogID{1, 2}, LogID{1, 1} }, false},
		"purged, the snapshot short of it":               {func(s *State) { s.Purged, s.Snapshot.LogID = LogID{1, 2}, LogID{1, 1} }, false},
		"purged, the machine at another entry there":     {func(s *State) { s.Purged, s.Applied = LogID{1, 2}, LogID{7, 2} }, false},
		"applied beyond the log":                         {func(s *State) { s.Applied = LogID{2, 5} }, false},
		"applied another entry":                          {func(s *State) { s.Applied = LogID{1, 3} }, false},
		"applied an entry of the log":                    {func(s *State) { s.Applied = LogID{2, 3} }, true},
		"snapshot ahead of the log":                      {func(s *State) { s.Snapshot.LogID = LogID{3, 9} }, true},
		"snapshot that conflicts, machine behind it":     {func(s *State) { s.Applied, s.Snapshot.LogID = LogID{1, 1}, LogID{3, 3} }, true},
		"snapshot that conflicts, machine ahead of it":   {func(s *State) { s.Applied, s.Snapshot.LogID = LogID{2, 4}, LogID{3, 3} }, false},
		"old snapshot below the purge point, machine ok": {func(s *State) { s.Purged, s.Applied, s.Snapshot.LogID = LogID{1, 2}, LogID{2, 4}, LogID{1, 1} }, true},
	} {
		s := rigState(rigOptions{terms: []Term{1, 2, 2}})
		test.change(&s)
		if s.Purged.Index > 0 {
			s.Terms = []LogID{{2, 3}}
		}
		_, err := NewEngine(testConfig(rigPeers[0]), s, 1)
		if (err == nil) != test.ok || err != nil && !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestInstall: rule 24: from the reset to the end of the restore the node neither
// campaigns nor applies, and takes no other snapshot.
func TestInstall(t *testing.T) {
	r := newRig(t, rigOptions{terms: []Term{1, 1}, commit: 2, applied: 2}).follow(4)
	meta := rigSnapshot(LogID{3, 9})
	r.expect(r.from(2, 4, &SnapshotChunk{Stream: 3, Transfer: 1, Meta: meta, Done: true}), "receive snapshot 3.9")
	// Decided in the step that emits the reset; a transfer of another term counts no more.
	r.expect(r.step(&SnapshotReceived{meta, rigPeers[1], 3, 3}))
	r.expect(r.step(&SnapshotReceived{meta, rigPeers[1], 4, 3}),
		"write 2: reset to 3.9; commit 9; then ->2 T4 appended: match 9", "configuration 1.1: voters 1 2 3")
	r.expect(r.from(2, 4, &SnapshotChunk{Stream: 3, Transfer: 2, Meta: meta}), "send ->2 T4 snapshot refused: another snapshot is being installed")
	r.from(2, 4, &AppendEntries{Stream: 3, Prev: LogID{3, 9}, Entries: commands(LogID{4, 10}), Commit: 10})
	if _, ok := find[*Apply](r); ok {
		t.Errorf("applies meanwhile: %q", r.lines())
	}
	r.expect(r.step(&Flushed{1}))
	r.expect(r.step(&Flushed{2}), "install snapshot 3.9")
	r.expect(r.step(&Flushed{3}))
	r.preCampaign()
	if r.e.role != RoleFollower {
		t.Errorf("campaigns meanwhile: a %v", r.e.role)
	}
	r.expect(r.step(&SnapshotInstalled{LogID{3, 8}}))
	r.expect(r.step(&SnapshotInstalled{LogID{3, 9}}), "apply to 10")
}

// TestSnapshotPolicyAndPurge: rule 25: what follows a snapshot on its way is kept for
// its receiver, within a bound.
func TestSnapshotPolicyAndPurge(t *testing.T) {
	entry := Entry{Data: []byte("x")}
	r := newRig(t, rigOptions{configure: func(c *Config) {
		c.SnapshotEntries, c.KeepEntries, c.HoldBytesMax = 4, 1, uint64(5*entry.Size())
	}}).lead()
	grow := func(n int) {
		for range n {
			r.propose("x")
			r.flush()
			r.match(2, r.e.log.last.Index)
			r.apply()
		}
	}
	build := func() {
		t.Helper()
		if !r.e.snapshots.building {
			t.Fatal("no snapshot is due")
		}
		r.step(&SnapshotBuilt{Meta: SnapshotMeta{LogID: LogID{2, r.e.applied}, Cluster: worldCluster, Configuration: *r.e.configs.latest()}})
	}
	grow(1)
	if r.e.snapshots.building {
		t.Error("a snapshot before it is due")
	}
	grow(1)
	build() // at 4
	if r.e.log.purged != (LogID{2, 3}) {
		t.Fatalf("purged %v, want 2.3: one entry is kept", r.e.log.purged)
	}
	if lines := r.step(&SnapshotNeeded{Peer: rigPeers[2], Stream: 2}); !slices.Equal(lines, []string{"send snapshot ->3"}) {
		t.Fatalf("%q", lines)
	}
	r.expect(r.step(&SnapshotNeeded{Peer: rigPeers[2], Stream: 2})) // one at a time
	grow(4)
	build() // at 8
	if got := r.e.log.purged.Index; got != 4 {
		t.Errorf("purged %d: node 3 needs what follows 4", got)
	}
	grow(4)
	build() // at 12: 11-4 is more than the bound of 5 entries
	if got := r.e.log.purged.Index; got != 11 {
		t.Errorf("purged %d: the receiver is given up", got)
	}
	r.step(&SnapshotSent{Peer: rigPeers[2], Stream: 2, LogID: LogID{2, 4}, OK: true})
	if r.expect(r.step(&SnapshotNeeded{Peer: rigPeers[2], Stream: 2}), "send snapshot ->3"); r.e.leaderState.peers[1].pinned != 12 {
		t.Errorf("pinned %d", r.e.leaderState.peers[1].pinned)
	}
}

// TestSnapshotDueDuringABuild: what is applied while one snapshot is built may make
// the next one due, and nothing else may come that asks.
func TestSnapshotDueDuringABuild(t *testing.T) {
	r := newRig(t, rigOptions{configure: func(c *Config) { c.SnapshotEntries, c.KeepEntries = 4, 1 }}).lead()
	for range 12 {
		r.propose("x")
		r.flush()
		r.match(2, r.e.log.last.Index)
		r.apply()
	}
	at := r.e.snapshots.triedAt
	if at != 4 || !r.e.snapshots.building {
		t.Fatalf("the first snapshot was begun at %d", at)
	}
	r.step(&SnapshotBuilt{Meta: SnapshotMeta{LogID: LogID{2, at}, Cluster: worldCluster, Configuration: *r.e.configs.latest()}})
	if _, ok := find[*BuildSnapshot](r); !ok {
		t.Errorf("%d entries were applied since the snapshot at %d, and no other is made: %q", r.e.applied-at, at, r.lines())
	}
}

// TestFailedBuildWaitsForNextThreshold: a store that cannot take a snapshot is not
// asked at every apply.
func TestFailedBuildWaitsForNextThreshold(t *testing.T) {
	r := newRig(t, rigOptions{configure: func(c *Config) { c.SnapshotEntries = 5 }}).lead()
	var builds []Index
	for range 16 {
		r.propose("x")
		r.flush()
		r.match(2, r.e.log.last.Index)
		r.apply()
		if _, ok := find[*BuildSnapshot](r); ok {
			builds = append(builds, r.e.applied)
			r.step(&SnapshotBuilt{Err: errors.New("no space")})
		}
	}
	if !slices.Equal(builds, []Index{5, 10, 15}) {
		t.Errorf("builds at %v", builds)
	}
}

// TestFailedBuildIsTriedAgain: a build that failed is tried again where nothing is
// applied any more, after waits that double up to a bound. One that succeeds ends that.
func TestFailedBuildIsTriedAgain(t *testing.T) {
	r := newRig(t, rigOptions{configure: func(c *Config) { c.SnapshotEntries = 5 }}).lead()
	for r.e.applied < 5 {
		r.propose("x")
		r.flush()
		r.match(2, r.e.log.last.Index)
		r.apply()
	}
	full := &SnapshotBuilt{Err: errors.New("no space")}
	for i, want := range []time.Duration{10, 20, 40, 80, 160, 320, 640, 640, 640} {
		if !r.e.snapshots.building {
			t.Fatalf("attempt %d was not made", i+1)
		}
		begun := r.now
		if lines := r.step(full); r.e.snapshots.building {
			t.Fatalf("attempt %d follows at once: %q", i+2, lines)
		}
		// Whoever needs a snapshot does not have one tried either.
		r.step(&SnapshotNeeded{Peer: rigPeers[2], Stream: 2})
		r.step(&Applied{LogID: LogID{2, r.e.applied}})
		if r.e.snapshots.building {
			t.Fatalf("attempt %d follows at once", i+2)
		}
		r.expect(r.fire(TimerSnapshot), "build snapshot")
		if wait := r.now.Sub(begun); wait != want*r.e.cfg.ElectionTimeout {
			t.Errorf("attempt %d came after %v, want %v time-outs", i+2, wait, int(want))
		}
	}
	r.step(&SnapshotBuilt{Meta: SnapshotMeta{LogID: LogID{2, 5}, Cluster: worldCluster, Configuration: *r.e.configs.latest()}})
	if r.e.snapshots.again.armed != 0 || r.e.snapshots.failures != 0 || r.e.snapshots.newest.Index != 5 {
		t.Errorf("after a good one, %d are counted as failed, and the newest is %d", r.e.snapshots.failures, r.e.snapshots.newest.Index)
	}
}

// TestFailedBuildByBytes: the rule in bytes asks for a snapshot that could not be built
// after as many bytes again, and not with everything that is applied.
func TestFailedBuildByBytes(t *testing.T) {
	entry := Entry{Data: make([]byte, 1000)}
	r := newRig(t, rigOptions{configure: func(c *Config) { c.SnapshotEntries, c.SnapshotLogBytes = 0, uint64(4*entry.Size()) }}).lead()
	var builds []Index
	for range 12 {
		r.propose(string(entry.Data))
		r.flush()
		r.match(2, r.e.log.last.Index)
		r.apply()
		if _, ok := find[*BuildSnapshot](r); ok {
			builds = append(builds, r.e.applied)
			r.step(&SnapshotBuilt{Err: errors.New("no space")})
		}
	}
	if len(builds) != 3 || builds[1]-builds[0] != 4 || builds[2]-builds[1] != 4 {
		t.Errorf("builds at %v", builds)
	}
	r.expect(r.fire(TimerSnapshot), "build snapshot")
	r.step(&SnapshotBuilt{Meta: SnapshotMeta{LogID: LogID{2, r.e.applied}, Cluster: worldCluster, Configuration: *r.e.configs.latest()}})
	if n := r.e.Progress().GrowthBytes; n != 0 {
		t.Errorf("%d bytes count for the next one", n)
	}
}

// TestReadRounds: rule 26: one round at a time, reads of a round share it, and a
// quorum by the configuration in force answers it.
func TestReadRounds(t *testing.T) {
	r := newRig(t, rigOptions{}).lead()
	answer := func(round uint64) []string {
		return r.from(2, 2, &HeartbeatResponse{Round: round, Stream: 1, Match: 2})
	}
	answer(1)
	round := func(n int) []string {
		return []string{fmt.Sprintf("send ->2 T2 heartbeat %d, commit 2", n), fmt.Sprintf("send ->3 T2 heartbeat %d, commit 2", n)}
	}
	r.expect(r.step(&ReadRequest{ID: 1}), round(2)...)
	r.expect(r.step(&ReadRequest{ID: 2}))
	r.expect(r.step(&ReadRequest{ID: 3}))
	r.expect(answer(2), append([]string{"read 1: ready at 2"}, round(3)...)...)
	r.expect(answer(3), "read 2: ready at 2", "read 3: ready at 2")
	// A single voter needs no round but its own.
	alone := newRig(t, rigOptions{voters: 1, commit: 1, applied: 1})
	alone.flush()
	alone.expect(alone.step(&ReadRequest{ID: 1})) // its blank entry is not committed
	alone.expect(alone.flush(), "read 1: ready at 2", "replicate to 2, commit 2", "apply to 2")
	alone.expect(alone.step(&ReadRequest{ID: 2}), "read 2: ready at 2")
}

// TestSnapshotOfHeldEntry: rule 24: if the log holds a snapshot's entry, nothing is
// reset, and the commit index moves to it; also if it was received before that.
func TestSnapshotOfHeldEntry(t *testing.T) {
	meta := rigSnapshot(LogID{2, 3})
	t.Run("offered", func(t *testing.T) {
		r := newRig(t, matrixLog).follow(4)
		r.flush()
		r.expect(r.from(2, 4, &SnapshotChunk{Stream: 1, Transfer: 1, Meta: meta, Done: true}),
			"send ->2 T4 appended: match 3", "send ->2 T4 snapshot refused: not needed", "apply to 3")
	})
	t.Run("received", func(t *testing.T) {
		r := newRig(t, matrixLog).follow(4)
		r.flush()
		r.expect(r.step(&SnapshotReceived{meta, rigPeers[1], 4, 1}), "send ->2 T4 appended: match 3", "apply to 3")
		if r.e.log.last != (LogID{2, 3}) || r.e.log.purged.Index != 0 || r.e.commit != 3 {
			t.Errorf("log %v behind %v, commit %d", r.e.log.last, r.e.log.purged, r.e.commit)
		}
	})
}

// TestSnapshotBringsItsMembers: the configuration of a snapshot is in force as soon as its
// log is, and takes the place of all that the log had.
func TestSnapshotBringsItsMembers(t *testing.T) {
	r := newRig(t, matrixLog).follow(4)
	meta := rigSnapshot(LogID{3, 9})
	meta.Configuration = ConfigurationAt{LogID{3, 8}, rigState(rigOptions{voters: 5}).Configurations[0].Configuration}
	r.step(&SnapshotReceived{meta, rigPeers[1], 4, 1})
	if told, ok := find[*ConfigurationChanged](r); !ok || told.At.LogID != (LogID{3, 8}) {
		t.Errorf("what is told: %q", r.lines())
	}
	if c := r.e.Status().Configuration; c.LogID != (LogID{3, 8}) || len(c.Configuration.Voters) != 5 {
		t.Errorf("%v is in force: %v", c.LogID, &c.Configuration)
	}
}

// TestSnapshotBringsAJointConfiguration: rules 20 and 24: a snapshot has both halves, the
// learners and the change under way, as it is restored and as a node starts from it. A
// node that votes in the half that leaves only takes it, and may campaign.
func TestSnapshotBringsAJointConfiguration(t *testing.T) {
	c := rigState(rigOptions{voters: 5}).Configurations[0].Configuration
	c.Voters, c.Outgoing = rigPeers[1:4:4], rigPeers[:3:3]
	c.Target = &membership.Target{ID: 7, Members: c.Members, Voters: c.Voters}
	at := ConfigurationAt{LogID{1, 3}, c}
	holds := func(how string, r *rig) {
		got := r.e.configs.latest()
		if got.LogID != at.LogID || !got.Configuration.Equal(&c) || r.e.role != RoleFollower || !r.e.configs.voterSince(r.e.cfg.Self, r.e.commit) {
			t.Errorf("%s: a %v, in force is %v: %v", how, r.e.role, got.LogID, got.Configuration.String())
		}
	}
	r := newRig(t, rigOptions{}).follow(4)
	meta := rigSnapshot(LogID{1, 3})
	meta.Configuration = at
	r.step(&SnapshotReceived{meta, rigPeers[1], 4, 1})
	holds("received", r)
	s := rigState(rigOptions{terms: []Term{1, 1, 1}, purged: 3, applied: 3})
	s.Snapshot.Configuration = at
	holds("at the start", newRigOf(t, s, nil))
	// A voter learns from a snapshot, and from it at the start, that it is a learner now.
	c.Outgoing, c.Target = nil, nil
	meta.Configuration = ConfigurationAt{at.LogID, c}
	r = newRig(t, rigOptions{}).follow(4)
	r.step(&SnapshotReceived{meta, rigPeers[1], 4, 1})
	s.Snapshot.Configuration = ConfigurationAt{at.LogID, c}
	for how, r := range map[string]*rig{"received": r, "at the start": newRigOf(t, s, nil)} {
		if r.e.role != RoleLearner || r.e.mayEverCampaign() || r.e.Status().Removed {
			t.Errorf("%s: a %v", how, r.e.role)
		}
	}
}

func rigSnapshot(id LogID) SnapshotMeta {
	return SnapshotMeta{LogID: id, Cluster: worldCluster, Configuration: rigState(rigOptions{}).Configurations[0]}
}

// TestResetTakesBackWhatWasDurable: rule 1: behind a reset, what the removed end of
// the log had on the disk counts for nothing above the commit index.
func TestResetTakesBackWhatWasDurable(t *testing.T) {
	tail := []Term{1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2}
	r := newRig(t, rigOptions{terms: tail, commit: 2, applied: 2}).follow(4)
	r.from(2, 4, &AppendEntries{Stream: 1, Prev: LogID{2, 12}, Entries: commands(LogID{4, 13})})
	r.from(3, 5, &Heartbeat{Round: 1, Stream: 1})
	r.step(&SnapshotReceived{rigSnapshot(LogID{3, 9}), rigPeers[2], 5, 1})
	if r.e.log.last != (LogID{3, 9}) || r.e.writes.flushed != 2 {
		t.Fatalf("last %v, flushed %d", r.e.log.last, r.e.writes.flushed)
	}
	r.step(&Flushed{2}) // the entry of before
	if r.e.writes.flushed != 2 {
		t.Errorf("flushed %d by a write from before the reset", r.e.writes.flushed)
	}
	if r.flush(); r.e.writes.flushed != 9 {
		t.Errorf("flushed %d after the reset", r.e.writes.flushed)
	}
}

// TestSnapshotOfANewerTermAtTheStart: a crash came between a received snapshot's
// file, which is durable, and the write with its term. The reset that finishes
// the installation raises the term with it: no log ends in a term that its node
// has not reached. The cluster is adopted the same way (rule 17).
func TestSnapshotOfANewerTermAtTheStart(t *testing.T) {
	for _, cluster := range []ClusterID{worldCluster, {}} {
		s := rigState(rigOptions{terms: []Term{2, 2}, commit: 1})
		s.HardState.Cluster = cluster
		s.Snapshot = SnapshotMeta{LogID: LogID{3, 9}, Cluster: worldCluster, Configuration: s.Configurations[0]}
		r := newRigOf(t, s, nil)
		w, ok := find[*Write](r)
		if !ok || w.Reset != s.Snapshot.LogID || !w.SaveHardState || w.HardState.Term != 3 || w.HardState.Cluster != worldCluster || !w.HardState.Vote.IsZero() {
			t.Errorf("cluster %v before: the first write is %q", cluster, r.lines())
		}
	}
}

// TestRottenSnapshotIsBuiltAnew: a live node that finds its newest snapshot rotten or
// removed builds another at once, also where nothing more was applied, and sends none
// meanwhile.
func TestRottenSnapshotIsBuiltAnew(t *testing.T) {
	for what, sent := range map[string]SnapshotSent{
		"found by its reader":   {LogID: LogID{2, 4}, Rotten: true},
		"none can be found":     {Rotten: true},
		"somebody removed it":   {Gone: true},
		"an older one was sent": {LogID: LogID{2, 3}, OK: true},
	} {
		r := newRig(t, rigOptions{configure: func(c *Config) { c.SnapshotEntries, c.KeepEntries = 4, 1 }}).lead()
		for r.e.applied < 4 {
			r.propose("x")
			r.flush()
			r.match(2, r.e.log.last.Index)
			r.apply()
		}
		made := SnapshotBuilt{Meta: SnapshotMeta{LogID: LogID{2, 4}, Cluster: worldCluster, Configuration: *r.e.configs.latest()}}
		r.step(&made)
		r.step(&SnapshotNeeded{Peer: rigPeers[2], Stream: 2})
		sent.Peer, sent.Stream = rigPeers[2], 2
		r.step(&sent)
		if !r.e.snapshots.building {
			t.Fatalf("%s: nothing is built", what)
		}
		if lines := r.step(&SnapshotNeeded{Peer: rigPeers[2], Stream: 2}); len(lines) != 0 {
			t.Errorf("%s: meanwhile %q", what, lines)
		}
		r.step(&made)
		if lines := r.step(&SnapshotNeeded{Peer: rigPeers[2], Stream: 2}); !slices.Equal(lines, []string{"send snapshot ->3"}) {
			t.Errorf("%s: with the new one %q", what, lines)
		}
	}
}
