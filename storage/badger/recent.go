package badger

import (
	"cmp"
	"container/list"
	"slices"

	"github.com/trouperaft/troupe/membership"
)

// change is the last one of a group's record: the batch that made it, and the weight
// that the record has since.
type change struct {
	group         membership.GroupID
	batch, weight uint64
}

// recentMax bounds the groups of a recent.
const recentMax = 256

// recent are the groups that were changed last. When batches are lost or damaged, they
// tell whose these were.
type recent struct {
	// header is the batch that changed the store's header last.
	header uint64
	// floor is the newest batch that may have been the last of a group which is not
	// here.
	floor uint64

	order list.List // of *change, the newest first
	at    map[membership.GroupID]*list.Element
}

// begin takes the records of a store that is opened.
func (r *recent) begin(found *records) {
	var changes []change
	for group, g := range found.groups {
		changes = append(changes, change{group, g.batch, g.weight})
	}
	slices.SortFunc(changes, func(a, b change) int { return cmp.Compare(a.batch, b.batch) })
	for _, c := range changes {
		r.touch(c)
	}
	r.header = found.header.batch
}

// touch notes a change, which is the newest.
func (r *recent) touch(c change) {
	if e, known := r.at[c.group]; known {
		*e.Value.(*change) = c
		r.order.MoveToFront(e)
		return
	}
	if r.at == nil {
		r.at = make(map[membership.GroupID]*list.Element)
	}
	fresh := c
	r.at[c.group] = r.order.PushFront(&fresh)
	if r.order.Len() > recentMax {
		oldest := r.order.Remove(r.order.Back()).(*change)
		delete(r.at, oldest.group)
		r.floor = max(r.floor, oldest.batch)
	}
}

// changes returns the last change of each group that is here, the newest first.
func (r *recent) changes() []change {
	out := make([]change, 0, r.order.Len())
	for e := r.order.Front(); e != nil; e = e.Next() {
		out = append(out, *e.Value.(*change))
	}
	return out
}
