package core

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// caughtUpTo lets node 4 acknowledge entries, and returns what is told of it, "" for nothing.
func (r *rig) caughtUpTo(i Index) string {
	r.t.Helper()
	r.match(4, i)
	for _, c := range r.last {
		if n, ok := c.(*Notice); ok && n.Kind == NoticeCatchUpProgress {
			if n.Peer != rigPeers[3] || n.Term != r.e.hard.Term || n.Index != i {
				r.t.Errorf("%+v", n)
			}
			return n.Text
		}
	}
	return ""
}

// TestCatchUpIsTold: each quarter of a newcomer's way is told once, if it takes longer than
// an election time-out, with rate, entries and bytes to go, and an estimate.
func TestCatchUpIsTold(t *testing.T) {
	r := admitted(t)
	r.propose(make([]string, 10_000)...)
	r.flush()
	r.match(2, r.e.log.last.Index)
	p := r.e.leaderState.peer(rigPeers[3])
	p.beginCatchUp(r.now, r.e.log.last.Index)
	at := func(percent Index) Index { return r.e.log.last.Index * percent / 100 }
	if told := r.caughtUpTo(at(30)); told != "" {
		t.Errorf("within an election time-out: %s", told)
	}
	p.catchUp.since = r.now.Add(-10 * time.Second)
	want := fmt.Sprintf("40 %%, 400 entries a second, %d entries and ", r.e.log.last.Index-at(40))
	if told := r.caughtUpTo(at(40)); !strings.HasPrefix(told, want) || !strings.HasSuffix(told, " bytes to go, 15s left") {
		t.Errorf("at 40 %%: %q", told)
	}
	s := r.e.Status()
	if i := len(s.Peers) - 1; s.Peers[i].CatchUpBytes == 0 || s.Peers[i].CatchUpBytes != r.e.sizes.Between(at(40), r.e.log.last.Index) || s.Peers[0].CatchUpBytes != 0 {
		t.Errorf("%+v", s.Peers)
	}
	for _, test := range []struct {
		percent Index
		tells   string
	}{{45, ""}, {55, "55 %"}, {56, ""}, {57, ""}} {
		if told := r.caughtUpTo(at(test.percent)); !strings.HasPrefix(told, test.tells) || test.tells == "" && told != "" {
			t.Errorf("at %d %%: %q", test.percent, told)
		}
	}
	if r.e.configs.latest().Configuration.Joint() {
		t.Fatal("it is near already: the test is worthless")
	}
	if told := r.caughtUpTo(r.e.log.last.Index); told != "" {
		t.Errorf("who has everything: %q", told)
	}
}
