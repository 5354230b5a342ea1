package actors

import (
	"slices"
	"sort"
	"sync"
	"time"

	"github.com/trouperaft/troupe/core"
)

// growth remembers when the log grew, so that an index tells for how long
// its entry has been there. The marks are spaced, and thinned out with age, so
// that a bounded number reaches back to the beginning of the role in the term.
type growth struct {
	mu    sync.Mutex
	marks []growthMark
}

// growthMark: the entries from first on, up to the next mark, were appended at at
// or a little later.
type growthMark struct {
	first core.Index
	at    core.Instant
}

const (
	growthSpacing  = time.Millisecond
	growthMarksMax = 512
	// growthPrecision: a time that is told is too long by one part in so many.
	growthPrecision = 8
)

// note takes the states before and after a burst of the core that ended at now.
func (g *growth) note(before, after *core.EngineStatus, now core.Instant) {
	if before.Role != after.Role || before.Term != after.Term || len(g.marks) == 0 {
		// What was appended before is as old as that.
		g.mu.Lock()
		g.marks = append(g.marks[:0], growthMark{at: now})
		g.mu.Unlock()
		return
	}
	if after.Last < before.Last {
		g.truncate(after.Last)
	}
	if after.Last <= before.Last || now.Sub(g.marks[len(g.marks)-1].at) < growthSpacing {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.marks) == growthMarksMax {
		g.thin(now)
	}
	g.marks = append(g.marks, growthMark{before.Last + 1, now})
}

// truncate drops the marks of entries behind last. The first stays.
func (g *growth) truncate(last core.Index) {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := len(g.marks)
	for n > 1 && g.marks[n-1].first > last {
		n--
	}
	g.marks = g.marks[:n]
}

// thin drops the marks without which a time is told wrong by an eighth at most:
// so many remain as the logarithm of the time that they cover. The first stays.
func (g *growth) thin(now core.Instant) {
	kept := g.marks[:1]
	for i := 1; i < len(g.marks); i++ {
		if i+1 < len(g.marks) {
			next := g.marks[i+1].at
			if next.Sub(kept[len(kept)-1].at) <= now.Sub(next)/growthPrecision {
				continue
			}
		}
		kept = append(kept, g.marks[i])
	}
	if len(kept) > growthMarksMax*7/8 {
		// Beyond some weeks: whatever is lost was old.
		kept = slices.Delete(kept, 1, growthMarksMax/8)
	}
	g.marks = kept
}

// appended returns when the entry at i was appended, or a little earlier.
func (g *growth) appended(i core.Index) core.Instant {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := sort.Search(len(g.marks), func(n int) bool { return g.marks[n].first > i })
	if n == 0 {
		return 0
	}
	return g.marks[n-1].at
}
