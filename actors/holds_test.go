package actors

import (
	"reflect"
	"testing"
	"time"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
)

// holdsRig is three groups of a node, and what each was told to let go of.
type holdsRig struct {
	holds
	full    bool
	now     core.Instant
	holders [3]holder
	told    map[membership.GroupID]core.LetGoOfLog
}

func newHoldsRig(bytesMax uint64) *holdsRig {
	r := &holdsRig{told: make(map[membership.GroupID]core.LetGoOfLog), now: 1}
	r.bytesMax, r.nearlyFull = bytesMax, func() bool { return r.full }
	for i := range r.holders {
		id := membership.GroupID(i + 1)
		r.holders[i] = holder{group: id, every: time.Second, letGo: func(ev *core.LetGoOfLog) { r.told[id] = *ev }}
	}
	return r
}

// say lets the groups say what they keep, and returns what they were told.
func (r *holdsRig) say(bytes ...uint64) map[membership.GroupID]core.LetGoOfLog {
	clear(r.told)
	for i, n := range bytes {
		r.note(&r.holders[i], n, r.now)
	}
	return r.told
}

type letGo = map[membership.GroupID]core.LetGoOfLog

// TestHoldsOfANode: together they keep what the node allows: who keeps little keeps it.
func TestHoldsOfANode(t *testing.T) {
	r := newHoldsRig(100)
	if got := r.say(30, 10, 60); len(got) > 0 {
		t.Errorf("within the bound: %v", got)
	}
	want := letGo{1: {BytesMax: 45, Why: core.LetGoNode}, 3: {BytesMax: 45, Why: core.LetGoNode}}
	if got := r.say(60); !reflect.DeepEqual(got, want) {
		t.Errorf("told %v, want %v", got, want)
	}
	if got := r.say(61); len(got) > 0 {
		t.Errorf("told again at once: %v", got)
	}
	if got := r.say(45, 10, 45); len(got) > 0 || len(r.by) != 3 {
		t.Errorf("they have let go, and are told %v", got)
	}
	r.now = r.now.Add(time.Second)
	if got, want := r.say(45, 10, 50), (letGo{3: {BytesMax: 45, Why: core.LetGoNode}}); !reflect.DeepEqual(got, want) {
		t.Errorf("later: told %v, want %v", got, want)
	}
	if r.total != 45+10+50 {
		t.Errorf("together they are said to keep %d", r.total)
	}
	r.say(0, 0, 0)
	if len(r.by) != 0 || r.total != 0 {
		t.Errorf("nobody keeps anything, and %d are remembered, with %d bytes", len(r.by), r.total)
	}
	if got := newHoldsRig(0).say(1<<40, 1<<40); len(got) > 0 {
		t.Errorf("without a bound: %v", got)
	}
}

// TestHoldsGoWhenTheDiskIsNearlyFull: all of them, also where there is no bound.
func TestHoldsGoWhenTheDiskIsNearlyFull(t *testing.T) {
	r := newHoldsRig(0)
	if got := r.say(30, 1); len(got) > 0 {
		t.Errorf("there is room: %v", got)
	}
	r.full = true
	want := letGo{1: {Why: core.LetGoRoom}, 2: {Why: core.LetGoRoom}}
	if got := r.say(30, 1); !reflect.DeepEqual(got, want) {
		t.Errorf("told %v, want %v", got, want)
	}
	if got := r.say(0, 0); len(got) > 0 {
		t.Errorf("nothing is kept any more: %v", got)
	}
}
