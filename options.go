package troupe

// ProposeOption changes how one proposal is treated.
type ProposeOption func(*proposeOptions)

type proposeOptions struct {
	expectedTerm Term
	noForwarding bool
	failFast     bool
	noWaiting    bool
	shared       bool
}

// collect is a function of its own because what it returns moves to the heap,
// which proposals without options need not pay for.
func collect(options []ProposeOption) proposeOptions {
	var o proposeOptions
	for _, option := range options {
		option(&o)
	}
	return o
}

// FailFast fails with *NotLeaderError at once where no leader is known, rather
// than wait for one.
func FailFast() ProposeOption { return func(o *proposeOptions) { o.failFast = true } }

// NoForwarding fails with *NotLeaderError where this node does not lead, and
// names the leader, rather than forward the command to it.
func NoForwarding() ProposeOption { return func(o *proposeOptions) { o.noForwarding = true } }

// ExpectedTerm fails with ErrTermChanged unless the command is appended in this
// term: a fencing token for work that was begun under one leadership.
func ExpectedTerm(term Term) ProposeOption {
	return func(o *proposeOptions) { o.expectedTerm = term }
}

// NoWaiting fails with ErrOverloaded where too much is in flight, rather than
// wait for room.
func NoWaiting() ProposeOption { return func(o *proposeOptions) { o.noWaiting = true } }

// SharedCommand gives the command's bytes away instead of having them copied:
// the caller never changes them again, not even after Propose has returned.
func SharedCommand() ProposeOption { return func(o *proposeOptions) { o.shared = true } }
