package core

import (
	"strings"
	"testing"
	"time"
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
	// vanishes, if set, says which messages are lost.
	vanishes func(from, to NodeID, m Message) bool
	// each, if set, is called after each step.
	each func()
}

func newSlowWorld(t *testing.T, script ...string) *slowWorld {
	w := &slowWorld{world: newWorld(), t: t, disks: map[NodeID]time.Duration{}, busy: map[NodeID]Instant{}, queued: map[NodeID]int{}}
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
			w.nodes[id].apply()
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
		if n := w.nodes[id]; n.up && n.engine.role == RoleLeader {
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
