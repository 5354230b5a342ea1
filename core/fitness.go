package core

// Unfit is why a voter is not to be handed the leadership.
type Unfit uint8

const (
	// Fit: nothing is known against it.
	Fit Unfit = iota
	// UnfitPaused: its elections are paused (PauseElections).
	UnfitPaused
	// UnfitInstalling: it installs a snapshot (rule 24).
	UnfitInstalling
	// UnfitSick: its disk hangs, its state machine has had something to apply for
	// HungLimit and finished nothing, or it has yet to catch up with what it left
	// office for (rule 16).
	UnfitSick
	// UnfitStandsBack: it is well, and has left office by rule 16 not long ago. It
	// takes the leadership if somebody gives it by hand.
	UnfitStandsBack
	// UnfitNotVoter: it does not vote, as far as it knows. It is said in answer to a
	// TimeoutNow only.
	UnfitNotVoter
	// UnfitVersion: an entry is to be applied that needs a later version of the state
	// machine than it has.
	UnfitVersion

	unfitEnd
)

var unfitNames = [unfitEnd]string{"fit", "paused", "installing a snapshot", "sick", "standing back", "no voter", "of too old a version"}

// String returns "fit", "paused", "installing a snapshot", "sick", "standing back",
// "no voter" or "of too old a version".
func (u Unfit) String() string {
	if u >= unfitEnd {
		return "unfit" // a later version's reason
	}
	return unfitNames[u]
}

// unfit is what forbids this node to campaign when its leader asks for it (rule 14):
// elections that are paused, and whatever keeps it from a leader's work. Without a
// leader, that is a delay and no ban (lastResort).
func (e *Engine) unfit() Unfit {
	if e.election.paused {
		return UnfitPaused
	}
	return e.ailment()
}

// unfitNow is what a leader is told of this node.
func (e *Engine) unfitNow() Unfit {
	u := e.unfitTarget()
	if u == Fit && e.now < e.handOver.standsBack.until {
		return UnfitStandsBack
	}
	return u
}

// unfitTarget is why this node would not campaign for its leader.
func (e *Engine) unfitTarget() Unfit {
	u := e.unfit()
	if u == Fit && e.storeHangs() {
		return UnfitSick
	}
	return u
}
