package actors

import (
	"context"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/tracing"
)

// An election's span is one attempt: from the pre-vote to its outcome, or to the
// next attempt. The hooks come seldom, so they are not guarded by idle.

// electionTimer ends an attempt that got no majority in time: the engine is about
// to begin another.
func (t *traces) electionTimer(timer core.Timer) {
	if t.off() || timer != core.TimerElection {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.endElection(tracing.OutcomeTimedOut)
}

// tried begins the next attempt, if there is one and nothing else has begun it.
func (t *traces) tried(timer core.Timer, now core.Changed) {
	if t.off() || timer != core.TimerElection {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if now.Role == core.RolePreCandidate || now.Role == core.RoleCandidate {
		t.beginElection(now.Term)
	}
}

// campaigns follows the role of this node through an attempt. The lock is held.
func (t *traces) campaigns(c *core.Changed) {
	switch c.Role {
	case core.RolePreCandidate, core.RoleCandidate:
		t.beginElection(c.Term)
	case core.RoleLeader:
		t.endElection(tracing.OutcomeWon)
	default:
		t.endElection(tracing.OutcomeLost)
	}
}

// beginElection begins an attempt unless one is under way. The lock is held.
func (t *traces) beginElection(term core.Term) {
	if t.election == nil {
		t.election = t.startRare(context.Background(), tracing.Election, t.wallNow())
	}
	if t.election != nil {
		t.election.SetAttributes(tracing.TermKey.Int64(int64(term)))
	}
}

// endElection ends an attempt. The lock is held.
func (t *traces) endElection(outcome string) {
	if t.election == nil {
		return
	}
	t.election.SetAttributes(tracing.OutcomeKey.String(outcome))
	end(&t.election, t.wallNow())
}

// asking puts the context of the attempt beside a request for a vote, which is
// not sent yet. The first request comes before the news of the role.
func (t *traces) asking(m *core.VoteRequest) {
	if t.off() {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.beginElection(m.Header.Term)
	if t.election != nil {
		m.Trace = tracing.Inject(t.election.SpanContext())
	}
}

func (t *traces) wallNow() time.Time { return time.Unix(0, t.env.WallTime()) }

// voted notes the answer of a voter.
func (t *traces) voted(m *core.VoteResponse) {
	if t.off() {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	note(t.election, t.wallNow(), tracing.EventVote, peerOf(m.From), tracing.GrantedKey.Bool(m.Granted), tracing.PreKey.Bool(m.Pre))
}

// noticed notes what belongs to an election, and returns the ids of its trace
// for the log.
func (t *traces) noticed(n *core.Notice) []slog.Attr {
	if t.off() {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	switch n.Kind {
	case core.NoticeElectionStarted:
		t.beginElection(n.Term)
		note(t.election, t.wallNow(), tracing.EventCampaign, tracing.TermKey.Int64(int64(n.Term)))
	case core.NoticeElected:
	default:
		return nil
	}
	return logIDs(t.election)
}

// logIDs are the ids of a span as fields of a line of the log, none without one.
func logIDs(span trace.Span) []slog.Attr {
	if span == nil {
		return nil
	}
	c := span.SpanContext()
	return []slog.Attr{slog.String("trace_id", c.TraceID().String()), slog.String("span_id", c.SpanID().String())}
}
