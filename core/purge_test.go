package core

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

// purgeRig leads, and makes snapshots as it is told to. Its entries have 4 KiB.
type purgeRig struct {
	*rig
}

func newPurgeRig(t *testing.T, configure func(c *Config)) *purgeRig {
	return &purgeRig{newRig(t, rigOptions{configure: configure}).lead()}
}

// propose commits and applies one entry, which node 2 has too, and makes the snapshot
// that is due.
func (r *purgeRig) propose() {
	r.step(&Propose{Entries: []Entry{{Kind: EntryCommand, Data: make([]byte, 4<<10-EntryOverheadBytes)}}})
	r.flush()
	r.match(2, r.e.log.last.Index)
	r.apply()
	if _, due := find[*BuildSnapshot](r.rig); due {
		r.built()
	}
}

func (r *purgeRig) built() []string {
	at := LogID{r.e.hard.Term, r.e.applied}
	lines := r.step(&SnapshotBuilt{Meta: SnapshotMeta{LogID: at, Cluster: worldCluster, Configuration: *r.e.configs.latest()}})
	r.flush()
	return lines
}

// sends begins a transfer to node 3, and returns which snapshot it sends.
func (r *purgeRig) sends() Index {
	r.t.Helper()
	for !r.e.snapshots.usable {
		r.propose()
	}
	p := r.peer(3)
	r.step(&SnapshotNeeded{Peer: p.Identity, Stream: p.stream})
	if _, ok := find[*SendSnapshot](r.rig); !ok {
		r.t.Fatalf("no snapshot is sent: %q", r.lines())
	}
	return r.e.snapshots.newest.Index
}

func (r *purgeRig) peer(id NodeID) *peer { return r.e.leaderState.peer(rigPeers[id-1]) }

func (r *purgeRig) pass(d time.Duration) { r.now = r.now.Add(d) }

// kept is how many entries stay behind the newest snapshot.
func (r *purgeRig) kept() Index { return r.e.snapshots.newest.Index - r.e.log.purged.Index }

// TestKeepsTheLessOfEntriesAndBytes: both bounds hold.
func TestKeepsTheLessOfEntriesAndBytes(t *testing.T) {
	for name, test := range map[string]struct {
		entries, bytes uint64
		want           Index
	}{
		"entries are less": {5, 100 << 12, 5},
		"bytes are less":   {50, 7 << 12, 7},
		"no rule in bytes": {11, 0, 11},
		"entries only":     {^uint64(0), 3 << 12, 3},
	} {
		r := newPurgeRig(t, func(c *Config) { c.SnapshotEntries, c.KeepEntries, c.KeepBytes = 100, test.entries, test.bytes })
		for range 210 {
			r.propose()
		}
		if r.e.snapshots.newest.Index < 100 || r.kept() != test.want {
			t.Errorf("%s: %d entries stay behind the snapshot %d, want %d", name, r.kept(), r.e.snapshots.newest.Index, test.want)
		}
	}
}

// TestLogBytesCountFromTheStart: what the log held at the start counts for the rule in
// bytes, which otherwise never fires on a node that restarts often; what the snapshot
// contains does not.
func TestLogBytesCountFromTheStart(t *testing.T) {
	large := make([]byte, 1<<10-EntryOverheadBytes)
	for name, test := range map[string]struct {
		snapshot Index
		due      bool
	}{
		"no snapshot":          {0, true},
		"most is behind it":    {20, true},
		"it contains the most": {50, false},
	} {
		state := rigState(rigOptions{voters: 1, commit: 1})
		var entries []Entry
		for i := range Index(100) {
			entries = append(entries, Entry{LogID: LogID{1, i + 2}, Kind: EntryCommand, Data: large})
		}
		state.Sizes.Append(entries)
		state.Last = entries[len(entries)-1].LogID
		state.Commit, state.Applied = 101, state.Last
		if test.snapshot > 0 {
			state.Snapshot = SnapshotMeta{LogID: LogID{1, test.snapshot}, Cluster: worldCluster, Configuration: state.Configurations[0]}
		}
		r := newRigOf(t, state, func(c *Config) { c.SnapshotLogBytes = 60 << 10 })
		r.flush()
		r.flush()
		r.apply()
		if _, due := find[*BuildSnapshot](r); due != test.due {
			t.Errorf("%s: due %v: %q", name, due, r.lines())
		}
	}
}

// TestRetainedLogWithoutProgress: rule 25: the log after a snapshot that is being sent
// is bounded in bytes, and in time since the transfer's last progress: after hours
// without any it is purged as if nobody waited.
func TestRetainedLogWithoutProgress(t *testing.T) {
	r := newPurgeRig(t, func(c *Config) {
		c.SnapshotEntries, c.SnapshotLogBytes, c.KeepEntries, c.HoldBytesMax = 100_000, 64<<10, 10, 1<<30
	})
	sent := r.sends()
	for range 8 * 120 { // eight hours, an entry every 30 s
		r.pass(30 * time.Second)
		r.propose()
	}
	if r.kept() > 10 {
		t.Errorf("a transfer of snapshot %d that stood still for 8 h keeps %d entries", sent, r.kept())
	}
}

// TestRetainedLogWhileATransferMoves: it is kept while the receiver acknowledges more, and
// what it can go on from is there when the snapshot has come: else whoever is slower than
// the policy would need another snapshot, for ever.
func TestRetainedLogWhileATransferMoves(t *testing.T) {
	for name, bySnapshots := range map[string]func(c *Config){
		"by entries": func(c *Config) { c.SnapshotEntries = 16 },
		"by bytes":   func(c *Config) { c.SnapshotLogBytes = 64 << 10 },
	} {
		r := newPurgeRig(t, func(c *Config) { bySnapshots(c); c.KeepEntries = 2 })
		sent := r.sends()
		p := r.peer(3)
		for range 40 { // 20 minutes, 5 snapshots
			r.pass(30 * time.Second)
			r.step(&SnapshotProgress{p.Identity, p.stream})
			r.propose()
			r.propose()
		}
		if r.e.snapshots.newest.Index == sent || r.e.log.purged.Index > sent {
			t.Fatalf("%s: snapshot %d is on its way, the newest is %d, and the log begins after %d", name, sent, r.e.snapshots.newest.Index, r.e.log.purged.Index)
		}
		// It is kept until the stream has gone on from there.
		r.step(&SnapshotSent{Peer: p.Identity, Stream: p.stream, LogID: LogID{2, sent}, OK: true})
		for range 16 {
			r.propose()
		}
		if r.e.log.purged.Index > sent {
			t.Errorf("%s: the receiver has snapshot %d and no entry behind it, and the log begins after %d", name, sent, r.e.log.purged.Index)
		}
		r.match(3, r.e.log.last.Index)
		r.pass(time.Second)
		r.step(&Applied{LogID{2, r.e.applied}})
		r.flush()
		if r.kept() != 2 {
			t.Errorf("%s: %d entries stay when nobody needs them", name, r.kept())
		}
	}
}

// TestRetainedLogIsBoundedInBytes: a receiver that makes progress, and too slowly, is let
// go of, and that is told once.
func TestRetainedLogIsBoundedInBytes(t *testing.T) {
	r := newPurgeRig(t, func(c *Config) { c.SnapshotLogBytes, c.KeepEntries, c.HoldBytesMax = 64<<10, 2, 256<<10 })
	sent := r.sends()
	p := r.peer(3)
	for range 200 {
		r.pass(time.Second)
		r.step(&SnapshotProgress{p.Identity, p.stream})
		r.propose()
		if most := Index(64 + 2); r.kept() > most {
			t.Fatalf("%d entries stay, at most %d are to", r.kept(), most)
		}
	}
	if r.e.log.purged.Index <= sent || p.held {
		t.Errorf("the log begins after %d, and is kept for %d", r.e.log.purged.Index, sent)
	}
}

// TestLetGoIsTold: once, with the reason.
func TestLetGoIsTold(t *testing.T) {
	r := newPurgeRig(t, func(c *Config) { c.SnapshotEntries, c.KeepEntries = 16, 2 })
	sent := r.sends()
	for range 32 {
		r.propose()
	}
	var told []Notice
	for range 10 {
		r.pass(30 * time.Second)
		r.step(&Applied{LogID{2, r.e.applied}})
		for _, c := range r.last {
			if n, ok := c.(*Notice); ok && n.Kind == NoticeLogLetGo {
				told = append(told, *n)
			}
		}
	}
	if len(told) != 1 || told[0].Peer != rigPeers[2] || told[0].Index != sent || told[0].Text == "" {
		t.Errorf("told %v", told)
	}
}

// TestCatchingUpHoldsTheLog: a follower that gets on through the log is not sent into a
// snapshot by the next purge; one that stands still is, after a while.
func TestCatchingUpHoldsTheLog(t *testing.T) {
	r := newPurgeRig(t, func(c *Config) { c.SnapshotEntries, c.KeepEntries = 16, 2 })
	behind := Index(3)
	r.match(3, behind)
	for range 40 {
		r.pass(20 * time.Second)
		behind++
		r.match(3, behind)
		r.propose()
		r.propose()
	}
	if r.e.snapshots.newest.Index < 64 || r.e.log.purged.Index > behind {
		t.Fatalf("node 3 is at %d, and the log begins after %d", behind, r.e.log.purged.Index)
	}
	if s := r.e.Status(); s.HeldBytes == 0 || s.LogBytes < s.HeldBytes {
		t.Errorf("%d bytes of %d are said to be held", s.HeldBytes, s.LogBytes)
	}
	r.pass(61 * time.Second)
	r.step(&Applied{LogID{2, r.e.applied}})
	if r.kept() != 2 || r.e.Status().HeldBytes != 0 {
		t.Errorf("node 3 has stood still for a minute, and %d entries are kept", r.kept())
	}
}

// TestPurgeByHand: up to the snapshot, past what is to be kept, and answered when it is
// durable.
func TestPurgeByHand(t *testing.T) {
	r := newPurgeRig(t, func(c *Config) { c.SnapshotEntries, c.KeepEntries = 16, 10 })
	for range 20 {
		r.propose()
	}
	newest := r.e.snapshots.newest.Index
	r.step(&PurgeLog{ID: 1, UpTo: newest + 1})
	ended, _ := find[*PurgeEnded](r.rig)
	var beyond *PurgeError
	if ended == nil || !errors.As(ended.Err, &beyond) || beyond.Snapshot != newest {
		t.Fatalf("a purge beyond the snapshot: %q", r.lines())
	}
	if r.kept() != 10 {
		t.Fatalf("%d are kept", r.kept())
	}
	r.step(&PurgeLog{ID: 2, UpTo: newest - 4})
	if _, early := find[*PurgeEnded](r.rig); early || r.kept() != 4 {
		t.Fatalf("ended before it is durable, or %d are kept: %q", r.kept(), r.lines())
	}
	if lines := r.flush(); !slices.Contains(lines, "purge 2: the log begins at "+(LogID{0, newest - 3}).String()[2:]) {
		t.Errorf("%q", lines)
	}
	r.step(&PurgeLog{ID: 3, UpTo: 1})
	if ended, _ := find[*PurgeEnded](r.rig); ended == nil || ended.Err != nil || ended.First != newest-3 {
		t.Errorf("what is purged already: %q", r.lines())
	}
	r.step(&PurgeLog{ID: 4, UpTo: newest - 2})
	r.step(&PurgeLog{ID: 5, UpTo: newest - 2})
	if ended, early := find[*PurgeEnded](r.rig); early {
		t.Errorf("what another is still purging has ended: %+v", ended)
	}
	if lines := r.flush(); len(lines) < 2 || !strings.HasPrefix(lines[1], "purge 5") {
		t.Errorf("%q", lines)
	}
	none := newRig(t, rigOptions{}).lead()
	none.step(&PurgeLog{ID: 1, UpTo: 1})
	if ended, _ := find[*PurgeEnded](none); ended == nil || !errors.As(ended.Err, &beyond) {
		t.Errorf("without a snapshot: %q", none.lines())
	}
}

// TestPurgeByHandKeepsTheReceiversLog: what a transfer needs stays until it is over.
func TestPurgeByHandKeepsTheReceiversLog(t *testing.T) {
	r := newPurgeRig(t, func(c *Config) { c.SnapshotEntries, c.KeepEntries = 16, 10 })
	sent := r.sends()
	for range 16 {
		r.propose()
	}
	r.step(&PurgeLog{ID: 1, UpTo: r.e.snapshots.newest.Index})
	r.flush()
	if r.e.log.purged.Index != sent {
		t.Fatalf("snapshot %d is on its way, and the log begins after %d", sent, r.e.log.purged.Index)
	}
	r.match(3, r.e.log.last.Index)
	r.pass(time.Second)
	r.step(&Applied{LogID{2, r.e.applied}})
	if r.kept() != 0 {
		t.Errorf("%d are kept when it is over", r.kept())
	}
}

// TestFollowingHoldsTheLog: on any member the log is kept for who follows it, while he comes
// forward, within the bound, and not when he has left.
func TestFollowingHoldsTheLog(t *testing.T) {
	r := newPurgeRig(t, func(c *Config) { c.SnapshotEntries, c.KeepEntries = 16, 2 })
	r.step(&FollowLog{ID: 1, Next: 5})
	r.step(&FollowLog{ID: 2, Next: 9})
	for range 64 {
		r.propose()
	}
	if r.e.log.purged.Index > 4 {
		t.Fatalf("the log begins after %d", r.e.log.purged.Index)
	}
	review := func() {
		r.pass(time.Second)
		r.step(&Applied{LogID{2, r.e.applied}})
	}
	r.step(&FollowLog{ID: 1, Next: 0})
	r.step(&FollowLog{ID: 1, Next: 0})
	r.step(&FollowLog{ID: 2, Next: 40})
	r.step(&FollowLog{ID: 2, Next: 30}) // an older one says nothing
	if review(); r.e.log.purged.Index != 39 {
		t.Errorf("the log begins after %d, and 40 is the next", r.e.log.purged.Index)
	}
	r.pass(r.e.cfg.HoldTimeMax)
	if review(); r.kept() != 2 {
		t.Errorf("%d are kept for one who stands still", r.kept())
	}
	// The slowest goes first.
	r.step(&FollowLog{ID: 3, Next: r.e.log.purged.Index + 1})
	slow := r.e.log.purged.Index
	for range 256 {
		r.propose()
	}
	r.step(&FollowLog{ID: 4, Next: r.e.log.last.Index - 20})
	for range 64 {
		r.propose()
	}
	if got := r.e.log.purged.Index; got <= slow || got > r.e.log.last.Index-20 {
		t.Errorf("the log begins after %d", got)
	}
}
