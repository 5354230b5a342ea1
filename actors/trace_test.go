package actors

import (
	"context"
	"fmt"
	"slices"
	"testing"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/trouperaft/troupe/actors/stage"
	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/tracing"
)

// traceRig is the traces of a leader with one peer, and what they record.
type traceRig struct {
	*traces
	group    *Group
	recorder *tracetest.SpanRecorder
	peer     core.Identity
}

func newTraceRig(t testing.TB, sampler tracing.Sampler) *traceRig {
	t.Helper()
	recorder := tracetest.NewSpanRecorder()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder))
	peer := core.Identity{ID: 2, Incarnation: 2}
	streams := map[streamKey]*replicationActor{{peer: peer, stream: 1}: nil}
	tr := &traces{
		tracer: tracing.NewTracer(tracing.Config{Provider: provider, Sampler: sampler}),
		env:    stage.Production(), node: 1, group: 1,
		streams: func() map[streamKey]*replicationActor { return streams },
	}
	tr.changed(&core.Changed{Role: core.RoleLeader, Term: 1})
	return &traceRig{tr, &Group{traces: tr}, recorder, peer}
}

// live counts what the hooks look for.
func (r *traceRig) live() int64 {
	return r.proposals.Load() + r.reads.Load() + r.asked.Load() + int64(r.highest.Load()+r.lowest.Load())
}

// sampled makes so many sampled proposals, linked as a list of them is.
func (r *traceRig) sampled(t testing.TB, count int) []*Proposal {
	t.Helper()
	batch := make([]*Proposal, count)
	for i := range batch {
		batch[i] = &Proposal{Data: []byte("a")}
		r.group.Trace(t.Context(), batch[i])
		if batch[i].trace == nil {
			t.Fatal("the proposal is not traced")
		}
		if i > 0 {
			batch[i-1].next = batch[i]
		}
	}
	return batch
}

// ended counts the spans that have ended, by name, and those with an event.
func (r *traceRig) ended(name, event string) (n int) {
	for _, s := range r.recorder.Ended() {
		if s.Name() == name && (event == "" || slices.ContainsFunc(s.Events(), func(e sdktrace.Event) bool { return e.Name == event })) {
			n++
		}
	}
	return n
}

func entriesFrom(first core.LogID, count int) []core.Entry {
	entries := make([]core.Entry, count)
	for i := range entries {
		entries[i] = core.Entry{LogID: core.LogID{Term: first.Term, Index: first.Index + core.Index(i)}, Kind: core.EntryCommand}
	}
	return entries
}

func TestTracedStagesAreCapped(t *testing.T) {
	r := newTraceRig(t, tracing.NewRatioSampler(1))
	batch := r.sampled(t, 20)
	r.admitted(core.LogID{Term: 1, Index: 1}, batch[0], len(batch))
	if len(r.entries) != tracedPerBatchMax {
		t.Errorf("%d writes of a batch have stages, want %d", len(r.entries), tracedPerBatchMax)
	}
	for i := core.Index(100); len(r.entries) < tracedEntriesMax; i += 16 {
		more := r.sampled(t, 16)
		r.admitted(core.LogID{Term: 1, Index: i}, more[0], 16)
		batch = append(batch, more...)
	}
	over := r.sampled(t, 3)
	r.admitted(core.LogID{Term: 1, Index: 1 << 20}, over[0], 3)
	if len(r.entries) != tracedEntriesMax {
		t.Errorf("%d writes have stages, want %d", len(r.entries), tracedEntriesMax)
	}
	for _, p := range append(batch, over...) {
		p.traced(core.LogID{Term: 1, Index: 1}, nil)
	}
	r.close()
	if n := r.ended("raft.propose", tracing.EventCapped); n != 20-tracedPerBatchMax+3 {
		t.Errorf("%d roots say that they were capped", n)
	}
	if n := r.live(); n != 0 || len(r.entries) != 0 {
		t.Errorf("%d are counted as live at the end, %d are kept", n, len(r.entries))
	}
	if started, ended := len(r.recorder.Started()), len(r.recorder.Ended()); started != ended {
		t.Errorf("%d spans began and %d ended", started, ended)
	}
}

// TestTracesOfALatePeerAreBounded asserts that a peer which stays behind does not
// use up the room of the writes to come.
func TestTracesOfALatePeerAreBounded(t *testing.T) {
	r := newTraceRig(t, tracing.NewRatioSampler(1))
	for i := range core.Index(200) {
		id := core.LogID{Term: 1, Index: i + 1}
		batch := r.sampled(t, 1)
		r.admitted(id, batch[0], 1)
		entries := entriesFrom(id, 1)
		r.submitted(&core.Write{Append: entries})
		r.sending(&core.AppendEntries{Header: core.Header{To: r.peer}, Entries: entries})
		r.writing(entries, 1, 1)
		r.written(entries, 1, 1)
		r.committed(id.Index)
		r.applying(entries)
		r.wereApplied(entries)
		batch[0].traced(id, nil)
	}
	if len(r.entries) != tracedLateMax {
		t.Errorf("%d writes wait for the peer, want %d", len(r.entries), tracedLateMax)
	}
	if n := r.ended("raft.replicate", tracing.EventAbandoned); n != 200-tracedLateMax {
		t.Errorf("%d ways to the peer were given up", n)
	}
	// The peer catches up.
	r.matched(r.peer, 0, 200)
	if n := r.live(); n != 0 || len(r.entries) != 0 {
		t.Errorf("%d are counted as live, %d are kept", n, len(r.entries))
	}
	if n := r.ended("raft.apply", ""); n != 200 {
		t.Errorf("%d of 200 were applied", n)
	}
}

// TestTraceOfARetriedForward asserts that a write which one leader would not have
// shows each of its ways.
func TestTraceOfARetriedForward(t *testing.T) {
	r := newTraceRig(t, tracing.NewRatioSampler(1))
	batch := r.sampled(t, 1)
	p := batch[0]
	forward := func(to core.NodeID, sent bool) {
		m := &core.ProposeRequest{Header: core.Header{To: core.Identity{ID: to}}, Proposals: make([]core.ForwardedProposal, 1)}
		r.forwarding(m, batch)
		if m.Proposals[0].Trace.IsZero() {
			t.Error("the proposal travels without its context")
		}
		r.forwarded(batch, sent)
	}
	forward(2, false) // the network does not take it
	forward(2, true)
	p.trace.answered(&core.ForwardedResult{Code: core.ResultNotLeader, Error: "not me"})
	p.trace.requeued()
	forward(3, true)
	p.trace.answered(&core.ForwardedResult{Code: core.ResultApplied})
	p.traced(core.LogID{Term: 2, Index: 9}, nil)
	var got []string
	for _, s := range r.recorder.Ended() {
		line := fmt.Sprint(s.Name(), " ", s.Status().Description)
		for _, a := range s.Attributes() {
			if a.Key == tracing.PeerKey || a.Key == tracing.OutcomeKey {
				line += " " + a.Value.String()
			}
		}
		got = append(got, line)
	}
	want := []string{"raft.queue ", "raft.forward not me 2 not the leader", "raft.queue ", "raft.forward  3 applied", "raft.propose  applied"}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%q\nwant\n%q", got, want)
	}
	if r.live() != 0 {
		t.Error("it is still counted as live")
	}
}

// TestANewLeaderGoesOnWithATrace asserts that the peers of a leader which took a
// traced entry over get its context.
func TestANewLeaderGoesOnWithATrace(t *testing.T) {
	r := newTraceRig(t, tracing.NewRatioSampler(1))
	r.changed(&core.Changed{Role: core.RoleFollower, Term: 1})
	span := r.tracer.StartRoot(t.Context(), tracing.Replicate, r.wallNow())
	entries := entriesFrom(core.LogID{Term: 1, Index: 5}, 1)
	m := &core.AppendEntries{
		Header: core.Header{From: r.peer, Term: 1}, Prev: core.LogID{Term: 1, Index: 4}, Entries: entries,
		Traces: []core.EntryTrace{{Index: 5, Context: tracing.Inject(span.SpanContext())}, {Index: 7, Context: core.TraceContext{1}}},
	}
	r.receivedAppend(m)
	r.submitted(&core.Write{Append: entries})
	r.stepped(m)
	r.written(entries, 1, 1)
	r.changed(&core.Changed{Role: core.RoleLeader, Term: 2})
	on := &core.AppendEntries{Header: core.Header{To: r.peer, Term: 2}, Prev: m.Prev, Entries: entries}
	r.sending(on)
	if len(on.Traces) != 1 || on.Traces[0].Index != 5 {
		t.Fatalf("the message carries %v", on.Traces)
	}
	c, ok := tracing.Extract(on.Traces[0].Context)
	if !ok || c.TraceID() != span.SpanContext().TraceID() {
		t.Error("it is another trace")
	}
	r.wereApplied(entries)
	r.matched(r.peer, 0, 5)
	if r.live() != 0 {
		t.Error("it is still counted as live")
	}
}

// TestUnsampledCostsNothing asserts that neither the decision nor the hooks
// allocate while nothing is sampled.
func TestUnsampledCostsNothing(t *testing.T) {
	r := newTraceRig(t, tracing.NewRateSampler(0))
	p := &Proposal{}
	entries := entriesFrom(core.LogID{Term: 1, Index: 1}, 8)
	m := &core.AppendEntries{Entries: entries}
	w := &core.Write{Append: entries}
	n := testing.AllocsPerRun(1000, func() {
		r.group.Trace(context.Background(), p)
		p.trace.event(tracing.EventRoom)
		r.admitted(entries[0].LogID, p, 1)
		r.submitted(w)
		r.sending(m)
		r.sent(m, true)
		r.receivedAppend(m)
		r.stepped(m)
		r.matched(r.peer, 0, 3)
		r.committed(3)
		r.applying(entries)
		r.wereApplied(entries)
		p.traced(core.LogID{}, nil)
	})
	if n != 0 || p.trace != nil {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkUnsampledProposal(b *testing.B) {
	background := context.Background()
	caller := trace.ContextWithSpanContext(background, trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}}))
	for _, c := range []struct {
		name    string
		sampler tracing.Sampler
		ctx     context.Context
	}{
		{"off", nil, background},
		{"rate", tracing.NewRateSampler(0), background},
		{"ratio", tracing.NewRatioSampler(1e-12), background},
		{"caller", tracing.NewRateSampler(0), caller},
	} {
		b.Run(c.name, func(b *testing.B) {
			r := newTraceRig(b, c.sampler)
			if c.sampler == nil {
				r.traces.tracer = nil
			}
			p := &Proposal{}
			b.ReportAllocs()
			for b.Loop() {
				r.group.Trace(c.ctx, p)
			}
			if p.trace != nil {
				b.Fatal("sampled")
			}
		})
	}
}
