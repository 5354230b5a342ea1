package memlog

import (
	"testing"
	"time"

	"github.com/trouperaft/troupe/core"
)

func TestAppendTimes(t *testing.T) {
	var g AppendTimes
	state := func(role core.Role, last core.Index) *core.EngineStatus {
		return &core.EngineStatus{Role: role, Term: 3, Last: last}
	}
	at := func(ms int) core.Instant { return core.Instant(time.Duration(ms) * time.Millisecond) }
	if got := g.Appended(1); got != 0 {
		t.Errorf("nothing was noted: %v", got)
	}
	g.Note(state(core.RoleFollower, 5), state(core.RoleFollower, 9), at(50))
	g.Note(state(core.RoleFollower, 9), state(core.RoleLeader, 10), at(100))
	last := core.Index(10)
	for ms := 110; ms <= 10_000; ms += 10 {
		g.Note(state(core.RoleLeader, last), state(core.RoleLeader, last+5), at(ms))
		last += 5
	}
	if len(g.marks) > appendMarksMax {
		t.Fatalf("%d marks", len(g.marks))
	}
	for i, ms := core.Index(11), 110; i <= last; i, ms = i+5, ms+10 {
		// Old times may be rounded, the more the older, and always backwards.
		got, now := g.Appended(i+3), at(10_000)
		if got > at(ms) || now.Sub(got) > now.Sub(at(ms))*5/4+10*time.Millisecond {
			t.Fatalf("entry %d was appended at %v, said is %v", i, at(ms), got)
		}
	}
	for _, i := range []core.Index{1, 10} {
		if got := g.Appended(i); got != at(100) {
			t.Errorf("entry %d is older than the leadership: %v", i, got)
		}
	}
	g.Note(state(core.RoleFollower, 3), state(core.RoleLeader, 4), at(20_000))
	if got := g.Appended(11); got != at(20_000) {
		t.Errorf("after another election: %v", got)
	}
}
