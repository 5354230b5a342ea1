package actors

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/trouperaft/troupe/actors/admission"
	"github.com/trouperaft/troupe/actors/disk"
	"github.com/trouperaft/troupe/actors/memlog"
	"github.com/trouperaft/troupe/actors/observe"
	"github.com/trouperaft/troupe/actors/snapshots"
	"github.com/trouperaft/troupe/actors/stage"
	"github.com/trouperaft/troupe/core"
)

// Group is one Raft group on a node. Its methods are safe for concurrent use and
// never block. Functions that they are given are called from actors, or from
// within the method; they must not block, and may call the methods.
//
// It lives and fails as a whole: an error or a panic anywhere below it, or a
// failed store, ends it, with every waiter answered, and nothing is restarted.
type Group struct {
	node  *Node
	cfg   GroupConfig
	env   stage.Environment
	watch *observe.Watch
	// ctx ends when the group has failed or was abandoned: that of Apply. work ends as
	// soon as the group begins to end: that of snapshots, which are only work.
	ctx, work             context.Context
	cancel, cancelTheWork context.CancelFunc

	core      *coreActor
	apply     *applyActor
	streams   *streams
	jobs      *snapshots.Jobs
	memoryLog *memlog.Log
	log       *disk.GroupLog
	admission *admission.Room[*Proposal]
	reads     readRoom
	readable  readable
	// exports counts the views that are written for somebody outside, or wait for it.
	exports atomic.Int64
	leading *leading // nil: the application runs nothing
	seen    seen
	events  listeners[Event]
	final   atomic.Pointer[Status]

	life life
}

// life is how far a group's end has come.
type life struct {
	mu       sync.Mutex
	stopping bool
	stopped  bool
	// abandoned: nobody waits for the calls that are out. coreClosed: the core hands
	// nothing to the apply actor any more.
	abandoned, coreClosed bool
	cause                 error
	// live counts the actors, and shells are theirs, some of those that have ended
	// among them.
	live    int
	shells  []*stage.Shell
	waiting []func(error)
	done    chan struct{}
}

// Propose hands a command over. p.Completed tells the result:
//   - Err nil: it is committed, and this node or the leader has applied it;
//   - an error of which core.MayHaveHappened is false: it never takes effect;
//   - *core.UnknownOutcomeError: it may take effect.
func (g *Group) Propose(p *Proposal) {
	p.reset(g.watch)
	if len(p.Data) > g.cfg.CommandBytesMax {
		p.finish(stageRoom, core.LogID{}, nil, &core.TooLargeError{Size: len(p.Data), Max: g.cfg.CommandBytesMax})
		return
	}
	switch g.admission.Acquire(&p.room, p, sizeOf(p.Data), p.WaitForRoom) {
	case admission.Granted:
		g.enter(p)
	case admission.Refused:
		observe.Overloaded{How: observe.OverloadRefused}.Tell(g.watch)
		p.finish(stageRoom, core.LogID{}, nil, core.ErrOverloaded)
	case admission.Closed:
		p.finish(stageRoom, core.LogID{}, nil, g.stopCause())
	case admission.Queued:
		observe.Overloaded{How: observe.OverloadWaited}.Tell(g.watch) // enter follows
	}
}

// enter hands a proposal that has its room to the core.
func (g *Group) enter(p *Proposal) {
	bytes := p.room.Bytes()
	if !p.stage.CompareAndSwap(stageRoom, stageCopy) {
		g.admission.Release(1, bytes) // it was given up just now
		return
	}
	if p.Copy {
		p.Data, p.Copy = slices.Clone(p.Data), false
	}
	p.stage.Store(stageCore)
	observe.Room{Span: p.span}.Tell(g.watch)
	if g.core.inbox.Put(p, false) {
		return
	}
	g.admission.Release(1, bytes)
	if !p.isRemote() { // whose node is told by nobody any more
		p.finish(stageCore, core.LogID{}, nil, g.stopCause())
	}
}

// Cancel ends a proposal that its client no longer waits for, soon: with
// context.Canceled if it was certainly not appended, else with a
// *core.UnknownOutcomeError. p must not be used for another proposal afterwards.
// Cancel does nothing to a proposal that is completed already.
func (g *Group) Cancel(p *Proposal) {
	if p.finish(stageRoom, core.LogID{}, nil, context.Canceled) {
		// If it waits no more, enter returns what it has just got.
		g.admission.Cancel(&p.room)
		return
	}
	if !g.core.put(&cancelPropose{p}) {
		p.cancelAppended()
	}
}

// Inflight returns how many proposals are admitted and not yet answered, and
// their size in bytes.
func (g *Group) Inflight() (proposals, bytes int) { return g.admission.Inflight() }

// Stop stops the group in order: every waiter is answered, the actors end, what
// was written is durable, then done is called, with Err's error. Later calls
// call done when the first has ended. Stop waits for Apply, and for a write; Abandon
// does not.
func (g *Group) Stop(done func(error)) {
	g.life.mu.Lock()
	if g.life.stopped {
		g.life.mu.Unlock()
		done(g.Err())
		return
	}
	g.life.waiting = append(g.life.waiting, done)
	g.life.mu.Unlock()
	g.end(nil)
}

// Done is closed when the group has stopped, and every call of foreign code has
// returned.
func (g *Group) Done() <-chan struct{} { return g.life.done }

// Err is why the group failed: a *core.FatalError, nil if it has not.
func (g *Group) Err() error {
	g.life.mu.Lock()
	defer g.life.mu.Unlock()
	return g.life.cause
}

// stopCause is what waiters are told when the group ends.
func (g *Group) stopCause() error {
	if err := g.Err(); err != nil {
		return err
	}
	return core.ErrStopped
}

// fail ends the group because of cause. It may be called from anywhere.
func (g *Group) fail(cause error) {
	g.watch.Logger().Error("the group has failed", slog.Any("error", cause))
	var panicked *stage.PanicError
	if errors.As(cause, &panicked) {
		g.watch.Logger().Error("stack of the panic", slog.String("stack", string(panicked.Stack)))
	}
	g.end(&core.FatalError{Cause: cause})
}

// end begins the group's end: first what the application runs while this node leads
// and those who wait for room, then the core, then the apply actor and all that the
// core has started, at last the log. One that has failed waits for no call of its
// machine.
func (g *Group) end(cause error) {
	l := &g.life
	l.mu.Lock()
	first := cause != nil && l.cause == nil
	if first {
		l.cause = cause
	}
	begun := l.stopping
	l.stopping = true
	l.mu.Unlock()
	g.cancelTheWork()
	if first {
		observe.Failed{}.Tell(g.watch)
		g.announce(&core.Notice{Kind: core.NoticeFailed, Text: cause.Error()}) // the log has it already
	}
	if cause != nil {
		g.abandon()
	}
	if begun {
		return
	}
	g.leading.stop(g.stopCause())
	for _, p := range g.admission.Close() {
		if p.isRemote() {
			g.core.put(&roomless{p}) // it tells its node
			continue
		}
		p.finish(stageRoom, core.LogID{}, nil, g.stopCause())
	}
	for _, r := range g.reads.Close() {
		r.finish(stageRoom, 0, g.stopCause())
	}
	g.core.Stop()
}

// memberEnded is called by each actor at its end. After the last one the log goes: what
// is queued is still written, unless the group has failed.
func (g *Group) memberEnded() {
	g.life.mu.Lock()
	g.life.live--
	last := g.life.live == 0
	g.life.mu.Unlock()
	if last && !g.node.log.Leave(g.log, g.Err() != nil, g.logLeft) {
		g.logLeft()
	}
}

// logLeft comes when nothing of the group works any more. What the application runs may
// still be under way, and then the group has not stopped (rule 28).
func (g *Group) logLeft() {
	if term, _ := g.leading.status(instant(g.env)); term != 0 {
		last := g.lastStatus()
		g.publishLast(&last)
	}
	g.leading.whenOver(g.finished)
}

// lastStatus is that of a group which works no more: who has stopped neither leads nor
// knows who does.
func (g *Group) lastStatus() Status {
	last := g.StatusToRead()
	last.Err, last.Ready = g.Err(), false
	last.Leader, last.Peers, last.WaitsFor, last.LastContact = 0, nil, nil, -1
	last.Lease, last.LeaseLeft, last.NoLease, last.LastQuorumContact = 0, 0, "", -1
	last.TransferringTo, last.NeedsNewTerm, last.Leaving, last.OthersPaused = 0, false, "", false
	if last.Role != core.RoleLearner && last.Role != core.RoleNone {
		last.Role = core.RoleFollower
	}
	return last
}

// finished is the end of the group.
func (g *Group) finished() {
	g.node.remove(g)
	g.node.network.SetCluster(g.cfg.Group, core.ClusterID{})
	g.cancel()
	g.watch.Close()
	last := g.lastStatus()
	last.Stopped = true
	g.publishLast(&last)
	l := &g.life
	l.mu.Lock()
	l.stopped = true
	waiting := l.waiting
	l.waiting = nil
	l.mu.Unlock()
	g.env.Yield() // who was just answered sees its answer first
	close(l.done)
	for _, done := range waiting {
		done(last.Err)
	}
}

// receive routes a message of another node. It never blocks.
func (g *Group) receive(m core.Message) {
	switch m := m.(type) {
	case *core.AppendResponse:
		g.streams.answered(m)
	case *core.SnapshotResponse:
		g.jobs.Answered(m)
	default:
		observe.Received{Message: m}.Tell(g.watch)
		g.core.put(m)
	}
}
