package troupe

// ProposeOption changes how one proposal is treated. The zero value changes
// nothing.
type ProposeOption struct {
	kind optionKind
	term Term
}

type optionKind uint8

const (
	optionFailWithoutLeader optionKind = iota + 1
	optionNoForwarding
	optionExpectedTerm
	optionFailWithoutRoom
	optionShared
)

type proposeOptions struct {
	expectedTerm      Term
	noForwarding      bool
	failWithoutLeader bool
	failWithoutRoom   bool
	shared            bool
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
		}
	}
	return o
}

// FailWithoutLeader fails with *NotLeaderError at once where no leader is known,
// rather than wait for one; with ErrNoCluster where there is no cluster.
func FailWithoutLeader() ProposeOption { return ProposeOption{kind: optionFailWithoutLeader} }

// NoForwarding fails with *NotLeaderError where this node does not lead, and
// names the leader, rather than forward the command to it.
func NoForwarding() ProposeOption { return ProposeOption{kind: optionNoForwarding} }

// ExpectedTerm fails with ErrTermChanged unless the command is appended in this
// term: a fencing token for work that was begun under one leadership.
func ExpectedTerm(term Term) ProposeOption {
	return ProposeOption{kind: optionExpectedTerm, term: term}
}

// FailWithoutRoom fails with ErrOverloaded at once where too much is in flight
// on this node, rather than wait for room.
func FailWithoutRoom() ProposeOption { return ProposeOption{kind: optionFailWithoutRoom} }

// SharedCommand gives the command's bytes away instead of having them copied:
// the caller never changes them again, not even after Propose has returned.
func SharedCommand() ProposeOption { return ProposeOption{kind: optionShared} }
