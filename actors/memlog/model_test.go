package memlog

import (
	"math/rand/v2"
	"testing"

	"github.com/trouperaft/troupe/core"
)

// TestLogIsItsModel compares the in-memory log with a plain slice, over
// batches of all sizes, truncations and evictions: each read is what the slice
// holds, within its bounds, and nothing that was handed out or given is ever
// written again.
func TestLogIsItsModel(t *testing.T) {
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 1))
		tl := New(20_000, core.LogID{}, core.LogID{}, 0)
		var model []core.Entry
		type held struct{ seen, want []core.Entry }
		var kept []held
		hold := func(entries []core.Entry) {
			if len(entries) > 0 && len(kept) < 500 {
				kept = append(kept, held{entries, append([]core.Entry(nil), entries...)})
			}
		}
		term := core.Term(1)
		for step := range 300 {
			w := &core.Write{IOID: core.IOID(step + 1)}
			if last := len(model); last > 0 && r.IntN(12) == 0 {
				term++
				from := max(last-r.IntN(150), int(tl.first)) // what is evicted is applied
				if from <= last {
					w.TruncateFrom = core.Index(from)
					model = model[: from-1 : from-1]
				}
			}
			if n := r.IntN([]int{2, 20, 200}[r.IntN(3)]); n > 0 {
				first := core.Index(len(model)) + 1
				w.Append = entriesOf(term, first, first+core.Index(n)-1, core.EntryOverheadBytes+1+r.IntN(60))
				hold(w.Append)
				model = append(model, w.Append...)
			}
			tl.Submit(w)
			if r.IntN(3) == 0 {
				tl.Flushed(w.IOID)
				tl.SetApplied(core.Index(max(0, len(model)-200)))
			}
			hold(checkMemoryRead(t, r, tl, model))
			if held := core.SizeOf(model[tl.first-1:]); tl.bytes != held || int(tl.end) != len(model)+1 {
				t.Fatalf("seed %d: the in-memory log counts %d bytes and ends before %d, want %d and %d", seed, tl.bytes, tl.end, held, len(model)+1)
			}
		}
		for _, h := range kept {
			for i := range h.seen {
				if h.seen[i].LogID != h.want[i].LogID || &h.seen[i].Data[0:1][0] != &h.want[i].Data[0:1][0] {
					t.Fatalf("seed %d: entry %v was written over", seed, h.want[i].LogID)
				}
			}
		}
	}
}

// checkMemoryRead reads at random and compares with the model.
func checkMemoryRead(t *testing.T, r *rand.Rand, tl *Log, model []core.Entry) []core.Entry {
	t.Helper()
	if int(tl.first) > len(model) {
		return nil
	}
	first := tl.first + core.Index(r.IntN(len(model)-int(tl.first)+1))
	last := first + core.Index(r.IntN(len(model)-int(first)+1))
	bytesMax := 1 + r.IntN(30_000)
	read := tl.ReadForStream(tl.Generation(), first, last, bytesMax)
	if !read.Served {
		if first == tl.first {
			return nil // the term before it has to be read
		}
		t.Fatalf("entries %d to %d are in memory and not served: %+v", first, last, read)
	}
	if len(read.Entries) == 0 || len(read.Entries) > int(last-first)+1 {
		t.Fatalf("%d entries from %d to %d", len(read.Entries), first, last)
	}
	for i, e := range read.Entries {
		if e.LogID != model[int(first)-1+i].LogID {
			t.Fatalf("entry %d is %v, want %v", i, e.LogID, model[int(first)-1+i].LogID)
		}
	}
	if len(read.Entries) > 1 && core.SizeOf(read.Entries) > bytesMax {
		t.Fatalf("%d bytes, at most %d", core.SizeOf(read.Entries), bytesMax)
	}
	if n := len(read.Entries); n < gatherEntriesMin && n < int(last-first)+1 {
		if size := core.SizeOf(read.Entries) + model[int(first)-1+n].Size(); size <= bytesMax {
			t.Fatalf("%d entries of %d, and the next one fits: %d bytes of %d", n, last-first+1, size, bytesMax)
		}
	}
	return read.Entries
}
