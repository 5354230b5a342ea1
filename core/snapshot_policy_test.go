package core

import (
	"errors"
	"fmt"
	"testing"
	"time"
)

// due reports whether the last step asked for a snapshot.
func (r *purgeRig) due() bool {
	_, ok := find[*BuildSnapshot](r.rig)
	return ok
}

// made is what the last step answered to those who wait for a snapshot by hand.
func (r *purgeRig) made() (all []SnapshotMade) {
	for _, c := range r.last {
		if m, ok := c.(*SnapshotMade); ok {
			all = append(all, *m)
		}
	}
	return all
}

// grow commits and applies one entry, and leaves a snapshot that is due for the test.
func (r *purgeRig) grow() {
	r.step(&Propose{Entries: []Entry{{Kind: EntryCommand}}})
	r.flush()
	r.match(2, r.e.log.last.Index)
	r.apply()
}

// TestSnapshotByTime: when the last is so old, more or less, and not where nothing is new.
func TestSnapshotByTime(t *testing.T) {
	r := newPurgeRig(t, func(c *Config) { c.SnapshotInterval = time.Minute })
	var waits []time.Duration
	for range 20 {
		r.grow()
		begun := r.now
		r.fire(TimerSnapshotInterval)
		if !r.due() {
			t.Fatalf("no snapshot: %q", r.lines())
		}
		waits = append(waits, r.now.Sub(begun))
		r.built()
	}
	differ := false
	for _, wait := range waits {
		differ = differ || wait != waits[0]
		if wait < 45*time.Second || wait > 75*time.Second {
			t.Errorf("one came after %v", wait)
		}
	}
	if !differ {
		t.Errorf("all came after %v: members that started together build together", waits[0])
	}
	if r.fire(TimerSnapshotInterval); r.due() {
		t.Error("a snapshot of what the last one has")
	}
	r.grow()
	if r.fire(TimerSnapshotInterval); !r.due() {
		t.Error("none comes after an interval without anything new")
	}
}

// TestSnapshotByHand: it is made at once, whatever the policy; a second request joins it;
// with nothing new the newest is the answer.
func TestSnapshotByHand(t *testing.T) {
	r := newPurgeRig(t, func(*Config) {})
	r.grow()
	if r.step(&MakeSnapshot{ID: 1}); !r.due() || len(r.made()) != 0 {
		t.Fatalf("%q", r.lines())
	}
	r.grow()
	if r.step(&MakeSnapshot{ID: 2}); r.due() {
		t.Fatal("a second one is begun beside it")
	}
	meta := SnapshotMeta{LogID: LogID{2, 3}, SizeBytes: 9, Cluster: worldCluster, Configuration: *r.e.configs.latest()}
	r.step(&SnapshotBuilt{Meta: meta})
	if got := r.made(); len(got) != 2 || got[0].ID != 1 || got[1].ID != 2 || got[0].Err != nil || got[1].Meta.LogID != meta.LogID || got[0].Meta.SizeBytes != 9 {
		t.Errorf("%v", got)
	}
	if r.step(&MakeSnapshot{ID: 3}); !r.due() {
		t.Error("something is new, and no snapshot is made")
	}
	r.built()
	r.step(&MakeSnapshot{ID: 4})
	if got := r.made(); r.due() || len(got) != 1 || got[0].Meta.Index != r.e.applied {
		t.Errorf("with nothing new: %v", got)
	}
	none := &purgeRig{newRigOf(t, State{}, nil)}
	none.step(&MakeSnapshot{ID: 1})
	if got := none.made(); len(got) != 1 || !errors.Is(got[0].Err, ErrNoCluster) {
		t.Errorf("of nothing: %v", got)
	}
}

// TestSnapshotByHandOfALearner: whoever applies can make one.
func TestSnapshotByHandOfALearner(t *testing.T) {
	for name, o := range map[string]rigOptions{
		"follower": {terms: []Term{1, 1}, commit: 3, applied: 3},
		"learner":  {terms: []Term{1, 1}, commit: 3, applied: 3, learner: true},
	} {
		r := &purgeRig{newRig(t, o)}
		if r.step(&MakeSnapshot{ID: 1}); !r.due() {
			t.Fatalf("%s: %q", name, r.lines())
		}
		r.step(&SnapshotBuilt{Meta: SnapshotMeta{LogID: LogID{1, 3}, Cluster: worldCluster, Configuration: *r.e.configs.latest()}})
		if got := r.made(); len(got) != 1 || got[0].Meta.Index != 3 {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// TestSnapshotByHandFails: who waits is told why, and it is tried again without them.
func TestSnapshotByHandFails(t *testing.T) {
	r := newPurgeRig(t, func(*Config) {})
	r.grow()
	r.step(&MakeSnapshot{ID: 1})
	full := errors.New("no space")
	r.step(&SnapshotBuilt{Err: full})
	if got := r.made(); len(got) != 1 || !errors.Is(got[0].Err, full) {
		t.Fatalf("%v", got)
	}
	if r.fire(TimerSnapshot); !r.due() {
		t.Error("it is not tried again")
	}
}

// TestNotNow: a machine that gives no view is asked again, soon at first.
func TestNotNow(t *testing.T) {
	r := newPurgeRig(t, func(c *Config) { c.SnapshotEntries = 3 })
	for !r.due() {
		r.grow()
	}
	r.step(&MakeSnapshot{ID: 7})
	for _, want := range []time.Duration{1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 640, 640} {
		begun := r.now
		r.step(&SnapshotBuilt{Err: fmt.Errorf("compacting: %w", ErrNotNow)})
		if want == 1 {
			if got := r.made(); len(got) != 1 || !errors.Is(got[0].Err, ErrNotNow) {
				t.Fatalf("who waits is not told: %v", got)
			}
		}
		if r.due() {
			t.Fatal("it is asked again at once")
		}
		if r.fire(TimerSnapshot); !r.due() || r.now.Sub(begun) != want*r.e.cfg.ElectionTimeout {
			t.Errorf("asked again after %v, want %d time-outs", r.now.Sub(begun), want)
		}
	}
	if r.built(); r.e.snapshots.failures != 0 || r.e.snapshots.again.armed != 0 {
		t.Error("it goes on being asked")
	}
}

// TestSetSnapshotPolicy: what becomes due by it begins at once, and what is not to be kept
// any more goes.
func TestSetSnapshotPolicy(t *testing.T) {
	r := newPurgeRig(t, func(c *Config) { c.KeepEntries = 100 })
	for range 20 {
		r.grow()
	}
	if r.step(&SetSnapshotPolicy{SnapshotPolicy{Entries: 50, KeepEntries: 100}}); r.due() {
		t.Fatal("it is not due")
	}
	if r.step(&SetSnapshotPolicy{SnapshotPolicy{Entries: 10, KeepEntries: 100}}); !r.due() {
		t.Fatal("it is due, and does not begin")
	}
	r.built()
	if r.e.log.purged.Index != 0 {
		t.Fatalf("purged up to %d", r.e.log.purged.Index)
	}
	if r.step(&SetSnapshotPolicy{SnapshotPolicy{Entries: 10, KeepEntries: 4}}); r.kept() != 4 {
		t.Errorf("%d are kept", r.kept())
	}
	if r.step(&SetSnapshotPolicy{SnapshotPolicy{KeepEntries: 4, Interval: time.Hour}}); r.e.snapshots.interval.armed == 0 {
		t.Error("the rule in time does not begin")
	}
	if r.step(&SetSnapshotPolicy{SnapshotPolicy{KeepEntries: 4}}); r.e.snapshots.interval.armed != 0 {
		t.Error("the rule in time does not end")
	}
	for range 30 {
		if r.grow(); r.due() {
			t.Fatal("a rule that is off")
		}
	}
}
