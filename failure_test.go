package troupe_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/trouperaft/troupe"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/network/inproc"
	"github.com/trouperaft/troupe/storage/memory"
)

func TestCommandOverTheLimit(t *testing.T) {
	settings := config()
	settings.CommandBytesMax = 10
	c := formed(t, 1, settings)
	m := c.members[0]
	_, err := m.raft.Propose(t.Context(), make([]byte, 11))
	if e := asError[*troupe.TooLargeError](t, err); e.Size != 11 || e.Max != 10 || troupe.MayHaveHappened(err) {
		t.Errorf("the error is %v", err)
	}
	m.propose(t, "0123456789")
	m.propose(t, "")
	if got := m.read(t); len(got) != 2 {
		t.Errorf("the machine holds %q", got)
	}
}

func TestBootstrapIsRefused(t *testing.T) {
	own := troupe.At(1, address(1))
	twin := func(id troupe.NodeID) troupe.Member {
		m := troupe.At(id, address(id))
		m.Incarnation = 7
		return m
	}
	many := []troupe.Member{own}
	for id := troupe.NodeID(2); id <= membership.MembersMax+1; id++ {
		many = append(many, troupe.At(id, address(id)))
	}
	for _, test := range []struct {
		name    string
		members []troupe.Member
		node    troupe.NodeID
		says    string
	}{
		{"nobody", nil, 1, "not in the list"},
		{"without oneself", []troupe.Member{troupe.At(2, address(2))}, 1, "not in the list"},
		{"no id", []troupe.Member{own, troupe.At(0, address(2))}, 0, "no id"},
		{"twice", []troupe.Member{own, troupe.At(2, address(2)), troupe.At(2, address(3))}, 2, "twice"},
		{"incarnation twice", []troupe.Member{own, twin(2), twin(3)}, 3, "incarnation"},
		{"another's address", []troupe.Member{own, troupe.At(2, address(2)), troupe.At(3, address(2))}, 3, "the address of node 2"},
		{"no address", []troupe.Member{own, troupe.At(2, "")}, 2, "no address"},
		{"no host", []troupe.Member{own, troupe.At(2, ":9001")}, 2, "the address :9001"},
		{"port 0", []troupe.Member{own, troupe.At(2, "host:0")}, 2, "the address host:0"},
		{"any address", []troupe.Member{troupe.At(1, "0.0.0.0:9001"), troupe.At(2, address(2))}, 1, "the address 0.0.0.0:9001"},
		{"any address, version 6", []troupe.Member{own, troupe.At(2, "[::]:9001")}, 2, "the address [::]:9001"},
		{"too many", many, 0, "256 members"},
		{"nobody there", []troupe.Member{own, troupe.At(7, "nowhere")}, 7, ""},
		{"another node there", []troupe.Member{own, troupe.At(7, address(2))}, 7, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := newCluster(t, 2, config())
			err := c.members[0].raft.Bootstrap(saying(t, 500*time.Millisecond), test.members...)
			if e := asError[*troupe.BootstrapError](t, err); e.Node != test.node || !strings.Contains(e.Error(), test.says) {
				t.Errorf("the error is %v", err)
			}
			for _, m := range c.members {
				if members := m.raft.Members(); !members.IsZero() {
					t.Errorf("node %d knows the members %v", m.id, members)
				}
				if last := m.raft.Status().Last; last != 0 {
					t.Errorf("node %d has a log up to %d", m.id, last)
				}
			}
			// Nothing is in the way of a right one.
			if err := c.members[0].raft.Bootstrap(within(t, 20*time.Second), c.list()...); err != nil {
				t.Errorf("bootstrap afterwards: %v", err)
			}
		})
	}
}

func TestSecondBootstrap(t *testing.T) {
	c := formed(t, 3, slowElections())
	c.members[0].propose(t, "a")
	for _, m := range c.members {
		if err := m.raft.Bootstrap(within(t, 20*time.Second), c.list()...); err != nil {
			t.Errorf("the same list on node %d: %v", m.id, err)
		}
		err := m.raft.Bootstrap(within(t, 20*time.Second), c.list()[m.id-1])
		asError[*troupe.BootstrapError](t, err)
	}
	for _, m := range c.members {
		if got := m.read(t); len(got) != 1 {
			t.Errorf("node %d holds %q", m.id, got)
		}
	}
}

// TestMemberOfAnotherCluster asserts that a bootstrap leaves a node alone that
// is a member elsewhere.
func TestMemberOfAnotherCluster(t *testing.T) {
	c := newCluster(t, 2, config())
	if err := c.members[1].raft.Bootstrap(within(t, 20*time.Second), c.list()[1]); err != nil {
		t.Fatal(err)
	}
	c.members[1].propose(t, "a")
	err := c.members[0].raft.Bootstrap(within(t, 5*time.Second), c.list()...)
	if e := asError[*troupe.BootstrapError](t, err); e.Node != 2 {
		t.Errorf("the error is %v", err)
	}
	c.members[1].propose(t, "b")
	if got := c.members[1].read(t); len(got) != 2 {
		t.Errorf("the member holds %q", got)
	}
}

// TestEmptiedMember asserts that a member that lost its data is named, counts
// for nothing, and does no harm.
func TestEmptiedMember(t *testing.T) {
	c := formed(t, 3, config())
	m := c.follower()
	c.leader().propose(t, "a")
	m.raft.Kill()
	m.store, m.snapshots = memory.New(m.id), memory.NewSnapshots()
	c.start(m, config())
	if err := m.raft.Wait(within(t, 20*time.Second), func(s troupe.Status) bool { return s.UnknownToGroup }); err != nil {
		t.Errorf("the member does not know that the group does not know it: %v, %+v", err, m.raft.Status())
	}
	leader := c.otherLeader(m)
	leader.propose(t, "b")
	// The two that are left are no majority with the emptied one.
	for _, other := range c.members {
		if other != m && other != leader {
			other.raft.Kill()
		}
	}
	_, err := leader.raft.Propose(within(t, 4*electionTimeout), []byte("c"))
	if err == nil {
		t.Error("a write was acknowledged by one member of three and an emptied one")
	}
	if err := m.raft.Err(); err != nil {
		t.Errorf("the emptied member has failed: %v", err)
	}
	if got := m.machine.content(); len(got) != 0 {
		t.Errorf("the emptied member holds %q", got)
	}
}

// otherLeader is the leader that the members but m agree on.
func (c *cluster) otherLeader(m *member) *member {
	c.t.Helper()
	for _, other := range c.members {
		if other == m {
			continue
		}
		var leader troupe.NodeID
		if err := other.raft.Wait(within(c.t, 20*time.Second), func(s troupe.Status) bool {
			leader = s.Leader
			return s.Leader != 0 && s.Leader != m.id
		}); err != nil {
			c.t.Fatal(err)
		}
		return c.members[leader-1]
	}
	return nil
}

func TestStateMachineFails(t *testing.T) {
	cause := errors.New("cannot")
	for _, test := range []struct {
		name   string
		before func(string) error
	}{
		{"error", func(command string) error {
			if command == "bad" {
				return cause
			}
			return nil
		}},
		{"panic", func(command string) error {
			if command == "bad" {
				panic(cause)
			}
			return nil
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			settings := config()
			settings.StateMachine = &ledger{before: test.before}
			c := formed(t, 1, settings)
			raft := c.members[0].raft
			if _, err := raft.Propose(t.Context(), []byte("good")); err != nil {
				t.Fatal(err)
			}
			_, err := raft.Propose(within(t, 20*time.Second), []byte("bad"))
			if !troupe.MayHaveHappened(err) || !errors.Is(err, cause) {
				t.Errorf("the write that failed says %v", err)
			}
			select {
			case <-raft.Done():
			case <-time.After(20 * time.Second):
				t.Fatal("the group goes on")
			}
			if e := asError[*troupe.FatalError](t, raft.Err()); !errors.Is(e, cause) {
				t.Errorf("Err says %v", e)
			}
			if status := raft.Status(); !status.Stopped || status.Err == nil {
				t.Errorf("the status says %+v", status)
			}
			_, err = raft.Propose(t.Context(), []byte("late"))
			if err == nil || troupe.MayHaveHappened(err) {
				t.Errorf("a write after the failure says %v", err)
			}
			if err := raft.Shutdown(within(t, 20*time.Second)); !errors.Is(err, cause) {
				t.Errorf("Shutdown says %v", err)
			}
		})
	}
}

func TestStoreOfAnotherNode(t *testing.T) {
	_, err := troupe.NewNode(troupe.NodeConfig{ID: 1, Network: inproc.NewHub().Network(address(1)), Log: memory.New(2), Snapshots: memory.NewSnapshots()})
	if e := asError[*troupe.WrongNodeError](t, err); e.Node != 1 || e.Owner != 2 {
		t.Errorf("the error is %v", err)
	}
}
