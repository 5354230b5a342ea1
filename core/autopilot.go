package core

import (
	"fmt"
	"slices"
	"time"

	"github.com/trouperaft/troupe/membership"
)

// This file is about what a leader does about the members by itself, where it is
// wanted: it takes out a voter that is dead, or puts a standby in its place. It is
// looked at once a round of heartbeats, and decides by what this leader has seen in
// this term alone.

// Autopilot says what a leader does about the members by itself. The zero value does
// nothing.
type Autopilot struct {
	On bool
	// VotersMin is how many voters there are to be: a dead one is removed without
	// another in its place only above that, and a standby is promoted below it. From 1
	// to 255.
	VotersMin int
	// DeadAfter is for how long a voter must have been silent, counted by the leader in
	// its term, to be taken for dead. At least two election time-outs.
	DeadAfter time.Duration
	// StableFor is for how long a standby, or each voter that remains, must have
	// answered and been up to date before anything is decided on it. Positive.
	StableFor time.Duration
	// LagEntriesMax is how many entries a member may lack that is up to date.
	LagEntriesMax uint64
}

// check returns the first field that is wrong and the rule that it breaks.
func (a *Autopilot) check(electionTimeout time.Duration) (field, rule string) {
	switch {
	case !a.On:
	case a.VotersMin < 1 || a.VotersMin > membership.MembersMax:
		return "Autopilot.VotersMin", fmt.Sprintf("%d is not between 1 and %d", a.VotersMin, membership.MembersMax)
	case a.DeadAfter < 2*electionTimeout:
		return "Autopilot.DeadAfter", fmt.Sprintf("%v is less than two ElectionTimeout %v", a.DeadAfter, electionTimeout)
	case a.StableFor <= 0:
		return "Autopilot.StableFor", fmt.Sprintf("%v is not positive", a.StableFor)
	}
	return "", ""
}

// autopilot is what a leader remembers for it.
type autopilot struct {
	// watched is since when the leader has watched without a pause of its own: what a
	// sleeping process did not hear is nobody's silence.
	watched Instant
	// rests is until when nothing more is decided.
	rests Instant
	// counts are its decisions and its refusals in this life, over all terms.
	counts [2]uint64
}

// autopilotCatchUpLimit is the catch-up limit of its changes.
const autopilotCatchUpLimit = 30 * time.Second

// pilotDecision is what the autopilot decides: changes, or why not. Node is whom it is
// about. It says nothing if there is nothing to say.
type pilotDecision struct {
	node    Identity
	changes []membership.Change
	why     string
}

// runAutopilot decides, and begins what is decided.
func (e *Engine) runAutopilot() {
	if !e.cfg.Autopilot.On {
		return
	}
	e.watchHealth()
	at, l := e.configs.latest(), &e.leaderState
	c := &at.Configuration
	if c.Target != nil || c.Joint() || l.changes.pending != nil || len(l.changes.queue) > 0 || !e.settled() || l.leaving.why != "" || e.now < l.autopilot.rests {
		return
	}
	d := e.decideAutopilot(c)
	if d.why == "" {
		// What was refused is over, and told again if it comes again.
		e.noticed = slices.DeleteFunc(e.noticed, func(n Notice) bool { return n.Kind == NoticeAutopilotRefuses })
		return
	}
	if len(d.changes) == 0 {
		e.tellAutopilot(NoticeAutopilotRefuses, d)
		return
	}
	order := changeOrder{order: ChangeOrder{Order: membership.Order{
		ID: membership.ChangeID(e.rand.Uint64() | 1), Changes: d.changes, Since: e.times.last, CatchUpLimit: autopilotCatchUpLimit, Automatic: true,
	}}}
	l.autopilot.rests = e.now.Add(e.cfg.Autopilot.StableFor)
	switch r := e.decide(&order); {
	case r == nil: // it has to wait, and is decided on again
	case r.Code == ChangeAccepted:
		e.tellAutopilot(NoticeAutopilotActs, d)
	default:
		d.why = fmt.Sprintf("%s, which is refused: %v", d.why, changeError(r, &askedChange{}))
		e.tellAutopilot(NoticeAutopilotRefuses, d)
	}
}

// tellAutopilot tells a decision, or a refusal that is another than the last one.
func (e *Engine) tellAutopilot(kind NoticeKind, d pilotDecision) {
	counts := &e.leaderState.autopilot.counts
	n := Notice{Kind: kind, Peer: d.node, Term: e.hard.Term, Text: d.why}
	if kind == NoticeAutopilotActs {
		counts[0]++
		e.out.add(&n)
		return
	}
	told := len(e.out.Commands)
	e.notice(n)
	counts[1] += uint64(len(e.out.Commands) - told)
}

// decideAutopilot is the policy.
func (e *Engine) decideAutopilot(c *membership.Configuration) pilotDecision {
	var dead, ailing []NodeID
	var lost Identity
	for _, id := range c.Voters {
		switch p := e.leaderState.peer(id); {
		case id == e.cfg.Self:
		case p == nil:
			ailing = append(ailing, id.ID)
		case e.isDead(p):
			dead = append(dead, id.ID)
			lost = id
		case !e.isStable(p):
			ailing = append(ailing, id.ID)
		}
	}
	standby := e.stableStandby(c)
	switch {
	case !c.IsVoter(e.cfg.Self):
		return pilotDecision{}
	case len(dead) == 0 && len(c.Voters) < e.cfg.Autopilot.VotersMin:
		return e.fillUp(c, standby, ailing)
	case len(dead) == 0:
		return pilotDecision{}
	case len(dead) > 1:
		return pilotDecision{node: lost, why: fmt.Sprintf("nodes %d are silent: one is taken out at a time, and all others have to be healthy", dead)}
	case len(ailing) > 0:
		return pilotDecision{node: lost, why: fmt.Sprintf("node %d is silent, but nodes %d are not healthy, or not for long enough", dead[0], ailing)}
	case !standby.IsZero():
		return pilotDecision{
			node: lost, why: fmt.Sprintf("node %d has been silent for %v, and node %d takes its place", dead[0], e.cfg.Autopilot.DeadAfter, standby.ID),
			changes: []membership.Change{{Op: membership.OpRemove, ID: dead[0]}, {Op: membership.OpPromote, ID: standby.ID}},
		}
	case len(c.Voters) <= e.cfg.Autopilot.VotersMin:
		return pilotDecision{node: lost, why: fmt.Sprintf("node %d is silent, and there are only %d voters, of which %d have to remain; no standby is ready", dead[0], len(c.Voters), e.cfg.Autopilot.VotersMin)}
	}
	return pilotDecision{
		node: lost, why: fmt.Sprintf("node %d has been silent for %v, and the other %d voters are healthy", dead[0], e.cfg.Autopilot.DeadAfter, len(c.Voters)-1),
		changes: []membership.Change{{Op: membership.OpRemove, ID: dead[0]}},
	}
}

// fillUp promotes a standby where there are too few voters.
func (e *Engine) fillUp(c *membership.Configuration, standby Identity, ailing []NodeID) pilotDecision {
	if standby.IsZero() {
		return pilotDecision{}
	}
	if len(ailing) > 0 {
		return pilotDecision{node: standby, why: fmt.Sprintf("node %d would be promoted, but the voters %d are not healthy, or not for long enough", standby.ID, ailing)}
	}
	return pilotDecision{
		node: standby, why: fmt.Sprintf("there are %d voters of %d, and node %d is promoted", len(c.Voters), e.cfg.Autopilot.VotersMin, standby.ID),
		changes: []membership.Change{{Op: membership.OpPromote, ID: standby.ID}},
	}
}

// stableStandby is the standby that lacks the fewest entries of those that are up to
// date, zero if none is.
func (e *Engine) stableStandby(c *membership.Configuration) (best Identity) {
	var match Index
	for i := range c.Members {
		m := &c.Members[i]
		p := e.leaderState.peer(m.Identity)
		if m.Standby && !c.IsVoter(m.Identity) && p != nil && e.isStable(p) && (best.IsZero() || p.match > match) {
			best, match = m.Identity, p.match
		}
	}
	return best
}

// isDead reports whether a voter has been silent for too long, as this leader has heard
// in this term.
func (e *Engine) isDead(p *peer) bool {
	return e.now.Sub(max(p.answered, e.leaderState.begun, e.leaderState.autopilot.watched, p.grace)) > e.cfg.Autopilot.DeadAfter
}

// isStable reports whether a member has been healthy for long enough.
func (e *Engine) isStable(p *peer) bool {
	return p.healthy != 0 && e.now.Sub(p.healthy) >= e.cfg.Autopilot.StableFor
}

// watchHealth notes since when each member answers and is up to date.
func (e *Engine) watchHealth() {
	for _, p := range e.leaderState.peers {
		switch {
		case !e.answeredRound(p) || p.lostData || p.denies || p.unfit == UnfitInstalling || p.unfit == UnfitSick || p.unfit == UnfitVersion,
			p.match < e.log.last.Index && uint64(e.log.last.Index-p.match) > e.cfg.Autopilot.LagEntriesMax:
			p.healthy = 0
		case p.healthy == 0:
			p.healthy = e.now
		}
	}
}

// autopilotSlept: the leader was away itself. Everybody's time begins anew.
func (e *Engine) autopilotSlept() {
	e.leaderState.autopilot.watched = e.now
	for _, p := range e.leaderState.peers {
		p.healthy = 0
	}
}
