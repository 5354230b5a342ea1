package core

import (
	"fmt"
	"slices"
)

// This file is about elections that somebody asks for, and about those that
// somebody does not want.

// ElectRefusal is why a campaign by hand was not begun, or not won.
type ElectRefusal uint8

const (
	// ElectNotVoter: this node is no voter of its group.
	ElectNotVoter ElectRefusal = iota + 1
	// ElectUnderLeader: a leader lives, to which this node has promised its vote. To
	// move the leadership is a transfer.
	ElectUnderLeader
	// ElectPaused: this node's elections are paused.
	ElectPaused
	// ElectInstalling: this node installs a snapshot.
	ElectInstalling
	// ElectSick: this node's disk hangs, or it has yet to catch up with what it left
	// office for (rule 16).
	ElectSick
	// ElectTooFewVotes: too few voters have granted their vote in time.
	ElectTooFewVotes
	// ElectAnotherWon: another node leads now.
	ElectAnotherWon
	// ElectTimedOut: whoever asked for it waits no more.
	ElectTimedOut

	electRefusalsEnd
)

var electRefusalNames = [electRefusalsEnd]string{
	ElectNotVoter:    "this node is no voter",
	ElectUnderLeader: "a leader lives: ask for a transfer of leadership instead",
	ElectPaused:      "this node's elections are paused",
	ElectInstalling:  "this node installs a snapshot",
	ElectSick:        "this node's disk or state machine has to catch up",
	ElectTooFewVotes: "too few votes",
	ElectAnotherWon:  "another node leads",
	ElectTimedOut:    "it was not waited for any longer",
}

// String returns a few words.
func (r ElectRefusal) String() string {
	if r == 0 || r >= electRefusalsEnd {
		return "unknown"
	}
	return electRefusalNames[r]
}

var electRefusals = [unfitEnd]ElectRefusal{UnfitPaused: ElectPaused, UnfitInstalling: ElectInstalling, UnfitSick: ElectSick, UnfitVersion: ElectSick}

// ElectError: a campaign by hand did not make this node the leader.
type ElectError struct {
	Reason ElectRefusal
	// Leader is who leads, 0 if that is not known or not why.
	Leader NodeID
	// UnderWay: this node campaigns all the same, and may lead by that.
	UnderWay bool
	// Text says more, for people; it may be empty.
	Text string
	// Cause is why whoever asked waits no more, the error of a context for instance;
	// nil if that is not why.
	Cause error
}

// Unwrap returns the cause.
func (e *ElectError) Unwrap() error { return e.Cause }

// MayHaveHappened reports whether this node may lead now or later by this campaign.
func (e *ElectError) MayHaveHappened() bool { return e.UnderWay }

// Error implements error.
func (e *ElectError) Error() string {
	text := "troupe: not elected: " + e.Reason.String()
	if e.Leader != 0 {
		text = fmt.Sprintf("troupe: not elected: node %d leads: %v", e.Leader, e.Reason)
	}
	if e.Text != "" {
		text += ": " + e.Text
	}
	if e.Cause != nil {
		text += ": " + e.Cause.Error()
	}
	if e.UnderWay {
		text += "; the campaign goes on"
	}
	return text
}

// onElect campaigns for who asks for it. Rules 12 and 13: the own lease promise and
// quiet period are waited for.
func (e *Engine) onElect(ev *Elect) {
	c := &e.election
	lives := !e.leader.IsZero() && e.now < e.promise.until
	switch unfit := e.unfit(); {
	case e.role == RoleLeader:
		e.out.add(&ElectEnded{ID: ev.ID, Term: e.hard.Term})
	case !e.mayEverCampaign():
		e.refuseElect(ev.ID, ElectNotVoter, "")
	case lives:
		e.refuseElect(ev.ID, ElectUnderLeader, "")
	case unfit != Fit:
		e.refuseElect(ev.ID, electRefusals[unfit], "")
	case e.role == RoleCandidate:
		c.asked = append(c.asked, ev.ID) // it shares what is under way
	case e.whyBound() != "":
		c.asked = append(c.asked, ev.ID) // onElectCancelled takes this back
		e.set(&e.electionTimer, TimerElection, max(e.promise.until, e.quietPeriodEnd()))
	default:
		c.asked = append(c.asked, ev.ID)
		c.reason = ElectionByHand
		e.preCampaign()
	}
}

// onElectCancelled lets go of who asked for a campaign. One that is under way goes on,
// as one does that began by itself. One that waits for this node's promises is not
// begun, if nobody else asked for it.
func (e *Engine) onElectCancelled(ev *ElectCancelled) {
	c := &e.election
	i := slices.Index(c.asked, ev.ID)
	if i < 0 {
		return
	}
	c.asked = slices.Delete(c.asked, i, i+1)
	waits := !e.role.active() && e.whyBound() != ""
	if waits && len(c.asked) == 0 {
		e.resetElectionTimer()
	}
	err := &ElectError{Reason: ElectTimedOut, Cause: ev.Cause, UnderWay: !waits || len(c.asked) > 0}
	e.out.add(&ElectEnded{ID: ev.ID, Term: e.hard.Term, Err: err})
}

func (e *Engine) refuseElect(id uint64, reason ElectRefusal, text string) {
	err := &ElectError{Reason: reason, Text: text}
	if reason == ElectUnderLeader || reason == ElectAnotherWon {
		err.Leader = e.leader.ID
	}
	e.out.add(&ElectEnded{ID: id, Term: e.hard.Term, Err: err})
}

// failElect ends what was asked for by hand without a success.
func (e *Engine) failElect(reason ElectRefusal, text string) {
	asked := e.election.asked
	e.election.asked = nil
	for _, id := range asked {
		e.refuseElect(id, reason, text)
	}
}

// electedByHand ends it with one.
func (e *Engine) electedByHand() {
	for _, id := range e.election.asked {
		e.out.add(&ElectEnded{ID: id, Term: e.hard.Term})
	}
	e.election.asked = nil
}

func (e *Engine) onPauseElections(ev *PauseElections) {
	e.election.paused = ev.Paused
	if ev.Paused && (e.role == RoleCandidate || e.role == RolePreCandidate) {
		e.becomeFollower(e.hard.Term, Identity{}, "")
	}
	if ev.Paused && e.role != RoleLeader {
		e.failElect(ElectPaused, "")
	}
}

// tellOthersPaused tells, once each time that it becomes so, that nobody would take
// over from this leader.
func (e *Engine) tellOthersPaused() {
	l := &e.leaderState
	others, paused := 0, 0
	for _, p := range l.peers {
		if e.configs.latest().Configuration.IsVoter(p.Identity) {
			others++
			if p.unfit == UnfitPaused {
				paused++
			}
		}
	}
	all := others > 0 && paused == others
	if all && !l.othersPaused {
		e.out.add(&Notice{Kind: NoticeElectionsPaused, Peer: e.cfg.Self, Term: e.hard.Term})
	}
	l.othersPaused = all
}
