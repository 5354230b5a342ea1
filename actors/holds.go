package actors

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
)

// holds knows what the groups of a node keep of their logs for others, and has the
// slowest let go of where that is too much together, and all while the disk is nearly
// full. Cores tell it; it never blocks.
type holds struct {
	bytesMax uint64 // 0 is no bound
	// nearlyFull reports whether the store will refuse writes soon.
	nearlyFull func() bool

	mu sync.Mutex
	by map[membership.GroupID]*heldBy
	// total is what they keep together.
	total uint64
}

// heldBy is what one group keeps.
type heldBy struct {
	bytes uint64
	// letGo hands the core what it is to do; after that it is left in peace until rests.
	letGo func(*core.LetGoOfLog)
	rests core.Instant
}

// holder is a group as holds knows it.
type holder struct {
	group membership.GroupID
	every time.Duration // how often it may be told
	letGo func(*core.LetGoOfLog)
	// told is what it said last.
	told uint64
}

// note takes what a group keeps now. Only the group's core calls it.
func (h *holds) note(of *holder, bytes uint64, now core.Instant) {
	if bytes == 0 && of.told == 0 {
		return
	}
	full := h.nearlyFull()
	if bytes == of.told && !full && h.bytesMax == 0 {
		return
	}
	of.told = bytes
	h.mu.Lock()
	defer h.mu.Unlock()
	g := h.by[of.group]
	if g != nil {
		h.total -= g.bytes
	}
	if bytes == 0 {
		delete(h.by, of.group)
		return
	}
	if h.by == nil {
		h.by = make(map[membership.GroupID]*heldBy)
	}
	if g == nil {
		g = &heldBy{letGo: of.letGo}
		h.by[of.group] = g
	}
	g.bytes = bytes
	h.total += bytes
	if !full && (h.bytesMax == 0 || h.total <= h.bytesMax) {
		return // each burst of a group that keeps something comes here
	}
	all := h.ordered()
	most, why := h.level(all), core.LetGoNode
	if full {
		most, why = 0, core.LetGoRoom
	}
	for _, g := range all {
		if g.bytes > most && now >= g.rests {
			g.rests = now.Add(of.every)
			g.letGo(&core.LetGoOfLog{BytesMax: most, Why: why})
		}
	}
}

// ordered are the groups, who keeps the most first, so that a seed replays.
func (h *holds) ordered() []*heldBy {
	ids := make([]membership.GroupID, 0, len(h.by))
	for id := range h.by {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b membership.GroupID) int {
		return cmp.Or(cmp.Compare(h.by[b].bytes, h.by[a].bytes), cmp.Compare(a, b))
	})
	all := make([]*heldBy, len(ids))
	for i, id := range ids {
		all[i] = h.by[id]
	}
	return all
}

// level is the most that a group may keep so that all, who are in order, are within the
// bound: who keeps less keeps it, and the others have equal parts of what is left.
func (h *holds) level(all []*heldBy) uint64 {
	left := h.bytesMax
	for i := len(all) - 1; i >= 0; i-- {
		if part := left / uint64(i+1); all[i].bytes > part {
			return part
		}
		left -= all[i].bytes
	}
	return ^uint64(0)
}
