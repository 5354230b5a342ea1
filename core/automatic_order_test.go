package core

import (
	"errors"
	"testing"

	"github.com/trouperaft/troupe/membership"
)

// asking is a leader that asks node 4, which nobody lets in by hand, who it is.
func asking(t *testing.T) *rig {
	t.Helper()
	r := newRig(t, rigOptions{}).lead()
	r.fire(TimerHeartbeat)
	r.answers(2, 3)
	o := orderOf(1, adds(4, rigPeers[3].Incarnation))
	o.Automatic = true
	if ended := r.order(o); ended != nil {
		t.Fatal(ended.Err)
	}
	if _, asks := sent[*IdentifyRequest](r); !asks || r.latest() != "voters 1 2 3" {
		t.Fatalf("it does not ask first: %s", r.latest())
	}
	return r
}

// answersAs lets a node say who it is.
func (r *rig) answersAs(id Identity) {
	r.t.Helper()
	m := &IdentifyResponse{ID: r.e.leaderState.identify, Empty: true}
	m.Header = Header{Group: 1, From: id, To: r.e.cfg.Self}
	r.step(m)
}

// TestAutomaticOrderReachesTheNode: nothing is appended before the node has answered at its
// address, as the incarnation that is to come.
func TestAutomaticOrderReachesTheNode(t *testing.T) {
	r := asking(t)
	r.answersAs(Identity{ID: 4, Incarnation: 99})
	if r.latest() != "voters 1 2 3" {
		t.Errorf("another incarnation counts: %s", r.latest())
	}
	r.answersAs(rigPeers[3])
	if got := r.latest(); got != "voters 1 2 3, learner 4; to be: 1 2 3 4" {
		t.Error(got)
	}
}

// TestAutomaticOrderYieldsWhileItAsks: to one by hand, and not to another automatic one.
func TestAutomaticOrderYieldsWhileItAsks(t *testing.T) {
	r := asking(t)
	other := orderOf(2, membership.Change{Op: membership.OpAddLearner, ID: 5, Incarnation: rigPeers[4].Incarnation, Address: "n5:1"})
	other.Automatic = true
	var underWay *ChangeInProgressError
	if ended := r.order(other); ended == nil || !errors.As(ended.Err, &underWay) {
		t.Fatalf("%+v", ended)
	}
	byHand := orderOf(3, other.Changes...)
	r.order(byHand)
	var yielded *ChangeCancelledError
	for _, c := range r.last {
		if ended, ok := c.(*ChangeEnded); ok && ended.ID == 1 && !errors.As(ended.Err, &yielded) {
			t.Errorf("it ends with %v", ended.Err)
		}
	}
	if yielded == nil || !yielded.Yielded || r.latest() != "voters 1 2 3, learner 5" {
		t.Errorf("%v, %s", yielded, r.latest())
	}
}

// TestAutomaticChangeJoinedByHand: who asks by hand for what is catching up makes it a
// change by hand: it keeps its name and yields to no other. An automatic order, and a dry
// run, leave it as it is.
func TestAutomaticChangeJoinedByHand(t *testing.T) {
	for name, test := range map[string]struct {
		change func(o *ChangeOrder)
		joins  bool
	}{
		"by hand":       {func(o *ChangeOrder) {}, true},
		"automatically": {func(o *ChangeOrder) { o.Automatic = true }, false},
		"a dry run":     {func(o *ChangeOrder) { o.DryRun = true }, false},
	} {
		r := asking(t)
		r.answersAs(rigPeers[3])
		r.settle(2, 3)
		o := orderOf(2, adds(4, 0))
		test.change(&o)
		r.order(o)
		target := r.e.configs.latest().Configuration.Target
		if target == nil || target.ID != 1 || target.Automatic == test.joins {
			t.Fatalf("%s: %+v", name, target)
		}
		r.settle(2, 3)
		ended := r.order(orderOf(3, membership.Change{Op: membership.OpAddLearner, ID: 5, Incarnation: rigPeers[4].Incarnation, Address: "n5:1"}))
		var underWay *ChangeInProgressError
		if refused := ended != nil && errors.As(ended.Err, &underWay); refused != test.joins {
			t.Errorf("%s: another one by hand ends with %+v", name, ended)
		}
	}
}

// TestAutomaticOrderJoinedByHandWhileItAsks: it is one by hand too, whoever asks for the
// same while the node has not said yet who it is.
func TestAutomaticOrderJoinedByHandWhileItAsks(t *testing.T) {
	r := asking(t)
	r.order(orderOf(2, adds(4, rigPeers[3].Incarnation)))
	r.answersAs(rigPeers[3])
	if target := r.e.configs.latest().Configuration.Target; target == nil || target.ID != 1 || target.Automatic {
		t.Errorf("%+v", target)
	}
}

// TestAllOfANodeAreTold: two on one node ask for the same, while the leader asks the newcomer
// who it is. When that is cancelled, both are told: who is not asks again, and begins it anew.
func TestAllOfANodeAreTold(t *testing.T) {
	r := newRig(t, rigOptions{}).lead()
	r.fire(TimerHeartbeat)
	r.answers(2, 3)
	for range 2 { // and again
		for i := range uint64(2) {
			r.step(r.address(2, r.e.hard.Term, &ChangeRequest{ID: 10 + i, Order: orderOf(membership.ChangeID(7+i), adds(4, 0))}))
		}
	}
	if p := r.e.leaderState.changes.pending; p == nil || p.order.ID != 7 || len(p.waiters) != 2 {
		t.Fatalf("%+v", p)
	}
	cancel := orderOf(9)
	cancel.Cancel = true
	r.order(cancel)
	told := map[uint64]int{}
	for _, c := range r.last {
		if s, ok := c.(*Send); ok {
			if m, ok := s.Message.(*ChangeResponse); ok && m.Code == ChangeCancelled && m.To == rigPeers[1] {
				told[m.ID]++
			}
		}
	}
	if len(told) != 2 || told[10] != 1 || told[11] != 1 {
		t.Errorf("told are %v", told)
	}
}
