package troupe

// ProposeOption changes how one proposal is treated. The zero value changes
// nothing.
type ProposeOption struct {
	kind optionKind
	term Term
}

type optionKind uint8

const (
	optionFailFast optionKind = iota + 1
	optionNoForwarding
	optionExpectedTerm
	optionNoWaiting
	optionShared
)

type proposeOptions struct {
	expectedTerm Term
	noForwarding bool
	failFast     bool
	noWaiting    bool
	shared       bool
}

// collect puts options together; the last of a kind counts.
func collect(options []ProposeOption) (o proposeOptions) {
	for _, option := range options {
		switch option.kind {
		case optionFailFast:
			o.failFast = true
		case optionNoForwarding:
			o.noForwarding = true
		case optionExpectedTerm:
			o.expectedTerm = option.term
		case optionNoWaiting:
			o.noWaiting = true
		case optionShared:
			o.shared = true
		}
	}
	return o
}

// FailFast fails with *NotLeaderError at once where no leader is known, rather
// than wait for one.
func FailFast() ProposeOption { return ProposeOption{kind: optionFailFast} }

// NoForwarding fails with *NotLeaderError where this node does not lead, and
// names the leader, rather than forward the command to it.
func NoForwarding() ProposeOption { return ProposeOption{kind: optionNoForwarding} }

// ExpectedTerm fails with ErrTermChanged unless the command is appended in this
// term: a fencing token for work that was begun under one leadership.
func ExpectedTerm(term Term) ProposeOption {
	return ProposeOption{kind: optionExpectedTerm, term: term}
}

// NoWaiting fails with ErrOverloaded where too much is in flight, rather than
// wait for room.
func NoWaiting() ProposeOption { return ProposeOption{kind: optionNoWaiting} }

// SharedCommand gives the command's bytes away instead of having them copied:
// the caller never changes them again, not even after Propose has returned.
func SharedCommand() ProposeOption { return ProposeOption{kind: optionShared} }
