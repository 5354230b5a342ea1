package observe

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
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/tracing"
)

// still is an environment in which no actor has a turn: a test hands on itself
// what observers have to.
type still struct {
	stage.Environment
	system *stage.System
}

func newStill() still { return still{stage.Production(), stage.NewSystem()} }

func (s still) System() *stage.System { return s.system }
func (still) Schedule(func())         {}

// traceRig is what is traced of a leader with one peer.
type traceRig struct {
	*traces
	watch    *Watch
	stream   *Watch
	node     *Node
	recorder *tracetest.SpanRecorder
	peer     core.Identity
}

func newTraceRig(t testing.TB, sampler tracing.Sampler) *traceRig {
	t.Helper()
	recorder := tracetest.NewSpanRecorder()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder), sdktrace.WithIDGenerator(tracing.IDs{}))
	node, err := New(Config{Environment: newStill(), Node: 1, Tracing: tracing.Config{Provider: provider, Sampler: sampler}})
	if err != nil {
		t.Fatal(err)
	}
	w := node.Group(1)
	r := &traceRig{w.traces, w, nil, node, recorder, core.Identity{ID: 2, Incarnation: 2}}
	r.stream = w.Stream(r.peer)
	Streams{Peers: []membership.Identity{r.peer}}.Tell(w)
	Changed{&core.Changed{Role: core.RoleLeader, Term: 1}}.Tell(w)
	return r
}

// spansEnded are those that have ended.
func (r *traceRig) spansEnded() []sdktrace.ReadOnlySpan {
	r.node.spans.drain()
	return r.recorder.Ended()
}

// sampled makes so many sampled proposals.
func (r *traceRig) sampled(t testing.TB, count int) []Span {
	t.Helper()
	batch := make([]Span, count)
	for i := range batch {
		batch[i] = Proposing{Ctx: t.Context(), Bytes: 1}.Begin(r.watch)
		if !batch[i].Traced() {
			t.Fatal("the proposal is not traced")
		}
	}
	return batch
}

// admit appends a batch of proposals from an entry on.
func (r *traceRig) admit(first core.LogID, batch []Span) {
	for i, p := range batch {
		Admitted{Span: p, First: first, ID: core.LogID{Term: first.Term, Index: first.Index + core.Index(i)}, Batch: len(batch)}.Tell(r.watch)
	}
}

// completes ends a proposal.
func (r *traceRig) completes(p Span, id core.LogID) { Completed{Span: p, ID: id}.Tell(r.watch) }

// sends sends entries to a peer.
func (r *traceRig) sends(to core.Identity, entries []core.Entry) *core.AppendEntries {
	m := &core.AppendEntries{Header: core.Header{To: to, Term: 2}, Prev: core.LogID{Term: 1, Index: entries[0].Index - 1}, Entries: entries}
	Sending{Message: m}.Begin(r.stream)
	Sent{Message: m, Taken: true}.Tell(r.stream)
	return m
}

// flushes makes entries durable.
func (r *traceRig) flushes(entries []core.Entry) {
	Durable{Span: Writing{}.Begin(r.node.Watch()), Entries: entries, BatchEntries: 1, BatchBytes: 1}.Tell(r.watch)
}

// applies applies entries.
func (r *traceRig) applies(entries []core.Entry) {
	Applied{Span: Applying{Entries: entries}.Begin(r.watch), Entries: entries}.Tell(r.watch)
}

// ended counts the spans that have ended, by name, and those with an event.
func (r *traceRig) ended(name, event string) (n int) {
	for _, s := range r.spansEnded() {
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
	r.admit(core.LogID{Term: 1, Index: 1}, batch)
	if len(r.entries) != tracedPerBatchMax {
		t.Errorf("%d writes of a batch have stages, want %d", len(r.entries), tracedPerBatchMax)
	}
	for i := core.Index(100); len(r.entries) < tracedEntriesMax; i += 16 {
		more := r.sampled(t, 16)
		r.admit(core.LogID{Term: 1, Index: i}, more)
		batch = append(batch, more...)
	}
	over := r.sampled(t, 3)
	r.admit(core.LogID{Term: 1, Index: 1 << 20}, over)
	if len(r.entries) != tracedEntriesMax {
		t.Errorf("%d writes have stages, want %d", len(r.entries), tracedEntriesMax)
	}
	for _, p := range append(batch, over...) {
		r.completes(p, core.LogID{Term: 1, Index: 1})
	}
	r.watch.Close()
	if n := r.ended("raft.propose", tracing.EventCapped); n != 20-tracedPerBatchMax+3 {
		t.Errorf("%d roots say that they were capped", n)
	}
	r.leavesNothing(t)
}

// TestTracesOfALatePeerAreBounded asserts that a peer which stays behind does not
// use up the room of the writes to come.
func TestTracesOfALatePeerAreBounded(t *testing.T) {
	r := newTraceRig(t, tracing.NewRatioSampler(1))
	for i := range core.Index(200) {
		id := core.LogID{Term: 1, Index: i + 1}
		batch := r.sampled(t, 1)
		r.writes(batch[0], id)
	}
	if len(r.entries) != tracedLateMax {
		t.Errorf("%d writes wait for the peer, want %d", len(r.entries), tracedLateMax)
	}
	if n := r.ended("raft.replicate", tracing.EventAbandoned); n != 200-tracedLateMax {
		t.Errorf("%d ways to the peer were given up", n)
	}
	// The peer catches up.
	Matched{200}.Tell(r.stream)
	r.leavesNothing(t)
	if n := r.ended("raft.apply", ""); n != 200 {
		t.Errorf("%d of 200 were applied", n)
	}
}

// TestTraceOfARetriedForward asserts that a write which one leader would not have
// shows each of its ways.
func TestTraceOfARetriedForward(t *testing.T) {
	r := newTraceRig(t, tracing.NewRatioSampler(1))
	p := r.sampled(t, 1)[0]
	forward := func(to core.NodeID, sent bool) {
		if s := (Forwarding{Span: p, To: core.Identity{ID: to}}).Begin(r.watch); !s.Traced() {
			t.Error("the proposal travels without its context")
		}
		Forwarded{Span: p, Batch: 1, Taken: sent}.Tell(r.watch)
	}
	answer := func(code core.ResultCode, text string) {
		Answered{Span: p, Result: &core.ForwardedResult{Code: code, Error: text}}.Tell(r.watch)
	}
	forward(2, false) // the network does not take it
	forward(2, true)
	answer(core.ResultNotLeader, "not me")
	Requeued{p}.Tell(r.watch)
	forward(3, true)
	answer(core.ResultApplied, "")
	r.completes(p, core.LogID{Term: 2, Index: 9})
	var got []string
	for _, s := range r.spansEnded() {
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
	r.leavesNothing(t)
}

// TestANewLeaderGoesOnWithATrace asserts that the peers of a leader which took a
// traced entry over get its context.
func TestANewLeaderGoesOnWithATrace(t *testing.T) {
	r := newTraceRig(t, tracing.NewRatioSampler(1))
	Changed{&core.Changed{Role: core.RoleFollower, Term: 1}}.Tell(r.watch)
	sent := r.callerOf(t, tracing.Replicate)
	entries := entriesFrom(core.LogID{Term: 1, Index: 5}, 1)
	m := &core.AppendEntries{
		Header: core.Header{From: r.peer, Term: 1}, Prev: core.LogID{Term: 1, Index: 4}, Entries: entries,
		Traces: []core.EntryTrace{{Index: 5, Context: sent}, {Index: 7, Context: core.TraceContext{1}}},
	}
	Received{m}.Tell(r.watch)
	Submitted{Write: &core.Write{Append: entries}}.Tell(r.watch)
	Stepped{Message: m}.Tell(r.watch)
	r.flushes(entries)
	Changed{&core.Changed{Role: core.RoleLeader, Term: 2}}.Tell(r.watch)
	on := r.sends(r.peer, entries)
	if len(on.Traces) != 1 || on.Traces[0].Index != 5 {
		t.Fatalf("the message carries %v", on.Traces)
	}
	if c := on.Traces[0].Context; [16]byte(c[:16]) != [16]byte(sent[:16]) {
		t.Error("it is another trace")
	}
	r.applies(entries)
	Matched{5}.Tell(r.stream)
	r.leavesNothing(t)
}

// TestUnsampledCostsNothing asserts that neither the decision nor the hooks
// allocate while nothing is sampled.
func TestUnsampledCostsNothing(t *testing.T) {
	r := newTraceRig(t, tracing.NewRateSampler(0))
	var p Span
	entries := entriesFrom(core.LogID{Term: 1, Index: 1}, 8)
	m := &core.AppendEntries{Entries: entries}
	w := &core.Write{Append: entries}
	n := testing.AllocsPerRun(1000, func() {
		p = Proposing{Ctx: context.Background(), Bytes: 1}.Begin(r.watch)
		Room{p}.Tell(r.watch)
		Admitted{Span: p}.Tell(r.watch)
		Submitted{w}.Tell(r.watch)
		Sending{Message: m}.Begin(r.stream)
		Sent{Message: m, Taken: true}.Tell(r.stream)
		Received{m}.Tell(r.watch)
		Stepped{Message: m}.Tell(r.watch)
		Matched{3}.Tell(r.stream)
		Committed{3}.Tell(r.watch)
		r.applies(entries)
		r.completes(p, core.LogID{})
	})
	if n != 0 || p.Traced() {
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
				r.watch.traces = nil
			}
			var p Span
			b.ReportAllocs()
			for b.Loop() {
				p = Proposing{Ctx: c.ctx, Bytes: 1}.Begin(r.watch)
			}
			if p.Traced() {
				b.Fatal("sampled")
			}
		})
	}
}
