package peers

import (
	"slices"
	"testing"

	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/storage"
)

func peer(id membership.NodeID, counter uint64) storage.Peer {
	return storage.Peer{Identity: membership.Identity{ID: id, Incarnation: 1}, StartCounter: counter, Nonce: counter}
}

// TestKeepSaysWhatChanged: only an order is no change; and no list is changed.
func TestKeepSaysWhatChanged(t *testing.T) {
	var l List
	for _, step := range []struct {
		keep    storage.Peer
		changed bool
		want    List
	}{
		{peer(2, 1), true, List{peer(2, 1)}},
		{peer(2, 1), false, List{peer(2, 1)}},
		{peer(1, 1), true, List{peer(2, 1), peer(1, 1)}},
		{peer(2, 1), false, List{peer(1, 1), peer(2, 1)}},
		{peer(1, 2), true, List{peer(2, 1), peer(1, 2)}},
	} {
		before := slices.Clone(l)
		next, changed, err := l.Keep(step.keep)
		if err != nil || changed != step.changed || !slices.Equal(next, step.want) {
			t.Errorf("%+v, %t, %v, want %+v, %t", next, changed, err, step.want, step.changed)
		}
		if !slices.Equal(l, before) {
			t.Errorf("the list became %+v", l)
		}
		l = next
	}
}

// TestBound: the list never holds more than Max.
func TestBound(t *testing.T) {
	var l List
	for i := range membership.NodeID(Max + 10) {
		next, _, err := l.Keep(peer(i+1, 1))
		if err != nil {
			t.Fatal(err)
		}
		l = next
	}
	if len(l) != Max || l[0].ID != 11 {
		t.Errorf("%d peers, the first %+v", len(l), l[0])
	}
}
