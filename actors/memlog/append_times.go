package memlog

import (
	"slices"
	"sort"
	"sync"
	"time"

	"github.com/trouperaft/troupe/core"
)

// AppendTimes remembers when the log grew, so that an index tells for how long
// its entry has been there. The marks are spaced, and thinned out with age, so
// that a bounded number reaches back to the beginning of the role in the term. The
// zero value is ready. It may be used by many goroutines, of which one calls Note.
type AppendTimes struct {
	mu    sync.Mutex
	marks []appendMark
}

// appendMark: the entries from first on, up to the next mark, were appended at at
// or a little later.
type appendMark struct {
	first core.Index
	at    core.Instant
}

const (
	appendMarkSpacing = time.Millisecond
	appendMarksMax    = 512
	// appendTimePrecision: a time that is given is too long by one part in so
	// many.
	appendTimePrecision = 8
)

// Note takes the states before and after some steps of the engine that ended at now.
func (t *AppendTimes) Note(before, after *core.EngineStatus, now core.Instant) {
	if before.Role != after.Role || before.Term != after.Term || len(t.marks) == 0 {
		// What was appended before is as old as that.
		t.mu.Lock()
		t.marks = append(t.marks[:0], appendMark{at: now})
		t.mu.Unlock()
		return
	}
	if after.Last < before.Last {
		t.truncate(after.Last)
	}
	if after.Last <= before.Last || now.Sub(t.marks[len(t.marks)-1].at) < appendMarkSpacing {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.marks) == appendMarksMax {
		t.thin(now)
	}
	t.marks = append(t.marks, appendMark{before.Last + 1, now})
}

// truncate drops the marks of entries behind last. The first stays.
func (t *AppendTimes) truncate(last core.Index) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := len(t.marks)
	for n > 1 && t.marks[n-1].first > last {
		n--
	}
	t.marks = t.marks[:n]
}

// thin drops the marks without which a time is given wrong by an eighth at most:
// so many remain as the logarithm of the time that they cover. The first stays.
func (t *AppendTimes) thin(now core.Instant) {
	kept := t.marks[:1]
	for i := 1; i < len(t.marks); i++ {
		if i+1 < len(t.marks) {
			next := t.marks[i+1].at
			if next.Sub(kept[len(kept)-1].at) <= now.Sub(next)/appendTimePrecision {
				continue
			}
		}
		kept = append(kept, t.marks[i])
	}
	if len(kept) > appendMarksMax*7/8 {
		// Beyond some weeks: whatever is lost was old.
		kept = slices.Delete(kept, 1, appendMarksMax/8)
	}
	t.marks = kept
}

// Appended returns when the entry at i was appended, or a little earlier: 0 if nothing
// was noted.
func (t *AppendTimes) Appended(i core.Index) core.Instant {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := sort.Search(len(t.marks), func(n int) bool { return t.marks[n].first > i })
	if n == 0 {
		return 0
	}
	return t.marks[n-1].at
}
