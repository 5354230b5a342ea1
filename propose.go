package troupe

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/trouperaft/troupe/actors"
)

// Result is what became of a proposal.
type Result struct {
	// LogID is the entry that holds the command.
	LogID LogID
	// Value is what the state machine returned for it, on the leader or here.
	Value []byte
}

// Propose replicates a command, and returns when it is committed and a state
// machine has applied it: the leader's, if this node passed the command on, or
// this node's. To read your own write here, call ReadIndex.
//
// Propose waits for room and for a leader until ctx ends. A context without an
// end is fine. After an error call [MayHaveHappened]: it says whether the
// command may have been applied, or may be yet. If so, propose the command
// again only if a second time does no harm. When ctx has ended, errors.Is(err,
// ctx.Err()) is true.
//
// The command is copied when there is room for it, unless [SharedCommand] is given. If it is longer than
// Config.CommandBytesMax, the error is a *TooLargeError.
func (r *Raft) Propose(ctx context.Context, command []byte, options ...ProposeOption) (Result, error) {
	if err := ctx.Err(); err != nil {
		return Result{}, nothingDone(err)
	}
	if len(command) > r.config.CommandBytesMax {
		return Result{}, &TooLargeError{Size: len(command), Max: r.config.CommandBytesMax}
	}
	o := collect(options)
	p := pendingProposals.Get().(*actors.Proposal)
	p.Data = command
	p.Copy = !o.shared // logs and streams share an entry's data long after its answer
	p.ExpectedTerm = o.expectedTerm
	p.Version = o.version
	p.NoForward = o.noForwarding
	p.FailWithoutLeader = o.failWithoutLeader
	p.WaitForRoom = !o.failWithoutRoom
	r.group.Trace(ctx, p)
	r.group.Propose(p)
	if !p.Await(ctx.Done()) {
		return r.abandon(ctx, p)
	}
	result, err := Result{LogID: p.LogID, Value: p.Value}, p.Err
	p.Renew()
	pendingProposals.Put(p)
	return result, err
}

// pendingProposals are proposals to be used again: those that were answered. One
// that was abandoned is never given back: its cancellation may still be on its
// way, and would hit the next proposal.
var pendingProposals = sync.Pool{New: func() any { return actors.NewProposal() }}

// answerGrace is for how long a proposal whose context has ended waits for the
// core actor to say whether it was appended. The actor never waits for
// anything, so that the answer comes in microseconds.
const answerGrace = 100 * time.Millisecond

func (r *Raft) abandon(ctx context.Context, p *actors.Proposal) (Result, error) {
	r.group.Cancel(p)
	grace, cancel := context.WithTimeout(context.Background(), answerGrace)
	defer cancel()
	if !p.Await(grace.Done()) && p.Leave() {
		p.AwaitCopy()
		return Result{}, &UnknownOutcomeError{Cause: ctx.Err()}
	}
	switch {
	case p.Err == nil:
		return Result{LogID: p.LogID, Value: p.Value}, nil
	case MayHaveHappened(p.Err):
		return Result{}, &UnknownOutcomeError{Cause: ctx.Err()}
	}
	return Result{}, r.nothingDone(ctx.Err())
}

// nothingDone wraps the end of a context whose request left no trace.
func nothingDone(err error) error { return fmt.Errorf("troupe: nothing was done: %w", err) }

// nothingDone says too that the group belongs to no cluster, if that was why.
func (r *Raft) nothingDone(err error) error {
	if r.Status().Role == RoleNone {
		err = fmt.Errorf("%w: %w", ErrNoCluster, err)
	}
	return nothingDone(err)
}
