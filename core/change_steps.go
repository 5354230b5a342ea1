package core

import (
	"fmt"
	"slices"
	"time"

	"github.com/trouperaft/troupe/membership"
)

// This file is about the steps of a change of the members that is under way, be it a
// bootstrap's or one that somebody asked for: whoever leads takes the next one as soon
// as it may (rules 21 and 22), or gives the change up.

// continueChange takes the next step, as soon as the one before is committed and the
// leader has committed in its own term.
func (e *Engine) continueChange() {
	if e.role != RoleLeader {
		return
	}
	if e.settled() {
		at := e.configs.latest()
		c := &at.Configuration
		switch {
		case c.Joint() && !slices.Contains(c.Voters, e.cfg.Self) && e.handsOverFirst():
		case c.Joint(), len(c.Missing()) > 0, c.Target != nil && len(e.changeWaits(nil)) == 0:
			next, err := c.Next()
			if err != nil {
				panic(fmt.Sprintf("core: the configuration %v cannot be changed as it must: %v", c, err))
			}
			e.appendConfiguration(&next)
		}
	}
	e.takeQueued()
}

// handsOverFirst hands over before this leader leaves the voters, once, so that writes
// wait for a hand-over and not for an election. If it fails the leader steps down when
// the configuration without it is committed (dissertation 4.2.2).
func (e *Engine) handsOverFirst() bool {
	l := &e.leaderState.changes
	if l.handedOver {
		return false
	}
	l.handedOver = true
	best := e.bestTarget(func(p *peer) bool { return e.answersNow(p) })
	if best == nil {
		return false
	}
	e.startTransfer(best.Identity, false, "because it is to be no voter any more", 0)
	return true
}

func (e *Engine) appendConfiguration(c *membership.Configuration) {
	l := &e.leaderState.changes
	l.look = true
	// Who is a member now does not ask to be one, also when it is replaced soon after.
	l.shown = slices.DeleteFunc(l.shown, func(s shownIdentity) bool {
		_, member := c.Member(s.Identity)
		return member
	})
	e.appendOwn([]Entry{{Kind: EntryConfiguration, Data: c.Encode()}})
}

// giveUp appends the configuration without what is catching up.
func (e *Engine) giveUp(why membership.Outcome) {
	next, err := e.configs.latest().Configuration.GiveUp(why)
	if err != nil {
		panic(fmt.Sprintf("core: a change cannot be given up: %v", err))
	}
	e.appendConfiguration(&next)
}

// checkChange gives up a change whose newcomers have made no progress for its limit, or
// catch up more slowly than the log grows. Once a round of heartbeats.
func (e *Engine) checkChange() {
	e.leaderState.changes.look = true
	e.checkPending()
	at := e.configs.latest()
	t := at.Configuration.Target
	if t == nil || t.CatchUpLimit == 0 || at.Configuration.Joint() || !e.settled() {
		return
	}
	for _, p := range e.leaderState.peers {
		if !slices.Contains(t.Voters, p.Identity) || !e.outOfTime(p, t) {
			continue
		}
		why := membership.Outcome{Result: membership.ResultNotCaughtUp, Node: p.ID, LagEntries: uint64(e.log.last.Index - p.match), SilentMillis: -1}
		if p.answered != 0 {
			why.SilentMillis = e.now.Sub(p.answered).Milliseconds()
		}
		e.giveUp(why)
		return
	}
}

// outOfTime reports whether a member that is to vote has kept a change for longer than
// its limit.
func (e *Engine) outOfTime(p *peer, t *membership.Target) bool {
	ready := !p.comes || p.match >= e.configs.latest().Index && e.caughtUp(p)
	if ready && (e.answeredRound(p) || e.bothHalvesAnswer(t)) {
		return false
	}
	return e.now.Sub(e.progressed(p)) > t.CatchUpLimit || p.catchUp.rounds >= catchUpRoundsMax || e.fallsBehind(p, t)
}

// fallsBehind reports whether a newcomer takes longer for this round than for the last,
// and than the limit of the change. If the log grows ten times faster than the newcomer
// takes it, each round is ten times as long as the one before, and ten of them have no end.
// While a snapshot is on its way or restored, which settles many entries at once, nothing is
// known: the round begins anew behind it.
func (e *Engine) fallsBehind(p *peer, t *membership.Target) bool {
	c := &p.catchUp
	return p.comes && c.before > 0 && p.match < c.target && !p.snapshot && p.unfit != UnfitInstalling && !e.caughtUp(p) &&
		e.now.Sub(max(c.begun, e.leaderState.changes.awake)) > max(t.CatchUpLimit, c.before)
}

// changeWaits appends the members that a change under way waits for that this node leads,
// and why. Rule 21:
// each newcomer must have acknowledged, durably, in this term and incarnation, the
// entry that admitted it as a learner (no voter is ever empty), and lag by less than a
// bound; and each half needs a quorum of whom each answered a round of this term
// within the last election time-out.
func (e *Engine) changeWaits(waits []Waiting) []Waiting {
	at := e.configs.latest()
	c := &at.Configuration
	if c.Target == nil {
		return e.pendingWaits(waits)
	}
	quorum := c.Joint() || e.bothHalvesAnswer(c.Target)
	for _, p := range e.leaderState.peers {
		switch {
		case c.Joint():
			if !c.IsVoter(p.Identity) || p.match >= at.Index {
				continue
			}
			why := "has not acknowledged the joint configuration yet"
			if p.roundSent != 0 && !e.answeredRound(p) {
				why = "does not answer; if half of the voters of a half are lost for good, the cluster needs an offline recovery"
			}
			waits = append(waits, Waiting{p.ID, why})
		case p.comes && p.match < at.Index:
			waits = append(waits, Waiting{p.ID, "is a learner that has not acknowledged its admission yet"})
		case p.comes && !e.caughtUp(p):
			waits = append(waits, Waiting{p.ID, fmt.Sprintf("is a learner, %d entries behind", e.log.last.Index-p.match)})
		case !quorum && (slices.Contains(c.Target.Voters, p.Identity) || c.IsVoter(p.Identity)) && !e.answeredRound(p):
			waits = append(waits, Waiting{p.ID, "has not answered within an election time-out"})
		}
	}
	for _, m := range c.Missing() {
		waits = append(waits, Waiting{m.ID, "is a learner that has not acknowledged its admission yet"})
	}
	return waits
}

// bothHalvesAnswer reports whether the voters of now, and those that are wanted, have
// each a quorum that answers.
func (e *Engine) bothHalvesAnswer(t *membership.Target) bool {
	c := &e.configs.latest().Configuration
	return c.QuorumValue(e.answering) > 0 && membership.MajorityValue(t.Voters, e.answering) > 0
}

// answering is 1 for who has answered a round that was begun in this term lately.
func (e *Engine) answering(id Identity) uint64 {
	if p := e.leaderState.peer(id); id == e.cfg.Self || p != nil && e.answeredRound(p) {
		return 1
	}
	return 0
}

// answeredRound reports whether a peer has answered a round of this term that was
// begun within the last election time-out. What check-quorum grants a new peer is no
// answer (rule 21).
func (e *Engine) answeredRound(p *peer) bool {
	return p.roundSent != 0 && e.now.Sub(p.roundSent) <= e.cfg.ElectionTimeout
}

// catchUp is how a newcomer catches up, in rounds (dissertation 4.2.1): each is for what
// the log had when it began.
type catchUp struct {
	since  Instant
	from   Index
	target Index
	begun  Instant
	// before is how long the round before took, 0 in the first.
	before time.Duration
	rounds int
	// short: the last round took less than an election time-out.
	short      bool
	progressAt Instant
	// told are the parts of the way that were told.
	told int
}

const (
	// catchUpEntriesMax is how far a learner may lag that is to become a voter
	// (rule 21): so many entries, or what the log grows by in an election time-out.
	catchUpEntriesMax = 4096
	// catchUpRoundsMax is how many rounds a newcomer has that all take too long.
	catchUpRoundsMax = 10
)

// beginCatchUp begins the first round.
func (p *peer) beginCatchUp(now Instant, last Index) {
	p.catchUp = catchUp{since: now, from: p.match, target: last, begun: now, progressAt: now}
}

// restart lets the round begin anew: it was a snapshot that took its time, and of how fast
// entries are taken nothing is known.
func (c *catchUp) restart(now Instant) { c.begun, c.before, c.short = now, 0, false }

// catchesUp takes that the match of a newcomer has risen.
func (e *Engine) catchesUp(p *peer) {
	c := &p.catchUp
	c.progressAt = e.now
	if !p.comes || p.match < c.target {
		return
	}
	c.before = e.now.Sub(c.begun)
	c.short = c.before < e.cfg.ElectionTimeout
	c.rounds++
	if c.short {
		c.rounds = 0
	}
	c.target, c.begun = e.log.last.Index, e.now
}

// caughtUp reports whether a newcomer lags by less than the bound.
func (e *Engine) caughtUp(p *peer) bool {
	c := &p.catchUp
	return e.log.last.Index-p.match <= catchUpEntriesMax || c.short && e.now.Sub(c.begun) <= e.cfg.ElectionTimeout
}

// progressed is when a member that a change waits for last came nearer: by entries, by
// bytes of a snapshot that leave, or while it restores one; or answered, if it lacks
// nothing. What it did while this node was asleep is not known yet.
func (e *Engine) progressed(p *peer) Instant {
	at := max(p.catchUp.progressAt, e.leaderState.begun, e.leaderState.changes.awake)
	switch {
	case p.match >= e.log.last.Index || !p.comes:
		at = max(at, p.roundSent)
	case p.snapshot:
		at = max(at, p.movedAt)
	case p.unfit == UnfitInstalling:
		at = max(at, p.answered)
	}
	return at
}
