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
