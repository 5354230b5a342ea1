package actors

import (
	"testing"
	"time"

	"github.com/trouperaft/troupe/actors/stage"
	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
)

// manyGroups are the groups of a virtual cluster, each of which prefers one of its
// three nodes. Every fourth is idle.
type manyGroups struct {
	*virtual
	leaders []membership.NodeID
	changes []int
	elected int
}

func newManyGroups(t *testing.T, groups int) *manyGroups {
	t.Helper()
	m := &manyGroups{leaders: make([]membership.NodeID, groups), changes: make([]int, groups)}
	m.virtual = newVirtual(t, 3, groups, func(c *GroupConfig) {
		c.ElectionTimeout, c.HeartbeatInterval, c.HungLimit = 3*time.Second, time.Second, 6*time.Second
	})
	for _, n := range m.nodes {
		for g, group := range n.groups {
			group.Events(func(e Event) {
				if e.Kind != core.NoticeElected {
					return
				}
				m.elected++
				if m.leaders[g] != n.local.ID {
					m.leaders[g] = n.local.ID
					m.changes[g]++
				}
			})
		}
	}
	for g, group := range m.nodes[0].groups {
		list := members(1, 2, 3)
		for i := range list {
			list[i].Priority = membership.PriorityNormal
		}
		list[g%3].Priority = 200
		group.Bootstrap(list, time.Minute, func(err error) {
			if err != nil {
				t.Errorf("group %d: %v", g+1, err)
			}
		})
	}
	m.pass(40 * time.Second)
	for g := range m.leaders {
		if m.leaders[g] != preferred(g) {
			t.Fatalf("group %d is led by node %d, and prefers node %d", g+1, m.leaders[g], preferred(g))
		}
		if m.busy(g) {
			m.propose(g)
		}
	}
	m.pass(2 * time.Second)
	m.forget()
	return m
}

// forget begins to count anew.
func (m *manyGroups) forget() {
	m.elected = 0
	clear(m.changes)
}

func preferred(g int) membership.NodeID { return membership.NodeID(g%3 + 1) }

func (m *manyGroups) busy(g int) bool { return g%4 != 0 }

// propose writes to a group, every two seconds, on any node.
func (m *manyGroups) propose(g int) {
	p := &Proposal{Data: []byte("x"), WaitForRoom: true, Completed: func(*Proposal) {
		m.after(2*time.Second, func() { m.propose(g) })
	}}
	m.nodes[m.rand.IntN(3)].groups[g].Propose(p)
}

// fewer is how many groups a test has: fewer where that is slow.
func fewer(groups int) int {
	if testing.Short() || raceEnabled {
		return min(groups, 20)
	}
	return groups
}

// expect compares how often each group has changed its leader, and that every election
// was one of these.
func (m *manyGroups) expect(changes func(g int) int) {
	m.t.Helper()
	total := 0
	for g, got := range m.changes {
		want := changes(g)
		total += want
		if got != want {
			m.t.Errorf("group %d changed its leader %d times, want %d; node %d leads", g+1, got, want, m.leaders[g])
		}
	}
	if m.elected != total {
		m.t.Errorf("%d elections for %d changes", m.elected, total)
	}
}

func never(int) int { return 0 }

// TestSharedDiskHangs: rule 16: a disk that 200 groups of a node share hangs. Those that
// are led there, and write, are handed over, once, and given back when the node does not
// stand back any more. The others keep their leaders all the time.
func TestSharedDiskHangs(t *testing.T) {
	m := newManyGroups(t, fewer(200))
	m.hang(30*time.Second, 1)
	moves := func(g int) int {
		if preferred(g) == 1 && m.busy(g) {
			return 1
		}
		return 0
	}
	m.pass(time.Minute)
	m.expect(moves)
	m.pass(6 * time.Minute)
	m.expect(func(g int) int { return 2 * moves(g) })
	for g, leader := range m.leaders {
		if leader != preferred(g) {
			t.Errorf("group %d is led by node %d", g+1, leader)
		}
	}
	t.Logf("%d groups, %d elections", len(m.leaders), m.elected)
}

// TestAllDisksHang: rule 16: where nobody is better off nothing changes: all disks hang,
// or one is merely slow.
func TestAllDisksHang(t *testing.T) {
	for name, begin := range map[string]func(m *manyGroups){
		"all hang":    func(m *manyGroups) { m.hang(30*time.Second, 1, 2, 3) },
		"one is slow": func(m *manyGroups) { m.nodes[0].writes = 2 * time.Second },
	} {
		t.Run(name, func(t *testing.T) {
			m := newManyGroups(t, fewer(40))
			begin(m)
			m.pass(time.Minute)
			m.expect(never)
		})
	}
}

// TestHungDiskIsNoTarget: rule 16: groups that prefer a node are not handed to it while
// its disk hangs, the idle ones among them neither.
func TestHungDiskIsNoTarget(t *testing.T) {
	m := newManyGroups(t, fewer(40))
	n := m.nodes[0]
	for g, group := range n.groups {
		group.PauseElections(true, func(error) {})
		if preferred(g) == 1 {
			group.TransferLeadership(Transfer{}, func(Handover, error) {})
		}
	}
	moves := func(g int) int {
		if preferred(g) == 1 {
			return 1
		}
		return 0
	}
	m.pass(10 * time.Second)
	m.expect(moves)
	m.forget()
	m.hang(time.Minute, 1)
	m.pass(8 * time.Second)
	for _, group := range n.groups {
		group.PauseElections(false, func(error) {})
	}
	m.pass(50 * time.Second)
	m.expect(never)
	m.pass(20 * time.Second)
	m.expect(moves)
}

// hang lets the disks of some nodes hang.
func (m *manyGroups) hang(d time.Duration, nodes ...membership.NodeID) {
	for _, id := range nodes {
		m.nodes[id-1].hangs = m.now + stage.Instant(d)
	}
}
