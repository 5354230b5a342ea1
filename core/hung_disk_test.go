package core

import "testing"

// TestRepeatedProbesAreOneWrite: rule 3: an answer that rides in a write already is
// not submitted again, or a leader that probes at each heartbeat would fill a hung
// disk's queue.
func TestRepeatedProbesAreOneWrite(t *testing.T) {
	r := newRig(t, rigOptions{}).follow(1)
	r.from(2, 1, &AppendEntries{Stream: 1, Prev: LogID{1, 1}, Entries: commands(LogID{1, 2})})
	for range 1000 {
		r.from(2, 1, &AppendEntries{Stream: 1, Prev: LogID{1, 2}})
		r.from(2, 1, &AppendEntries{Stream: 1, Prev: LogID{1, 1}, Entries: commands(LogID{1, 2})})
	}
	if n := len(r.e.writes.pending); n != 1 {
		t.Errorf("%d writes are pending", n)
	}
	// What the write does not promise is another answer.
	r.from(2, 1, &AppendEntries{Stream: 1, Prev: LogID{1, 2}, Entries: commands(LogID{1, 3})})
	if w, ok := find[*Write](r); !ok || w.Then[0].(*AppendResponse).Match != 3 {
		t.Errorf("the next entry: %q", r.lines())
	}
	// Nor is what it promised to a leader of an earlier term.
	r.from(2, 2, &AppendEntries{Stream: 1, Prev: LogID{1, 1}})
	r.from(2, 2, &AppendEntries{Stream: 1, Prev: LogID{1, 3}})
	if w, ok := find[*Write](r); !ok || w.Then[0].Head().Term != 2 {
		t.Errorf("the same entry in the next term: %q", r.lines())
	}
}
