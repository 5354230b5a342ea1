package actors

import (
	"context"
	"runtime"
	"sync/atomic"

	"github.com/trouperaft/troupe/actors/admission"
	"github.com/trouperaft/troupe/actors/observe"
	"github.com/trouperaft/troupe/actors/stage"
	"github.com/trouperaft/troupe/core"
)

// Proposal is a command on its way into the state machine, and the place of its
// answer. It has one owner at a time: whoever made it until Group.Propose, the
// actors until Completed, then again whoever made it, who may use it for another
// proposal unless Group.Cancel was called for it.
type Proposal struct {
	// Data is the command. Nobody may change it any more, also not after
	// Completed: the log shares it.
	Data []byte
	// Copy: the log gets a copy of Data, made when the proposal has its room. Data is
	// the caller's again when it is completed, or after AwaitCopy.
	Copy bool
	// ExpectedTerm, if not 0, refuses the proposal in any other term.
	ExpectedTerm core.Term
	// Version is that of the state machine which the command needs, 0 if any takes it.
	Version uint64
	// NoForward: only this node, if it leads, may append it; else
	// *core.NotLeaderError.
	NoForward bool
	// FailWithoutLeader: without a known leader the proposal ends at once with
	// *core.NotLeaderError. Otherwise it waits for one until Cancel.
	FailWithoutLeader bool
	// WaitForRoom: while there is no room the proposal waits for it, first
	// come first served. Otherwise it ends at once with core.ErrOverloaded.
	WaitForRoom bool
	// Completed is called exactly once for each Propose, from an actor or from
	// within a method of the group. It must not block, and may propose again.
	// A proposal made by NewProposal has none: see Await.
	Completed func(*Proposal)

	// LogID, Value and Err are the result, valid from Completed on. Value is
	// what the state machine returned.
	LogID core.LogID
	Value []byte
	Err   error

	// stage tells where the proposal is. From stageApply on it changes by
	// comparing, so that it is completed once whoever comes first.
	stage atomic.Uint32
	// room is what it holds of admission.
	room admission.Request[*Proposal]
	// cancelled is the core actor's: Cancel came before the proposal did.
	cancelled bool
	// from and id are set for a proposal that another node forwarded here, and
	// id for one that was forwarded from here to sentTo, in sentTerm.
	from     core.Identity
	id       uint64
	sentTo   core.Identity
	sentTerm core.Term
	// span is of the proposal, from watch, which is told how it goes.
	span  observe.Span
	watch *observe.Watch
	// Links of the one list, or chain, that the proposal is in.
	next, prev *Proposal
	list       *proposalList

	answer *stage.Answer
}

// NewProposal returns a proposal for whose end one goroutine waits, with Await.
func NewProposal() *Proposal { return &Proposal{answer: stage.NewAnswer()} }

// Await returns true when p is completed, and false if done was closed before that.
// Then the caller either waits again or calls Leave.
func (p *Proposal) Await(done <-chan struct{}) bool { return p.answer.Await(done) }

// Leave says, after an Await in vain, that nobody waits for p any more: it is
// then the actors' for good. It reports false if p has been completed meanwhile.
func (p *Proposal) Leave() bool { return p.answer.Leave() }

// AwaitCopy returns when a proposal for which Cancel was called is not being copied any
// more, nor will be.
func (p *Proposal) AwaitCopy() {
	for p.stage.Load() == stageCopy {
		runtime.Gosched()
	}
}

// Renew makes a proposal that was completed as new.
func (p *Proposal) Renew() { *p = Proposal{answer: p.answer} }

// Stages of a proposal.
const (
	// stageRoom: it has no room yet. 0 is a proposal that nobody has handed over.
	stageRoom uint32 = iota + 1
	// stageCopy: it has its room, and is being copied.
	stageCopy
	// stageCore: it is in the core actor's inbox, or in its hands.
	stageCore
	// stageWaiting: the core actor keeps it until there is a leader.
	stageWaiting
	// stageForwarded: another node has it.
	stageForwarded
	// stageApply: it was appended here, the apply actor has it.
	stageApply
	// stageDone: it was completed.
	stageDone
)

// isRemote reports whether another node waits for the answer.
func (p *Proposal) isRemote() bool { return !p.from.IsZero() }

// reset prepares p for its way. The results of the last one are forgotten.
func (p *Proposal) reset(w *observe.Watch) {
	p.watch = w
	p.LogID, p.Value, p.Err = core.LogID{}, nil, nil
	p.cancelled, p.id = false, 0
	p.stage.Store(stageRoom)
}

// finish completes p, whose stage its holder knows to be from, unless somebody
// did so first.
func (p *Proposal) finish(from uint32, id core.LogID, value []byte, err error) bool {
	if !p.decide(from, id, value, err) {
		return false
	}
	if p.answer != nil {
		p.answer.Give()
	} else {
		p.Completed(p)
	}
	return true
}

// finishWith is finish for one of many: its answer is given with the others.
func (p *Proposal) finishWith(others *stage.Answers, from uint32, id core.LogID, value []byte, err error) {
	switch {
	case !p.decide(from, id, value, err):
	case p.answer != nil:
		others.Add(p.answer)
	default:
		p.Completed(p)
	}
}

// decide sets the result, unless somebody did so first.
func (p *Proposal) decide(from uint32, id core.LogID, value []byte, err error) bool {
	if !p.stage.CompareAndSwap(from, stageDone) {
		return false
	}
	p.LogID, p.Value, p.Err = id, value, err
	p.ended(id, err)
	return true
}

// cancelAppended ends a proposal that the apply actor holds, however busy that
// is. The room is returned with its entry.
func (p *Proposal) cancelAppended() {
	p.finish(stageApply, core.LogID{}, nil, &core.UnknownOutcomeError{Cause: context.Canceled})
}

// ended tells how p has ended. It is called once, by whoever completes it.
func (p *Proposal) ended(id core.LogID, err error) {
	if p.span.Traced() {
		observe.Completed{Span: p.span, ID: id, Err: err}.Tell(p.watch)
		p.span = observe.Span{}
	}
}
