package troupe

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/trouperaft/troupe/actors"
	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
)

// Change is one thing that is to be done to the members: [Add], [AddLearner], [Promote],
// [Demote], [Remove], [Replace], [SetAddress], [SetPriority], [SetTags], [SetStandby] and
// [SetVoters] make one. It prints as a few words.
//
//   - Op, ID: what is to be done, and to which node;
//   - Incarnation: who the node is, 0 to let the leader find out;
//   - Address, Priority, Tags, Standby: what is said of the node;
//   - Voters: the voters of SetVoters;
//   - KeepAsLearner: whoever votes no more by Remove or SetVoters stays as a learner;
//   - Force: Replace is not refused because the member is alive.
type Change = membership.Change

// Add makes a node a voter. It is a learner first, and votes when it has caught up. A
// learner at that address is promoted; a voter at that address stays as it is.
func Add(id NodeID, address string) Change {
	return Change{Op: membership.OpAdd, ID: id, Address: address}
}

// AddLearner makes a node a learner, which gets all entries and does not vote.
func AddLearner(id NodeID, address string) Change {
	return Change{Op: membership.OpAddLearner, ID: id, Address: address}
}

// Promote makes a learner a voter.
func Promote(id NodeID) Change { return Change{Op: membership.OpPromote, ID: id} }

// Demote makes a voter a learner.
func Demote(id NodeID) Change { return Change{Op: membership.OpDemote, ID: id} }

// Remove takes a voter or a learner out of the group, or makes a voter a learner if
// KeepAsLearner of the change is set. Its data stays as it is, and it can be added again,
// with its data or without.
func Remove(id NodeID) Change { return Change{Op: membership.OpRemove, ID: id} }

// Replace puts a new incarnation of a node in the place of the member, which lost its
// data. If incarnation is 0, the leader takes the only one that shows itself, and refuses
// if there are two. The member must have been silent for two election time-outs. Its
// address, priority and tags stay, unless Address of the change is set.
func Replace(id NodeID, incarnation Incarnation) Change {
	return Change{Op: membership.OpReplace, ID: id, Incarnation: incarnation}
}

// SetAddress says where the network reaches a member. Several of one call may swap
// addresses.
func SetAddress(id NodeID, address string) Change {
	return Change{Op: membership.OpSetAddress, ID: id, Address: address}
}

// SetPriority says how much a member is wanted as the leader: 0 for the normal priority,
// or from PriorityLast to PriorityMax.
func SetPriority(id NodeID, priority uint32) Change {
	return Change{Op: membership.OpSetPriority, ID: id, Priority: priority}
}

// SetTags gives a member other tags, in the place of all that it has.
func SetTags(id NodeID, tags map[string]string) Change {
	return Change{Op: membership.OpSetTags, ID: id, Tags: tags}
}

// SetStandby marks a learner as one that may take the place of a voter that is lost, or
// takes the mark away: [Config.Autopilot].
func SetStandby(id NodeID, standby bool) Change {
	return Change{Op: membership.OpSetStandby, ID: id, Standby: standby}
}

// SetVoters names all voters, which must be members. A voter that is not named is removed,
// or stays as a learner if KeepAsLearner is set in the change. Learners that are not named
// stay, and so do all addresses.
func SetVoters(ids ...NodeID) Change {
	return Change{Op: membership.OpSetVoters, Voters: ids}
}

// What is wrong with a change of the members: [ChangeError.Reason].
const (
	// ChangeNothing: no change was asked for.
	ChangeNothing = membership.ChangeNothing
	// ChangeUnknownOp: the leader does not know what is to be done.
	ChangeUnknownOp = membership.ChangeUnknownOp
	// ChangeIDZero: a node has the id 0; ids begin at 1.
	ChangeIDZero = membership.ChangeIDZero
	// ChangeIDTwice: two changes are about the same node, or a set names it twice.
	ChangeIDTwice = membership.ChangeIDTwice
	// ChangeAddress: an address that nobody can reach, none at all, or one that is too
	// long.
	ChangeAddress = membership.ChangeAddress
	// ChangeAddressTwice: another member has the address.
	ChangeAddressTwice = membership.ChangeAddressTwice
	// ChangeNotMember: the node is no member.
	ChangeNotMember = membership.ChangeNotMember
	// ChangeIsMember: the node is a member already, as another kind or at another address.
	ChangeIsMember = membership.ChangeIsMember
	// ChangeIsVoter: a voter is to be promoted.
	ChangeIsVoter = membership.ChangeIsVoter
	// ChangeNotVoter: a learner is to be demoted.
	ChangeNotVoter = membership.ChangeNotVoter
	// ChangeLastVoter: no voter would be left.
	ChangeLastVoter = membership.ChangeLastVoter
	// ChangeTooManyMembers: more than 255, or too many changes.
	ChangeTooManyMembers = membership.ChangeTooManyMembers
	// ChangeLimit: a priority, a tag or their number is out of range.
	ChangeLimit = membership.ChangeLimit
	// ChangeTooLarge: the log store or the network would not take the configuration.
	ChangeTooLarge = membership.ChangeTooLarge
	// ChangeSameIncarnation: the incarnation that is to come is the one that is there.
	ChangeSameIncarnation = membership.ChangeSameIncarnation
	// ChangeAlive: the member that is to be replaced is alive.
	ChangeAlive = membership.ChangeAlive
	// ChangeNoIncarnation: it is not known who the node is.
	ChangeNoIncarnation = membership.ChangeNoIncarnation
	// ChangeTwoIncarnations: two nodes answer under the id.
	ChangeTwoIncarnations = membership.ChangeTwoIncarnations
	// ChangeEmptied: the node is a member that has lost its data. It has to be replaced.
	ChangeEmptied = membership.ChangeEmptied
	// ChangeOtherCluster: the node belongs to another cluster.
	ChangeOtherCluster = membership.ChangeOtherCluster
	// ChangeNoQuorum: the voters before or after the change had no quorum that answered
	// for an election time-out.
	ChangeNoQuorum = membership.ChangeNoQuorum
)

// ChangeOption changes how [Raft.ChangeMembers] goes about it.
type ChangeOption func(*changeOptions)

type changeOptions struct {
	order  core.ChangeOrder
	noWait bool
	steps  *[]Configuration
	report *ChangeReport
}

// ChangeReport says more of a change of the members than its configuration: [ReportChange].
type ChangeReport struct {
	// Entry brought the configuration that was returned. This node may not have it yet.
	Entry LogID
	// GoesOn: the change is under way, and its ID is in Target of the configuration.
	// Otherwise Target, if not nil, is that of another change, beside which this one was
	// carried out.
	GoesOn bool
}

// defaultCatchUpLimit is what a change has that names none.
const defaultCatchUpLimit = 30 * time.Second

// CatchUpLimit is for how long a node that is to come may make no progress, or be silent, or
// fall behind while it catches up, until the change is given up; 30 s unless it is set, and 0
// for ever. It is kept in whole milliseconds.
func CatchUpLimit(limit time.Duration) ChangeOption {
	return func(o *changeOptions) { o.order.CatchUpLimit = max(limit, 0) }
}

// IfTerm fails with ErrTermChanged unless the change is begun in this term.
func IfTerm(term Term) ChangeOption {
	return func(o *changeOptions) { o.order.ExpectedTerm = term }
}

// ExpectedIndex fails with a *ConfigurationChangedError unless the configuration in force
// is that of the entry at index: [Status.ConfigurationAt].
func ExpectedIndex(index Index) ChangeOption {
	return func(o *changeOptions) { o.order.ExpectedIndex = index }
}

// KeepLearners lets the learners that the change has added stay if it is given up, but
// for one that was to replace a member.
func KeepLearners() ChangeOption { return func(o *changeOptions) { o.order.KeepAdded = true } }

// NoWait returns as soon as the leader has taken the change.
func NoWait() ChangeOption { return func(o *changeOptions) { o.noWait = true } }

// DryRun changes nothing. The configurations that would be appended are written to steps,
// in order: none if nothing would change. Who a node is that would come is left open.
func DryRun(steps *[]Configuration) ChangeOption {
	return func(o *changeOptions) { o.order.DryRun, o.steps = true, steps }
}

// ReportChange writes to report more of what became of the change, unless there is an error.
func ReportChange(report *ChangeReport) ChangeOption {
	return func(o *changeOptions) { o.report = report }
}

// ChangeMembers changes the members of the group, and returns the configuration that comes
// of it when that is committed. Any member may be asked. Several changes are carried out
// as one.
//
// What touches a voter goes through a joint configuration, in which the voters before and
// after the change decide together; anything else is one entry. A node that comes is a
// learner first. The library lets it catch up, and then makes it a voter. If it makes no
// progress for the [CatchUpLimit], the change is given up, nothing of it is left behind,
// and the error is a *NotCaughtUpError. The change survives its caller, the leader, and a
// restart of any member: whoever leads goes on with it. A leader that removes itself hands
// over first.
//
// One change is made at a time: during another one the error is a *ChangeInProgressError.
// To ask again for what is under way waits for it. Only SetAddress, SetPriority, SetTags and SetStandby
// are carried out beside another change. What is wrong is a *ChangeError that names it, and
// nothing was appended. A change that changes nothing returns at once.
//
// If ctx ends while the change is under way, or with [NoWait], the change goes on. Then the
// error is nil, and Target of the returned configuration is not nil and has the change's ID.
// The same is told by a node that the change removes, if whoever tells it that it was removed
// does not know by which change any more.
// If ctx ends before any leader has heard of it, nothing happened, and the error wraps
// ctx.Err(). On a node that was removed the error is ErrRemoved.
func (r *Raft) ChangeMembers(ctx context.Context, changes []Change, options ...ChangeOption) (Configuration, error) {
	o := changeOptions{}
	o.order.CatchUpLimit = defaultCatchUpLimit
	for _, option := range options {
		option(&o)
	}
	o.order.Changes = changes
	for i := range changes {
		if c := &changes[i]; c.Address != "" && undialable(c.Address) {
			return Configuration{}, &ChangeError{Reason: ChangeAddress, Change: c.Clone()}
		}
	}
	outcome, err := r.changeMembers(ctx, &o)
	if err != nil {
		return Configuration{}, err
	}
	if o.steps != nil {
		*o.steps = outcome.Steps
	}
	if o.report != nil {
		*o.report = ChangeReport{Entry: outcome.At.LogID, GoesOn: outcome.GoesOn}
	}
	c := outcome.At.Configuration
	if outcome.GoesOn && (c.Target == nil || c.Target.ID != outcome.Change) {
		// Its entry is on its way, or it waits for a node to say who it is.
		c.Target = &membership.Target{ID: outcome.Change, Members: c.Members, Voters: c.Voters, Since: outcome.Since}
	}
	return c, nil
}

// CancelChange gives up the change of the members that is catching up, and returns when
// that is committed. If none is under way the error is ErrNoChange. A change that is joint
// can only be finished: the error is a *ChangeInProgressError.
func (r *Raft) CancelChange(ctx context.Context) error {
	o := changeOptions{}
	o.order.Cancel = true
	outcome, err := r.changeMembers(ctx, &o)
	if err == nil && outcome.GoesOn {
		return &UnknownOutcomeError{Cause: ctx.Err()}
	}
	return err
}

func (r *Raft) changeMembers(ctx context.Context, o *changeOptions) (actors.ChangeOutcome, error) {
	if err := ctx.Err(); err != nil {
		return actors.ChangeOutcome{}, nothingDone(err)
	}
	trace := r.group.TraceChange(ctx, changesText(&o.order))
	type answer struct {
		outcome actors.ChangeOutcome
		err     error
	}
	answers := make(chan answer, 1)
	leave := r.group.ChangeMembers(o.order, o.noWait, trace, func(outcome actors.ChangeOutcome, err error) { answers <- answer{outcome, err} })
	var a answer
	select {
	case a = <-answers:
	case <-ctx.Done():
		leave(ctx.Err())
		a = <-answers // at once
		if a.err != nil && a.err == ctx.Err() {
			a.err = r.nothingDone(ctx.Err())
		}
	}
	trace.End(a.outcome, a.err)
	return a.outcome, a.err
}

// changesText writes what is asked for, for a trace.
func changesText(o *core.ChangeOrder) string {
	if o.Cancel {
		return "cancel"
	}
	texts := make([]string, 0, len(o.Changes))
	for i := range o.Changes {
		if i == 10 {
			texts = append(texts, fmt.Sprintf("and %d more", len(o.Changes)-i))
			break
		}
		texts = append(texts, o.Changes[i].String())
	}
	return strings.Join(texts, ", ")
}
