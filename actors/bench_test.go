package actors

import (
	"context"
	"fmt"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/network/inproc"
	"github.com/trouperaft/troupe/storage"
	"github.com/trouperaft/troupe/storage/memory"
)

// nullMachine does nothing, so that the way to it is what is measured.
type nullMachine struct{ storage.Volatile }

func (nullMachine) Apply(_ context.Context, entries []core.Entry) ([][]byte, error) {
	return make([][]byte, len(entries)), nil
}
func (nullMachine) View() (storage.SnapshotView, error)      { return nullView{}, nil }
func (nullMachine) Restore(context.Context, io.Reader) error { return nil }

type nullView struct{}

func (nullView) WriteTo(io.Writer) (int64, error) { return 0, nil }
func (nullView) Close() error                     { return nil }

// BenchmarkPropose measures writes through nodes in one process, in memory.
func BenchmarkPropose(b *testing.B) {
	for _, nodes := range []int{1, 3} {
		for _, clients := range []int{1, 256} {
			b.Run(fmt.Sprintf("nodes=%d/clients=%d", nodes, clients), func(b *testing.B) {
				g := benchCluster(b, nodes)
				b.ReportAllocs()
				b.ResetTimer()
				var wg sync.WaitGroup
				for c := range clients {
					wg.Go(func() {
						done := make(chan struct{}, 1)
						p := &Proposal{Data: make([]byte, 128), WaitForRoom: true, Completed: func(*Proposal) { done <- struct{}{} }}
						for i := c; i < b.N; i += clients {
							g.Propose(p)
							<-done
							if p.Err != nil {
								b.Error(p.Err)
								return
							}
						}
					})
				}
				wg.Wait()
				b.StopTimer()
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "writes/s")
			})
		}
	}
}

func benchCluster(b *testing.B, n int) *Group {
	hub := inproc.NewHub()
	var groups []*Group
	var ids []membership.NodeID
	for i := range n {
		id := membership.NodeID(i + 1)
		store := memory.New(id)
		node, err := NewNode(NodeConfig{ID: id, Store: store, Snapshots: memory.NewSnapshots(), Network: hub.Network(address(id))})
		if err != nil {
			b.Fatal(err)
		}
		cfg := groupConfig(1, nullMachine{})
		cfg.SnapshotEntries, cfg.KeepEntries = 100_000, 10_000
		cfg.ElectionTimeout, cfg.HeartbeatInterval = time.Second, 100*time.Millisecond
		g, err := node.Start(b.Context(), cfg)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() {
			done := make(chan struct{})
			node.Stop(func() { close(done) })
			await(b, done, "the node to stop")
		})
		groups, ids = append(groups, g), append(ids, id)
	}
	if err := bootstrap(b, groups[0], patience, members(ids...)...); err != nil {
		b.Fatal(err)
	}
	until(b, groups[0], "a leader", func(s Status) bool { return s.Ready })
	return groups[0]
}
