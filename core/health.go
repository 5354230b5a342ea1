package core

import "fmt"

// This file is about what keeps a node from a leader's work, whoever wants it to
// lead (rule 16): its disk, its state machine, or a restore that takes long.

// health is what a node knows of itself beyond one leadership.
type health struct {
	// machineSince is when the state machine last finished something, or got work
	// while it had none. restoringSince is when the last restore began.
	machineSince, restoringSince Instant
	// storeBusy is since when a write of the store has been under way that takes long,
	// 0 if there is none.
	storeBusy Instant
	// ledUntil is when this node last led, or else its start.
	ledUntil Instant
	// tooOld: an entry needs a later version of the machine, and nothing is applied any
	// more; its zero value if that is not so.
	tooOld MachineTooOld
	// catchUpFlush and catchUpApply are what a leader that left office for its disk or
	// its machine must reach before it is well.
	catchUpFlush, catchUpApply Index
}

// lastResortTimeouts is for how many election time-outs a node that is not well lets
// the others elect one of theirs.
const lastResortTimeouts = 4

// catchingUp reports whether this node left office for its disk or machine and has
// not caught up yet.
func (e *Engine) catchingUp() bool {
	return e.writes.flushed < e.health.catchUpFlush || e.applied < e.health.catchUpApply
}

// machineStands reports whether the state machine has had something to apply for
// longer than a limit, and finished nothing.
func (e *Engine) machineStands() bool {
	return e.applied < e.issued.apply && e.snapshots.installing == nil && e.now.Sub(e.health.machineSince) > e.cfg.HungLimit
}

// storeHangs reports whether a write of the store, of whatever group, has been under
// way for longer than an election time-out. A group that has nothing to write is not
// handed the leadership then: its vote would wait behind that. It votes and campaigns as
// before, because disks that are slower than the time-out must still elect (rule 11).
func (e *Engine) storeHangs() bool {
	return e.health.storeBusy != 0 && e.now.Sub(e.health.storeBusy) > e.cfg.ElectionTimeout
}

// ailment is what keeps this node from a leader's work, Fit if nothing does.
func (e *Engine) ailment() Unfit {
	switch {
	case e.snapshots.installing != nil:
		return UnfitInstalling
	case e.health.tooOld.Needs > 0:
		return UnfitVersion
	case e.snapshots.lacks, e.catchingUp(), e.diskHangs(), e.machineStands():
		return UnfitSick
	}
	return Fit
}

// lastResort carries out rule 16: not to campaign is a delay, not a ban. Nobody but
// this node may have the entries that a leader needs. So it campaigns although it is
// not well, if it has heard no leader for some time-outs and its disk works. Rule 24
// keeps it from that during a restore, until it takes longer than a limit.
func (e *Engine) lastResort() bool {
	restores := e.snapshots.installing != nil && e.now.Sub(e.health.restoringSince) <= e.cfg.HungLimit
	return !e.election.paused && !restores && !e.diskHangs() &&
		e.now.Sub(max(e.heard, e.health.ledUntil)) >= lastResortTimeouts*e.cfg.ElectionTimeout
}

// whyUnfit says, for people, what this node waits for before it campaigns.
func (e *Engine) whyUnfit() string {
	switch unfit := e.unfit(); {
	case unfit == UnfitPaused:
		return "its elections, which are paused, to go on"
	case unfit == UnfitInstalling:
		return "the snapshot that this node installs"
	case unfit == UnfitVersion:
		return fmt.Sprintf("%s, or for %d election time-outs without a leader", e.whyTooOld(), lastResortTimeouts)
	case unfit != UnfitSick:
		return ""
	case e.diskHangs():
		return "a write of this node that has been out for longer than an election time-out"
	}
	what := "this node's state machine, which finishes nothing, to go on"
	if e.snapshots.lacks {
		what = "a snapshot for this node's state machine, which lacks what the log has purged"
	} else if e.catchingUp() {
		what = "this node's disk or state machine, for which it stepped down, to catch up"
	}
	return fmt.Sprintf("%s, or for %d election time-outs without a leader", what, lastResortTimeouts)
}
