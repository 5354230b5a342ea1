package actors

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/trouperaft/troupe/actors/calls"
	"github.com/trouperaft/troupe/actors/stage"
	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/storage"
	"github.com/trouperaft/troupe/storage/memory"
)

// This file lets a node crash at every call that it makes of its stores and its state
// machine while a snapshot is built, sent, received and installed, and the log purged: not
// at some of them that a seed draws. Time is virtual, so that the n-th call is the same in
// each run.

// durableList keeps its state over a restart: what Apply and Restore have returned from is
// durable.
type durableList struct {
	list listMachine
	at   core.LogID
}

var _ storage.StateMachine = (*durableList)(nil)

func (m *durableList) Applied() (core.LogID, error) { return m.at, nil }

func (m *durableList) Apply(ctx context.Context, entries []core.Entry) ([][]byte, error) {
	results, err := m.list.Apply(ctx, entries)
	m.at = entries[len(entries)-1].LogID
	return results, err
}

// durableView is a view that begins with the term of the last entry.
type durableView struct {
	storage.SnapshotView
	term core.Term
}

func (m *durableList) View() (storage.SnapshotView, error) {
	view, err := m.list.View()
	return durableView{view, m.at.Term}, err
}

func (v durableView) WriteTo(w io.Writer) (int64, error) {
	if err := binary.Write(w, binary.LittleEndian, uint64(v.term)); err != nil {
		return 0, err
	}
	return v.SnapshotView.WriteTo(w)
}

func (m *durableList) Restore(ctx context.Context, r io.Reader) error {
	var term uint64
	if err := binary.Read(r, binary.LittleEndian, &term); err != nil {
		return err
	}
	err := m.list.Restore(ctx, r)
	m.at = core.LogID{Term: core.Term(term), Index: m.list.applied}
	return err
}

// mortal is one life of a node. Everything that the node keeps outlives it.
type mortal struct {
	virtualNode
	kept *keptNode
	dead bool
	// left is how many calls are made before the node dies, if it is to die: instead of the
	// next one, or behind it before anybody knows. Counted are those that were made.
	dies, behind  bool
	left, counted int
}

// keptNode is what a node keeps.
type keptNode struct {
	id        membership.NodeID
	store     *memory.Store
	snapshots *memory.Snapshots
	// durable is its machine if it has one that keeps its state, volatile that of its life.
	durable  *durableList
	volatile *listMachine
	life     *mortal
}

// crashWorld is three nodes in virtual time.
type crashWorld struct {
	*virtual
	kept []*keptNode
}

func newCrashWorld(t *testing.T, durable bool) *crashWorld {
	w := &crashWorld{virtual: newVirtual(t, 0, 0, nil)}
	for id := membership.NodeID(1); id <= 3; id++ {
		k := &keptNode{id: id, store: memory.New(id), snapshots: memory.NewSnapshots()}
		if durable {
			k.durable = &durableList{}
		}
		w.kept = append(w.kept, k)
		w.nodes = append(w.nodes, nil)
		w.begin(k)
	}
	w.kept[0].life.groups[0].Bootstrap(members(1, 2, 3), time.Minute, func(err error) {
		if err != nil {
			t.Errorf("bootstrap: %v", err)
		}
	})
	w.pass(5 * time.Second)
	return w
}

// begin begins a life of a node.
func (w *crashWorld) begin(k *keptNode) {
	w.t.Helper()
	m := &mortal{kept: k, virtualNode: virtualNode{virtual: w.virtual, writes: 2 * time.Millisecond, clusters: map[membership.GroupID]core.ClusterID{}, connected: map[virtualLink]bool{}}}
	k.life, w.nodes[k.id-1] = m, &m.virtualNode
	var err error
	if m.node, err = NewNode(NodeConfig{ID: k.id, Store: k.store, Snapshots: k.snapshots, Network: m, Environment: m}); err != nil {
		w.t.Fatal(err)
	}
	k.volatile = &listMachine{}
	var machine storage.StateMachine = k.volatile
	if k.durable != nil {
		machine = k.durable
	}
	cfg := groupConfig(1, machine)
	cfg.ElectionTimeout, cfg.HungLimit, cfg.Witness = time.Second, 5*time.Second, Invariants{}
	cfg.SnapshotEntries, cfg.KeepEntries, cfg.SnapshotChunkBytes, cfg.EntriesPerMessageMax, cfg.LogCacheBytesMax = 1<<40, 2, 100, 3, 200
	group, err := m.node.Start(w.t.Context(), cfg)
	if err != nil {
		w.t.Fatalf("node %d does not start: %v", k.id, err)
	}
	m.groups = []*Group{group}
}

// list is what the machine of the node has applied.
func (k *keptNode) list() [][]byte {
	if k.durable != nil {
		return k.durable.list.list()
	}
	return k.volatile.list()
}

// restored is how many snapshots it has restored.
func (k *keptNode) restored() int {
	if k.durable != nil {
		return k.durable.list.restored
	}
	return k.volatile.restored
}

// crash ends a life: nothing of it goes on, and the others lose their connections to it.
func (m *mortal) crash() {
	m.dead = true
	for _, n := range m.nodes {
		if n == &m.virtualNode || n == nil {
			continue
		}
		for _, class := range []core.Class{core.ClassControl, core.ClassBulk, core.ClassSnapshot} {
			delete(n.connected, virtualLink{m.local.ID, class})
			n.handler.Disconnected(m.local.ID, class, errors.New("it has crashed"))
		}
	}
}

// again begins the next life of a node that has crashed.
func (w *crashWorld) again(k *keptNode) {
	w.t.Helper()
	if err := errors.Join(k.store.Close(), k.store.Reopen()); err != nil {
		w.t.Fatal(err)
	}
	w.begin(k)
}

func (m *mortal) Schedule(run func()) {
	m.virtual.Schedule(func() {
		if !m.dead {
			run()
		}
	})
}

func (m *mortal) AfterFunc(d time.Duration, f func()) stage.Timer {
	return m.virtual.AfterFunc(d, func() {
		if !m.dead {
			f()
		}
	})
}

// Send implements network.Network: a dead node says nothing, and nobody reaches one.
func (m *mortal) Send(message core.Message) bool {
	to := m.nodes[message.Head().To.ID-1]
	if m.dead || to == nil || to.handler == nil {
		return false
	}
	return m.virtualNode.Send(message)
}

// Do implements stage.Environment.
func (m *mortal) Do(c *stage.Call) {
	if c.Kind == calls.Observe || c.Kind == calls.Close {
		m.virtualNode.Do(c)
		return
	}
	run, done := c.Run, c.Done
	m.after(2*time.Millisecond, func() {
		if m.dead {
			return
		}
		m.counted++
		dies := m.dies && m.left == 0
		m.left--
		if dies && !m.behind {
			m.crash()
			return
		}
		run()
		if dies {
			m.crash()
			return
		}
		done()
	})
}

// propose commits so many commands, and returns them.
func (w *crashWorld) propose(from, to int) {
	w.t.Helper()
	for i := from; i < to; i++ {
		var err error
		ended := false
		p := &Proposal{Data: fmt.Appendf(nil, "command %d, and some more of it", i), WaitForRoom: true, Completed: func(p *Proposal) { ended, err = true, p.Err }}
		w.leader().life.groups[0].Propose(p)
		for tries := 0; !ended && tries < 600; tries++ {
			w.pass(100 * time.Millisecond)
		}
		if !ended || err != nil {
			w.t.Fatalf("command %d: %v", i, err)
		}
	}
}

// leader waits for one.
func (w *crashWorld) leader() *keptNode {
	w.t.Helper()
	for range 600 {
		for _, k := range w.kept {
			if s := k.life.groups[0].Status(); !k.life.dead && s.Role == core.RoleLeader && s.Ready {
				return k
			}
		}
		w.pass(100 * time.Millisecond)
	}
	w.t.Fatal("there is no leader")
	return nil
}

func (w *crashWorld) follower() *keptNode {
	leader := w.leader()
	for _, k := range w.kept {
		if k != leader {
			return k
		}
	}
	return nil
}

// snapshot makes one on a node, and purges its log up to there.
func (w *crashWorld) snapshot(k *keptNode) {
	g := k.life.groups[0]
	g.Snapshot(func(meta core.SnapshotMeta, err error) {
		if err == nil {
			g.Purge(meta.Index, func(core.Index, error) {})
		}
	})
	w.pass(time.Second)
}

// same reports whether all nodes have so many commands, in their order, and why not.
func (w *crashWorld) same(commands int) error {
	for _, k := range w.kept {
		if err := k.life.groups[0].Err(); err != nil {
			return fmt.Errorf("node %d: %w", k.id, err)
		}
		list := k.list()
		for i, c := range list {
			if want := fmt.Sprintf("command %d, and some more of it", i); string(c) != want {
				return fmt.Errorf("node %d has %q, and %q belongs there", k.id, c, want)
			}
		}
		if s := k.life.groups[0].Status(); len(list) != commands || s.LacksMachine {
			return fmt.Errorf("node %d has %d commands of %d: %+v", k.id, len(list), commands, s.EngineStatus)
		}
	}
	return nil
}

// crashStory is what a node does that is to crash in it. It is told when to count.
type crashStory func(w *crashWorld, count func(*keptNode))

// crashStories: how many calls each makes at least, so that none becomes empty.
var crashStories = map[string]struct {
	least int
	story crashStory
}{
	"build and purge on a follower": {4, func(w *crashWorld, count func(*keptNode)) {
		w.propose(0, 12)
		k := w.follower()
		count(k)
		w.snapshot(k)
	}},
	"build and purge on the leader": {4, func(w *crashWorld, count func(*keptNode)) {
		w.propose(0, 12)
		k := w.leader()
		count(k)
		w.snapshot(k)
	}},
	"receive and install": {8, func(w *crashWorld, count func(*keptNode)) { w.lagging(count, true) }},
	"send":                {5, func(w *crashWorld, count func(*keptNode)) { w.lagging(count, false) }},
}

// lagging lets a follower need a snapshot. It is the one that crashes, or its leader is.
func (w *crashWorld) lagging(count func(*keptNode), receiver bool) {
	w.propose(0, 4)
	k := w.follower()
	k.life.crash()
	w.propose(4, 12)
	for _, o := range w.kept {
		if o != k {
			w.snapshot(o)
		}
	}
	leader := w.leader()
	w.again(k)
	if receiver {
		count(k)
	} else {
		count(leader)
	}
	w.pass(10 * time.Second)
	if !k.life.dead && !leader.life.dead && k.restored() == 0 {
		w.t.Error("the follower has restored no snapshot")
	}
}

// TestCrashAtEveryStep: at whatever call a node crashes, before or behind it, it starts
// again, also if it crashes once more soon, and the cluster is the same everywhere.
func TestCrashAtEveryStep(t *testing.T) {
	for name, test := range crashStories {
		for _, durable := range []bool{false, true} {
			for _, behind := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s, durable %t, behind %t", name, durable, behind), func(t *testing.T) {
					n := 0
					for crashAt(t, test.story, crashPoint{durable: durable, behind: behind, at: n}) {
						n++
					}
					if n < test.least {
						t.Errorf("crashed at %d calls, and there are at least %d", n, test.least)
					}
				})
			}
		}
	}
}

// crashPoint is where a node crashes: at which of its calls, and before it or behind it.
type crashPoint struct {
	durable, behind bool
	at              int
}

// crashAt plays a story, and reports whether the node has crashed in it. For how many
// calls its next life lasts differs from point to point.
func crashAt(t *testing.T, story crashStory, point crashPoint) (crashed bool) {
	t.Helper()
	w := newCrashWorld(t, point.durable)
	var victim *keptNode
	story(w, func(k *keptNode) {
		victim = k
		k.life.dies, k.life.behind, k.life.left = true, point.behind, point.at
	})
	crashed = victim.life.dead
	if crashed {
		w.again(victim)
		victim.life.dies, victim.life.behind, victim.life.left = true, point.behind, point.at%7
		w.pass(3 * time.Second)
		if victim.life.dead {
			w.again(victim)
		}
	}
	victim.life.dies = false
	w.propose(12, 14)
	w.snapshot(w.leader())
	w.propose(14, 16)
	w.pass(10 * time.Second)
	if err := w.same(16); err != nil {
		t.Fatalf("%+v: %v", point, err)
	}
	return crashed
}

// TestSnapshotHasWhatWasAcknowledged: a snapshot that is asked for when a write was just
// acknowledged has it, though the core was not yet told that it is applied.
func TestSnapshotHasWhatWasAcknowledged(t *testing.T) {
	for _, durable := range []bool{false, true} {
		w := newCrashWorld(t, durable)
		g := w.leader().life.groups[0]
		for i := range 5 {
			var at core.LogID
			var made core.SnapshotMeta
			err := errors.New("nobody has answered")
			g.Propose(&Proposal{Data: fmt.Append(nil, i), WaitForRoom: true, Completed: func(p *Proposal) {
				at = p.LogID
				g.Snapshot(func(meta core.SnapshotMeta, failed error) { made, err = meta, failed })
			}})
			w.pass(2 * time.Second)
			if err != nil || at.Index == 0 || made.Index < at.Index {
				t.Errorf("a snapshot of %v behind the write %v: %v", made.LogID, at, err)
			}
		}
	}
}
