package core

import "testing"

// TestLetGoForTheNode: what the node asks for is done at once, the slowest first, and
// told with its reason; the group's own bound is what it was.
func TestLetGoForTheNode(t *testing.T) {
	r := newPurgeRig(t, func(c *Config) { c.SnapshotEntries, c.KeepEntries = 16, 2 })
	r.step(&FollowLog{ID: 1, Next: 5})
	r.step(&FollowLog{ID: 2, Next: 30})
	for range 64 {
		r.propose()
	}
	policy := r.e.snapshots.newest.Index - 2
	if r.e.log.purged.Index > 4 {
		t.Fatalf("the log begins after %d", r.e.log.purged.Index)
	}
	told := func() (all []Notice) {
		for _, c := range r.last {
			if n, ok := c.(*Notice); ok && n.Kind == NoticeLogLetGo {
				all = append(all, *n)
			}
		}
		return all
	}
	enough := r.e.sizes.Between(29, policy)
	r.step(&LetGoOfLog{BytesMax: enough, Why: LetGoNode})
	if got := told(); r.e.log.purged.Index != 29 || len(got) != 1 || got[0].Index != 4 || got[0].Text != LetGoNode.tell(enough) {
		t.Fatalf("the log begins after %d, told %v", r.e.log.purged.Index, got)
	}
	r.flush()
	for range 16 {
		r.propose()
	}
	if r.e.log.purged.Index != 29 {
		t.Errorf("the second is within the group's own bound, and the log begins after %d", r.e.log.purged.Index)
	}
	r.step(&LetGoOfLog{Why: LetGoRoom})
	if got := told(); r.kept() != 2 || len(got) != 1 || got[0].Index != 29 || got[0].Text != LetGoRoom.tell(0) {
		t.Errorf("%d are kept, told %v", r.kept(), got)
	}
	r.flush()
	s := r.e.Status()
	if want := (LetGoCounts{LetGoNode: 1, LetGoRoom: 1}); r.e.Progress().LetGo != want || s.HeldBytes != 0 {
		t.Errorf("counted %v, %d bytes are held", r.e.Progress().LetGo, s.HeldBytes)
	}
	if want := "who follows it here, which had it up to 29: " + LetGoRoom.tell(0); s.LetGo != want {
		t.Errorf("the status says %q, want %q", s.LetGo, want)
	}
}

// TestLetGoIsCountedByReason: the group's own bounds, too.
func TestLetGoIsCountedByReason(t *testing.T) {
	r := newPurgeRig(t, func(c *Config) { c.SnapshotEntries, c.KeepEntries, c.HoldBytesMax = 16, 2, 256<<10 })
	r.step(&FollowLog{ID: 1, Next: 5})
	for range 128 {
		r.propose()
	}
	r.match(3, r.e.log.last.Index)
	for range 40 {
		r.propose()
	}
	r.pass(r.e.cfg.HoldTimeMax)
	r.step(&Applied{LogID{2, r.e.applied}})
	if got, want := r.e.Progress().LetGo, (LetGoCounts{LetGoBytes: 1, LetGoTime: 1}); got != want {
		t.Errorf("counted %v, want %v", got, want)
	}
}
