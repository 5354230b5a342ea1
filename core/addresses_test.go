package core

import (
	"testing"
	"time"

	"github.com/trouperaft/troupe/membership"
)

// addressesOf writes the addresses of the configuration in force.
func (r *rig) addressesOf() (all []string) {
	for _, m := range r.e.configs.latest().Configuration.Members {
		all = append(all, m.Address)
	}
	return all
}

// placed is a leader of three voters with addresses.
func placed(t *testing.T) *rig {
	t.Helper()
	r := newRig(t, rigOptions{}).lead()
	r.fire(TimerHeartbeat)
	r.answers(2, 3)
	var changes []membership.Change
	for id, address := range []string{"a:1", "b:1", "c:1"} {
		changes = append(changes, membership.Change{Op: membership.OpSetAddress, ID: NodeID(id + 1), Address: address})
	}
	r.order(orderOf(1, changes...))
	r.settle(2, 3)
	return r
}

func (r *rig) reached(id NodeID, address string) {
	r.t.Helper()
	r.step(&PeerAddress{Peer: rigPeers[id-1], Address: address})
}

// written lets time pass, and returns how many entries with addresses were appended.
func (r *rig) written(d time.Duration, ids ...NodeID) (entries int) {
	r.t.Helper()
	for end := r.now.Add(d); r.now < end; {
		r.fire(TimerHeartbeat)
		for _, c := range r.last {
			if n, ok := c.(*Notice); ok && n.Kind == NoticeAddressesWritten {
				entries++
				r.settle(ids...)
				break
			}
		}
		r.answers(ids...)
	}
	return entries
}

func (r *rig) addressesAre(want ...string) {
	r.t.Helper()
	for i, got := range r.addressesOf() {
		if got != want[i] {
			r.t.Errorf("addresses %q, want %q", r.addressesOf(), want)
			return
		}
	}
}

// TestAddressThatHoldsIsWritten: after a minute, with others that have moved, as one entry.
func TestAddressThatHoldsIsWritten(t *testing.T) {
	r := placed(t)
	r.reached(2, "b:2")
	r.reached(3, "c:2")
	if n := r.written(59*time.Second, 2, 3); n != 0 {
		t.Fatal("too early")
	}
	last := r.e.log.last.Index
	if n := r.written(2*time.Second, 2, 3); n != 1 || r.e.log.last.Index != last+1 || r.e.Progress().AddressesWritten != 1 {
		t.Fatalf("%d entries, the log grew by %d", n, r.e.log.last.Index-last)
	}
	r.addressesAre("a:1", "b:2", "c:2")
	if n := r.written(5*time.Minute, 2, 3); n != 0 {
		t.Error("written again")
	}
}

// TestAddressIsNotWritten: of who does not answer, or is where it is not reached any more,
// or has not been there for long; during a change; more than once a minute.
func TestAddressIsNotWritten(t *testing.T) {
	r := placed(t)
	r.reached(2, "b:2")
	r.written(30*time.Second, 2, 3)
	r.reached(2, "b:3")
	if n := r.written(59*time.Second, 2, 3); n != 0 {
		t.Error("one that had not held")
	}
	r.reached(2, "")
	if n := r.written(2*time.Minute, 2, 3); n != 0 {
		t.Error("one at which nobody is reached")
	}
	r.reached(2, "b:4")
	if n := r.written(2*time.Minute, 3); n != 0 {
		t.Error("of a silent member")
	}
	o := orderOf(8, adds(5, rigPeers[4].Incarnation))
	o.CatchUpLimit = 0
	r.order(o)
	r.settle(2, 3)
	if n := r.written(2*time.Minute, 2, 3); n != 0 {
		t.Error("during a change")
	}
	r.order(ChangeOrder{Order: membership.Order{ID: 9}, Cancel: true})
	r.settle(2, 3)
	if n := r.written(time.Second, 2, 3); n != 1 {
		t.Error("not after it")
	}
	r.reached(3, "c:4")
	if n := r.written(59*time.Second, 2, 3); n != 0 {
		t.Error("two entries in a minute")
	}
	if n := r.written(2*time.Second, 2, 3); n != 1 {
		t.Error("not after a minute")
	}
}

// TestNodesThatSwapAddresses: they are written together; one alone waits for the other.
func TestNodesThatSwapAddresses(t *testing.T) {
	r := placed(t)
	r.reached(2, "c:1")
	if n := r.written(2*time.Minute, 2, 3); n != 0 {
		t.Error("two members would have one address")
	}
	r.reached(3, "b:1")
	if n := r.written(2*time.Minute, 2, 3); n != 1 {
		t.Errorf("%d entries", n)
	}
	r.addressesAre("a:1", "c:1", "b:1")
}
