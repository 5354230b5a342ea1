//go:build !race

package observe

import (
	"testing"

	sdk "go.opentelemetry.io/otel/sdk/metric"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
)

// batchRig is what tells of a batch of one group on its whole way.
type batchRig struct {
	node          *Node
	watch, stream *Watch
	burst         core.Progress
	now           core.Instant
	entries       []core.Entry
	message       *core.AppendEntries
}

func newBatchRig(t testing.TB, metered bool) *batchRig {
	t.Helper()
	c := Config{Environment: newStill(), Node: 1}
	if metered {
		c.Meter = sdk.NewMeterProvider(sdk.WithReader(sdk.NewManualReader()))
	}
	node, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	w := node.Group(1)
	w.Open(core.Progress{}, func() (Figures, bool) { return Figures{}, true })
	w.Inbox(ActorCore)
	entries := make([]core.Entry, 8)
	return &batchRig{node: node, watch: w, stream: w.Stream(membership.Identity{ID: 2, Incarnation: 2}), entries: entries, message: &core.AppendEntries{Entries: entries}}
}

// pass takes one batch through all stages.
func (r *batchRig) pass() {
	r.now++
	if m := r.watch.meter; m != nil {
		p := &r.burst
		p.Role = core.RoleLeader
		p.Last += 8
		p.Committed = p.Last
		p.AppendedBytes += 1000
		m.burstOf(*p, r.now)
	}
	for i := range r.entries {
		r.entries[i].Index = r.burst.Last - 7 + core.Index(i)
	}
	r.message.Prev.Index = r.burst.Last - 8
	written := Writing{}.Begin(r.node.Watch())
	Wrote{Span: written, Entries: 8, Bytes: 1000}.Tell(r.node.Watch())
	Durable{Span: written, Entries: r.entries, BatchEntries: 8, BatchBytes: 1000, Submitted: 1}.Tell(r.watch)
	Sending{Message: r.message}.Begin(r.stream)
	HandedOver{Message: r.message, Taken: true}.Tell(r.node.Watch())
	Sent{Message: r.message, Taken: true}.Tell(r.stream)
	TakenIn{Message: r.message}.Tell(r.node.Watch())
	Received{Message: r.message}.Tell(r.watch)
	Matched{Match: r.burst.Last}.Tell(r.stream)
	Applied{Span: Applying{Entries: r.entries}.Begin(r.watch), Entries: r.entries}.Tell(r.watch)
	Passed{Proposals: 1}.Tell(r.watch)
	Overloaded{How: OverloadWaited}.Tell(r.watch)
	ReadEnded{}.Tell(r.watch)
	ReadsServed{Since: r.now}.Tell(r.watch)
}

// TestBatchAllocatesNothing asserts that what a batch tells on its way allocates
// nothing, whether or not it is measured.
func TestBatchAllocatesNothing(t *testing.T) {
	for name, metered := range map[string]bool{"off": false, "measured": true} {
		r := newBatchRig(t, metered)
		handOn := func() {
			if r.node.values != nil && r.node.values.queued.Load() > measurementsMax/2 {
				for _, m := range r.node.values.inbox.Take() {
					m.record()
				}
				r.node.values.queued.Store(0)
			}
		}
		for range 2 * stageMarksMax {
			r.pass()
			handOn()
		}
		if n := testing.AllocsPerRun(1000, func() { r.pass(); handOn() }); n != 0 {
			t.Errorf("%s: %v allocations for a batch", name, n)
		}
	}
}

// BenchmarkBatch is what a batch of one group costs that passes all stages.
func BenchmarkBatch(b *testing.B) {
	for _, c := range []struct {
		name    string
		metered bool
	}{{"off", false}, {"measured", true}} {
		b.Run(c.name, func(b *testing.B) {
			r := newBatchRig(b, c.metered)
			b.ReportAllocs()
			for b.Loop() {
				r.pass()
				if r.node.values != nil {
					r.node.values.drain()
				}
			}
		})
	}
}
