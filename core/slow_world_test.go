package core_test

import (
	"strings"
	"testing"
	"time"

	. "github.com/trouperaft/troupe/core"
)

// slowWorld is a world in which time passes by itself: disks take a while for a
// write, and some messages may vanish.
type slowWorld struct {
	*world
	t *testing.T
	// disks is what a sync takes, busy until when one is under way, and queued how
	// many writes are in it.
	disks  map[NodeID]time.Duration
	busy   map[NodeID]Instant
	queued map[NodeID]int
	// hung are the nodes whose state machines finish nothing.
	hung map[NodeID]bool
	// vanishes, if set, says which messages are lost.
	vanishes func(from, to NodeID, m Message) bool
	// each, if set, is called after each step.
	each func()
}

func newSlowWorld(t *testing.T, script ...string) *slowWorld {
	w := &slowWorld{world: newWorld(), t: t, disks: map[NodeID]time.Duration{}, busy: map[NodeID]Instant{}, queued: map[NodeID]int{}, hung: map[NodeID]bool{}}
	for _, line := range script {
		w.play(line)
	}
	return w
}

func (w *slowWorld) play(line string) {
	w.t.Helper()
	if err := w.command(line); err != nil {
		w.t.Fatalf("%s: %v", line, err)
	}
}

const slowWorldStep = 10 * time.Millisecond

// run lets time pass, messages included.
func (w *slowWorld) run(d time.Duration) {
	for ; d > 0; d -= slowWorldStep {
		w.advance(w.ids(), slowWorldStep)
		for _, id := range w.ids() {
			w.sync(w.nodes[id])
			if !w.hung[id] {
				w.nodes[id].apply()
			}
		}
		for _, from := range w.ids() {
			for _, to := range w.ids() {
				w.lose(from, to)
				w.deliver(from, to, func(Message) bool { return true }, -1)
			}
		}
		if w.each != nil {
			w.each()
		}
		w.text.Reset()
	}
}

// sync ends the sync that is under way when its time has come, and begins the next
// with all writes that have piled up.
func (w *slowWorld) sync(n *worldNode) {
	id := n.id.ID
	if n.now < w.busy[id] {
		return
	}
	for ; w.queued[id] > 0; w.queued[id]-- {
		n.flush()
	}
	if w.queued[id] = len(n.writes); w.queued[id] > 0 {
		w.busy[id] = n.now.Add(w.disks[id])
	}
}

func (w *slowWorld) lose(from, to NodeID) {
	if w.vanishes == nil {
		return
	}
	link := worldLink{from, to}
	var kept []Message
	for _, m := range w.links[link] {
		if !w.vanishes(from, to, m) {
			kept = append(kept, m)
		}
	}
	w.links[link] = kept
}

// leader returns the node that leads, nil if none does.
func (w *slowWorld) leader() *worldNode {
	for _, id := range w.ids() {
		if n := w.nodes[id]; n.up && n.engine.Role() == RoleLeader {
			return n
		}
	}
	return nil
}

// takeNotices returns the notices of this step that say something.
func (w *slowWorld) takeNotices(says string) []string {
	var notices []string
	for line := range strings.Lines(w.text.String()) {
		if strings.Contains(line, "notice: ") && strings.Contains(line, says) {
			notices = append(notices, strings.TrimSpace(line))
		}
	}
	return notices
}

// TestSlowDisksElect: three nodes whose disks take 2.5 s for a write, with a time-out
// of a second, have a leader within ten minutes and keep it.
func TestSlowDisksElect(t *testing.T) {
	for seed := range uint64(2) {
		w := newSlowWorld(t, "-cluster 3")
		for _, id := range w.ids() {
			w.disks[id] = 2500 * time.Millisecond
			w.nodes[id].cfg.Seed = 10*seed + uint64(id)
		}
		w.play("-start")
		w.quiet = true
		led := time.Duration(0)
		w.each = func() {
			if w.leader() != nil {
				led += slowWorldStep
			}
		}
		w.run(10 * time.Minute)
		if led < 6*time.Minute {
			t.Errorf("seed %d: a leader in %v of ten minutes", seed, led)
		}
		for _, id := range w.ids() {
			if term := w.nodes[id].engine.Hard().Term; term > 60 {
				t.Errorf("seed %d: node %d is in term %d", seed, id, term)
			}
		}
	}
}

// TestHungDiskRaisesNoTerms: who could not make a vote durable grants no pre-vote, so
// that an election that cannot be won raises no term; the status says what is waited for.
func TestHungDiskRaisesNoTerms(t *testing.T) {
	w := newSlowWorld(t, "-cluster 3", "-start", "-crash 3")
	w.disks[2] = 1000 * time.Hour
	w.quiet = true
	w.run(10 * time.Minute)
	for id, says := range map[NodeID]string{1: "too few pre-votes in term", 2: "of this node"} {
		s := w.nodes[id].engine.Status()
		if s.Term > 5 || s.Leader != 0 {
			t.Errorf("node %d: leader %d, term %d after ten minutes without a possible quorum", id, s.Leader, s.Term)
		}
		if !strings.Contains(s.NoLeader, says) {
			t.Errorf("node %d has no leader, and says %q", id, s.NoLeader)
		}
	}
}

// TestLostDataOfTheSameIncarnation: rule 18: a follower that comes back with an older
// copy of its directory is reported as having lost data; one that was merely started
// again is not.
func TestLostDataOfTheSameIncarnation(t *testing.T) {
	for name, older := range map[string]bool{"an older copy": true, "merely restarted": false} {
		t.Run(name, func(t *testing.T) {
			w := newSlowWorld(t, "-cluster 3", "-start", "-elect 1", "-propose 1 a b c", "-stabilize")
			back := w.nodes[3]
			copied := back.disk.clone()
			w.play("-propose 1 d e f")
			w.play("-stabilize")
			w.play("-crash 3")
			if older {
				back.disk = copied
				back.applied, back.machine = copied.last(), nil
			}
			w.play("-start 3")
			var notices []string
			w.each = func() { notices = append(notices, w.takeNotices("lost its data")...) }
			w.run(10 * time.Second)
			for _, p := range w.nodes[1].engine.Status().Peers {
				if want := older && p.ID == 3; p.LostData != want {
					t.Errorf("node %d: lost data %v, want %v", p.ID, p.LostData, want)
				}
			}
			if older != (len(notices) == 1) {
				t.Errorf("%q", notices)
			}
		})
	}
}

// TestOthersElectWhereEntriesVanish: a leader whose bulk messages vanish while its
// heartbeats pass steps down within a few limits, and another gets writes through.
func TestOthersElectWhereEntriesVanish(t *testing.T) {
	w := newSlowWorld(t, "-cluster 3", "-start", "-elect 1", "-stabilize")
	w.quiet = true
	w.vanishes = func(from, _ NodeID, m Message) bool { return from == 1 && m.Class() == ClassBulk }
	hung := w.nodes[1]
	hung.step(&Propose{Entries: []Entry{{Kind: EntryCommand, Data: []byte("lost")}}})
	limit := hung.cfg.HungLimit
	w.run(3 * limit)
	leader := w.leader()
	if leader == nil || leader == hung {
		t.Fatalf("after three limits: leader %v; node 1 is a %v of T%d", leader, hung.engine.Role(), hung.engine.Hard().Term)
	}
	leader.step(&Propose{Entries: []Entry{{Kind: EntryCommand, Data: []byte("kept")}}})
	w.run(time.Second)
	if m := leader.machine; len(m) != 1 || m[0] != "kept" {
		t.Errorf("node %d has applied %q", leader.id.ID, m)
	}
	w.run(10 * limit)
	if w.leader() != leader {
		t.Errorf("the leadership wandered from %d", leader.id.ID)
	}
}
