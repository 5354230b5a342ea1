package core

import (
	"testing"

	"github.com/trouperaft/troupe/membership"
)

// passesOn lets a node pass an order on, and returns what it is answered at once.
func (r *rig) passesOn(from NodeID, wireID uint64, o ChangeOrder) *ChangeResponse {
	r.t.Helper()
	r.step(r.address(from, r.e.hard.Term, &ChangeRequest{ID: wireID, Order: o}))
	for _, c := range r.last {
		if s, ok := c.(*Send); ok {
			if m, ok := s.Message.(*ChangeResponse); ok && m.ID == wireID && m.To == rigPeers[from-1] {
				return m
			}
		}
	}
	return nil
}

func cancels(id membership.ChangeID) ChangeOrder {
	o := orderOf(id)
	o.Cancel = true
	return o
}

// TestCancelledWhileItAsks: an order that somebody has cancelled while the leader asked the
// newcomer who it is begins nothing anew when it is asked again, because the answer was lost
// or the request came late. Nor does one that had joined it. An order to cancel that is asked
// again leaves the next change alone.
func TestCancelledWhileItAsks(t *testing.T) {
	r := newRig(t, rigOptions{}).lead()
	r.fire(TimerHeartbeat)
	r.answers(2, 3)
	for id := NodeID(2); id <= 3; id++ {
		if m := r.passesOn(id, 10, orderOf(membership.ChangeID(5+id), adds(4, 0))); m == nil || m.Code != ChangeTaken || m.Change != 7 {
			t.Fatalf("%+v", m)
		}
	}
	if m := r.passesOn(3, 11, cancels(9)); m == nil || m.Code != ChangeUnneeded {
		t.Fatalf("%+v", m)
	}
	for range 2 {
		for id := NodeID(2); id <= 3; id++ {
			m := r.passesOn(id, 10, orderOf(membership.ChangeID(5+id), adds(4, 0)))
			if m == nil || m.Code != ChangeCancelled || m.Change != 7 || r.e.leaderState.changes.pending != nil {
				t.Errorf("asked again node %d is answered %+v, and there is %+v", id, m, r.e.leaderState.changes.pending)
			}
		}
	}
	if m := r.passesOn(2, 12, orderOf(12, adds(4, 0))); m == nil || m.Code != ChangeTaken {
		t.Fatalf("another order: %+v", m)
	}
	if m := r.passesOn(3, 11, cancels(9)); m == nil || m.Code != ChangeUnneeded || r.e.leaderState.changes.pending == nil {
		t.Errorf("to cancel, asked again, is answered %+v, and there is %+v", m, r.e.leaderState.changes.pending)
	}
}

// TestCancelledWhileItCatchesUp: an order that had joined the change is no name that an entry
// tells. Asked again it is the change that it had joined.
func TestCancelledWhileItCatchesUp(t *testing.T) {
	r := admitted(t)
	joins := orderOf(2, adds(4, 0))
	first := r.passesOn(2, 10, joins)
	if first == nil || first.Code != ChangeAccepted || first.Change != 1 {
		t.Fatalf("%+v", first)
	}
	if m := r.passesOn(3, 11, cancels(3)); m == nil || m.Code != ChangeAccepted || m.Change != 1 {
		t.Fatalf("%+v", m)
	}
	r.settle(2, 3)
	if got := r.latest(); got != "voters 1 2 3" {
		t.Fatal(got)
	}
	if m := r.passesOn(2, 10, joins); m == nil || m.Code != ChangeAccepted || m.Change != 1 || m.At != first.At {
		t.Errorf("asked again: %+v, and first %+v", m, first)
	}
	if m := r.passesOn(2, 12, orderOf(4, adds(4, rigPeers[3].Incarnation))); m == nil || m.Code != ChangeAccepted || m.Change != 4 {
		t.Fatalf("another order: %+v", m)
	}
	if m := r.passesOn(3, 11, cancels(3)); m == nil || m.Change != 1 || r.latest() != "voters 1 2 3, learner 4; to be: 1 2 3 4" {
		t.Errorf("to cancel, asked again: %+v, %s", m, r.latest())
	}
}

// TestAnswersThatAreRemembered: the last ones; not with an entry that is gone.
func TestAnswersThatAreRemembered(t *testing.T) {
	r := newRig(t, rigOptions{}).lead()
	last := r.e.log.last
	r.e.remember(1, &ChangeResponse{Code: ChangeAccepted, At: last})
	r.e.remember(2, &ChangeResponse{Code: ChangeAccepted, At: LogID{last.Term - 1, last.Index}})
	r.e.remember(3, &ChangeResponse{Code: ChangeAccepted, At: LogID{last.Term, last.Index + 1}})
	if r.e.answered(1) == nil || r.e.answered(2) != nil || r.e.answered(3) != nil {
		t.Errorf("%v %v %v", r.e.answered(1), r.e.answered(2), r.e.answered(3))
	}
	for id := range membership.ChangeID(endedOrdersMax) {
		r.e.remember(10+id, &ChangeResponse{Code: ChangeCancelled})
	}
	if r.e.answered(1) != nil || r.e.answered(10) == nil || len(r.e.endedOrders) != endedOrdersMax {
		t.Errorf("%v, %v, %d", r.e.answered(1), r.e.answered(10), len(r.e.endedOrders))
	}
}
