package troupe_test

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/trouperaft/troupe"
	"github.com/trouperaft/troupe/network/inproc"
	"github.com/trouperaft/troupe/storage/memory"
)

func TestSingleNode(t *testing.T) {
	c := formed(t, 1, config())
	m := c.members[0]
	first := m.propose(t, "a")
	second := m.propose(t, "b")
	if string(first.Value) != "1" || string(second.Value) != "2" {
		t.Errorf("the machine answered %q and %q", first.Value, second.Value)
	}
	if !first.LogID.Less(second.LogID) {
		t.Errorf("entry %v, then entry %v", first.LogID, second.LogID)
	}
	index, err := m.raft.ReadIndex(t.Context(), troupe.Linearizable)
	if err != nil || index < second.LogID.Index {
		t.Errorf("read index %d (%v) after entry %v", index, err, second.LogID)
	}
	if got := m.machine.content(); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("the machine holds %q", got)
	}
	status := m.raft.Status()
	if status.Role != troupe.RoleLeader || status.Leader != 1 || status.Term != second.LogID.Term || status.Group != 1 {
		t.Errorf("status %+v", status)
	}
	if members := m.raft.Members(); len(members.Voters) != 1 || members.Members[0].Address != address(1) {
		t.Errorf("members %v", members)
	}
	if err := m.raft.Shutdown(within(t, 10*time.Second)); err != nil {
		t.Fatal(err)
	}
	select {
	case <-m.raft.Done():
	default:
		t.Error("Done is open after Shutdown")
	}
	if err := m.raft.Err(); err != nil {
		t.Errorf("after an orderly stop Err says %v", err)
	}
	_, err = m.raft.Propose(t.Context(), []byte("c"))
	if !errors.Is(err, troupe.ErrStopped) || troupe.MayHaveHappened(err) {
		t.Errorf("propose after the stop: %v", err)
	}
	if _, err := m.raft.ReadIndex(t.Context(), troupe.Linearizable); !errors.Is(err, troupe.ErrStopped) {
		t.Errorf("read after the stop: %v", err)
	}
	if err := m.raft.Bootstrap(t.Context(), c.list()...); !errors.Is(err, troupe.ErrStopped) {
		t.Errorf("bootstrap after the stop: %v", err)
	}
	m.raft.Kill() // May be called again.
}

func TestSingleNodeRestarts(t *testing.T) {
	c := formed(t, 1, config())
	m := c.members[0]
	m.propose(t, "a")
	m.raft.Kill()
	c.restart(m, config())
	m.propose(t, "b")
	if got := m.read(t); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("the machine holds %q", got)
	}
}

func TestThreeNodes(t *testing.T) {
	c := formed(t, 3, slowElections()) // no write is lost to an election
	var wanted []string
	for i := range 30 {
		command := fmt.Sprint("command ", i)
		c.members[i%3].propose(t, command)
		wanted = append(wanted, command)
	}
	for _, m := range c.members {
		if got := m.read(t); !slices.Equal(got, wanted) {
			t.Errorf("node %d holds %q", m.id, got)
		}
		if voters := m.raft.Members().Voters; len(voters) != 3 {
			t.Errorf("node %d knows the voters %v", m.id, voters)
		}
	}
}

// TestBufferIsTheCallers asserts that a command may be changed as soon as
// Propose has returned, though others still read the entry.
func TestBufferIsTheCallers(t *testing.T) {
	c := formed(t, 3, slowElections())
	buffer := make([]byte, 1)
	var wanted []string
	for i := range 20 {
		buffer[0] = byte('a' + i)
		if _, err := c.leader().raft.Propose(within(t, 20*time.Second), buffer); err != nil {
			t.Fatal(err)
		}
		wanted = append(wanted, string(buffer))
	}
	for _, m := range c.members {
		if got := m.read(t); !slices.Equal(got, wanted) {
			t.Errorf("node %d holds %q", m.id, got)
		}
	}
}

func TestManyClients(t *testing.T) {
	c := formed(t, 3, slowElections())
	const clients, each = 32, 20
	var mu sync.Mutex
	seen := make(map[troupe.LogID]string)
	var group sync.WaitGroup
	for i := range clients {
		group.Go(func() {
			for j := range each {
				command := fmt.Sprintf("%d/%d", i, j)
				result, err := c.members[i%3].raft.Propose(t.Context(), []byte(command))
				if err != nil {
					t.Errorf("%s: %v", command, err)
					return
				}
				mu.Lock()
				if other, ok := seen[result.LogID]; ok {
					t.Errorf("%s and %s were both told %v", command, other, result.LogID)
				}
				seen[result.LogID] = command
				mu.Unlock()
			}
		})
	}
	group.Wait()
	for _, m := range c.members {
		if got := m.read(t); len(got) != clients*each {
			t.Errorf("node %d holds %d commands, want %d", m.id, len(got), clients*each)
		}
	}
}

func TestLeaderIsKilled(t *testing.T) {
	settings := config()
	settings.ElectionTimeout = time.Second // only the killed leader is to be missed, also beside other work
	c := formed(t, 3, settings)
	old := c.leader()
	old.propose(t, "before")
	old.raft.Kill()
	for _, m := range c.running() {
		m.propose(t, fmt.Sprint("after on ", m.id))
	}
	if leader := c.leader(); leader == old {
		t.Error("the killed node leads")
	}
	c.restart(old, settings)
	wanted := c.leader().read(t)
	if len(wanted) != 3 || wanted[0] != "before" {
		t.Errorf("the cluster holds %q", wanted)
	}
	if got := old.read(t); !slices.Equal(got, wanted) {
		t.Errorf("the killed node holds %q, the leader %q", got, wanted)
	}
}

func TestGroupsShareANode(t *testing.T) {
	hub := inproc.NewHub()
	node, err := troupe.NewNode(troupe.NodeConfig{ID: 1, Network: hub.Network(address(1)), Log: memory.New(1), Snapshots: memory.NewSnapshots()})
	if err != nil {
		t.Fatal(err)
	}
	defer node.Kill()
	var rafts []*troupe.Raft
	var machines []*ledger
	for group := troupe.GroupID(1); group <= 3; group++ {
		machine := &ledger{}
		raft, err := node.Start(t.Context(), troupe.Config{Group: group, StateMachine: machine, ElectionTimeout: electionTimeout})
		if err != nil {
			t.Fatal(err)
		}
		if err := raft.Bootstrap(within(t, 10*time.Second), troupe.At(1, "")); err != nil {
			t.Fatal(err)
		}
		if _, err := raft.Propose(within(t, 10*time.Second), fmt.Append(nil, "group ", group)); err != nil {
			t.Fatal(err)
		}
		rafts, machines = append(rafts, raft), append(machines, machine)
	}
	for i, machine := range machines {
		if got := machine.content(); len(got) != 1 || got[0] != fmt.Sprint("group ", i+1) {
			t.Errorf("group %d holds %q", i+1, got)
		}
	}

	_, err = node.Start(t.Context(), troupe.Config{Group: 2, StateMachine: &ledger{}})
	if e := asError[*troupe.GroupExistsError](t, err); e.Group != 2 {
		t.Errorf("the error names group %d", e.Group)
	}
	// One group stops and comes back; the others do not notice.
	if err := rafts[1].Shutdown(within(t, 10*time.Second)); err != nil {
		t.Fatal(err)
	}
	again := &ledger{}
	raft, err := node.Start(t.Context(), troupe.Config{Group: 2, StateMachine: again, ElectionTimeout: electionTimeout})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := raft.Propose(within(t, 10*time.Second), []byte("again")); err != nil {
		t.Fatal(err)
	}
	if got := again.content(); !slices.Equal(got, []string{"group 2", "again"}) {
		t.Errorf("the group came back with %q", got)
	}
	if _, err := rafts[2].Propose(within(t, 10*time.Second), []byte("more")); err != nil {
		t.Error(err)
	}

	if err := node.Close(); err != nil {
		t.Fatal(err)
	}
	for _, r := range []*troupe.Raft{rafts[0], raft, rafts[2]} {
		if _, err := r.Propose(t.Context(), []byte("late")); !errors.Is(err, troupe.ErrStopped) {
			t.Errorf("propose after the node's stop: %v", err)
		}
	}
	if _, err := node.Start(t.Context(), troupe.Config{Group: 4, StateMachine: &ledger{}}); !errors.Is(err, troupe.ErrStopped) {
		t.Errorf("start after the node's stop: %v", err)
	}
}
