package core

import "fmt"

// TransferReason is why a transfer of leadership failed.
type TransferReason uint8

const (
	// TransferUnknownMember: the target is no member of the group, or no longer.
	TransferUnknownMember TransferReason = iota + 1
	// TransferLearner: the target does not vote.
	TransferLearner
	// TransferOutgoing: the target votes only in the half of a joint configuration
	// that is leaving.
	TransferOutgoing
	// TransferToItself: the target leads already.
	TransferToItself
	// TransferNoTarget: there is nobody to whom the best could be handed.
	TransferNoTarget
	// TransferLagging: the target lacks more entries than a hand-over waits for.
	TransferLagging
	// TransferUnreachable: the target does not answer.
	TransferUnreachable
	// TransferPaused: the target's elections are paused.
	TransferPaused
	// TransferInstalling: the target installs a snapshot.
	TransferInstalling
	// TransferSick: the target's disk hangs, or it has yet to catch up with what it
	// left office for (rule 16).
	TransferSick
	// TransferRefused: the target would not campaign, for a reason that this version
	// does not know, or because it is not in the leader's term.
	TransferRefused
	// TransferUnderWay: the leader hands over to another node already.
	TransferUnderWay
	// TransferTimedOut: the target did not get the log, or the leadership, in time.
	TransferTimedOut
	// TransferAnotherWon: another node than the target leads now.
	TransferAnotherWon
	// TransferHigherTerm: the leader heard of a higher term before the target was told.
	TransferHigherTerm
	// TransferSteppedDown: the leader left office before the target was told, as when
	// no quorum answers it any more.
	TransferSteppedDown
	// TransferStopped: the leader, or the node that was asked, has stopped, or is out
	// of reach.
	TransferStopped
	// transferNotLeader stands in answers only: a *NotLeaderError tells it.
	transferNotLeader

	transferReasonsEnd
)

var transferReasonNames = [transferReasonsEnd]string{
	TransferUnknownMember: "not a member of the group",
	TransferLearner:       "a learner",
	TransferOutgoing:      "a voter of the outgoing half only",
	TransferToItself:      "the leader itself",
	TransferNoTarget:      "no voter can take the leadership",
	TransferLagging:       "too far behind",
	TransferUnreachable:   "unreachable",
	TransferPaused:        "its elections are paused",
	TransferInstalling:    "it installs a snapshot",
	TransferSick:          "its disk or state machine has to catch up",
	TransferRefused:       "it would not campaign",
	TransferUnderWay:      "another transfer is under way",
	TransferTimedOut:      "timed out",
	TransferAnotherWon:    "another node leads",
	TransferHigherTerm:    "the leader heard of a higher term",
	TransferSteppedDown:   "the leader stepped down",
	TransferStopped:       "the leader has stopped or is out of reach",
	transferNotLeader:     "the node that was asked does not lead",
}

// String returns a few words.
func (r TransferReason) String() string {
	if r == 0 || r >= transferReasonsEnd {
		return "unknown"
	}
	return transferReasonNames[r]
}

// TransferError: the leadership was not handed over, as far as is known.
type TransferError struct {
	Reason TransferReason
	// To is the node that was to lead, 0 if none was found.
	To NodeID
	// Leader is who leads as far as is known, 0 if nobody.
	Leader NodeID
	// Sent: To was told to campaign, and may do so even now.
	Sent bool
	// Text says more, for people; it may be empty.
	Text string
	// Cause is why whoever asked waits no more, the error of a context for instance;
	// nil if that is not why.
	Cause error
}

// Unwrap returns the cause.
func (e *TransferError) Unwrap() error { return e.Cause }

// Error implements error.
func (e *TransferError) Error() string {
	text := "troupe: the leadership was not transferred"
	if e.To != 0 {
		text += fmt.Sprintf(" to node %d", e.To)
	}
	return text + ": " + e.why()
}

// why is the error without its beginning.
func (e *TransferError) why() string {
	text := e.Reason.String()
	if e.Reason == TransferAnotherWon && e.Leader != 0 {
		text += fmt.Sprintf(", node %d", e.Leader)
	}
	if e.Text != "" {
		text += ": " + e.Text
	}
	if e.Cause != nil {
		text += ": " + e.Cause.Error()
	}
	if e.MayHaveHappened() {
		text += "; it may happen yet"
	}
	return text
}

// MayHaveHappened reports whether the target may lead now or later by this transfer.
func (e *TransferError) MayHaveHappened() bool { return e.Sent }
