package troupe_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/trouperaft/troupe"
)

// upgrade restarts a member with a later machine.
func (c *cluster) upgrade(m *member, version uint64, settings troupe.Config) {
	c.t.Helper()
	m.raft.Kill()
	m.version = version
	c.restart(m, settings)
}

// proposeOf proposes a command that needs a version of the machine.
func (m *member) proposeOf(t *testing.T, version uint64, command string) error {
	t.Helper()
	_, err := m.raft.Propose(within(t, 20*time.Second), []byte(command), troupe.NeedsVersion(version))
	return err
}

// until waits for a status of a member.
func (m *member) until(t *testing.T, what string, is func(troupe.Status) bool) {
	t.Helper()
	if err := m.raft.Wait(within(t, 20*time.Second), is); err != nil {
		t.Fatalf("node %d: %s: %v: %+v", m.id, what, err, m.raft.Status())
	}
}

// TestRollingUpgrade: members are restarted one by one with a later machine, while the
// group works. When the last of them has it, every member says so, and what needs it is
// applied everywhere.
func TestRollingUpgrade(t *testing.T) {
	settings := config()
	settings.ElectionTimeout = time.Second // only who is restarted is to be missed, also beside other work
	c := formed(t, 3, settings, func(m *member) { m.version = 1 })
	var want []string
	write := func(version uint64, command string) {
		t.Helper()
		if err := c.leader().proposeOf(t, version, command); err != nil {
			t.Fatalf("%s: %v", command, err)
		}
		want = append(want, command)
	}
	write(1, "before")
	for _, m := range c.members {
		m.until(t, "all are of version 1", func(s troupe.Status) bool { return s.Version == 1 && s.VersionMin == 1 })
	}
	err := c.leader().proposeOf(t, 2, "too early")
	if old := asError[*troupe.VersionError](t, err); old.Needs != 2 || old.Have != 1 || troupe.MayHaveHappened(err) {
		t.Errorf("%+v", old)
	}
	err = c.follower().proposeOf(t, 2, "too early, and passed on")
	if old := asError[*troupe.VersionError](t, err); old.Needs != 2 || old.Have != 1 || old.Node != c.leader().id || troupe.MayHaveHappened(err) {
		t.Errorf("%+v", old)
	}
	for i, m := range c.members {
		for _, o := range c.members[:i] {
			if s := o.raft.Status(); s.VersionMin > 1 {
				t.Errorf("node %d says that all are of version %d, and node %d is not", o.id, s.VersionMin, m.id)
			}
		}
		c.upgrade(m, 2, settings)
		write(0, "while the members change "+address(m.id))
	}
	for _, m := range c.members {
		m.until(t, "all are of version 2", func(s troupe.Status) bool { return s.Version == 2 && s.VersionMin == 2 })
	}
	write(2, "in time")
	for _, m := range c.members {
		if got := m.read(t); !slices.Equal(got, want) {
			t.Errorf("node %d has %q, want %q", m.id, got, want)
		}
	}
}

// TestVersionUsedTooEarly: a member whose machine is too old applies nothing from there
// on, and says so; it goes on acknowledging, so that the group works with it, and leads
// only to hand over. A later machine goes on where it stopped.
func TestVersionUsedTooEarly(t *testing.T) {
	settings := config()
	settings.ElectionTimeout = time.Second // only who is killed is to be missed, also beside other work
	c := formed(t, 3, settings, func(m *member) {
		if m.version = 2; m.id == 3 {
			m.version = 1
		}
	})
	ctx := within(t, 60*time.Second)
	if c.leader().id == 3 {
		if err := c.members[2].raft.TransferLeadership(ctx, 1); err != nil {
			t.Fatal(err)
		}
	}
	old := c.members[2]
	before := c.leader().propose(t, "a").LogID.Index
	old.until(t, "it has what it can apply", func(s troupe.Status) bool { return s.Applied >= before })
	tooNew, err := c.leader().raft.Propose(ctx, []byte("b"), troupe.NeedsVersion(2))
	if err != nil {
		t.Fatal(err)
	}
	at := tooNew.LogID.Index - 1 // the last that it applies
	old.until(t, "it stops", func(s troupe.Status) bool { return s.TooOld.Needs == 2 && s.TooOld.Index == at+1 && s.Applied == at })
	_, err = old.raft.ReadIndex(ctx, troupe.Linearizable)
	if e := asError[*troupe.VersionError](t, err); e.Index != at+1 || e.Needs != 2 || e.Have != 1 {
		t.Errorf("a read says %+v", e)
	}
	if _, err := follow(ctx, old.raft, at, until("b")); !errors.As(err, new(*troupe.VersionError)) {
		t.Errorf("whoever follows its log hears %v", err)
	}
	// With another member away it is needed for every write.
	var away, other *member
	for _, m := range c.members[:2] {
		if m == c.leader() {
			other = m
		} else {
			away = m
		}
	}
	away.raft.Kill()
	other.propose(t, "c")
	if _, err := old.raft.Propose(ctx, []byte("d")); err != nil { // the leader applies it
		t.Errorf("what it passes on: %v", err)
	}
	if s := old.raft.Status(); s.Applied != at || s.Last < at+3 || s.Unfit != troupe.UnfitVersion {
		t.Errorf("%+v", s)
	}
	// Alone with the other it may have to lead, and hands over.
	c.restart(away, settings)
	other.raft.Kill()
	away.until(t, "it leads", func(s troupe.Status) bool { return s.Role == troupe.RoleLeader })
	away.propose(t, "e")
	c.restart(other, settings)
	c.upgrade(old, 2, settings)
	for _, m := range c.members {
		if got, want := m.read(t), []string{"a", "b", "c", "d", "e"}; !slices.Equal(got, want) {
			t.Errorf("node %d has %q, want %q", m.id, got, want)
		}
	}
}

// TestOlderMachineDoesNotRestore: a snapshot tells which machine wrote it, and an older one
// does not start on it.
func TestOlderMachineDoesNotRestore(t *testing.T) {
	c := formed(t, 1, config(), func(m *member) { m.version = 3 })
	m := c.members[0]
	m.propose(t, "a")
	meta, err := m.raft.Snapshot(within(t, 20*time.Second))
	if err != nil || meta.Version != 3 {
		t.Fatalf("%+v, %v", meta, err)
	}
	m.raft.Kill()
	settings := config()
	settings.StateMachine = &ledger{version: 2}
	_, err = troupe.Start(t.Context(), troupe.NodeConfig{ID: 1, Network: c.hub.Network(address(1)), Log: m.store, Snapshots: m.snapshots}, settings)
	if old := asError[*troupe.VersionError](t, err); old.Needs != 3 || old.Have != 2 {
		t.Errorf("%+v", old)
	}
	c.restart(m, config())
	if got := m.read(t); !slices.Equal(got, []string{"a"}) {
		t.Errorf("%q", got)
	}
}
