package actors

import (
	"slices"

	"go.opentelemetry.io/otel/trace"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/tracing"
)

// tracedVote is a request for a vote that a traced election has sent here, until
// the answer leaves: at once, or when the vote is durable.
type tracedVote struct {
	request *core.VoteRequest
	clock   traceClock
	span    trace.Span
	// writing: the answer waits for the log.
	writing bool
}

// tracedRequestsMax bounds the requests of other nodes that are followed, of
// each kind.
const tracedRequestsMax = 64

// Why a vote is refused.
const (
	refusedPromise = "it keeps a promise, or is silent after a start"
	refusedEmpty   = "it has no log"
	refusedTerm    = "the term is over"
	refusedLog     = "the candidate's log is behind"
	refusedVoted   = "it has voted for another, or knows the leader of the term"
)

// voteAsked begins the part of a voter, before the engine has the request.
func (t *traces) voteAsked(m *core.VoteRequest) {
	parent, ok := t.asksTraced(m.Trace)
	if !ok {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.votes) == tracedRequestsMax {
		return
	}
	clock := t.clock()
	attributes := t.on(peerOf(m.From), tracing.TermKey.Int64(int64(m.ElectionTerm)), tracing.PreKey.Bool(m.Pre))
	if span := t.tracer.StartChild(parent, tracing.Vote, clock.now(), attributes...); span != nil {
		t.votes = append(t.votes, &tracedVote{request: m, clock: clock, span: span})
		t.asked.Add(1)
	}
}

// asksTraced reports under which span a request of another node stands, if it is
// to be traced here.
func (t *traces) asksTraced(c core.TraceContext) (parent trace.SpanContext, ok bool) {
	if c.IsZero() || t.off() {
		return parent, false
	}
	return tracing.Extract(c)
}

// voteStepped ends what the engine neither answers nor will.
func (t *traces) voteStepped(m *core.VoteRequest) {
	if !t.wasAsked() {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, v := range t.votes {
		if v.request == m && !v.writing {
			t.endVote(v, (*tracedVote).pass)
			return
		}
	}
}

// pass ends a request that is not answered.
func (v *tracedVote) pass() { leave(&v.span, v.clock.now(), reasonNoAnswer) }

// voteAnswered is called when an answer is about to leave: now, or after the
// write that it depends on. last is the voter's newest entry.
func (t *traces) voteAnswered(r *core.VoteResponse, last core.LogID) {
	t.vote(r, func(v *tracedVote) {
		v.span.SetAttributes(tracing.GrantedKey.Bool(r.Granted))
		if !r.Granted {
			v.span.SetAttributes(tracing.ReasonKey.String(whyRefused(v.request, r, last)))
		}
		t.endVote(v, func(v *tracedVote) { end(&v.span, v.clock.now()) })
	})
}

// voteWriting is called when the answer has to wait for a write.
func (t *traces) voteWriting(r *core.VoteResponse) {
	t.vote(r, func(v *tracedVote) { v.writing = true })
}

// vote calls f with the request that r answers, if it is traced.
func (t *traces) vote(r *core.VoteResponse, f func(*tracedVote)) {
	if !t.wasAsked() {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, v := range t.votes {
		if v.request.From == r.To && v.request.Campaign == r.Campaign && v.request.Pre == r.Pre {
			f(v)
			return
		}
	}
}

// endVote lets go of a request, whose span finish ends. The lock is held.
func (t *traces) endVote(v *tracedVote, finish func(*tracedVote)) {
	finish(v)
	t.votes = slices.DeleteFunc(t.votes, func(o *tracedVote) bool { return o == v })
	t.asked.Add(-1)
}

// closeVotes lets go of all. The lock is held.
func (t *traces) closeVotes() {
	for len(t.votes) > 0 {
		t.endVote(t.votes[0], func(v *tracedVote) { abandon(&v.span, v.clock.now(), reasonStopped) })
	}
}

// whyRefused says in a few words what the engine had against the candidate.
func whyRefused(m *core.VoteRequest, r *core.VoteResponse, last core.LogID) string {
	switch {
	case r.WaitMillis > 0:
		return refusedPromise
	case last == (core.LogID{}):
		return refusedEmpty
	case m.ElectionTerm < r.Header.Term, m.Pre && m.ElectionTerm == r.Header.Term:
		return refusedTerm
	case m.Last.Less(last):
		return refusedLog
	}
	return refusedVoted
}

// released is called before a message leaves that has waited for a write.
func (t *traces) released(m core.Message) {
	if !t.wasAsked() {
		return
	}
	if r, ok := m.(*core.VoteResponse); ok {
		t.voteAnswered(r, core.LogID{})
	}
}

// refused ends what another node has asked for and is refused by name.
func (t *traces) refused(to membership.Identity) {
	if !t.wasAsked() {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, v := range slices.Clone(t.votes) {
		if v.request.From == to {
			t.endVote(v, (*tracedVote).pass)
		}
	}
	for _, r := range slices.Clone(t.readIndexes) {
		if r.from == to {
			t.endReadIndex(r, (*tracedReadIndex).pass)
		}
	}
}
