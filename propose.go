package troupe

import (
	"context"
	"fmt"
	"slices"
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
// The command is copied, unless [SharedCommand] is given. If it is longer than
// Config.CommandBytesMax, the error is a *TooLargeError.
func (r *Raft) Propose(ctx context.Context, command []byte, options ...ProposeOption) (Result, error) {
	if err := ctx.Err(); err != nil {
		return Result{}, nothingDone(err)
	}
	if len(command) > r.config.CommandBytesMax {
		return Result{}, &TooLargeError{Size: len(command), Max: r.config.CommandBytesMax}
	}
	o := collect(options)
	if !o.shared {
		// Logs and streams share an entry's data long after its answer.
		command = slices.Clone(command)
	}
	s := newSlot()
	s.proposal.Data = command
	s.proposal.ExpectedTerm = o.expectedTerm
	s.proposal.NoForward = o.noForwarding
	s.proposal.FailWithoutLeader = o.failWithoutLeader
	s.proposal.WaitForRoom = !o.failWithoutRoom
	r.group.Trace(ctx, &s.proposal)
	r.group.Propose(&s.proposal)
	if ctx.Done() == nil {
		<-s.answered // without the price of a select
		result, err := s.result()
		s.recycle()
		return result, err
	}
	select {
	case <-s.answered:
		result, err := s.result()
		s.recycle()
		return result, err
	case <-ctx.Done():
		return r.abandon(ctx, s)
	}
}

// answerGrace is for how long a proposal whose context has ended waits for the
// core actor to say whether it was appended. The actor never waits for
// anything, so that the answer comes in microseconds.
const answerGrace = 100 * time.Millisecond

func (r *Raft) abandon(ctx context.Context, s *slot) (Result, error) {
	r.group.Cancel(&s.proposal)
	timer := time.NewTimer(answerGrace)
	defer timer.Stop()
	select {
	case <-s.answered:
	case <-timer.C:
		return Result{}, &UnknownOutcomeError{Cause: ctx.Err()}
	}
	result, err := s.result()
	switch {
	case err == nil:
		return result, nil
	case MayHaveHappened(err):
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

// slot is one proposal's way to the actors and back.
type slot struct {
	proposal actors.Proposal
	answered chan struct{} // takes one token for the one answer
}

var slots = sync.Pool{New: func() any {
	s := &slot{answered: make(chan struct{}, 1)}
	s.proposal.Completed = func(*actors.Proposal) { s.answered <- struct{}{} }
	return s
}}

func newSlot() *slot { return slots.Get().(*slot) }

func (s *slot) result() (Result, error) {
	return Result{LogID: s.proposal.LogID, Value: s.proposal.Value}, s.proposal.Err
}

// recycle gives a slot back after its answer. A slot that was abandoned is
// never given back: its cancellation may still be on its way, and would hit
// the next proposal.
func (s *slot) recycle() {
	completed := s.proposal.Completed
	s.proposal = actors.Proposal{Completed: completed}
	slots.Put(s)
}
