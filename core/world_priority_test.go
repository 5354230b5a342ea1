package core_test

import (
	"fmt"
	"testing"
	"time"

	. "github.com/trouperaft/troupe/core"
)

// TestPreferredNodeWithAHangingDisk: a preferred node whose disk hangs every 30 s does
// not drag the leadership to and fro: four changes of leader in ten minutes at most.
func TestPreferredNodeWithAHangingDisk(t *testing.T) {
	w := newSlowWorld(t, "-cluster 3 priorities=200,100,100", "-start")
	for _, id := range w.ids() {
		w.disks[id] = 5 * time.Millisecond
	}
	w.quiet = true
	changes, last, led := 0, NodeID(0), map[NodeID]int{}
	n := 0
	w.each = func() {
		l := w.leader()
		if l == nil {
			return
		}
		led[l.id.ID]++
		if l.id.ID != last {
			if last != 0 {
				changes++
			}
			last = l.id.ID
		}
		if n++; n%200 == 0 {
			l.step(&Propose{Entries: []Entry{{Kind: EntryCommand, Data: fmt.Append(nil, n)}}})
		}
	}
	for range 20 {
		w.run(20 * time.Second)
		w.busy[1] = max(w.busy[1], w.nodes[1].now).Add(10 * time.Second)
		w.run(10 * time.Second)
	}
	t.Logf("%d changes of leader; led %v", changes, led)
	if changes > 4 || led[1] == 0 || led[2]+led[3] < 30000 {
		t.Errorf("%d changes of leader; led %v of 60000", changes, led)
	}
}

// TestLastLeadsWhenNobodyElseCan: a node with PriorityLast that alone has the log
// leads, and hands over as soon as another has it too.
func TestLastLeadsWhenNobodyElseCan(t *testing.T) {
	w := newSlowWorld(t, "-cluster 3 priorities=1,100,100", "-terms 1 1 1 1", "-terms 2 1 1", "-terms 3 1", "-start", "-crash 2")
	w.quiet = true
	var leaders []NodeID
	w.each = func() {
		if l := w.leader(); l != nil && (len(leaders) == 0 || leaders[len(leaders)-1] != l.id.ID) {
			leaders = append(leaders, l.id.ID)
		}
	}
	w.run(20 * time.Second)
	if len(leaders) != 2 || leaders[0] != 1 || leaders[1] != 3 {
		t.Errorf("led by %v", leaders)
	}
	// Alone it stays.
	w = newSlowWorld(t, "-cluster 3 priorities=1,100,100", "-start", "-pause 2 on", "-pause 3 on")
	w.quiet = true
	w.run(20 * time.Second)
	if l := w.leader(); l == nil || l.id.ID != 1 {
		t.Errorf("led by %v", l)
	}
}
