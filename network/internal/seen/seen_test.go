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
	lives := NewLives(shows(1, 0x11, 4, 400), nil)
	for i, c := range []struct {
		peer         network.Local
		stale, isNew bool
	}{
		{peer: shows(2, 0x22, 5, 500), isNew: true},
		{peer: shows(2, 0x22, 5, 500)},
		{peer: shows(2, 0x22, 5, 501), stale: true},
		{peer: shows(2, 0x22, 4, 400), stale: true},
		{peer: shows(2, 0x22, 5, 500)},
		{peer: shows(2, 0x22, 7, 700), isNew: true},
		{peer: shows(2, 0x22, 5, 500), stale: true},
		{peer: shows(2, 0x23, 1, 100), isNew: true}, // another incarnation counts for itself
		{peer: shows(1, 0x11, 4, 401), stale: true}, // a copy of the node's own directory
		{peer: shows(1, 0x11, 3, 300), stale: true},
	} {
		isNew, err := lives.Meet(c.peer)
		if errors.Is(err, network.ErrStale) != c.stale || (err != nil) != c.stale || isNew != c.isNew {
			t.Errorf("step %d: Meet(%+v) = %v, %v", i, c.peer, isNew, err)
		}
	}
}

// TestCheckRemembersNothing: a claim locks nobody out (rule 29).
func TestCheckRemembersNothing(t *testing.T) {
	lives := NewLives(shows(1, 0x11, 4, 400), nil)
	if err := lives.Check(shows(2, 0x22, 1<<64-1, 1)); err != nil {
		t.Errorf("an unknown claim was refused: %v", err)
	}
	if isNew, err := lives.Meet(shows(2, 0x22, 5, 500)); err != nil || !isNew {
		t.Errorf("the true one was refused: %t, %v", isNew, err)
	}
	for _, stale := range []network.Local{shows(2, 0x22, 4, 400), shows(2, 0x22, 5, 501)} {
		if err := lives.Check(stale); !errors.Is(err, network.ErrStale) {
			t.Errorf("%+v was not refused: %v", stale, err)
		}
	}
	if err := lives.Check(shows(2, 0x22, 6, 600)); err != nil {
		t.Errorf("a later life was refused: %v", err)
	}
}

// TestKnownPeersProtect over a restart of this node.
func TestKnownPeersProtect(t *testing.T) {
	lives := NewLives(shows(1, 0x11, 4, 400), []network.Peer{{Local: shows(2, 0x22, 5, 500), Address: "a"}, {Local: shows(1, 0x11, 9, 900)}})
	if err := lives.Check(shows(2, 0x22, 4, 400)); !errors.Is(err, network.ErrStale) {
		t.Errorf("an old copy was not refused: %v", err)
	}
	if isNew, err := lives.Meet(shows(2, 0x22, 5, 500)); isNew || err != nil {
		t.Errorf("what was known is new: %t, %v", isNew, err)
	}
	if lives.Overtaken(shows(1, 0x11, 4, 400)) {
		t.Error("what was kept overtakes the node's own life")
	}
}

func TestOvertaken(t *testing.T) {
	lives := NewLives(shows(1, 0x11, 4, 400), nil)
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
	lives := NewLives(shows(1, 0x11, 4, 400), nil)
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
