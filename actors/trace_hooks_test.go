package actors

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/storage"
	"github.com/trouperaft/troupe/tracing"
)

// said are the spans that have ended with a name: their status, and the
// attributes with these keys.
func (r *traceRig) said(name string, keys ...string) (all []string) {
	for _, s := range r.recorder.Ended() {
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
	if n := r.live(); n != 0 {
		t.Errorf("%d are counted as live", n)
	}
	if started, ended := len(r.recorder.Started()), len(r.recorder.Ended()); started != ended {
		t.Errorf("%d spans began and %d ended", started, ended)
	}
}

// applied takes a sampled write on the leader to its result, its peer aside.
func (r *traceRig) applied(t *testing.T, id core.LogID) {
	t.Helper()
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

// TestHooksPassOverOldWrites asserts that batches without a sampled write do not
// wait for the lock while sampled ones wait for a peer.
func TestHooksPassOverOldWrites(t *testing.T) {
	r := newTraceRig(t, tracing.NewRatioSampler(1))
	for i := range core.Index(10) {
		r.applied(t, core.LogID{Term: 1, Index: i + 1})
	}
	waiting := r.sampled(t, 1) // a proposal that is still on its way
	if len(r.entries) != 10 {
		t.Fatalf("%d writes wait for the peer", len(r.entries))
	}
	healthy := core.Identity{ID: 3, Incarnation: 3}
	followed := r.matched(healthy, 0, 10)
	entries := entriesFrom(core.LogID{Term: 1, Index: 11}, 8)
	m := &core.AppendEntries{Entries: entries}
	l := &logActor{round: []*groupLog{{group: 1, traces: r.traces}}}
	l.batch.Operations = append(l.batch.Operations, storage.Operation{Group: 1, Append: entries})
	done := make(chan struct{})
	r.mu.Lock()
	go func() {
		defer close(done)
		r.admitted(entries[0].LogID, &Proposal{}, 1)
		r.submitted(&core.Write{Append: entries})
		l.traceWriting()
		l.traceWritten()
		r.sending(m)
		r.sent(m, true)
		r.matched(healthy, followed, 18)
		r.committed(18)
		r.applying(entries)
		r.wereApplied(entries)
	}()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Error("a hook waits for the lock")
	}
	r.mu.Unlock()
	<-done
	// The one that was waited for is found all the same.
	r.matched(r.peer, 0, 18)
	waiting[0].traced(core.LogID{}, nil)
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
		{"committed, left office", func(r *traceRig) { r.committed(1) }, func(r *traceRig) { r.changed(&core.Changed{Role: core.RoleFollower, Term: 2}) }, []string{"Unset: left office"}},
		{"left office", func(*traceRig) {}, func(r *traceRig) { r.changed(&core.Changed{Role: core.RoleFollower, Term: 2}) }, []string{"Error: left office"}},
		{"committed, stopped", func(r *traceRig) { r.committed(1) }, (*traceRig).close, []string{"Unset: the group has stopped"}},
		{"stopped", func(*traceRig) {}, (*traceRig).close, []string{"Error: the group has stopped"}},
	} {
		r := newTraceRig(t, tracing.NewRatioSampler(1))
		id := core.LogID{Term: 1, Index: 1}
		batch := r.sampled(t, 1)
		r.admitted(id, batch[0], 1)
		r.sending(&core.AppendEntries{Header: core.Header{To: r.peer}, Entries: entriesFrom(id, 1)})
		test.safe(r)
		test.ended(r)
		if got := r.said("raft.replicate"); !slices.Equal(got, test.want) {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
		batch[0].traced(id, nil)
		r.close()
		r.leavesNothing(t)
	}
	// A peer stays behind.
	r := newTraceRig(t, tracing.NewRatioSampler(1))
	for i := range core.Index(tracedLateMax + 1) {
		r.applied(t, core.LogID{Term: 1, Index: i + 1})
	}
	if got := r.said("raft.replicate"); !slices.Equal(got, []string{"Unset: the peer stays behind"}) {
		t.Errorf("a peer that stays behind: %q", got)
	}
}

// TestTraceOfAForwardThatIsNeverSent asserts that the way to a leader which the
// network never reached ends when there is another, once.
func TestTraceOfAForwardThatIsNeverSent(t *testing.T) {
	r := newTraceRig(t, tracing.NewRatioSampler(1))
	batch := r.sampled(t, 1)
	m := &core.ProposeRequest{Header: core.Header{To: r.peer}, Proposals: make([]core.ForwardedProposal, 1)}
	for range 3 {
		r.forwarding(m, batch)
		r.forwarded(batch, false)
	}
	r.leaderChanged(batch[0])
	r.leaderChanged(batch[0])
	if got, want := r.said("raft.forward", "raft.peer"), []string{"Unset 2: " + reasonNewLeader}; !slices.Equal(got, want) {
		t.Errorf("the ways are %q, want %q", got, want)
	}
	if n := r.ended("raft.forward", tracing.EventRefused); n != 1 {
		t.Errorf("%d ways say that they were refused", n)
	}
	// Another incarnation is another peer, whether or not the leader has changed.
	r.forwarding(m, batch)
	other := &core.ProposeRequest{Header: core.Header{To: core.Identity{ID: 3}}, Proposals: make([]core.ForwardedProposal, 1)}
	r.forwarding(other, batch)
	r.forwarded(batch, false)
	r.admitted(core.LogID{Term: 1, Index: 1}, batch[0], 1)
	if got := len(r.said("raft.queue")); got != 4 {
		t.Errorf("%d waits, want 4", got)
	}
	if got, want := r.said("raft.forward", "raft.peer"), []string{"Unset 2: " + reasonNewLeader, "Unset 2: " + reasonNewLeader, "Unset 3: " + reasonNewLeader}; !slices.Equal(got, want) {
		t.Errorf("the ways are %q, want %q", got, want)
	}
	batch[0].traced(core.LogID{Term: 1, Index: 1}, nil)
	r.close()
	r.leavesNothing(t)
}

// callerOf returns the context of a span of another node.
func (r *traceRig) callerOf(t *testing.T, row *tracing.SpanType) core.TraceContext {
	t.Helper()
	span := r.tracer.StartRoot(t.Context(), row, r.wallNow())
	span.End()
	return tracing.Inject(span.SpanContext())
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
		r.voteAsked(&m)
		other := answer
		other.Campaign = 8
		r.voteAnswered(&other, test.last)
		r.voteAnswered(&answer, test.last)
		r.voteStepped(&m)
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
		r.voteAsked(m)
		return m
	}
	answer := func(m *core.VoteRequest) *core.VoteResponse {
		return &core.VoteResponse{Header: core.Header{To: m.From}, Campaign: 9, Granted: true}
	}
	granted, passed, refused, stopped := request(2), request(3), request(4), request(5)
	r.voteWriting(answer(granted))
	r.voteStepped(granted)
	r.voteStepped(passed)
	r.refused(refused.From)
	r.voteWriting(answer(stopped))
	if got, want := r.said("raft.vote"), []string{"Unset: " + reasonNoAnswer, "Unset: " + reasonNoAnswer}; !slices.Equal(got, want) {
		t.Errorf("before the write: %q, want %q", got, want)
	}
	r.released(&core.AppendResponse{})
	r.released(answer(granted))
	if got := r.said("raft.vote", "raft.vote.granted"); len(got) != 3 || got[2] != "Unset true" {
		t.Errorf("after the write: %q", got)
	}
	r.close()
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
	r.close()
	r.leavesNothing(t)
}

// TestTracedReadIndex asserts the leader's part of a read of another node,
// however it ends.
func TestTracedReadIndex(t *testing.T) {
	reader := core.Identity{ID: 2, Incarnation: 2}
	for _, test := range []struct {
		name string
		end  func(r *traceRig, m *core.ReadIndexRequest)
		want string
	}{
		{"answered", func(r *traceRig, m *core.ReadIndexRequest) {
			r.indexAnswered(&core.ReadIndexResponse{Header: core.Header{To: reader}, ID: m.ID + 1, OK: true, Index: 8})
			r.indexAnswered(&core.ReadIndexResponse{Header: core.Header{To: reader}, ID: m.ID, OK: true, Index: 7})
		}, "Unset 7"},
		{"does not lead", func(r *traceRig, m *core.ReadIndexRequest) {
			r.indexAnswered(&core.ReadIndexResponse{Header: core.Header{To: reader}, ID: m.ID})
		}, "Unset " + tracing.OutcomeNotLeader},
		{"passed over", func(r *traceRig, m *core.ReadIndexRequest) {
			r.indexStepped(m, true)
			r.indexStepped(m, false)
		}, "Unset: " + reasonNoAnswer},
		{"refused", func(r *traceRig, m *core.ReadIndexRequest) { r.refused(reader) }, "Unset: " + reasonNoAnswer},
		{"left office", func(r *traceRig, m *core.ReadIndexRequest) {
			r.changed(&core.Changed{Role: core.RoleFollower, Term: 2})
		}, "Error: " + reasonLeftOffice},
	} {
		r := newTraceRig(t, tracing.NewRatioSampler(1))
		m := &core.ReadIndexRequest{Header: core.Header{From: reader}, ID: 5, Trace: r.callerOf(t, tracing.ReadConfirm)}
		r.indexAsked(m, 10)
		heard := func(from core.NodeID, round uint64) {
			r.heard(&core.HeartbeatResponse{Header: core.Header{From: core.Identity{ID: from}}, Round: round})
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
	for _, s := range r.recorder.Ended() {
		for _, e := range s.Events() {
			if e.Name == tracing.EventConfirmed {
				peers = append(peers, e.Attributes[0].Value.AsInt64())
			}
		}
	}
	return fmt.Sprint(peers)
}
