package storagetest

import (
	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/storage"
)

// sizesOfTheEntries: what Load says of the entries' sizes is what the log holds, and
// nothing of what was purged, truncated or reset.
func sizesOfTheEntries(h *home) {
	check := func(what string) {
		h.T.Helper()
		got, want := h.load(1).Sizes, h.model.group(1).state().Sizes
		if got.Total() != want.Total() || got.Last() != want.Last() {
			h.T.Fatalf("%s: sizes of %d bytes up to entry %d, want %d up to %d", what, got.Total(), got.Last(), want.Total(), want.Last())
		}
	}
	check("an empty log")
	for i := range core.Index(20) {
		h.write(storage.Operation{Group: 1, Append: commands(1, 50*i+1, 50, 1000*int(i%4))})
	}
	check("1,000 entries")
	h.write(storage.Operation{Group: 1, Purge: id(1, 333)})
	check("purged up to 333")
	h.write(storage.Operation{Group: 1, TruncateFrom: 777, Append: commands(2, 777, 10, 5000)})
	check("another end from 777 on")
	h.write(storage.Operation{Group: 1, Reset: id(3, 2000)})
	check("reset to 2,000")
	h.append(3, 2001, 7)
	check("7 entries behind that")
}
