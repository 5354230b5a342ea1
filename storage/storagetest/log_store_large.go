package storagetest

import (
	"math"
	"slices"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/storage"
)

// The cases of this file are of much: stores work in pages, buffers and numbers
// of some size, and a fault beyond it shows in no small log.

// read1 compares one Read of group 1 with the model.
func (h *home) read1(first, last core.Index, bytesMax int) {
	h.Helper()
	if err := h.model.group(1).readDiffers(h.Context(), h.store, 1, first, last, bytesMax); err != nil {
		h.Fatal(err)
	}
}

// everyFieldOfAnEntry writes data of the lengths at which encodings change, and
// times and terms of every size.
func everyFieldOfAnEntry(h *home) {
	times := []int64{math.MinInt64, -1, 0, 1, 999_999, 1 << 31, 1<<32 + 1, 1<<53 + 1, math.MaxInt64}
	var entries []core.Entry
	for i, size := range []int{0, 1, 127, 128, 255, 256, 16_383, 16_384, 32_767, 32_768, 65_535, 65_536, 65_537, 200_000} {
		e := commands(1<<(4*i), core.Index(i+1), 1, size)[0]
		e.Time = times[min(i, len(times)-1)]
		entries = append(entries, e)
	}
	n := len(entries)
	next := id(1<<60, core.Index(n+1))
	entries = append(entries,
		core.Entry{LogID: next, Kind: core.EntryBlank, Time: math.MaxInt64},
		core.Entry{LogID: id(next.Term, next.Index+1), Kind: core.EntryCommand, Time: math.MaxInt64, Data: make([]byte, 300)},
		core.Entry{LogID: id(next.Term, next.Index+2), Kind: core.EntryCommand, Time: 5, Data: slices.Repeat([]byte{0xff}, 300)})
	h.fill(entries)
	h.check()
}

// readManyEntries: what fits into the bound in bytes is returned, however many
// entries that are.
func readManyEntries(h *home) {
	const n = 5000
	h.fill(commands(1, 1, n, 30))
	for _, r := range [][2]core.Index{{1, n}, {1, 65}, {2, n - 1}, {n / 2, n}, {n, n}} {
		h.read1(r[0], r[1], 1<<30)
		h.read1(r[0], r[1], math.MaxInt)
	}
	h.check()
}

// limitedReadOfManyBytes reads entries of very different sizes with bounds from
// 1 KiB to more than there is. An entry that does not fit ends the read, whatever
// fits behind it.
func limitedReadOfManyBytes(h *home) {
	var entries []core.Entry
	for i := range 150 {
		size := []int{10, 30_000, 200, 90_000, 0, 5_000}[i%6]
		entries = append(entries, commands(1, core.Index(i+1), 1, size)...)
	}
	h.fill(entries)
	for _, bytesMax := range []int{1 << 10, 1<<16 - 1, 1 << 16, 1<<16 + 1, 100_000, 1 << 20, 2 << 20, 3 << 20, math.MaxInt} {
		for _, first := range []core.Index{1, 2, 3, 4, 77} {
			h.read1(first, 150, bytesMax)
		}
	}
	h.check()
}

// manyTermRuns writes 1,200 runs of one to three entries, and cuts and purges in
// the middle of some.
func manyTermRuns(h *home) {
	const runs = 1200
	var entries []core.Entry
	for i := range runs {
		term := core.Term(1 + i + i/7)
		entries = append(entries, commands(term, core.Index(len(entries)+1), 1+i%3, 10)...)
	}
	h.fill(entries)
	if n := len(h.load(1).Terms); n != runs {
		h.Fatalf("%d term runs, want %d", n, runs)
	}
	h.checkAfter("%d term runs", runs)
	h.write(storage.Operation{Group: 1, TruncateFrom: core.Index(len(entries) - 100)})
	h.checkAfter("a truncation")
	h.write(storage.Operation{Group: 1, Purge: entries[100].LogID})
	h.checkAfter("a purge")
}

// manyConfigurations writes 100 of them, each with a command before and after it.
func manyConfigurations(h *home) {
	const n = 100
	var entries []core.Entry
	for i := range n {
		at := core.Index(3 * i)
		entries = append(append(append(entries, commands(1, at+1, 1, 10)...), configuration(id(1, at+2), 1+i%7)), commands(1, at+3, 1, 10)...)
	}
	h.fill(entries)
	if got := len(h.load(1).Configurations); got != n {
		h.Fatalf("%d configurations, want %d", got, n)
	}
	h.checkAfter("%d configurations", n)
	h.write(storage.Operation{Group: 1, TruncateFrom: 3*n - 4, Purge: id(1, 20)})
	h.checkAfter("a truncation and a purge")
}

// largeConfiguration writes configurations up to the largest, with all that one
// can have.
func largeConfiguration(h *home) {
	for i, n := range []int{2, 16, 17, membership.MembersMax} {
		h.write(storage.Operation{Group: 1, Append: []core.Entry{fullConfiguration(id(1, core.Index(i+1)), n)}})
		h.checkAfter("a configuration of %d members", n)
	}
}

const manyEntries = 6000

// truncateManyEntries cuts off from a hundred to thousands of entries at once.
func truncateManyEntries(h *home) {
	h.fill(commands(1, 1, manyEntries, 20))
	for _, from := range []core.Index{manyEntries - 99, manyEntries - 1199, 300} {
		h.write(storage.Operation{Group: 1, TruncateFrom: from})
		h.checkState(id(0, 0), id(1, from-1))
	}
	h.fill(commands(2, 300, manyEntries, 20))
	h.write(storage.Operation{Group: 1, TruncateFrom: 500, Append: commands(3, 500, 2, 20)})
	h.checkState(id(0, 0), id(3, 501))
}

func purgeManyEntries(h *home) {
	h.fill(commands(1, 1, manyEntries, 20))
	for _, upTo := range []core.Index{100, 1300, 5800, manyEntries} {
		h.write(storage.Operation{Group: 1, Purge: id(1, upTo)})
		h.checkState(id(1, upTo), id(1, manyEntries))
	}
}

// largeNumbers writes logs across the powers of two at which some encoding or
// number ends. Rule 32: terms and indexes go up to 2^62.
func largeNumbers(h *home) {
	const top = 62
	powers := []int{7, 8, 14, 16, 21, 24, 28, 31, 32, 35, 40, 48, 53, 56, 60, 61, top}
	write := func(power int, op storage.Operation) {
		h.Helper()
		op.Group = membership.GroupID(power)
		batch := &storage.Batch{Operations: []storage.Operation{op}}
		if err := h.store.Write(h.Context(), batch); err != nil {
			h.Fatalf("Write of terms and indexes around 2^%d: %v", power, err)
		}
		h.model.write(batch)
	}
	for _, power := range powers {
		at := uint64(1) << power
		term, index := core.Term(at), core.Index(at)
		beyond := 5
		if power == top {
			beyond = 0
		}
		var entries []core.Entry
		for i := -4; i <= beyond; i++ {
			entries = append(entries, commands(term+core.Term(i), index+core.Index(i), 1, 20)...)
		}
		write(power, storage.Operation{HardState: &core.HardState{Term: term}, Reset: id(term-5, index-5), Append: entries, Commit: index})
		write(power, storage.Operation{TruncateFrom: index, Append: commands(term, index, 1+beyond, 20)})
	}
	h.checkAfter("a reset, appends and a truncation around 2^n, in group n")
	for _, power := range powers {
		at := uint64(1) << power
		write(power, storage.Operation{Purge: id(core.Term(at-2), core.Index(at-2))})
	}
	write(powers[0], storage.Operation{Purge: id(1<<top, 1<<top), Commit: 1 << top})
	h.checkAfter("purges around 2^n, in group n, and one up to 2^%d", top)
}
