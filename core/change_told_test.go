package core

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/trouperaft/troupe/membership"
)

// toldOfChange is what the heartbeats of the last step tell of a change.
func (r *rig) toldOfChange() *ChangeTold {
	r.t.Helper()
	m, ok := sent[*Heartbeat](r)
	if !ok {
		r.t.Fatal("no heartbeat")
	}
	return m.Change
}

// TestHeartbeatsTellOfAChange: its state, since when, and for whom it waits, in each phase, and
// nothing when there is none.
func TestHeartbeatsTellOfAChange(t *testing.T) {
	r := newRig(t, rigOptions{}).lead()
	r.fire(TimerHeartbeat)
	if r.toldOfChange() != nil {
		t.Errorf("without a change: %+v", r.toldOfChange())
	}
	r.answers(2, 3)
	o := orderOf(1, adds(4, 0))
	o.Since = 17
	r.order(o)
	text := func() string {
		r.fire(TimerHeartbeat)
		c := r.toldOfChange()
		r.answers(2, 3)
		if c == nil {
			return "nothing"
		}
		return fmt.Sprintf("%d %v since %d: %v", uint64(c.ID), c.State, c.Since, c.WaitsFor)
	}
	r.step(&PeerDown{Node: 4, Class: ClassControl, Cause: fmt.Errorf("%s", strings.Repeat("ü", 150))})
	if got, want := text(), "1 asking since 17: [node 4: unreachable: "+strings.Repeat("ü", 93)+"...]"; got != want {
		t.Errorf("while it asks: %s, not %s", got, want)
	}
	r.answersAs(rigPeers[3])
	r.settle(2, 3)
	if got := text(); got != "1 catching up since 17: [node 4: is a learner that has not acknowledged its admission yet]" {
		t.Errorf("while it catches up: %s", got)
	}
	r.beats(300*time.Millisecond, 2, 3, 4)
	r.settle(4)
	r.fire(TimerHeartbeat)
	if c := r.toldOfChange(); c == nil || c.State != ChangeJoint || len(c.WaitsFor) != 3 {
		t.Errorf("joint: %+v, %s", c, r.latest())
	}
	r.settle(2, 3, 4)
	r.settle(2, 3, 4)
	if got := text(); got != "nothing" || r.latest() != "voters 1 2 3 4" {
		t.Errorf("at the end: %s, %s", got, r.latest())
	}
}

// TestHeartbeatsTellOfTheFirst: a heartbeat stays short, however many a change waits for.
func TestHeartbeatsTellOfTheFirst(t *testing.T) {
	r := newRig(t, rigOptions{}).lead()
	r.fire(TimerHeartbeat)
	r.answers(2, 3)
	o := orderOf(1)
	for id := NodeID(10); id < 30; id++ {
		o.Changes = append(o.Changes, adds(id, 0))
	}
	r.order(o)
	r.fire(TimerHeartbeat)
	if c := r.toldOfChange(); c == nil || len(c.WaitsFor) != ChangeToldWaitsMax || len(r.e.Status().WaitsFor) != 20 {
		t.Errorf("%+v", c)
	}
}

// hearsOfChange lets the leader, node 2, tell a follower of a change.
func (r *rig) hearsOfChange(term Term, state ChangeState, id uint64) {
	r.t.Helper()
	m := &Heartbeat{Round: 1, Stream: 1}
	if state != ChangeIdle {
		m.Change = &ChangeTold{ChangeStatus{state, 0, 17}, []Waiting{{4, "has not said who it is yet"}}}
		m.Change.ID = membership.ChangeID(id)
	}
	r.from(2, term, m)
}

func (r *rig) saysOfChange() string {
	s := r.e.Status()
	return fmt.Sprintf("%d %v since %d: %v", uint64(s.Change.ID), s.Change.State, s.Change.Since, s.WaitsFor)
}

const nothingUnderWay = "0 none since 0: []"

// TestFollowerSaysForWhomAChangeWaits: what its leader tells, as long as it follows that leader.
func TestFollowerSaysForWhomAChangeWaits(t *testing.T) {
	r := newRig(t, rigOptions{}).follow(2)
	const asks = "7 asking since 17: [node 4: has not said who it is yet]"
	r.hearsOfChange(2, ChangeAsking, 7)
	if got := r.saysOfChange(); got != asks {
		t.Error(got)
	}
	r.hearsOfChange(2, ChangeIdle, 0)
	if got := r.saysOfChange(); got != nothingUnderWay {
		t.Errorf("when it is over: %s", got)
	}
	// Its own log tells more than a state that it does not know.
	r.hearsOfChange(2, ChangeJoint+1, 7)
	r.hearsOfChange(2, ChangeCatchingUp, 7)
	if got := r.saysOfChange(); got != nothingUnderWay {
		t.Errorf("without its entry: %s", got)
	}
	r.hearsOfChange(2, ChangeAsking, 7)
	r.from(3, 3, &AppendEntries{Stream: 1})
	if got := r.saysOfChange(); got != nothingUnderWay || r.e.leader != rigPeers[2] {
		t.Errorf("with another leader: %s", got)
	}
}

// TestAskedNodeSaysThatALeaderAsks: whose caller waits says so as soon as the leader has taken
// the order, also if its heartbeats tell nothing, as those of an earlier version. It says for
// how long another's change is under way that the order has joined.
func TestAskedNodeSaysThatALeaderAsks(t *testing.T) {
	for name, test := range map[string]struct {
		change uint64
		age    time.Duration
		want   string
	}{
		"its own":                             {1, 0, "1 asking since 100: []"},
		"another's":                           {7, 30, "7 asking since 70: []"},
		"another's, of an earlier version":    {7, 0, "7 asking since 0: []"},
		"its own, and it is told of no other": {1, 30, "1 asking since 100: []"},
	} {
		r := newRig(t, rigOptions{}).follow(2)
		o := orderOf(1, adds(4, 0))
		o.Since = 100
		r.order(o)
		request, ok := sent[*ChangeRequest](r)
		if got := r.saysOfChange(); !ok || got != nothingUnderWay {
			t.Fatalf("%s: before the leader has taken it: %s", name, got)
		}
		r.from(2, 2, &ChangeResponse{ID: request.ID, Code: ChangeTaken, Change: membership.ChangeID(test.change), Age: test.age})
		r.hearsOfChange(2, ChangeIdle, 0)
		if got := r.saysOfChange(); got != test.want {
			t.Errorf("%s: %s, not %s", name, got, test.want)
		}
		since := r.e.Status().Change.Since
		r.step(&ChangeWaitEnded{ID: 1})
		if ended, ok := find[*ChangeEnded](r); !ok || !ended.GoesOn || ended.Since != since || ended.Change != membership.ChangeID(test.change) {
			t.Errorf("%s: whoever waits no more is told %+v", name, ended)
		}
		// Another leader has not taken it yet.
		r.from(3, 3, &Heartbeat{Round: 1, Stream: 1})
		if got := r.saysOfChange(); got != nothingUnderWay {
			t.Errorf("%s: with another leader: %s", name, got)
		}
	}
}
