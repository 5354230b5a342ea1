package actors

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/trouperaft/troupe/actors/observe"
	"github.com/trouperaft/troupe/actors/stage"
	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/internal/foreign"
)

// leading runs the application's function while this node leads: rule 14. It is no
// actor, because nobody may wait for it: the core tells it what the engine says, and
// the function has a goroutine of its own.
//
// One run is under way at a time, from the call until the function has returned, however
// long ago its context ended. So starts and stops alternate. The group has stopped only
// when no run is under way (rule 28): a second start of the group could else run the
// function beside itself.
type leading struct {
	env   stage.Environment
	watch *observe.Watch
	call  func(ctx context.Context, term core.Term, ended func(error))
	// patience is after how long a function is told of that does not return.
	patience time.Duration
	notify   func(*core.Notice)
	// put hands an item to the core.
	put func(item any) bool

	// said is what the engine said last, and began the last term for which the function
	// was called. They are the core actor's.
	said  core.Leading
	began core.Term
	// changed: a run began or ended, and the watchers of the status do not know it.
	changed atomic.Bool

	// run is under way, nil if none is. It changes under the lock.
	run     atomic.Pointer[leadingRun]
	mu      sync.Mutex
	stopped bool
	over    func()
}

// leadingReturned tells the core that a function has returned. lapsed: its context had
// ended because the lease had run out.
type leadingReturned struct {
	term   core.Term
	lapsed bool
}

var (
	errNoLongerLeads = errors.New("this node may no longer act as the leader of the term")
	errLeaseOver     = errors.New("the leader's lease has run out")
	errReturned      = errors.New("the function has returned")
)

// show takes what the engine says after a step. The core calls it before it carries out
// any command of that step. So a context has ended before anything leaves by which
// another node may be elected: a vote, or TimeoutNow (rule 14).
func (l *leading) show(now core.Leading, at core.Instant) {
	l.said = now
	r := l.run.Load()
	switch {
	case r == nil || r.over.Load() != 0:
	case now.Term != r.term:
		r.end(errNoLongerLeads)
	case at >= now.Until:
		r.end(errLeaseOver)
	default:
		r.until.Store(int64(now.Until))
	}
}

// begin calls the function if it may run now, and has not run in this term yet. The core
// calls it when the status shows what the function was called for.
func (l *leading) begin(at core.Instant) {
	now := l.said
	if now.Term <= l.began || at >= now.Until || l.run.Load() != nil {
		return
	}
	r := &leadingRun{leading: l, term: now.Term, span: observe.RunningLeading{Term: now.Term}.Begin(l.watch)}
	r.Context, r.cancel = context.WithCancelCause(context.Background())
	r.until.Store(int64(now.Until))
	l.began = now.Term
	if !l.takes(r) {
		r.cancel(errReturned)
		observe.LeadingEnded{Span: r.span, Err: core.ErrStopped}.Tell(l.watch)
		return
	}
	r.arm(now.Until.Sub(at))
	l.notify(&core.Notice{Kind: core.NoticeLeadingStarted, Term: r.term})
	l.changed.Store(true)
	l.call(r, r.term, r.returned)
}

// takes makes a run the one that is under way, unless the group ends.
func (l *leading) takes(r *leadingRun) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.stopped {
		l.run.Store(r)
	}
	return !l.stopped
}

// stop ends the context of the run under way, and lets no other begin: the group ends.
func (l *leading) stop(cause error) {
	if l == nil {
		return
	}
	l.mu.Lock()
	l.stopped = true
	r := l.run.Load()
	l.mu.Unlock()
	if r != nil {
		r.end(cause)
	}
}

// whenOver calls f when no run is under way, after stop.
func (l *leading) whenOver(f func()) {
	if l == nil {
		f()
		return
	}
	l.mu.Lock()
	waits := l.run.Load() != nil
	if waits {
		l.over = f
	}
	l.mu.Unlock()
	if !waits {
		f()
	}
}

// status returns the term for which the function runs, 0 if it does not, and how long
// ago its context ended, 0 if it lives.
func (l *leading) status(now core.Instant) (term core.Term, overdue time.Duration) {
	if l == nil {
		return 0, 0
	}
	r := l.run.Load()
	if r == nil || r.done.Load() {
		return 0, 0
	}
	if over := core.Instant(r.over.Load()); over != 0 {
		overdue = max(now.Sub(over), 1)
	}
	return r.term, overdue
}

// leadingRun is one call of the function, and its context.
type leadingRun struct {
	context.Context
	cancel  context.CancelCauseFunc
	leading *leading
	term    core.Term
	span    observe.Span
	// until is when the lease ends, as far as is known; over when the context ended, 0
	// while it lives.
	until, over atomic.Int64
	// done: the function has returned. It changes under the lock.
	done atomic.Bool

	mu    sync.Mutex
	timer stage.Timer
	told  bool // that it does not return
}

// Err implements context.Context. It does not wait for a timer to find out that the
// lease has run out: where it returns nil, no other node had been elected when it was
// called. The clock is read first, as for a read by the lease (readable.byLease).
func (r *leadingRun) Err() error {
	if at := instant(r.leading.env); at >= core.Instant(r.until.Load()) {
		r.end(errLeaseOver)
	}
	return r.Context.Err()
}

// end ends the context, for good: it does not come back in this run, even if the lease
// does. When end returns it has ended, whoever was faster.
func (r *leadingRun) end(why error) {
	l := r.leading
	r.cancel(why)
	if !r.over.CompareAndSwap(0, max(int64(instant(l.env)), 1)) {
		return
	}
	l.changed.Store(true)
	observe.LeadingOver{Span: r.span, Why: context.Cause(r.Context)}.Tell(l.watch)
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.done.Load() && r.timer != nil {
		r.timer.Reset(l.patience)
	}
}

// arm sets the timer for the first time.
func (r *leadingRun) arm(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.timer = r.leading.env.AfterFunc(d, r.due)
	if r.over.Load() != 0 {
		r.timer.Reset(r.leading.patience)
	}
}

// due looks what the time has come for: the lease has run out, or the function should
// have returned. The timer is not moved for each answer to a heartbeat, but set to the
// rest when it fires.
func (r *leadingRun) due() {
	now := instant(r.leading.env)
	over := core.Instant(r.over.Load())
	at := core.Instant(r.until.Load())
	if over != 0 {
		at = over.Add(r.leading.patience)
	}
	r.mu.Lock()
	if r.done.Load() || r.told {
		r.mu.Unlock()
		return
	}
	if left := at.Sub(now); left > 0 {
		r.timer.Reset(left)
		r.mu.Unlock()
		return
	}
	r.told = over != 0
	r.mu.Unlock()
	if over == 0 {
		r.end(errLeaseOver)
		return
	}
	r.leading.notify(&core.Notice{
		Kind: core.NoticeLeadingOverdue, Term: r.term,
		Text: fmt.Sprintf("its context ended %v ago, because %v; it is not called again before it has returned", r.leading.patience, context.Cause(r.Context)),
	})
}

// returned is told that the function has ended, and how.
func (r *leadingRun) returned(err error) {
	l := r.leading
	n := &core.Notice{Kind: core.NoticeLeadingEnded, Term: r.term}
	if r.over.Load() != 0 {
		n.Text = context.Cause(r.Context).Error()
	}
	r.mu.Lock()
	r.done.Store(true)
	r.timer.Stop()
	r.mu.Unlock()
	r.end(errReturned)
	lapsed := context.Cause(r.Context) == errLeaseOver
	if err != nil {
		n.Text = err.Error()
		l.logAborted(r.term, err)
	}
	observe.LeadingEnded{Span: r.span, Err: err}.Tell(l.watch)
	l.notify(n)
	l.mu.Lock()
	l.run.Store(nil)
	over := l.over
	l.mu.Unlock()
	l.changed.Store(true)
	l.put(&leadingReturned{r.term, lapsed})
	if over != nil {
		over()
	}
}

// logAborted says loudly that the application's function has broken. It takes nothing
// else with it: neither the process, nor the group, whose state it is no part of.
func (l *leading) logAborted(term core.Term, err error) {
	attributes := []any{slog.Uint64("term", uint64(term)), slog.Any("error", err)}
	var aborted *foreign.Aborted
	if errors.As(err, &aborted) && len(aborted.Stack) > 0 {
		attributes = append(attributes, slog.String("stack", string(aborted.Stack)))
	}
	l.watch.Logger().Error("OnLeading has not returned as it should", attributes...)
}
