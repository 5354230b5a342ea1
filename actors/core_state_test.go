package actors

import (
	"testing"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/core/stream"
)

// TestLogNotice: entries go in the burst that brought them, a commit index alone
// waits for one timer, and a new stream is told of all.
func TestLogNotice(t *testing.T) {
	var n logNotice
	expect := func(what string, got, want bool) {
		t.Helper()
		if got != want {
			t.Errorf("%s: %v", what, got)
		}
	}
	taken := func(last, commit core.Index) {
		t.Helper()
		if g, ok := n.take(); !ok || g != (stream.Grown{Last: last, Commit: commit}) {
			t.Errorf("taken: %+v, %v", g, ok)
		}
	}
	_, ok := n.take()
	expect("nothing is there", ok || n.hasEntries() || n.delay(), false)
	n.note(&core.Replicate{Last: 5, Commit: 3})
	expect("entries", n.hasEntries(), true)
	taken(5, 3)
	n.note(&core.Replicate{Last: 5, Commit: 5})
	expect("a commit index alone goes at once", n.hasEntries(), false)
	expect("it waits for a timer", n.delay(), true)
	n.note(&core.Replicate{Last: 5, Commit: 5})
	expect("it waits for another timer", n.delay(), false)
	n.due()
	taken(5, 5)
	expect("a timer runs for nothing", n.delay(), false)
	n.note(&core.Replicate{Last: 5, Commit: 5})
	n.streamStarts()
	expect("a new stream is told of what the others know", n.hasEntries(), true)
}

// TestHoldBack: each reason is lifted by what ends it, and all by the time.
func TestHoldBack(t *testing.T) {
	for _, test := range []struct {
		name                     string
		h                        holdBack
		lift                     func(*holdBack)
		appends, forwards, holds bool
	}{
		{"nothing", holdBack{}, func(*holdBack) {}, true, true, false},
		{"no room", holdBack{noRoom: true}, func(*holdBack) {}, false, false, true},
		{"no room, progress", holdBack{noRoom: true}, (*holdBack).progress, true, true, false},
		{"no room, another leader", holdBack{noRoom: true}, (*holdBack).newLeader, false, false, true},
		{"turned down", holdBack{turnedDown: true}, func(*holdBack) {}, true, false, true},
		{"turned down, progress", holdBack{turnedDown: true}, (*holdBack).progress, true, false, true},
		{"turned down, another leader", holdBack{turnedDown: true}, (*holdBack).newLeader, true, true, false},
		{"both, the time has come", holdBack{noRoom: true, turnedDown: true}, (*holdBack).retry, true, true, false},
	} {
		h := test.h
		test.lift(&h)
		if h.appends() != test.appends || h.forwards() != test.forwards || h.holds() != test.holds {
			t.Errorf("%s: appends %v, forwards %v, holds %v", test.name, h.appends(), h.forwards(), h.holds())
		}
	}
}
