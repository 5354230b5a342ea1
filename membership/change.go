package membership

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Op says what a [Change] does.
type Op uint8

const (
	// OpAdd makes a node a voter. It is a learner first, until it has caught up.
	OpAdd Op = iota + 1
	// OpAddLearner makes a node a learner.
	OpAddLearner
	// OpPromote makes a learner a voter.
	OpPromote
	// OpDemote makes a voter a learner.
	OpDemote
	// OpRemove takes a member out, or makes a voter a learner if it is to be kept.
	OpRemove
	// OpReplace puts another incarnation of a node in the place of the one that is a
	// member: the node lost its data.
	OpReplace
	// OpSetAddress, OpSetPriority and OpSetTags change what is said of a member.
	OpSetAddress
	OpSetPriority
	OpSetTags
	// OpSetVoters names all voters.
	OpSetVoters
	// OpSetStandby marks a learner that may take the place of a voter, or takes the mark
	// away.
	OpSetStandby

	opsEnd
)

var opNames = [opsEnd]string{
	OpAdd: "add", OpAddLearner: "add_learner", OpPromote: "promote", OpDemote: "demote", OpRemove: "remove", OpReplace: "replace",
	OpSetAddress: "set_address", OpSetPriority: "set_priority", OpSetTags: "set_tags", OpSetVoters: "set_voters",
	OpSetStandby: "set_standby",
}

// String returns "add", "add_learner", "set_address" and so on.
func (o Op) String() string {
	if o == 0 || o >= opsEnd {
		return fmt.Sprintf("op %d", uint8(o))
	}
	return opNames[o]
}

// ParseOp returns the Op that prints as name.
func ParseOp(name string) (Op, bool) {
	i := slices.Index(opNames[:], name)
	return Op(max(i, 0)), i > 0
}

// Change is one thing that is to be done to a configuration. A call may ask for
// several, which are carried out as one.
type Change struct {
	Op Op
	// ID is the node that the change is about, 0 of OpSetVoters.
	ID NodeID
	// Incarnation is who the node is, of OpAdd, OpAddLearner and OpReplace. 0 leaves it
	// to whoever leads to find out.
	Incarnation Incarnation
	// Address is the node's, of OpAdd, OpAddLearner and OpSetAddress; of OpReplace it
	// is the new one, or "" if it stays.
	Address string
	// Priority and Tags are those of OpSetPriority and OpSetTags.
	Priority uint32
	Tags     map[string]string
	// Standby is that of OpSetStandby, and of OpAddLearner for one that comes.
	Standby bool
	// Voters are those of OpSetVoters.
	Voters []NodeID
	// KeepAsLearner: who votes no more by OpRemove or OpSetVoters stays as a learner.
	KeepAsLearner bool
	// Force: OpReplace is not refused because the member is alive.
	Force bool
}

// String writes the change for people: "add 4 at host:port".
func (c Change) String() string {
	var b strings.Builder
	b.WriteString(c.Op.String())
	if c.ID != 0 {
		fmt.Fprintf(&b, " %d", c.ID)
	}
	if c.Incarnation != 0 {
		fmt.Fprintf(&b, "/%x", uint64(c.Incarnation))
	}
	if c.Address != "" {
		b.WriteString(" at " + c.Address)
	}
	switch c.Op {
	case OpSetPriority:
		fmt.Fprintf(&b, " to %d", c.Priority)
	case OpSetTags:
		fmt.Fprintf(&b, " to %v", c.Tags)
	case OpSetVoters:
		fmt.Fprintf(&b, " %v", c.Voters)
	case OpSetStandby:
		fmt.Fprintf(&b, " to %v", c.Standby)
	}
	if c.Standby && c.Op == OpAddLearner {
		b.WriteString(" as a standby")
	}
	if c.KeepAsLearner {
		b.WriteString(", kept as learner")
	}
	return b.String()
}

// Clone returns a change that is equal to c and shares nothing with it.
func (c Change) Clone() Change {
	c.Tags, c.Voters = maps.Clone(c.Tags), slices.Clone(c.Voters)
	return c
}

// attribute reports whether the change says something of a member and leaves alone
// who the members are, and what.
func (c *Change) attribute() bool {
	return c.Op == OpSetAddress || c.Op == OpSetPriority || c.Op == OpSetTags || c.Op == OpSetStandby
}

// AttributesOnly reports whether the changes leave alone who the members are, and
// what: they are admitted while another change is under way.
func AttributesOnly(changes []Change) bool {
	return len(changes) > 0 && !slices.ContainsFunc(changes, func(c Change) bool { return !c.attribute() })
}

// ChangeReason is what is wrong with a change.
type ChangeReason uint8

const (
	// ChangeNothing: no change was asked for.
	ChangeNothing ChangeReason = iota + 1
	// ChangeUnknownOp: this version does not know what is to be done.
	ChangeUnknownOp
	// ChangeIDZero: a node has the id 0; ids begin at 1.
	ChangeIDZero
	// ChangeIDTwice: two changes are about the same node, or a set names it twice.
	ChangeIDTwice
	// ChangeAddress: an address that nobody can reach, none at all, or one that is
	// too long.
	ChangeAddress
	// ChangeAddressTwice: another member has the address.
	ChangeAddressTwice
	// ChangeNotMember: the node is no member.
	ChangeNotMember
	// ChangeIsMember: the node is a member already, as another kind or at another
	// address.
	ChangeIsMember
	// ChangeIsVoter: a voter is to be promoted, or to stand by.
	ChangeIsVoter
	// ChangeNotVoter: a learner is to be demoted.
	ChangeNotVoter
	// ChangeLastVoter: no voter would be left.
	ChangeLastVoter
	// ChangeTooManyMembers: more than MembersMax.
	ChangeTooManyMembers
	// ChangeLimit: a priority, a tag or their number is out of range.
	ChangeLimit
	// ChangeTooLarge: no entry or no message would hold the configuration.
	ChangeTooLarge
	// ChangeSameIncarnation: the incarnation that is to come is the one that is there.
	ChangeSameIncarnation
	// ChangeAlive: the incarnation that is to be replaced is alive.
	ChangeAlive
	// ChangeNoIncarnation: no new incarnation of the node has shown itself.
	ChangeNoIncarnation
	// ChangeTwoIncarnations: several new incarnations of the node have shown
	// themselves.
	ChangeTwoIncarnations
	// ChangeEmptied: the node is a member, and has lost its data: it has to be replaced.
	ChangeEmptied
	// ChangeOtherCluster: the node belongs to another cluster.
	ChangeOtherCluster
	// ChangeNoQuorum: the voters before or after the change had no quorum that answered
	// for an election time-out.
	ChangeNoQuorum

	changeReasonsEnd
)

var changeReasonNames = [changeReasonsEnd]string{
	ChangeNothing:         "no change is asked for",
	ChangeUnknownOp:       "this version does not know the change",
	ChangeIDZero:          "a node has no id: ids begin at 1",
	ChangeIDTwice:         "the node is named twice",
	ChangeAddress:         "nobody can be reached at that address",
	ChangeAddressTwice:    "another member has that address",
	ChangeNotMember:       "the node is not a member",
	ChangeIsMember:        "the node is a member already",
	ChangeIsVoter:         "the node is a voter already",
	ChangeNotVoter:        "the node is not a voter",
	ChangeLastVoter:       "no voter would be left",
	ChangeTooManyMembers:  "too many members",
	ChangeLimit:           "out of range",
	ChangeTooLarge:        "the configuration would be too large",
	ChangeSameIncarnation: "that incarnation is the member",
	ChangeAlive:           "the member is alive",
	ChangeNoIncarnation:   "no other incarnation of the node has shown itself",
	ChangeTwoIncarnations: "several incarnations of the node have shown themselves",
	ChangeEmptied:         "the node lost its data: it has to be replaced",
	ChangeOtherCluster:    "the node belongs to another cluster",
	ChangeNoQuorum:        "there is no quorum that answers",
}

// String returns a few words.
func (r ChangeReason) String() string {
	if r == 0 || r >= changeReasonsEnd {
		return "unknown"
	}
	return changeReasonNames[r]
}

// ChangeError: a change cannot be made. Nothing was appended.
type ChangeError struct {
	Reason ChangeReason
	// Change is the one that is wrong, zero if it is not one alone.
	Change Change
	// Node stands in the way, 0 if none does.
	Node NodeID
	// Text says more, for people; it may be empty.
	Text string
}

// Error implements error.
func (e *ChangeError) Error() string {
	text := "troupe: the members were not changed"
	if e.Change.Op != 0 {
		text += ": " + e.Change.String()
	}
	text += ": " + e.Reason.String()
	if e.Node != 0 && e.Node != e.Change.ID {
		text += fmt.Sprintf(": node %d", e.Node)
	}
	if e.Text != "" {
		text += ": " + e.Text
	}
	return text
}
