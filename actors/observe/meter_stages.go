package observe

import (
	"sort"
	"sync"
	"time"

	"github.com/trouperaft/troupe/core"
)

// stages remembers when the bursts of the core appended entries and learned that
// they are committed: one mark for a burst. The core writes, it and the apply
// actor read.
type stages struct {
	mu        sync.Mutex
	appended  stageMarks
	committed stageMarks
}

// stageMark: the entries from first to last passed a stage at at. proposed, on the leader, is when the oldest of them was handed over.
type stageMark struct {
	first, last  core.Index
	at, proposed core.Instant
}

// burst takes the states before and after a burst at now. It returns when the
// oldest of the entries that have become committed was appended: 0 if there is
// none, or nobody remembers.
func (s *stages) burst(before, after *core.Progress, now core.Instant, waited time.Duration) (committed core.Instant) {
	if after.Last < before.Last {
		s.appended.truncate(after.Last)
	}
	if after.Last > before.Last {
		mark := stageMark{first: before.Last + 1, last: after.Last, at: now}
		if after.Role == core.RoleLeader {
			mark.proposed = now.Add(-waited)
		}
		s.appended.add(mark)
	}
	if after.Committed > before.Committed {
		committed = s.appended.find(before.Committed + 1).at
		s.committed.add(stageMark{first: before.Committed + 1, last: after.Committed, at: now})
	}
	return committed
}

// applied returns when the oldest of the entries from first to last that was
// proposed here was, and when the one at first was known to be committed: 0 if
// none was, or nobody remembers.
func (s *stages) applied(first, last core.Index) (proposed, committed core.Instant) {
	for i := s.appended.place(first); i < len(s.appended.marks) && proposed == 0; i++ {
		mark := s.appended.at(i)
		if mark.first > last {
			break
		}
		proposed = mark.proposed
	}
	return proposed, s.committed.find(first).at
}

// stageMarks is a ring of the newest marks.
type stageMarks struct {
	marks []stageMark
	first int
}

// stageMarksMax bounds a ring, in bursts.
const stageMarksMax = 1024

func (r *stageMarks) at(i int) *stageMark { return &r.marks[(r.first+i)%len(r.marks)] }

func (r *stageMarks) add(m stageMark) {
	if len(r.marks) < stageMarksMax {
		r.marks = append(r.marks, m)
		return
	}
	r.marks[r.first] = m
	r.first = (r.first + 1) % stageMarksMax
}

// place returns where the marks of the entry at i and of those behind it begin.
func (r *stageMarks) place(i core.Index) int {
	return sort.Search(len(r.marks), func(n int) bool { return r.at(n).last >= i })
}

// find returns the mark of the entry at i, the zero value if there is none.
func (r *stageMarks) find(i core.Index) stageMark {
	n := r.place(i)
	if n == len(r.marks) || r.at(n).first > i {
		return stageMark{}
	}
	return *r.at(n)
}

// truncate forgets what lies behind last.
func (r *stageMarks) truncate(last core.Index) {
	var kept []stageMark
	for i := range r.marks {
		if m := *r.at(i); m.last <= last {
			kept = append(kept, m)
		}
	}
	r.marks, r.first = kept, 0
}
