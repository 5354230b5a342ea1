package troupe

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/trouperaft/troupe/actors"
	"github.com/trouperaft/troupe/core"
)

// Why a transfer of leadership failed: [TransferError.Reason].
const (
	// TransferUnknownMember: the target is no member of the group, or no longer.
	TransferUnknownMember = core.TransferUnknownMember
	// TransferLearner: the target does not vote.
	TransferLearner = core.TransferLearner
	// TransferOutgoing: the target votes only in the half of a joint configuration
	// that is leaving.
	TransferOutgoing = core.TransferOutgoing
	// TransferToItself: the target leads already.
	TransferToItself = core.TransferToItself
	// TransferNoTarget: no voter can take the leadership.
	TransferNoTarget = core.TransferNoTarget
	// TransferLagging: the target lacks more entries than a hand-over waits for.
	TransferLagging = core.TransferLagging
	// TransferUnreachable: the target does not answer.
	TransferUnreachable = core.TransferUnreachable
	// TransferPaused: the target's elections are paused.
	TransferPaused = core.TransferPaused
	// TransferInstalling: the target installs a snapshot.
	TransferInstalling = core.TransferInstalling
	// TransferSick: the target's disk hangs, or the target has yet to catch up with
	// what it left office for.
	TransferSick = core.TransferSick
	// TransferRefused: the target would not campaign, for another reason.
	TransferRefused = core.TransferRefused
	// TransferUnderWay: the leader hands over to another node already.
	TransferUnderWay = core.TransferUnderWay
	// TransferTimedOut: the target did not get the log, or the leadership, in time; or
	// the caller's context has ended.
	TransferTimedOut = core.TransferTimedOut
	// TransferAnotherWon: another node than the target leads now.
	TransferAnotherWon = core.TransferAnotherWon
	// TransferHigherTerm: the leader heard of a higher term before the target was told.
	TransferHigherTerm = core.TransferHigherTerm
	// TransferSteppedDown: the leader left office before the target was told.
	TransferSteppedDown = core.TransferSteppedDown
	// TransferStopped: the leader, or this node, has stopped, or the leader is out of
	// reach.
	TransferStopped = core.TransferStopped
)

// Why an election by hand did not make a node the leader: [ElectError.Reason].
const (
	// ElectNotVoter: the node is no voter of its group.
	ElectNotVoter = core.ElectNotVoter
	// ElectUnderLeader: a leader lives. To move the leadership, transfer it.
	ElectUnderLeader = core.ElectUnderLeader
	// ElectPaused: the node's elections are paused.
	ElectPaused = core.ElectPaused
	// ElectInstalling: the node installs a snapshot.
	ElectInstalling = core.ElectInstalling
	// ElectSick: the node's disk hangs, or the node has yet to catch up with what it
	// left office for.
	ElectSick = core.ElectSick
	// ElectTooFewVotes: too few voters have granted their vote in time.
	ElectTooFewVotes = core.ElectTooFewVotes
	// ElectAnotherWon: another node leads now.
	ElectAnotherWon = core.ElectAnotherWon
	// ElectTimedOut: the caller's context has ended.
	ElectTimedOut = core.ElectTimedOut
)

// TransferLeadership hands the leadership of the group to another voter, or to the
// best if to is 0. The best is, of the voters that answer, are not paused or sick and
// lack few entries, the one of the highest [Member.Priority]. Any node may be asked:
// the leader does it.
//
// The leader lets the target catch up, stops admitting proposals when it is near, and
// tells it to campaign when it has the whole log. TransferLeadership returns nil when
// the target has committed an entry as the leader. Then this node's [Status] shows that
// leader, or a later one, unless it has not heard of any for an election time-out.
// Writes wait meanwhile, for a few milliseconds. They fail only if they want to:
// with [FailWithoutLeader], or with [ExpectedTerm].
//
// Otherwise the error is a *TransferError that says why, or a *NotLeaderError if this
// node knows no leader or asked one that leads no more, or ErrStopped or a *FatalError
// if the group does not run here. If the target was told to campaign, [MayHaveHappened] says that
// it may lead yet. The leader goes on at once; one that had told its target wins a new
// term soon. A leader that was given the leadership this way keeps it for ten minutes,
// even if another had a higher priority then.
func (r *Raft) TransferLeadership(ctx context.Context, to NodeID) error {
	return r.transfer(ctx, actors.Transfer{To: to, ByHand: true})
}

func (r *Raft) transfer(ctx context.Context, t actors.Transfer) error {
	if err := ctx.Err(); err != nil {
		return nothingDone(err)
	}
	type answer struct {
		handover actors.Handover
		err      error
	}
	t.Trace = r.group.TraceTransfer(ctx, t.To)
	answers := make(chan answer, 1)
	cancel := r.group.TransferLeadership(t, func(h actors.Handover, err error) { answers <- answer{h, err} })
	var a answer
	select {
	case a = <-answers:
	case <-ctx.Done():
		cancel(ctx.Err())
		a = <-answers // at once
	}
	t.Trace.End(a.handover, a.err)
	if a.err != nil {
		return a.err
	}
	if !t.Own {
		// The answer of another node may be faster than the new leader's first word. It
		// has happened, whatever becomes of this wait: this node may be cut off by now.
		heard, stop := context.WithTimeout(ctx, r.config.ElectionTimeout)
		defer stop()
		_ = r.Wait(heard, func(s Status) bool { return s.Term >= a.handover.Term && s.Leader != 0 })
	}
	return nil
}

// Elect lets this node campaign now, without waiting for its election time-out, and
// returns nil when it leads. It returns nil at once if it leads already. What this
// node and the others have promised is kept: this node waits for the end of its own
// lease promise to a leader that is gone, and of its quiet period after a start.
// Under a leader that lives Elect is an *ElectError that names the leader: then
// TransferLeadership is the way.
//
// If it does not become the leader the error is an *ElectError that says why. One whose
// context ended while it campaigned says by [MayHaveHappened] that it may lead yet. If it
// still waited for a promise or for its quiet period then, it does not campaign.
func (r *Raft) Elect(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return nothingDone(err)
	}
	elected := make(chan error, 1)
	cancel := r.group.Elect(func(_ Term, err error) { elected <- err })
	select {
	case err := <-elected:
		return err
	case <-ctx.Done():
		cancel(ctx.Err())
		return <-elected // at once
	}
}

// PauseElections says whether this node shall neither campaign nor be handed the
// leadership from now on. It still votes, replicates and serves, and leads on if it
// leads. A pause is not kept over a restart. While the elections of every voter but
// the leader are paused nobody takes over, and the leader says so by
// [EventElectionsPaused].
//
// If ctx ends first the error is an *UnknownOutcomeError: what was asked for is done all
// the same, soon, or the group has ended before.
func (r *Raft) PauseElections(ctx context.Context, paused bool) error {
	if err := ctx.Err(); err != nil {
		return nothingDone(err)
	}
	done := make(chan error, 1)
	r.group.PauseElections(paused, func(err error) { done <- err })
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return &UnknownOutcomeError{Cause: fmt.Errorf("the request to pause elections is under way: %w", ctx.Err())}
	}
}

// handOver hands the leadership to somebody else, if this node has it, before it
// stops: to the best, and if that fails to the next. It gives up when there is nobody
// left, or when ctx ends.
func (r *Raft) handOver(ctx context.Context) error {
	if r.Status().Role != RoleLeader {
		return nil
	}
	// It is not to come back.
	if err := r.PauseElections(ctx, true); err != nil {
		return err
	}
	// Who was just elected does not know yet who is there.
	young, cancel := context.WithTimeout(ctx, r.config.ElectionTimeout)
	_ = r.Wait(young, heardOfAVoter)
	cancel()
	t := actors.Transfer{Own: true}
	for {
		err := r.transfer(ctx, t)
		var failed *TransferError
		if err == nil || ctx.Err() != nil || !errors.As(err, &failed) || failed.To == 0 || r.Status().Role != RoleLeader {
			return err
		}
		t.Not = append(t.Not, failed.To)
	}
}

// mostOf is ctx with a deadline that leaves a quarter of the time for what comes behind:
// a hand-over that nobody answers is not to cost the orderly stop.
func mostOf(ctx context.Context) (context.Context, context.CancelFunc) {
	deadline, bounded := ctx.Deadline()
	if !bounded {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, time.Until(deadline)*3/4)
}

// heardOfAVoter reports whether any other voter has answered the leader, or there is
// none, or this node does not lead.
func heardOfAVoter(s Status) bool {
	others := false
	for i := range s.Peers {
		if s.Configuration.IsVoter(s.Peers[i].Identity) {
			others = true
			if s.Peers[i].LastContact >= 0 {
				return true
			}
		}
	}
	return s.Role != RoleLeader || !others
}

// Drain hands over the leadership of all groups that this node leads, at the same
// time, and pauses the elections of all its groups, so that it gets none back until
// Raft.PauseElections says so. It returns nil when it leads no group any more, else
// the errors of those groups that nobody could take.
func (n *Node) Drain(ctx context.Context) error {
	n.mu.Lock()
	var groups []*Raft
	for _, r := range n.groups {
		if r.group != nil {
			groups = append(groups, r)
		}
	}
	n.mu.Unlock()
	failed := make([]error, len(groups))
	var all sync.WaitGroup
	for i, r := range groups {
		all.Go(func() {
			err := r.PauseElections(ctx, true)
			if err == nil {
				err = r.handOver(ctx)
			}
			var fatal *FatalError
			if err != nil && !errors.Is(err, ErrStopped) && !errors.As(err, &fatal) { // what does not run leads nothing
				failed[i] = fmt.Errorf("group %d: %w", r.config.Group, err)
			}
		})
	}
	all.Wait()
	return errors.Join(failed...)
}
