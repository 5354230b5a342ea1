package memory

import (
	"math/rand/v2"
	"testing"

	"github.com/trouperaft/troupe/core"
)

// TestEntryLogIsItsModel compares the chunks with a plain slice, over batches of
// all sizes, truncations and purges.
func TestEntryLogIsItsModel(t *testing.T) {
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 1))
		var l entryLog
		var model []core.Entry
		purged, term := core.Index(0), core.Term(1)
		end := func() core.Index { return purged + core.Index(len(model)) }
		for range 200 {
			if len(model) > 0 && r.IntN(10) == 0 {
				term++
				n := r.IntN(len(model)) + 1
				model = model[: len(model)-n : len(model)-n]
				l.truncate(end() + 1)
			}
			if len(model) > 0 && r.IntN(10) == 0 {
				n := r.IntN(len(model)) + 1
				purged += core.Index(n)
				model = model[n:]
				l.purge(purged)
			}
			var batch []core.Entry
			for i := range r.IntN([]int{2, 20, 300}[r.IntN(3)]) {
				batch = append(batch, core.Entry{LogID: core.LogID{Term: term, Index: end() + 1 + core.Index(i)}, Data: make([]byte, r.IntN(50))})
			}
			l.append(batch)
			model = append(model, batch...)
			if len(model) == 0 {
				continue
			}
			first := purged + 1 + core.Index(r.IntN(len(model)))
			last := first + core.Index(r.IntN(int(end()-first)+1))
			bytesMax := 1 + r.IntN(20_000)
			want, _ := core.Fitting(model[first-purged-1:last-purged], bytesMax, 0)
			got := l.read(first, last, bytesMax)
			if len(got) != len(want) {
				t.Fatalf("seed %d: %d entries from %d to %d within %d bytes, want %d", seed, len(got), first, last, bytesMax, len(want))
			}
			for i := range want {
				if got[i].LogID != want[i].LogID || l.at(got[i].Index).LogID != want[i].LogID {
					t.Fatalf("seed %d: entry %v, want %v", seed, got[i].LogID, want[i].LogID)
				}
			}
		}
	}
}
