package core

import "testing"

// TestReadIndexOfAnotherTerm: rule 4: a leader that was deposed, and elected again,
// answers what it was asked before. The answer tells up to where its log of now is
// committed, and not how much of that the follower holds. Here the follower holds an
// entry of the old term that another one has replaced.
func TestReadIndexOfAnotherTerm(t *testing.T) {
	r := newRig(t, rigOptions{}).follow(3)
	r.from(2, 3, &AppendEntries{Stream: 1, Prev: LogID{1, 1}, Entries: commands(LogID{3, 2}), Commit: 1})
	r.flush()
	r.step(&ReadRequest{ID: 1})
	asked, ok := sent[*ReadIndexRequest](r)
	if !ok {
		t.Fatalf("nobody was asked: %q", r.lines())
	}
	r.from(2, 5, &ReadIndexResponse{ID: asked.ID, OK: true, Index: 6})
	r.expect(r.lines(), "read 1: ready at 6")
	if r.e.commit != 1 {
		t.Errorf("3.2 is taken as committed, because 6 is in term 5")
	}

	// In the term that it follows, the answer is as good as a notice.
	r.step(&ReadRequest{ID: 2})
	asked, _ = sent[*ReadIndexRequest](r)
	r.from(2, 3, &ReadIndexResponse{ID: asked.ID, OK: true, Index: 2})
	r.expect(r.lines(), "read 2: ready at 2", "apply to 2")
}
