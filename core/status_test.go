package core

import (
	"slices"
	"testing"
)

// TestStatusSharesNothing: whoever changes a status, or a clone of one that was
// written over his own, changes nothing in the engine.
func TestStatusSharesNothing(t *testing.T) {
	r := newRig(t, rigOptions{}).lead()
	var into EngineStatus
	r.e.StatusInto(&into)
	before := into.Clone()
	if len(before.Peers) == 0 || len(before.Configuration.Configuration.Voters) < 2 {
		t.Fatalf("nothing to share: %+v", before)
	}
	for name, s := range map[string]EngineStatus{"status": r.e.Status(), "clone": into.Clone()} {
		c := &s.Configuration.Configuration
		slices.Reverse(c.Members)
		clear(c.Voters)
		clear(s.Peers)
		var now EngineStatus
		r.e.StatusInto(&now)
		if !now.Configuration.Configuration.Equal(&before.Configuration.Configuration) || now.Differs(&before) || into.Differs(&before) {
			t.Errorf("%s: the engine's is now %+v, was %+v", name, now, before)
		}
	}
}
