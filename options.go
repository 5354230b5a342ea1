package troupe

// ProposeOption changes how one proposal is treated. The zero value changes
// nothing.
type ProposeOption struct {
	kind    optionKind
	term    Term
	version uint64
}

type optionKind uint8

const (
	optionFailWithoutLeader optionKind = iota + 1
	optionNoForwarding
	optionExpectedTerm
	optionFailWithoutRoom
	optionShared
	optionNeedsVersion
)

type proposeOptions struct {
	expectedTerm      Term
	noForwarding      bool
	failWithoutLeader bool
	failWithoutRoom   bool
	shared            bool
	version           uint64
}

// collect puts options together; the last of a kind counts.
func collect(options []ProposeOption) (o proposeOptions) {
	for _, option := range options {
		switch option.kind {
		case optionFailWithoutLeader:
			o.failWithoutLeader = true
		case optionNoForwarding:
			o.noForwarding = true
		case optionExpectedTerm:
			o.expectedTerm = option.term
		case optionFailWithoutRoom:
			o.failWithoutRoom = true
		case optionShared:
			o.shared = true
		case optionNeedsVersion:
			o.version = option.version
		}
	}
	return o
}

// FailWithoutLeader does not wait for a leader. If none is known, Propose fails
// at once with *NotLeaderError, or with ErrNoCluster if there is no cluster. If this
// node leads and hands over, Propose fails with ErrTransferring.
func FailWithoutLeader() ProposeOption { return ProposeOption{kind: optionFailWithoutLeader} }

// NoForwarding does not pass the command on. If this node does not lead,
// Propose fails with *NotLeaderError, which names the leader.
func NoForwarding() ProposeOption { return ProposeOption{kind: optionNoForwarding} }

// ExpectedTerm fails with ErrTermChanged unless the command is appended in this
// term: a fencing token for work that was begun under one leadership.
func ExpectedTerm(term Term) ProposeOption {
	return ProposeOption{kind: optionExpectedTerm, term: term}
}

// FailWithoutRoom does not wait for room. If too much is in flight on this
// node, Propose fails at once with ErrOverloaded.
func FailWithoutRoom() ProposeOption { return ProposeOption{kind: optionFailWithoutRoom} }

// SharedCommand gives the command's bytes away, so that they are not copied.
// The caller must never change them again, not even after Propose has returned.
func SharedCommand() ProposeOption { return ProposeOption{kind: optionShared} }

// NeedsVersion says which version of the state machine the command needs: it stands in
// the log beside the command. If the leader's machine is older, Propose fails with a
// *VersionError, and nothing has happened. Another member whose machine is older stops its
// applies at the command ([Status.TooOld]), and goes on voting and acknowledging: propose
// it when [Status.VersionMin] has come to that version. 0 is any.
func NeedsVersion(version uint64) ProposeOption {
	return ProposeOption{kind: optionNeedsVersion, version: version}
}
