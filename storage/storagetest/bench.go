package storagetest

import (
	"fmt"
	"testing"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/storage"
)

// BenchmarkLogStore measures appends of 1, 16 and 256 entries of 256 bytes a
// batch to one group. It purges as a node does, so that the log stays bounded.
func BenchmarkLogStore(b *testing.B, open OpenLog) {
	for _, n := range []int{1, 16, 256} {
		b.Run(fmt.Sprintf("B=%d", n), func(b *testing.B) {
			store, err := open(b.TempDir(), node)
			if err != nil {
				b.Fatal(err)
			}
			defer store.Close()
			const keep, every = 20_000, 50_000
			entries := commands(1, 1, n, 256)
			batch := &storage.Batch{Operations: []storage.Operation{{Group: 1, Append: entries}}}
			op := &batch.Operations[0]
			next, purged := core.Index(1), core.Index(0)
			b.ReportAllocs()
			for b.Loop() {
				for i := range entries {
					entries[i].Index = next
					next++
				}
				op.Purge = core.LogID{}
				if next > purged+keep+every {
					purged = next - keep
					op.Purge = core.LogID{Term: 1, Index: purged}
				}
				if err := store.Write(b.Context(), batch); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "entries/s")
		})
	}
}
