package core

import (
	"slices"
	"testing"
)

// TestCommittedPrefixOfAnotherContent: a leader whose entries below this node's
// commit are others contradicts Leader Completeness (Raft 5.4). That is reported,
// and what this node does not hold is not acknowledged.
func TestCommittedPrefixOfAnotherContent(t *testing.T) {
	// Entries 1.1, 2.2 to 2.6, all committed; the leader of term 3 has 3.2 to 3.4.
	r := newRig(t, rigOptions{terms: []Term{2, 2, 2, 2, 2}, term: 3, commit: 6, applied: 6}).follow(2)
	r.from(2, 3, &AppendEntries{Stream: 1, Prev: LogID{1, 1}, Entries: commands(LogID{3, 2}, LogID{3, 3}, LogID{3, 4}), Commit: 4})
	if a, ok := sent[*AppendResponse](r); ok && a.Success {
		t.Errorf("acknowledged up to %d what it does not hold: %q", a.Match, r.lines())
	}
	if w, ok := find[*Write](r); ok {
		for _, m := range w.Then {
			if a, is := m.(*AppendResponse); is && a.Success {
				t.Errorf("acknowledges up to %d what it does not hold: %q", a.Match, r.lines())
			}
		}
	}
	told := slices.ContainsFunc(r.last, func(c Command) bool {
		n, ok := c.(*Notice)
		return ok && n.Kind == NoticeContradiction && n.Peer == rigPeers[1]
	})
	if !told {
		t.Errorf("no notice of the contradiction: %q", r.lines())
	}
}
