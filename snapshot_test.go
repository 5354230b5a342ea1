package troupe_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"testing"
	"time"

	"github.com/trouperaft/troupe"
)

// TestSnapshotByHandOnAnyMember: whoever is asked makes one of its own, and can purge its log
// up to it and no further.
func TestSnapshotByHandOnAnyMember(t *testing.T) {
	c := formed(t, 3, config())
	leader := c.leader()
	for i := range 20 {
		leader.propose(t, fmt.Sprint(i))
	}
	last := leader.raft.Status().Applied
	for _, m := range c.members {
		ctx := within(t, 20*time.Second)
		if err := m.raft.Wait(ctx, func(s troupe.Status) bool { return s.Applied >= last }); err != nil {
			t.Fatal(err)
		}
		meta, err := m.raft.Snapshot(ctx)
		if err != nil || meta.Index < last || meta.SizeBytes == 0 || len(meta.Configuration.Configuration.Voters) != 3 {
			t.Fatalf("node %d: %+v, %v", m.id, meta, err)
		}
		again, err := m.raft.Snapshot(ctx)
		if err != nil || again.Index < meta.Index {
			t.Errorf("node %d, with nothing new: %v, %v", m.id, again.LogID, err)
		}
		if s := m.raft.Status(); s.SnapshotIndex < meta.Index || s.FirstIndex != 1 {
			t.Errorf("node %d: snapshot %d, log from %d", m.id, s.SnapshotIndex, s.FirstIndex)
		}
		first, err := m.raft.Purge(ctx, meta.Index-3)
		if s := m.raft.Status(); err != nil || first != s.FirstIndex || first > meta.Index-2 {
			t.Errorf("node %d: the log begins at %d, the status says %d, %v", m.id, first, s.FirstIndex, err)
		}
		_, err = m.raft.Purge(ctx, again.Index+1000)
		if beyond := asError[*troupe.PurgeError](t, err); beyond.UpTo != again.Index+1000 || beyond.Snapshot < meta.Index || troupe.MayHaveHappened(err) {
			t.Errorf("node %d, beyond the snapshot: %v", m.id, err)
		}
	}
	// A restart goes on from there.
	m := c.follower()
	before := m.raft.Status()
	m.raft.Kill()
	c.restart(m, config())
	if s := m.raft.Status(); s.FirstIndex != before.FirstIndex || s.SnapshotIndex != before.SnapshotIndex || s.LogBytes == 0 {
		t.Errorf("the log began at %d behind snapshot %d, and now at %d with %d bytes behind %d", before.FirstIndex, before.SnapshotIndex, s.FirstIndex, s.LogBytes, s.SnapshotIndex)
	}
}

// hungLedger gives no view before it is released.
type hungLedger struct {
	ledger
	release chan struct{}
}

func (l *hungLedger) View() (troupe.SnapshotView, error) {
	<-l.release
	return l.ledger.View()
}

// TestSnapshotsThatNobodyGets: while the machine gives no view, those who ask for a
// snapshot wait, up to a bound, and what those leave behind who give up is bounded by it.
func TestSnapshotsThatNobodyGets(t *testing.T) {
	machine := &hungLedger{release: make(chan struct{})}
	settings := config()
	settings.StateMachine, settings.SnapshotEntries, settings.SnapshotLogBytes = machine, troupe.Never, troupe.Never
	m := formed(t, 1, settings).members[0]
	m.propose(t, "a")
	ctx, giveUp := context.WithCancel(within(t, 20*time.Second))
	answers := make(chan error)
	const asked = 100
	for range asked {
		go func() {
			_, err := m.raft.Snapshot(ctx)
			answers <- err
		}()
	}
	for range asked - 64 {
		if err := <-answers; !errors.Is(err, troupe.ErrOverloaded) {
			t.Errorf("one too many is told %v", err)
		}
	}
	giveUp()
	for range 64 {
		if err := <-answers; !troupe.MayHaveHappened(err) {
			t.Errorf("one who gave up is told %v", err)
		}
	}
	if _, err := m.raft.Snapshot(within(t, 20*time.Second)); !errors.Is(err, troupe.ErrOverloaded) {
		t.Errorf("when all have given up: %v", err)
	}
	close(machine.release)
	for {
		meta, err := m.raft.Snapshot(within(t, 20*time.Second))
		if errors.Is(err, troupe.ErrOverloaded) {
			continue // the view is on its way
		}
		if err != nil || meta.Index == 0 {
			t.Errorf("released: %v, %v", meta, err)
		}
		return
	}
}

// busyLedger gives no view while it is busy.
type busyLedger struct {
	ledger
	busy  atomic.Bool
	asked atomic.Int32
}

func (l *busyLedger) View() (troupe.SnapshotView, error) {
	l.asked.Add(1)
	if l.busy.Load() {
		return nil, fmt.Errorf("busy: %w", troupe.ErrNotNow)
	}
	return l.ledger.View()
}

// TestMachineSaysNotNow: who asks by hand is told, and the machine is asked again until it
// gives a view.
func TestMachineSaysNotNow(t *testing.T) {
	machine := &busyLedger{}
	machine.busy.Store(true)
	settings := troupe.Config{StateMachine: machine, ElectionTimeout: 20 * time.Millisecond, SnapshotEntries: troupe.Never, SnapshotLogBytes: troupe.Never}
	c := formed(t, 1, settings)
	m := c.members[0]
	m.propose(t, "a")
	if _, err := m.raft.Snapshot(within(t, 20*time.Second)); !errors.Is(err, troupe.ErrNotNow) {
		t.Fatalf("%v", err)
	}
	if _, err := m.raft.Backup(within(t, 20*time.Second), io.Discard); !errors.Is(err, troupe.ErrNotNow) {
		t.Errorf("a backup: %v", err)
	}
	if err := m.raft.Err(); err != nil {
		t.Fatal(err)
	}
	machine.busy.Store(false)
	if err := m.raft.Wait(within(t, 20*time.Second), func(s troupe.Status) bool { return s.SnapshotIndex > 0 }); err != nil {
		t.Errorf("it is not asked again, after %d times: %v", machine.asked.Load(), err)
	}
}

// TestSnapshotPolicyAtRunTime: a rule begins and ends without a restart.
func TestSnapshotPolicyAtRunTime(t *testing.T) {
	settings := config()
	settings.SnapshotEntries = troupe.Never
	c := formed(t, 1, settings)
	m := c.members[0]
	for i := range 30 {
		m.propose(t, fmt.Sprint(i))
	}
	if s := m.raft.Status(); s.SnapshotIndex != 0 {
		t.Fatalf("snapshot %d", s.SnapshotIndex)
	}
	ctx := within(t, 20*time.Second)
	if err := m.raft.SetSnapshotPolicy(ctx, troupe.SnapshotPolicy{Entries: 5, KeepEntries: 3}); err != nil {
		t.Fatal(err)
	}
	if err := m.raft.Wait(ctx, func(s troupe.Status) bool { return s.SnapshotIndex > 20 && s.SnapshotIndex-s.Purged == 3 }); err != nil {
		t.Fatalf("%v: %+v", err, m.raft.Status())
	}
	if err := m.raft.SetSnapshotPolicy(ctx, troupe.SnapshotPolicy{Interval: time.Millisecond}); err != nil {
		t.Fatal(err)
	}
	last := m.propose(t, "late").LogID.Index
	if err := m.raft.Wait(ctx, func(s troupe.Status) bool { return s.SnapshotIndex >= last }); err != nil {
		t.Errorf("none came by time: %v", err)
	}
}
