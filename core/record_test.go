package core

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/trouperaft/troupe/membership"
)

// newRecordRig leads, and its machine keeps its state.
func newRecordRig(t *testing.T, configure func(c *Config)) *purgeRig {
	return newPurgeRig(t, func(c *Config) {
		c.Records = true
		configure(c)
	})
}

// wants is what the last step asked to be built, "" if nothing.
func (r *purgeRig) wants() string {
	switch b, ok := find[*BuildSnapshot](r.rig); {
	case !ok:
		return ""
	case b.Record:
		return "record"
	}
	return "snapshot"
}

// recordedAt ends a record that was asked for: it is of an entry that the machine holds.
func (r *purgeRig) recordedAt(i Index) {
	r.t.Helper()
	r.step(&SnapshotBuilt{Record: true, Meta: SnapshotMeta{LogID: LogID{r.e.hard.Term, i}, Cluster: worldCluster, Configuration: *r.e.configs.latest()}})
}

// growTo grows the log, and makes the records that are due, each of all that is applied.
func (r *purgeRig) growTo(i Index) {
	r.t.Helper()
	for r.e.applied < i {
		r.grow()
		switch r.wants() {
		case "record":
			r.recordedAt(r.e.applied)
			r.flush()
		case "snapshot":
			r.t.Fatalf("a snapshot is built though nobody asked, at %d", r.e.applied)
		}
	}
}

// TestRecordsTakeThePlaceOfSnapshots: by policy the log of a durable machine is purged up
// to what is recorded, no further, and no snapshot is built.
func TestRecordsTakeThePlaceOfSnapshots(t *testing.T) {
	r := newRecordRig(t, func(c *Config) { c.SnapshotEntries, c.KeepEntries = 10, 3 })
	r.growTo(100)
	s := r.e.Status()
	if s.RecordIndex < 90 || s.SnapshotIndex != 0 || s.Purged != s.RecordIndex-3 {
		t.Fatalf("recorded %d, snapshot %d, purged %d", s.RecordIndex, s.SnapshotIndex, s.Purged)
	}
	// What the machine holds only in memory stays.
	for r.grow(); r.wants() == ""; r.grow() {
	}
	r.recordedAt(s.RecordIndex + 4)
	if now := r.e.Status(); now.RecordIndex != s.RecordIndex+4 || now.Purged != s.RecordIndex+1 {
		t.Errorf("recorded %d, purged %d", now.RecordIndex, now.Purged)
	}
	r.step(&PurgeLog{ID: 1, UpTo: r.e.applied})
	var refused *PurgeError
	if ended, ok := find[*PurgeEnded](r.rig); !ok || !errors.As(ended.Err, &refused) || refused.Snapshot != r.e.snapshots.recorded {
		t.Errorf("a purge beyond the record: %q", r.lines())
	}
	b := &BuildSnapshot{}
	for r.grow(); r.wants() == ""; r.grow() {
	}
	if b, _ = find[*BuildSnapshot](r.rig); b.Above != r.e.snapshots.recorded || b.Unneeded != r.e.log.purged.Index {
		t.Errorf("asked for %+v, recorded %d, purged %d", b, r.e.snapshots.recorded, r.e.log.purged.Index)
	}
}

// TestRecordWhereTheMachineGivesNone: a snapshot that was built in its place counts.
func TestRecordWhereTheMachineGivesNone(t *testing.T) {
	r := newRecordRig(t, func(c *Config) { c.SnapshotEntries, c.KeepEntries = 10, 3 })
	for r.grow(); r.wants() != "record"; r.grow() {
	}
	r.built()
	if s := r.e.Status(); s.SnapshotIndex != s.Applied || s.RecordIndex != 0 || s.Purged != s.Applied-3 {
		t.Errorf("%+v", s)
	}
}

// TestSnapshotOfADurableMachine: whoever asks gets a whole one: a follower, an operator,
// also while a record is being made.
func TestSnapshotOfADurableMachine(t *testing.T) {
	ask := map[string]func(r *purgeRig){
		"an operator": func(r *purgeRig) { r.step(&MakeSnapshot{ID: 1}) },
		"a follower": func(r *purgeRig) {
			p := r.peer(3)
			r.step(&SnapshotNeeded{Peer: p.Identity, Stream: p.stream})
		},
		"a lost machine": func(r *purgeRig) { r.asksForItsMachine(3) },
	}
	for who, asks := range ask {
		r := newRecordRig(t, func(c *Config) { c.SnapshotEntries, c.KeepEntries = 10, 3 })
		r.growTo(25)
		if asks(r); r.wants() != "snapshot" {
			t.Errorf("%s asks: %q", who, r.lines())
		}
		r.built()
		if s := r.e.Status(); s.SnapshotIndex != s.Applied {
			t.Errorf("%s: snapshot %d of %d", who, s.SnapshotIndex, s.Applied)
		}
		for r.grow(); r.wants() == ""; r.grow() {
		}
		if asks(r); r.wants() != "" && who == "an operator" {
			t.Errorf("%s asks during a record: %q", who, r.lines())
		}
		r.recordedAt(r.e.applied)
		if want := map[bool]string{true: "snapshot"}[who == "an operator"]; r.wants() != want {
			t.Errorf("%s: after the record: %q", who, r.lines())
		}
	}
}

// asksForItsMachine lets a peer's answer to a heartbeat say that it lacks its machine.
func (r *purgeRig) asksForItsMachine(id NodeID) {
	r.step(&HeartbeatResponse{
		Header: Header{Group: 1, Cluster: worldCluster, From: rigPeers[id-1], To: rigPeers[0], Term: r.e.hard.Term},
		Stream: r.peer(id).stream, Lacks: r.e.log.purged.Index,
	})
}

// TestRecordsPassNoSnapshotThatIsWaitedFor: rule 25: a snapshot that was built for a
// follower is of use to it though records are made before it asks again.
func TestRecordsPassNoSnapshotThatIsWaitedFor(t *testing.T) {
	r := newRecordRig(t, func(c *Config) { c.SnapshotEntries, c.KeepEntries = 10, 0 })
	r.growTo(25)
	p := r.peer(3)
	r.pass(time.Hour) // since it came forward last
	r.step(&SnapshotNeeded{Peer: p.Identity, Stream: p.stream})
	r.built()
	whole := r.e.snapshots.newest.Index
	r.growTo(60)
	if r.e.log.purged.Index != whole || r.e.snapshots.recorded < 50 {
		t.Fatalf("the snapshot is of %d, recorded %d, purged %d", whole, r.e.snapshots.recorded, r.e.log.purged.Index)
	}
	r.step(&SnapshotNeeded{Peer: p.Identity, Stream: p.stream})
	if _, ok := find[*SendSnapshot](r.rig); !ok {
		t.Fatalf("%q", r.lines())
	}
	// It is kept for its receiver on its way, and let go of when nothing comes of it.
	r.growTo(80)
	if r.e.log.purged.Index != whole {
		t.Fatalf("purged %d on its way", r.e.log.purged.Index)
	}
	r.step(&SnapshotSent{Peer: p.Identity, Stream: p.stream, LogID: r.e.snapshots.newest.LogID})
	r.pass(2 * time.Minute)
	r.growTo(100)
	if s := r.e.Status(); s.Purged <= whole {
		t.Fatalf("purged %d", s.Purged)
	}
	// The one that the log has passed is sent to nobody.
	r.step(&SnapshotNeeded{Peer: p.Identity, Stream: p.stream})
	if _, sends := find[*SendSnapshot](r.rig); sends || r.wants() != "snapshot" {
		t.Errorf("%q", r.lines())
	}
}

// TestLogPassesASnapshotThatIsToBeSent: rule 25: while it waits for its turn the log may pass
// it, and it is removed. Another is built when the follower asks again, not two.
func TestLogPassesASnapshotThatIsToBeSent(t *testing.T) {
	for what, newer := range map[string]bool{"none is there": false, "a newer one is": true} {
		r := newRecordRig(t, func(c *Config) { c.SnapshotEntries, c.KeepEntries, c.HoldBytesMax = 10, 0, 0 })
		r.growTo(25)
		p := r.peer(3)
		asks := func() { r.step(&SnapshotNeeded{Peer: p.Identity, Stream: p.stream}) }
		asks()
		r.built()
		asks()
		if _, sends := find[*SendSnapshot](r.rig); !sends {
			t.Fatalf("%s: %q", what, r.lines())
		}
		r.growTo(60)
		if r.e.snapshots.usable {
			t.Fatalf("%s: the log has not passed it", what)
		}
		if newer {
			r.step(&MakeSnapshot{ID: 1})
			r.built()
		}
		r.step(&SnapshotSent{Peer: p.Identity, Stream: p.stream, Gone: true})
		if r.wants() != "" {
			t.Errorf("%s: %q", what, r.lines())
		}
		asks()
		if _, sends := find[*SendSnapshot](r.rig); sends != newer || r.wants() == "snapshot" == newer {
			t.Errorf("%s, and when it asks again: %q", what, r.lines())
		}
	}
}

// TestSnapshotOfADurableMachineIsRotten: another is built at once; the log is purged on.
func TestSnapshotOfADurableMachineIsRotten(t *testing.T) {
	r := newRecordRig(t, func(c *Config) { c.SnapshotEntries, c.KeepEntries = 10, 0 })
	r.growTo(25)
	r.step(&MakeSnapshot{ID: 1})
	r.built()
	p := r.peer(3)
	r.step(&SnapshotNeeded{Peer: p.Identity, Stream: p.stream})
	r.growTo(40)
	r.step(&SnapshotSent{Peer: p.Identity, Stream: p.stream, LogID: r.e.snapshots.newest.LogID, Rotten: true})
	if r.wants() != "snapshot" || !r.e.snapshots.based {
		t.Fatalf("based %t: %q", r.e.snapshots.based, r.lines())
	}
	r.built()
	if s := r.e.Status(); s.SnapshotIndex != 40 {
		t.Errorf("%d", s.SnapshotIndex)
	}
}

// TestRecordFails: it is tried again, and whoever waits for a snapshot does not wait for
// that. A snapshot that failed is tried again as a snapshot.
func TestRecordFails(t *testing.T) {
	full := errors.New("no space")
	r := newRecordRig(t, func(c *Config) { c.SnapshotEntries = 10 })
	for r.grow(); r.wants() == ""; r.grow() {
	}
	r.step(&SnapshotBuilt{Record: true, Err: full})
	if r.fire(TimerSnapshot); r.wants() != "record" {
		t.Fatalf("%q", r.lines())
	}
	r.step(&MakeSnapshot{ID: 1})
	if r.step(&SnapshotBuilt{Record: true, Err: full}); r.wants() != "snapshot" || len(r.made()) != 0 {
		t.Fatalf("%q", r.lines())
	}
	r.step(&SnapshotBuilt{Err: full})
	if got := r.made(); len(got) != 1 || !errors.Is(got[0].Err, full) {
		t.Fatalf("%v", got)
	}
	// A record that succeeds is not what is to be tried again.
	for r.grow(); r.wants() == ""; r.grow() {
	}
	r.recordedAt(r.e.applied)
	if r.fire(TimerSnapshot); r.wants() != "snapshot" {
		t.Errorf("%q", r.lines())
	}
}

// recordState is what a node holds whose log was purged up to 4, of 1.1 to 2.4, and goes on
// with 3.5 and 3.6; a record says that the machine holds 3.5.
func recordState(applied LogID) State {
	s := rigState(rigOptions{terms: []Term{1, 2, 2, 3, 3}, purged: 4, commit: 5})
	s.Record = SnapshotMeta{LogID: LogID{3, 5}, Time: 50, Cluster: worldCluster, Configuration: s.Snapshot.Configuration}
	s.Snapshot, s.Applied, s.Peers = SnapshotMeta{}, applied, rigMembers[1:3]
	return s
}

// TestRecordAtTheStart: it tells the configuration, the time and what may be purged.
func TestRecordAtTheStart(t *testing.T) {
	r := newRigOf(t, recordState(LogID{3, 5}), func(c *Config) { c.Records = true })
	s := r.e.Status()
	if s.LacksMachine || s.RecordIndex != 5 || !s.Configuration.Configuration.IsVoter(rigPeers[0]) || r.e.commit != 5 || r.e.times.last < 50 {
		t.Errorf("%+v, commit %d, time %d", s, r.e.commit, r.e.times.last)
	}
	r.step(&PurgeLog{ID: 1, UpTo: 5})
	r.flush()
	if r.e.log.purged.Index != 5 {
		t.Errorf("purged %v", r.e.log.purged)
	}
}

// TestRecordOfALostMachine: rule 24: the record does not hold what the machine has lost. A
// machine that lacks what was purged is asked for; one that the log still reaches goes on,
// and nothing is purged because of the record.
func TestRecordOfALostMachine(t *testing.T) {
	r := newRigOf(t, recordState(LogID{}), func(c *Config) { c.Records = true })
	if s := r.e.Status(); !s.LacksMachine || s.Unfit == Fit || !s.Configuration.Configuration.IsVoter(rigPeers[0]) {
		t.Errorf("%+v", s)
	}
	r.from(3, 4, &Heartbeat{Round: 1, Stream: 1, Commit: 6})
	if m, ok := sent[*HeartbeatResponse](r); !ok || m.Lacks != 4 {
		t.Errorf("its leader hears %+v", m)
	}
	alone := recordState(LogID{})
	alone.Peers = nil
	if _, err := NewEngine(testConfig(rigPeers[0]), alone, 0); !errors.Is(err, ErrCorrupt) {
		t.Errorf("alone: %v", err)
	}
	sole := rigState(rigOptions{voters: 1, terms: []Term{1, 2, 2, 3, 3}, purged: 4, commit: 5})
	sole.Record, sole.Snapshot, sole.Applied, sole.Peers = recordState(LogID{}).Record, SnapshotMeta{}, LogID{}, rigMembers[1:3]
	sole.Record.Configuration = rigState(rigOptions{voters: 1, terms: []Term{1, 2, 2}, purged: 4}).Snapshot.Configuration
	if _, err := NewEngine(testConfig(rigPeers[0]), sole, 0); !errors.Is(err, ErrCorrupt) {
		t.Errorf("a sole voter: %v", err)
	}

	r = newRigOf(t, recordState(LogID{2, 4}), func(c *Config) { c.Records, c.SnapshotEntries = true, 1 })
	if r.e.Status().LacksMachine {
		t.Error("the log holds what it lacks")
	}
	for _, applied := range []LogID{{2, 4}, {3, 5}} { // the latter perhaps only in memory
		r.step(&Applied{applied})
		r.step(&PurgeLog{ID: 1, UpTo: 5})
		if ended, ok := find[*PurgeEnded](r); !ok || ended.Err == nil || r.e.log.purged.Index != 4 {
			t.Fatalf("purged up to %v, and the machine holds 2.4 on its disk: %q", r.e.log.purged, r.lines())
		}
	}
	r.from(3, 4, &AppendEntries{Stream: 1, Prev: LogID{3, 6}, Entries: commands(LogID{4, 7}), Commit: 7})
	r.flush()
	r.step(&Applied{LogID{4, 7}})
	r.step(&SnapshotBuilt{Record: true, Meta: SnapshotMeta{LogID: LogID{4, 7}, Cluster: worldCluster, Configuration: *r.e.configs.latest()}})
	if r.e.log.purged.Index != 7 {
		t.Errorf("purged %v with a record that holds", r.e.log.purged)
	}
}

// TestRecordAboveTheMachine: a record hides no older configuration of the log from a machine
// that holds less, and its index is not told as one that holds.
func TestRecordAboveTheMachine(t *testing.T) {
	s := rigState(rigOptions{terms: []Term{1, 2, 2, 3, 3}, purged: 1, commit: 3})
	old := s.Snapshot.Configuration
	old.LogID = LogID{1, 2}
	now := old
	now.LogID = LogID{2, 3}
	s.Snapshot, s.Configurations, s.Applied = SnapshotMeta{}, []ConfigurationAt{old, now}, LogID{1, 2}
	s.Record = SnapshotMeta{LogID: LogID{2, 4}, Cluster: worldCluster, Configuration: now}
	r := newRigOf(t, s, func(c *Config) { c.Records = true })
	if at := r.e.ConfigurationAt(2); at.LogID != old.LogID {
		t.Errorf("entry 2 is said to be under the configuration of %v", at.LogID)
	}
	if i := r.e.Status().RecordIndex; i != 0 {
		t.Errorf("record %d is told, and the machine holds 2", i)
	}
}

// TestSnapshotPassesTheRecord: a whole snapshot takes the record's place, and the store
// removes it.
func TestSnapshotPassesTheRecord(t *testing.T) {
	r := newRecordRig(t, func(c *Config) { c.SnapshotEntries = 10 })
	r.growTo(30)
	r.grow()
	r.step(&MakeSnapshot{ID: 1})
	r.built()
	if s := r.e.Status(); s.RecordIndex != 0 || s.SnapshotIndex != r.e.applied {
		t.Errorf("record %d, snapshot %d", s.RecordIndex, s.SnapshotIndex)
	}
}

// TestFailedRecordForgetsNoSnapshot: a whole snapshot that has to be built again is, though
// a record has failed since.
func TestFailedRecordForgetsNoSnapshot(t *testing.T) {
	r := newRecordRig(t, func(c *Config) { c.SnapshotEntries = 10 })
	r.growTo(5)
	r.step(&MakeSnapshot{ID: 1})
	r.step(&SnapshotBuilt{Err: errors.New("no")})
	for r.wants() == "" {
		r.grow()
	}
	if got := r.wants(); got != "record" {
		t.Fatalf("by policy a %s is built", got)
	}
	r.step(&SnapshotBuilt{Record: true, Err: errors.New("no")})
	if r.fire(TimerSnapshot); r.wants() != "snapshot" {
		t.Errorf("again is built: %q", r.lines())
	}
}

// TestNothingIsHeldWithoutABase: while the newest snapshot is rotten nothing would be purged,
// so nothing is kept for others alone.
func TestNothingIsHeldWithoutABase(t *testing.T) {
	r := newPurgeRig(t, func(c *Config) { c.SnapshotEntries, c.KeepEntries = 16, 2 })
	r.sends()
	for range 32 {
		r.propose()
	}
	if r.e.Status().HeldBytes == 0 {
		t.Fatal("nothing is held: the test is worthless")
	}
	r.e.snapshotLost()
	r.step(&Applied{LogID{2, r.e.applied}})
	r.pass(time.Minute)
	r.step(&LetGoOfLog{Why: LetGoNode})
	if held := r.e.Status().HeldBytes; held != 0 {
		t.Errorf("%d bytes are said to be held", held)
	}
}

// TestPurgeWaitsForTheMachine: a machine that is behind a snapshot at the start is given
// the log first.
func TestPurgeWaitsForTheMachine(t *testing.T) {
	s := rigState(rigOptions{terms: []Term{1, 2, 2, 3, 3}, purged: 2, commit: 5})
	s.Snapshot.LogID, s.Applied = LogID{3, 5}, LogID{1, 2}
	r := newRigOf(t, s, nil)
	r.step(&PurgeLog{ID: 1, UpTo: 5})
	if ended, ok := find[*PurgeEnded](r); !ok || ended.Err == nil || r.e.log.purged.Index != 2 {
		t.Fatalf("purged up to %v, and the machine holds 1.2: %q", r.e.log.purged, r.lines())
	}
	r.step(&Applied{LogID{3, 5}})
	r.step(&PurgeLog{ID: 2, UpTo: 5})
	if r.e.log.purged.Index != 5 {
		t.Errorf("purged %v", r.e.log.purged)
	}
}

// TestRecordContradicts: a record of what the log does not hold, of another cluster, or of
// a later configuration is damage.
func TestRecordContradicts(t *testing.T) {
	for want, damage := range map[string]func(s *State){
		"":                   func(*State) {},
		"not the log's":      func(s *State) { s.Record.Term = 2 },
		"which is not":       func(s *State) { s.Record.Index = 7 },
		"another cluster":    func(s *State) { s.Record.Cluster = clusterID(9) },
		"a configuration of": func(s *State) { s.Record.Configuration.Index = 6 },
		"no good snapshot or record": func(s *State) {
			s.Record.LogID = LogID{2, 3}
			s.Applied, s.Peers = LogID{3, 5}, nil
		},
	} {
		s := recordState(LogID{3, 5})
		damage(&s)
		_, err := NewEngine(testConfig(rigPeers[0]), s, 0)
		if (err != nil) != (want != "") || err != nil && (!errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

// TestSnapshotTakesTheRecordsPlace: one that is installed is newer than the record. One that
// is behind it, for a lost machine, is what counts from then on.
func TestSnapshotTakesTheRecordsPlace(t *testing.T) {
	r := newRigOf(t, recordState(LogID{3, 5}), func(c *Config) { c.Records = true })
	r.from(3, 4, &Heartbeat{Round: 1, Stream: 1, Commit: 6})
	r.step(&SnapshotReceived{rigSnapshot(LogID{4, 9}), rigPeers[2], 4, 1})
	r.flush()
	r.step(&SnapshotInstalled{LogID{4, 9}})
	if s := r.e.Status(); s.SnapshotIndex != 9 || s.RecordIndex != 0 || s.Purged != 9 || s.Applied != 9 {
		t.Errorf("%+v", s)
	}
	r = newRigOf(t, recordState(LogID{}), func(c *Config) { c.Records = true })
	r.from(3, 4, &Heartbeat{Round: 1, Stream: 1, Commit: 6})
	r.step(&SnapshotReceived{rigSnapshot(LogID{2, 4}), rigPeers[2], 4, 1})
	r.flush()
	r.step(&SnapshotInstalled{LogID{2, 4}})
	if s := r.e.Status(); s.SnapshotIndex != 4 || s.LacksMachine || s.Applied != 4 || r.e.snapshots.base.Index != 4 {
		t.Errorf("%+v", s)
	}
}

// TestRecoveryWithARecord: a survivor with a record in place of a snapshot is recovered,
// and the record counts in the cluster that comes of it.
func TestRecoveryWithARecord(t *testing.T) {
	s, next := recordState(LogID{3, 5}), clusterID(7)
	r, err := PlanRecovery(s, rigPeers[0], "", next, 100)
	if err != nil || r.Commit != 5 || r.Last != (LogID{3, 6}) || len(r.Configuration.Configuration.Voters) != 3 {
		t.Fatalf("%+v, %v", r, err)
	}
	at, err := decodeConfiguration(&r.Entry)
	if err != nil {
		t.Fatal(err)
	}
	s.HardState, s.Last, s.Commit = r.HardState, r.Entry.LogID, r.Entry.Index
	s.Terms, s.Sizes = append(s.Terms, r.Entry.LogID), LogSizes{}
	s.Configurations = append(s.Configurations, at)
	e, err := NewEngine(testConfig(rigPeers[0]), s, 0)
	if err != nil || e.snapshots.recorded != 5 {
		t.Errorf("%v", err)
	}
}

func decodeConfiguration(e *Entry) (ConfigurationAt, error) {
	c, err := membership.Decode(e.Data)
	return ConfigurationAt{e.LogID, c}, err
}

// TestSnapshotBesideARecordAtTheStart: rule 25: a leader that was restarted goes on with the
// snapshot that it has made for a follower, though its record is newer, as long as the log
// goes on from it.
func TestSnapshotBesideARecordAtTheStart(t *testing.T) {
	for purged, want := range map[Index]string{4: "", 5: "snapshot"} {
		s := rigState(rigOptions{terms: []Term{1, 2, 2, 3, 3}, purged: purged, commit: 5})
		at := s.Snapshot.Configuration
		s.Snapshot = SnapshotMeta{LogID: LogID{2, 4}, SizeBytes: 9, Checksum: 7, Cluster: worldCluster, Configuration: at}
		s.Record = SnapshotMeta{LogID: LogID{3, 5}, Cluster: worldCluster, Configuration: at}
		s.Applied = LogID{3, 5}
		r := &purgeRig{newRigOf(t, s, func(c *Config) { c.Records = true }).lead()}
		r.flush()
		r.match(2, r.e.log.last.Index)
		r.apply()
		p := r.peer(3)
		r.step(&SnapshotNeeded{Peer: p.Identity, Stream: p.stream})
		if _, sends := find[*SendSnapshot](r.rig); sends != (want == "") || r.wants() != want {
			t.Errorf("purged %d: %q", purged, r.lines())
		}
		if r.e.snapshots.newest.SizeBytes != 9 || r.e.snapshots.recorded != 5 {
			t.Errorf("%+v", r.e.snapshots)
		}
	}
}
