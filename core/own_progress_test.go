package core

import (
	"testing"
	"time"
)

// TestOwnProgress: rule 16: what moves is not hung, however slow, nor is what the
// others have not passed.
func TestOwnProgress(t *testing.T) {
	const limit = 10 * time.Second
	type step struct {
		at                       time.Duration
		flushed, applied, commit Index
		behind                   bool
		disk, machine            bool
	}
	for _, test := range []struct {
		name  string
		steps []step
	}{
		{"all are at the end", []step{{0, 5, 5, 5, false, false, false}, {time.Hour, 5, 5, 5, false, false, false}}},
		{"the disk stands still", []step{{1, 5, 5, 9, false, false, false}, {limit + 1, 5, 5, 20, false, false, false}, {limit + 2, 5, 5, 30, false, true, false}}},
		{"the disk is slow", []step{{1, 5, 5, 9, false, false, false}, {limit, 9, 5, 20, false, false, false}, {limit + 2, 12, 5, 30, false, false, false}, {2 * limit, 19, 5, 40, false, false, false}, {2*limit + 1, 19, 5, 40, false, true, false}}},
		{"the machine stands still", []step{{1, 9, 5, 9, true, false, false}, {2, 9, 5, 9, true, false, false}, {limit + 1, 9, 5, 9, true, false, false}, {limit + 3, 9, 5, 9, true, false, true}}},
		{"no voter has applied more", []step{{1, 9, 5, 9, false, false, false}, {time.Hour, 9, 5, 9, false, false, false}}},
		{"the machine moves", []step{{1, 9, 5, 9, true, false, false}, {2, 9, 5, 9, true, false, false}, {limit, 9, 6, 9, true, false, false}, {limit + 3, 9, 6, 9, true, false, false}}},
	} {
		var p ownProgress
		for i, s := range test.steps {
			now := Instant(s.at)
			p.note(now, s.flushed, s.applied, s.commit, s.behind)
			if disk, machine := p.diskHung(now, limit), p.machineHung(now, limit); disk != s.disk || machine != s.machine {
				t.Errorf("%s, step %d: the disk is hung: %v, the machine: %v", test.name, i, disk, machine)
			}
		}
	}
}
