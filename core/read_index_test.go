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

// TestReadCancelled: a read that nobody waits for leaves nothing, wherever it waits, and
// is not answered.
func TestReadCancelled(t *testing.T) {
	kept := func(r *rig) int {
		w := &r.e.reads
		return len(w.held) + len(w.asked) + len(w.failing) + len(w.waiting) + len(w.confirming)
	}
	for name, begin := range map[string]func(r *rig){
		"no leader is known":   func(r *rig) { r.step(&ReadRequest{ID: 7}) },
		"the leader was asked": func(r *rig) { r.follow(3).step(&ReadRequest{ID: 7}) },
		"nothing is committed": func(r *rig) { r.elect().step(&ReadRequest{ID: 7}) },
		"a round is under way": func(r *rig) { r.lead().step(&ReadRequest{ID: 7}) },
		"the leader knows none": func(r *rig) {
			r.follow(3).step(&ReadRequest{ID: 7})
			asked, _ := sent[*ReadIndexRequest](r)
			r.from(2, 3, &ReadIndexResponse{ID: asked.ID})
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, rigOptions{})
			begin(r)
			if kept(r) != 1 {
				t.Fatalf("%d reads are kept, want 1", kept(r))
			}
			r.step(&ReadCancelled{ID: 6})
			if kept(r) != 1 {
				t.Error("another one was cancelled, and it is gone")
			}
			if r.step(&ReadCancelled{ID: 7}); kept(r) != 0 {
				t.Errorf("%d reads are kept", kept(r))
			}
		})
	}
}
