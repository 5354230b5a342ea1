package observe

import (
	"context"
	"time"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/tracing"
)

// An election's span is one attempt: from the pre-vote to its outcome, or to the
// next attempt. What belongs to it comes seldom.

// timerFires ends an attempt that got no majority in time: the engine is about to
// begin another.
func (t *traces) timerFires(timer core.Timer) {
	if timer != core.TimerElection {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.endElection(tracing.OutcomeTimedOut)
}

// timerFired begins the next attempt, if there is one and nothing else has begun
// it.
func (t *traces) timerFired(timer core.Timer, now *core.Changed) {
	if timer != core.TimerElection {
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
	if told := t.askedFor; told.Remote && !told.Context.IsZero() {
		// Another node has told this one to campaign, and this is the campaign.
		t.endElection(tracing.OutcomeLost)
		t.election = t.from(told.Context, tracing.Election, t.wallNow())
		t.askedFor = Asking{}
	}
	if t.election == nil && t.tracer.SamplesRare() {
		t.election = t.begin(context.Background(), tracing.Election, t.wallNow())
	}
	t.election.set(tracing.TermKey.Int64(int64(term)))
}

// endElection ends an attempt. The lock is held.
func (t *traces) endElection(outcome string) {
	t.election.set(tracing.OutcomeKey.String(outcome))
	end(&t.election, t.wallNow())
}

// askingVote puts the context of the attempt beside a request for a vote, which
// is not sent yet. The first request comes before the notice of the role.
func (t *traces) askingVote(m *core.VoteRequest) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.beginElection(m.Header.Term)
	m.Trace = t.election.of()
}

func (t *traces) wallNow() time.Time { return time.Unix(0, t.env.WallTime()) }

// voted notes the answer of a voter.
func (t *traces) voted(m *core.VoteResponse) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.election.note(t.wallNow(), tracing.EventVote, peerOf(m.From), tracing.GrantedKey.Bool(m.Granted), tracing.PreKey.Bool(m.Pre))
}

// noticed notes what belongs to an election or a transfer, and returns the context of its trace
// for the log.
func (t *traces) noticed(n *core.Notice) (c core.TraceContext) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch n.Kind {
	case core.NoticeElectionStarted:
		t.beginElection(n.Term)
		t.election.note(t.wallNow(), tracing.EventCampaign, tracing.TermKey.Int64(int64(n.Term)))
	case core.NoticeTransferStarted, core.NoticeTransferred, core.NoticeTransferFailed:
		return t.handsOver(n)
	case core.NoticeCannotWork, core.NoticeWorksAgain:
		return t.leavesOffice(n)
	case core.NoticeSteppedDown:
		t.leadsChange(n)
		return t.leavesOffice(n)
	case core.NoticeChangeStarted, core.NoticeCatchUpProgress, core.NoticeChangeEnded, core.NoticeChangeGivenUp, core.NoticeConfigurationChanged:
		return t.leadsChange(n)
	case core.NoticeElected:
	default:
		return c
	}
	return t.election.of()
}
