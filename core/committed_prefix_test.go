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

// TestContradictionAtThePurgedEntry: of what was purged, the last entry is still known.
// A leader that holds another one there is not told that the logs agree.
func TestContradictionAtThePurgedEntry(t *testing.T) {
	for name, m := range map[string]*AppendEntries{
		"before what it sends": {Stream: 1, Prev: LogID{2, 3}, Entries: commands(LogID{2, 4}), Commit: 3},
		"among what it sends":  {Stream: 1, Prev: LogID{1, 2}, Entries: commands(LogID{2, 3}, LogID{2, 4}), Commit: 3},
		"in an empty probe":    {Stream: 1, Prev: LogID{2, 3}, Commit: 3},
		"by its commit index":  {Stream: 1, Prev: LogID{2, 3}, Commit: 4, CommitOnly: true},
		"reached from below":   {Stream: 1, Prev: LogID{1, 1}, Entries: commands(LogID{1, 2}, LogID{2, 3}), Commit: 3},
	} {
		t.Run(name, func(t *testing.T) {
			// Entries 1.1 to 1.5, of which those up to 1.3 were purged.
			r := newRig(t, rigOptions{terms: []Term{1, 1, 1, 1}, term: 3, purged: 3, commit: 4, applied: 4}).follow(3)
			r.from(2, 3, m)
			// The deadline of an election is drawn anew, and may be an earlier one.
			others := slices.DeleteFunc(slices.Clone(r.last), func(c Command) bool { _, arms := c.(*ArmTimer); return arms })
			if n, ok := find[*Notice](r); !ok || n.Kind != NoticeContradiction || len(others) != 1 {
				t.Errorf("%q", r.lines())
			}
		})
	}
}
