package storagetest

import (
	"slices"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/storage"
)

// groupsListed: a store that lists its groups names those that it holds anything of, in
// order, and none that it was only asked for.
func groupsListed(h *home) {
	lists := func(want ...membership.GroupID) {
		h.Helper()
		lister, ok := h.store.(storage.GroupLister)
		if !ok {
			h.Skip("the store is no storage.GroupLister")
		}
		got, err := lister.Groups(h.Context())
		if err != nil || !slices.Equal(got, want) {
			h.Errorf("the groups are %v, %v; want %v", got, err, want)
		}
	}
	lists()
	for _, group := range []membership.GroupID{9, 2, 1 << 63, 77} {
		h.write(storage.Operation{Group: group, HardState: &core.HardState{Term: 1}})
	}
	if _, err := h.store.Load(h.Context(), 5); err != nil {
		h.Fatal(err)
	}
	lists(2, 9, 77, 1<<63)
	h.reopen()
	lists(2, 9, 77, 1<<63)
}
