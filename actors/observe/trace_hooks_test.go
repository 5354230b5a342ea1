package observe

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/tracing"
)

// said are the spans that have ended with a name: their status, and the
// attributes with these keys.
func (r *traceRig) said(name string, keys ...string) (all []string) {
	for _, s := range r.spansEnded() {
		if s.Name() != name {
			continue
		}
		line := s.Status().Code.String()
		for _, a := range s.Attributes() {
			if slices.Contains(keys, string(a.Key)) {
				line += " " + a.Value.String()
			}
		}
		for _, e := range s.Events() {
			if i := slices.IndexFunc(e.Attributes, func(a attribute.KeyValue) bool { return a.Key == tracing.ReasonKey }); i >= 0 {
				line += ": " + e.Attributes[i].Value.AsString()
			}
		}
		all = append(all, line)
	}
	return all
}

// leavesNothing asserts that nothing is followed any more, and no span is open.
func (r *traceRig) leavesNothing(t *testing.T) {
	t.Helper()
	counted := r.live.Load() + r.asked.Load() + int64(r.highest.Load()+r.lowest.Load())
	kept := len(r.entries) + len(r.proposals) + len(r.reads) + len(r.rares) + len(r.votes) + len(r.readIndexes)
	if counted != 0 || kept != 0 || r.election != nil {
		t.Errorf("%d are counted as under way, %d are kept, the election is %v", counted, kept, r.election)
	}
}

// writes takes a sampled write on the leader to its result, its peer aside.
func (r *traceRig) writes(p Span, id core.LogID) {
	r.admit(id, []Span{p})
	entries := entriesFrom(id, 1)
	Submitted{Write: &core.Write{Append: entries}}.Tell(r.watch)
	r.sends(r.peer, entries)
	r.flushes(entries)
	Committed{id.Index}.Tell(r.watch)
	r.applies(entries)
	r.completes(p, id)
}

// TestHooksPassOverOldWrites asserts that batches without a sampled write do not
// wait for the lock while sampled ones wait for a peer.
func TestHooksPassOverOldWrites(t *testing.T) {
	r := newTraceRig(t, tracing.NewRatioSampler(1))
	for i := range core.Index(10) {
		r.writes(r.sampled(t, 1)[0], core.LogID{Term: 1, Index: i + 1})
	}
	waiting := r.sampled(t, 1) // a proposal that is still on its way
	if len(r.entries) != 10 {
		t.Fatalf("%d writes wait for the peer", len(r.entries))
	}
	healthy := core.Identity{ID: 3, Incarnation: 3}
	stream := r.watch.Stream(healthy)
	Matched{10}.Tell(stream)
	entries := entriesFrom(core.LogID{Term: 1, Index: 11}, 8)
	m := &core.AppendEntries{Entries: entries}
	done := make(chan struct{})
	r.mu.Lock()
	go func() {
		defer close(done)
		Admitted{}.Tell(r.watch)
		Submitted{Write: &core.Write{Append: entries}}.Tell(r.watch)
		r.flushes(entries)
		Sending{Message: m}.Begin(stream)
		Sent{Message: m, Taken: true}.Tell(stream)
		Matched{18}.Tell(stream)
		Committed{18}.Tell(r.watch)
		r.applies(entries)
	}()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Error("a hook waits for the lock")
	}
	r.mu.Unlock()
	<-done
	// The one that was waited for is found all the same.
	Matched{18}.Tell(r.stream)
	r.completes(waiting[0], core.LogID{})
	r.leavesNothing(t)
}

// TestWhatIsSafeHasNotFailed asserts that only what was not committed fails when
// it is given up.
func TestWhatIsSafeHasNotFailed(t *testing.T) {
	for _, test := range []struct {
		name  string
		safe  func(r *traceRig)
		ended func(r *traceRig)
		want  []string
	}{
		{"committed, stepped down", func(r *traceRig) { Committed{1}.Tell(r.watch) }, func(r *traceRig) { Changed{&core.Changed{Role: core.RoleFollower, Term: 2}}.Tell(r.watch) }, []string{"Unset: stepped down"}},
		{"stepped down", func(*traceRig) {}, func(r *traceRig) { Changed{&core.Changed{Role: core.RoleFollower, Term: 2}}.Tell(r.watch) }, []string{"Error: stepped down"}},
		{"committed, stopped", func(r *traceRig) { Committed{1}.Tell(r.watch) }, func(r *traceRig) { r.watch.Close() }, []string{"Unset: the group has stopped"}},
		{"stopped", func(*traceRig) {}, func(r *traceRig) { r.watch.Close() }, []string{"Error: the group has stopped"}},
	} {
		r := newTraceRig(t, tracing.NewRatioSampler(1))
		id := core.LogID{Term: 1, Index: 1}
		batch := r.sampled(t, 1)
		r.admit(id, batch)
		r.sends(r.peer, entriesFrom(id, 1))
		test.safe(r)
		test.ended(r)
		if got := r.said("raft.replicate"); !slices.Equal(got, test.want) {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
		r.completes(batch[0], id)
		r.watch.Close()
		r.leavesNothing(t)
	}
	// A peer stays behind.
	r := newTraceRig(t, tracing.NewRatioSampler(1))
	for i := range core.Index(tracedLateMax + 1) {
		r.writes(r.sampled(t, 1)[0], core.LogID{Term: 1, Index: i + 1})
	}
	if got := r.said("raft.replicate"); !slices.Equal(got, []string{"Unset: the peer stays behind"}) {
		t.Errorf("a peer that stays behind: %q", got)
	}
}

// TestTraceOfAForwardThatIsNeverSent asserts that the way to a leader which the
// network never reached ends when there is another, once.
func TestTraceOfAForwardThatIsNeverSent(t *testing.T) {
	r := newTraceRig(t, tracing.NewRatioSampler(1))
	p := r.sampled(t, 1)[0]
	forward := func(to core.Identity) {
		Forwarding{Span: p, To: to}.Begin(r.watch)
		Forwarded{Span: p, Batch: 1}.Tell(r.watch)
	}
	for range 3 {
		forward(r.peer)
	}
	LeaderChanged{p}.Tell(r.watch)
	LeaderChanged{p}.Tell(r.watch)
	if got, want := r.said("raft.forward", "raft.peer"), []string{"Unset 2: " + reasonNewLeader}; !slices.Equal(got, want) {
		t.Errorf("the ways are %q, want %q", got, want)
	}
	if n := r.ended("raft.forward", tracing.EventRefused); n != 1 {
		t.Errorf("%d ways say that they were refused", n)
	}
	// Another incarnation is another peer, whether or not the leader has changed.
	Forwarding{Span: p, To: r.peer}.Begin(r.watch)
	forward(core.Identity{ID: 3})
	r.admit(core.LogID{Term: 1, Index: 1}, []Span{p})
	if got := len(r.said("raft.queue")); got != 4 {
		t.Errorf("%d waits, want 4", got)
	}
	if got, want := r.said("raft.forward", "raft.peer"), []string{"Unset 2: " + reasonNewLeader, "Unset 2: " + reasonNewLeader, "Unset 3: " + reasonNewLeader}; !slices.Equal(got, want) {
		t.Errorf("the ways are %q, want %q", got, want)
	}
	r.completes(p, core.LogID{Term: 1, Index: 1})
	r.watch.Close()
	r.leavesNothing(t)
}

// callerOf returns the context of a span of another node.
func (r *traceRig) callerOf(t testing.TB, row *tracing.SpanType) core.TraceContext {
	t.Helper()
	return r.begin(t.Context(), row, r.wallNow()).of()
}

// TestTracedVotes asserts what a voter records of each answer, and that nothing
// stays open.
func TestTracedVotes(t *testing.T) {
	candidate := core.Identity{ID: 2, Incarnation: 2}
	last := core.LogID{Term: 3, Index: 7}
	for _, test := range []struct {
		name   string
		m      core.VoteRequest
		answer core.VoteResponse
		last   core.LogID
		want   string
	}{
		{"pre-vote", core.VoteRequest{Pre: true, ElectionTerm: 4, Last: last}, core.VoteResponse{Granted: true}, last, "Unset 2 4 true true"},
		{"promise", core.VoteRequest{ElectionTerm: 4, Last: last}, core.VoteResponse{WaitMillis: 1}, last, "Unset 2 4 false false " + refusedPromise},
		{"empty", core.VoteRequest{ElectionTerm: 4, Last: last}, core.VoteResponse{}, core.LogID{}, "Unset 2 4 false false " + refusedEmpty},
		{"old pre-vote", core.VoteRequest{Pre: true, ElectionTerm: 4, Last: last}, core.VoteResponse{Header: core.Header{Term: 4}}, last, "Unset 2 4 true false " + refusedTerm},
		{"old vote", core.VoteRequest{ElectionTerm: 4, Last: last}, core.VoteResponse{Header: core.Header{Term: 5}}, last, "Unset 2 4 false false " + refusedTerm},
		{"behind", core.VoteRequest{ElectionTerm: 4, Last: core.LogID{Term: 2, Index: 9}}, core.VoteResponse{Header: core.Header{Term: 4}}, last, "Unset 2 4 false false " + refusedLog},
		{"voted", core.VoteRequest{ElectionTerm: 4, Last: last}, core.VoteResponse{Header: core.Header{Term: 4}}, last, "Unset 2 4 false false " + refusedVoted},
	} {
		r := newTraceRig(t, tracing.NewRatioSampler(1))
		m, answer := test.m, test.answer
		m.From, m.Campaign, m.Trace = candidate, 9, r.callerOf(t, tracing.Election)
		answer.To, answer.Campaign, answer.Pre = candidate, 9, m.Pre
		Received{&m}.Tell(r.watch)
		other := answer
		other.Campaign = 8
		Sending{Message: &other, Last: test.last}.Begin(r.watch)
		Sending{Message: &answer, Last: test.last}.Begin(r.watch)
		Stepped{Message: &m}.Tell(r.watch)
		if got := r.said("raft.vote", "raft.peer", "raft.term", "raft.vote.pre", "raft.vote.granted", "raft.reason"); !slices.Equal(got, []string{test.want}) {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
		r.leavesNothing(t)
	}
}

// TestTracedVoteWaitsForItsWrite asserts that the span of a vote lasts until the
// answer leaves, and that one which is never answered ends too.
func TestTracedVoteWaitsForItsWrite(t *testing.T) {
	r := newTraceRig(t, tracing.NewRatioSampler(1))
	request := func(from core.NodeID) *core.VoteRequest {
		m := &core.VoteRequest{ElectionTerm: 4, Campaign: 9, Trace: r.callerOf(t, tracing.Election)}
		m.From = core.Identity{ID: from, Incarnation: 1}
		Received{m}.Tell(r.watch)
		return m
	}
	answer := func(m *core.VoteRequest) *core.VoteResponse {
		return &core.VoteResponse{Header: core.Header{To: m.From}, Campaign: 9, Granted: true}
	}
	granted, passed, refused, stopped := request(2), request(3), request(4), request(5)
	Sending{Message: answer(granted), Waits: true}.Begin(r.watch)
	Stepped{Message: granted}.Tell(r.watch)
	Stepped{Message: passed}.Tell(r.watch)
	Sending{Message: &core.Refusal{Header: core.Header{To: refused.From}}}.Begin(r.watch)
	Sending{Message: answer(stopped), Waits: true}.Begin(r.watch)
	if got, want := r.said("raft.vote"), []string{"Unset: " + reasonNoAnswer, "Unset: " + reasonNoAnswer}; !slices.Equal(got, want) {
		t.Errorf("before the write: %q, want %q", got, want)
	}
	Released{&core.AppendResponse{}}.Tell(r.watch)
	Released{answer(granted)}.Tell(r.watch)
	if got := r.said("raft.vote", "raft.vote.granted"); len(got) != 3 || got[2] != "Unset true" {
		t.Errorf("after the write: %q", got)
	}
	r.watch.Close()
	if got := r.said("raft.vote"); len(got) != 4 || got[3] != codes.Error.String()+": "+reasonStopped {
		t.Errorf("at the end: %q", got)
	}
	r.leavesNothing(t)
	for i := range core.NodeID(2 * tracedRequestsMax) {
		request(i + 1)
	}
	if len(r.votes) != tracedRequestsMax {
		t.Errorf("%d requests are kept, want %d", len(r.votes), tracedRequestsMax)
	}
	r.watch.Close()
	r.leavesNothing(t)
}

// TestReleasedRequestBeginsNothing asserts that a request for votes that leaves when
// its write is durable, after its election has ended, begins no other.
func TestReleasedRequestBeginsNothing(t *testing.T) {
	r := newTraceRig(t, tracing.NewRatioSampler(1))
	m := &core.VoteRequest{Header: core.Header{Term: 5}}
	Sending{Message: m, Waits: true}.Begin(r.watch)
	asked := m.Trace
	Changed{&core.Changed{Role: core.RoleFollower, Term: 6}}.Tell(r.watch)
	Released{m}.Tell(r.watch)
	if asked.IsZero() || m.Trace != asked {
		t.Errorf("it was asked under %x, and leaves under %x", asked, m.Trace)
	}
	if got := r.said("raft.election"); len(got) != 1 {
		t.Errorf("the elections are %q", got)
	}
	r.leavesNothing(t)
}

// TestForwardedContextsAreCapped asserts that a message carries no more contexts
// than a network leaves room for, and that what goes without one says so.
func TestForwardedContextsAreCapped(t *testing.T) {
	r := newTraceRig(t, tracing.NewRatioSampler(1))
	batch := r.sampled(t, tracedPerMessageMax+3)
	traced := 0
	for _, p := range batch {
		if s := (Forwarding{Span: p, To: r.peer, Traced: traced}).Begin(r.watch); s.Traced() {
			traced++
		}
	}
	for _, p := range batch {
		Forwarded{Span: p, Batch: len(batch), Taken: true}.Tell(r.watch)
		r.completes(p, core.LogID{Term: 1, Index: 1})
	}
	if n := r.ended("raft.propose", tracing.EventCapped); traced != tracedPerMessageMax || n != 3 {
		t.Errorf("%d carry a context, want %d; %d say that they do not, want 3", traced, tracedPerMessageMax, n)
	}
	if n := r.ended("raft.forward", ""); n != tracedPerMessageMax {
		t.Errorf("%d ways were recorded", n)
	}
	r.leavesNothing(t)
}

// TestTracedReadIndex asserts the leader's part of a read of another node,
// however it ends.
func TestTracedReadIndex(t *testing.T) {
	reader := core.Identity{ID: 2, Incarnation: 2}
	answers := func(r *traceRig, m *core.ReadIndexResponse) { Sending{Message: m}.Begin(r.watch) }
	for _, test := range []struct {
		name string
		end  func(r *traceRig, m *core.ReadIndexRequest)
		want string
	}{
		{"answered", func(r *traceRig, m *core.ReadIndexRequest) {
			answers(r, &core.ReadIndexResponse{Header: core.Header{To: reader}, ID: m.ID + 1, OK: true, Index: 8})
			answers(r, &core.ReadIndexResponse{Header: core.Header{To: reader}, ID: m.ID, OK: true, Index: 7})
		}, "Unset 7"},
		{"does not lead", func(r *traceRig, m *core.ReadIndexRequest) {
			answers(r, &core.ReadIndexResponse{Header: core.Header{To: reader}, ID: m.ID})
		}, "Unset " + tracing.OutcomeNotLeader},
		{"passed over", func(r *traceRig, m *core.ReadIndexRequest) {
			Stepped{Message: m, Leads: true}.Tell(r.watch)
			Stepped{Message: m}.Tell(r.watch)
		}, "Unset: " + reasonNoAnswer},
		{"refused", func(r *traceRig, m *core.ReadIndexRequest) {
			Sending{Message: &core.Refusal{Header: core.Header{To: reader}}}.Begin(r.watch)
		}, "Unset: " + reasonNoAnswer},
		{"stepped down", func(r *traceRig, m *core.ReadIndexRequest) {
			Changed{&core.Changed{Role: core.RoleFollower, Term: 2}}.Tell(r.watch)
		}, "Error: " + reasonSteppedDown},
	} {
		r := newTraceRig(t, tracing.NewRatioSampler(1))
		m := &core.ReadIndexRequest{Header: core.Header{From: reader}, ID: 5, Trace: r.callerOf(t, tracing.ReadConfirm)}
		Sending{Message: &core.Heartbeat{Round: 10}}.Begin(r.watch)
		Received{m}.Tell(r.watch)
		heard := func(from core.NodeID, round uint64) {
			Received{&core.HeartbeatResponse{Header: core.Header{From: core.Identity{ID: from}}, Round: round}}.Tell(r.watch)
		}
		heard(3, 10) // was sent before the read came
		heard(2, 11)
		heard(2, 12)
		heard(3, 12)
		test.end(r, m)
		heard(4, 13)
		if got := r.said("raft.read.index", "raft.index", "raft.outcome"); !slices.Equal(got, []string{test.want}) {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
		if got := r.confirmedBy(); got != "[2 3]" {
			t.Errorf("%s: confirmed by %s", test.name, got)
		}
		r.leavesNothing(t)
	}
}

// confirmed are the peers that the span of a read names.
func (r *traceRig) confirmedBy() string {
	var peers []int64
	for _, s := range r.spansEnded() {
		for _, e := range s.Events() {
			if e.Name == tracing.EventConfirmed {
				peers = append(peers, e.Attributes[0].Value.AsInt64())
			}
		}
	}
	return fmt.Sprint(peers)
}
