package seen

import (
	"errors"
	"testing"

	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/network"
)

func shows(id, incarnation, counter, nonce uint64) network.Local {
	return network.Local{
		Identity:     membership.Identity{ID: membership.NodeID(id), Incarnation: membership.Incarnation(incarnation)},
		StartCounter: counter, Nonce: nonce,
	}
}

func TestMeet(t *testing.T) {
	lives := NewLives(shows(1, 0x11, 4, 400))
	for i, c := range []struct {
		peer         network.Local
		stale, newer bool
	}{
		{peer: shows(2, 0x22, 5, 500)},
		{peer: shows(2, 0x22, 5, 500)},
		{peer: shows(2, 0x22, 5, 501), stale: true},
		{peer: shows(2, 0x22, 4, 400), stale: true},
		{peer: shows(2, 0x22, 5, 500)},
		{peer: shows(2, 0x22, 7, 700), newer: true},
		{peer: shows(2, 0x22, 5, 500), stale: true},
		{peer: shows(2, 0x23, 1, 100)},              // another incarnation counts for itself
		{peer: shows(1, 0x11, 4, 401), stale: true}, // a copy of the node's own directory
		{peer: shows(1, 0x11, 3, 300), stale: true},
	} {
		newer, err := lives.Meet(c.peer)
		if errors.Is(err, network.ErrStale) != c.stale || (err != nil) != c.stale || newer != c.newer {
			t.Errorf("step %d: Meet(%+v) = %v, %v", i, c.peer, newer, err)
		}
	}
}

func TestOvertaken(t *testing.T) {
	lives := NewLives(shows(1, 0x11, 4, 400))
	before, after := shows(2, 0x22, 5, 500), shows(2, 0x22, 6, 600)
	for i, want := range []bool{false, true} {
		if _, err := lives.Meet([]network.Local{before, after}[i]); err != nil {
			t.Fatal(err)
		}
		if lives.Overtaken(before) != want || lives.Overtaken(after) {
			t.Errorf("after life %d: Overtaken says %t and %t", i, lives.Overtaken(before), lives.Overtaken(after))
		}
	}
}

func TestMeetIsBounded(t *testing.T) {
	lives := NewLives(shows(1, 0x11, 4, 400))
	for i := range uint64(2 * identitiesMax) {
		if _, err := lives.Meet(shows(2, 100+i, 9, 900)); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(lives.newest); n > identitiesMax {
		t.Errorf("%d identities are remembered, at most %d", n, identitiesMax)
	}
	if _, err := lives.Meet(shows(1, 0x11, 4, 401)); !errors.Is(err, network.ErrStale) {
		t.Errorf("the own life was forgotten: %v", err)
	}
	if _, err := lives.Meet(shows(2, 100+2*identitiesMax-1, 8, 800)); !errors.Is(err, network.ErrStale) {
		t.Errorf("the newest life was forgotten: %v", err)
	}
}
