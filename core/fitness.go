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
	// UnfitSick: its disk hangs, or it has yet to catch up with what it left office
	// for (rule 16).
	UnfitSick
	// UnfitStandsBack: it is well, and has left office by rule 16 not long ago. It
	// takes the leadership if somebody gives it by hand.
	UnfitStandsBack
	// UnfitNotVoter: it does not vote, as far as it knows. It is said in answer to a
	// TimeoutNow only.
	UnfitNotVoter

	unfitEnd
)

var unfitNames = [unfitEnd]string{"fit", "paused", "installing a snapshot", "sick", "standing back", "no voter"}

// String returns "fit", "paused", "installing a snapshot", "sick", "standing back"
// or "no voter".
func (u Unfit) String() string {
	if u >= unfitEnd {
		return "unfit" // a later version's reason
	}
	return unfitNames[u]
}

// unfit is what forbids this node any campaign for now, also one that its leader
// asks for (rule 14): elections that are paused, a snapshot that is being installed
// (rule 24), a disk or machine that made it step down (rule 16), or a disk that
// hangs: who grants no pre-vote for that (rule 11) gives none to itself.
func (e *Engine) unfit() Unfit {
	switch {
	case e.election.paused:
		return UnfitPaused
	case e.snapshots.installing != nil:
		return UnfitInstalling
	case e.catchingUp(), e.diskHangs():
		return UnfitSick
	}
	return Fit
}

// unfitNow is what a leader is told of this node.
func (e *Engine) unfitNow() Unfit {
	u := e.unfit()
	if u == Fit && e.now < e.handOver.standsBack.until {
		return UnfitStandsBack
	}
	return u
}

// whyUnfit says, for people, what this node waits for before it campaigns.
func (e *Engine) whyUnfit() string {
	switch e.unfit() {
	case UnfitPaused:
		return "its elections, which are paused, to go on"
	case UnfitInstalling:
		return "the snapshot that this node installs"
	case UnfitSick:
		if e.catchingUp() {
			return "this node's disk or state machine, for which it stepped down, to catch up"
		}
		return "a write of this node that has been out for longer than an election time-out"
	}
	return ""
}
