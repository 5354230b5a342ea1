package observe

import (
	"slices"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/tracing"
)

// tracedVote is a request for a vote that a traced election has sent here, until
// the answer leaves: at once, or when the vote is durable.
type tracedVote struct {
	request *core.VoteRequest
	clock   clock
	span    *openSpan
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
	if m.Trace.IsZero() {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.votes) == tracedRequestsMax {
		return
	}
	clock := t.clock()
	if span := t.from(m.Trace, tracing.Vote, clock.now(), peerOf(m.From), tracing.TermKey.Int64(int64(m.ElectionTerm)), tracing.PreKey.Bool(m.Pre)); span != nil {
		t.votes = append(t.votes, &tracedVote{request: m, clock: clock, span: span})
		t.asked.Add(1)
	}
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

// answeringVote takes an answer that is about to leave: now, or when a write is
// durable (waits). last is the voter's newest entry.
func (t *traces) answeringVote(r *core.VoteResponse, waits bool, last core.LogID) {
	t.vote(r, func(v *tracedVote) {
		if waits {
			v.writing = true
			return
		}
		v.span.set(tracing.GrantedKey.Bool(r.Granted))
		if !r.Granted {
			v.span.set(tracing.ReasonKey.String(whyRefused(v.request, r, last)))
		}
		t.endVote(v, func(v *tracedVote) { end(&v.span, v.clock.now()) })
	})
}

// released ends what a message answers that has waited for a write. A request that
// waited has its context already.
func (t *traces) released(message core.Message) {
	if r, ok := message.(*core.VoteResponse); ok {
		t.answeringVote(r, false, core.LogID{})
	}
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

// refusing ends what another node has asked for and is refused by name.
func (t *traces) refusing(to membership.Identity) {
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
