package troupe_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/trouperaft/troupe"
	"github.com/trouperaft/troupe/network/inproc"
	"github.com/trouperaft/troupe/storage/memory"
)

// counter is the cheapest state machine.
type counter struct {
	ledger
	applied atomic.Int64
}

func (c *counter) Apply(_ context.Context, entries []troupe.Entry) ([][]byte, error) {
	c.applied.Add(int64(len(entries)))
	return make([][]byte, len(entries)), nil
}

// BenchmarkPropose measures writes in memory, through the leader, with clients
// that each wait for their answer.
func BenchmarkPropose(b *testing.B) {
	for _, nodes := range []int{1, 3} {
		for _, clients := range []int{1, 256} {
			b.Run(fmt.Sprintf("nodes=%d/clients=%d", nodes, clients), func(b *testing.B) { benchmarkPropose(b, nodes, clients) })
		}
	}
}

func benchmarkPropose(b *testing.B, nodes, clients int) {
	hub := inproc.NewHub()
	var rafts []*troupe.Raft
	var members []troupe.Member
	for id := troupe.NodeID(1); id <= troupe.NodeID(nodes); id++ {
		network := hub.Network(address(id))
		raft, err := troupe.Start(b.Context(),
			troupe.NodeConfig{ID: id, Network: network, Log: memory.New(id), Snapshots: memory.NewSnapshots()},
			troupe.Config{StateMachine: &counter{}, KeepEntries: 1000})
		if err != nil {
			b.Fatal(err)
		}
		defer raft.Kill()
		rafts = append(rafts, raft)
		members = append(members, troupe.At(id, address(id)))
	}
	if err := rafts[0].Bootstrap(b.Context(), members...); err != nil {
		b.Fatal(err)
	}
	command := make([]byte, 128)
	var left atomic.Int64
	left.Store(int64(b.N))
	b.ReportAllocs()
	b.ResetTimer()
	var group sync.WaitGroup
	for range clients {
		group.Go(func() {
			for left.Add(-1) >= 0 {
				if _, err := rafts[0].Propose(b.Context(), command); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "writes/s")
}

// BenchmarkLeaseRead measures reads that the leader's lease answers.
func BenchmarkLeaseRead(b *testing.B) {
	hub := inproc.NewHub()
	raft, err := troupe.Start(b.Context(),
		troupe.NodeConfig{ID: 1, Network: hub.Network(address(1)), Log: memory.New(1), Snapshots: memory.NewSnapshots()},
		troupe.Config{StateMachine: &counter{}})
	if err != nil {
		b.Fatal(err)
	}
	defer raft.Kill()
	if err := raft.Bootstrap(b.Context(), troupe.At(1, address(1))); err != nil {
		b.Fatal(err)
	}
	if err := raft.Wait(b.Context(), func(s troupe.Status) bool { return s.Lease > 0 && s.Applied == s.Last }); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			if _, err := raft.ReadIndex(context.Background(), troupe.Lease); err != nil {
				b.Error(err)
			}
		}
	})
}
