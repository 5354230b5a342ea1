package core_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	. "github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
)

// changeWorld is a cluster whose voters are of, and as many empty nodes as make it n.
func changeWorld(t *testing.T, n int, of ...NodeID) *world {
	t.Helper()
	w := newWorld()
	w.quiet = true
	var c membership.Configuration
	for id := NodeID(1); id <= NodeID(n); id++ {
		w.addNode(id, TestConfig(WorldIdentity(id)))
		if slices.Contains(of, id) {
			c.Members = append(c.Members, membership.Member{Identity: WorldIdentity(id), Address: fmt.Sprintf("n%d:1", id)})
			c.Voters = append(c.Voters, WorldIdentity(id))
		}
	}
	first := Entry{LogID: LogID{1, 1}, Kind: EntryConfiguration, Data: c.Encode()}
	for _, id := range of {
		w.nodes[id].disk = worldLog{hard: HardState{Term: 1, Cluster: WorldCluster}, commit: 1, entries: []Entry{first}}
	}
	for _, id := range w.ids() {
		w.nodes[id].start()
	}
	if err := w.scriptElect(scriptArgs{words: []string{fmt.Sprint(of[0])}}); err != nil {
		t.Fatal(err)
	}
	w.stabilize(w.ids())
	return w
}

// leaderOf is who leads the highest term, nil if nobody does.
func (w *world) leaderOf() *worldNode {
	var leader *worldNode
	for _, id := range w.ids() {
		if n := w.nodes[id]; n.up && n.engine.Role() == RoleLeader && (leader == nil || n.engine.Hard().Term > leader.engine.Hard().Term) {
			leader = n
		}
	}
	return leader
}

func orderTo(id membership.ChangeID, from, to []NodeID) ChangeOrder {
	o := ChangeOrder{Order: membership.Order{ID: id, CatchUpLimit: 30 * time.Second}}
	for _, id := range to {
		if !slices.Contains(from, id) {
			o.Changes = append(o.Changes, membership.Change{Op: membership.OpAdd, ID: id, Address: fmt.Sprintf("n%d:1", id)})
		}
	}
	for _, id := range from {
		if !slices.Contains(to, id) {
			o.Changes = append(o.Changes, membership.Change{Op: membership.OpRemove, ID: id})
		}
	}
	return o
}

// changed reports whether the change has ended on the leader with the voters of to.
func (w *world) changed(to []NodeID) bool {
	l := w.leaderOf()
	if l == nil {
		return false
	}
	s := l.engine.Status()
	c := &s.Configuration.Configuration
	if s.Change.State != ChangeIdle || s.Configuration.Index > s.Committed || len(c.Members) != len(to) {
		return false
	}
	for _, id := range to {
		if !c.IsVoter(WorldIdentity(id)) {
			return false
		}
	}
	return true
}

// TestChangeMatrix changes the voters from every set of up to four nodes to every other,
// and from and to those of larger clusters, while writes go on: nothing that was
// committed is lost, the change ends, and writes are never held up for longer than two
// election time-outs.
func TestChangeMatrix(t *testing.T) {
	sets := func(set int) (ids []NodeID) {
		for i := range 4 {
			if set>>i&1 == 1 {
				ids = append(ids, NodeID(i+1))
			}
		}
		return ids
	}
	for from := 1; from < 16; from++ {
		for to := 1; to < 16; to++ {
			if from != to {
				changeUnderWrites(t, sets(from), sets(to))
			}
		}
	}
	for _, c := range [][2][]NodeID{
		{{1}, {1, 2, 3, 4, 5}}, {{1, 2, 3}, {1, 2, 3, 4, 5}}, {{1, 2, 3, 4, 5}, {1, 2, 3, 4}}, {{1, 2, 3}, {4, 5, 6}}, {{1, 2, 3}, {3, 4, 5}},
		{{1, 2, 3, 4, 5}, {1}}, {{1, 2, 3, 4, 5, 6, 7}, {5, 6, 7}}, {{1, 2, 3}, {1, 2, 3, 4, 5, 6, 7}},
	} {
		changeUnderWrites(t, c[0], c[1])
	}
}

func changeUnderWrites(t *testing.T, from, to []NodeID) {
	t.Helper()
	w := changeWorld(t, int(max(slices.Max(from), slices.Max(to))), from...)
	asked := w.nodes[from[len(from)-1]]
	asked.step(&ChangeMembers{ID: 1, Order: orderTo(1, from, to)})
	var longest, since time.Duration
	commit := Index(0)
	for range 600 {
		if l := w.leaderOf(); l != nil {
			l.step(&Propose{Entries: []Entry{{Kind: EntryCommand, Data: []byte("x")}}})
		}
		w.stabilize(w.ids())
		w.advance(w.ids(), 10*time.Millisecond)
		w.stabilize(w.ids())
		if l := w.leaderOf(); l != nil && l.engine.CommitIndex() > commit {
			commit, since = l.engine.CommitIndex(), 0
		}
		since += 10 * time.Millisecond
		if longest = max(longest, since); w.changed(to) {
			break
		}
	}
	if !w.changed(to) {
		t.Fatalf("from %v to %v: the change does not end: %v", from, to, w.leaderOf())
	}
	if longest > 2*time.Second {
		t.Errorf("from %v to %v: writes are held up for %v", from, to, longest)
	}
}

// TestLeaderDiesInEachPhase kills the leader behind every message and every write of a
// change, for good or for a while: the change ends every time (rule 22, braft #407 and
// #432).
func TestLeaderDiesInEachPhase(t *testing.T) {
	for _, test := range []struct{ from, to []NodeID }{{[]NodeID{1, 2, 3}, []NodeID{1, 2, 4}}, {[]NodeID{1, 2, 3}, []NodeID{2, 3, 4}}, {[]NodeID{1, 2, 3}, []NodeID{1, 2, 3, 4, 5}}} {
		for _, comesBack := range []bool{true, false} {
			steps := 0
			for alive := false; !alive; steps++ {
				alive = leaderDiesAt(t, steps, comesBack, test.from, test.to)
			}
			if steps < 40 {
				t.Errorf("from %v to %v: %d phases only", test.from, test.to, steps)
			}
		}
	}
}

// leaderDiesAt reports whether the change was over before the leader died.
func leaderDiesAt(t *testing.T, step int, comesBack bool, from, to []NodeID) (over bool) {
	t.Helper()
	w := changeWorld(t, 5, from...)
	asked, leader := w.nodes[2], w.nodes[from[0]]
	asked.step(&ChangeMembers{ID: 1, Order: orderTo(1, from, to)})
	for range step {
		if w.changed(to) {
			return true
		}
		if !w.moveOne() {
			w.advance(w.ids(), 100*time.Millisecond)
		}
	}
	leader.crash()
	began := asked.engine.Latest().Configuration.Target != nil
	for range 300 {
		w.stabilize(w.ids())
		w.advance(w.ids(), 100*time.Millisecond)
		if comesBack && !leader.up && asked.now > leader.now.Add(3*time.Second) {
			leader.now = asked.now
			leader.start()
		}
		if w.changed(to) {
			return false
		}
	}
	s := asked.engine.Status()
	t.Errorf("from %v to %v, the leader dies after %d steps, comes back %t: begun %t, and it does not end: %v %v, %v, waits %v; %s",
		from, to, step, comesBack, began, s.Role, &s.Configuration.Configuration, s.Change, s.WaitsFor, s.NoLeader)
	return false
}

// moveOne lets one thing happen: a write, an application, or a message.
func (w *world) moveOne() bool {
	for _, id := range w.ids() {
		n := w.nodes[id]
		if n.flush() || n.apply() || n.built() || n.installed() {
			return true
		}
	}
	for _, from := range w.ids() {
		for _, to := range w.ids() {
			if w.deliver(from, to, func(Message) bool { return true }, 1) {
				return true
			}
		}
	}
	return false
}
