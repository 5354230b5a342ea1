package actors

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/trouperaft/troupe/actors/stage"
	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/metrics"
	"github.com/trouperaft/troupe/network"
	"github.com/trouperaft/troupe/network/inproc"
)

// wound is an environment whose clock and timers a test winds on. Only one goroutine
// uses it.
type wound struct {
	stage.Environment
	now    stage.Instant
	timers []*woundTimer
}

type woundTimer struct {
	env *wound
	at  stage.Instant // 0: never
	f   func()
}

func (w *wound) Now() stage.Instant { return w.now }

func (w *wound) AfterFunc(d time.Duration, f func()) stage.Timer {
	t := &woundTimer{env: w, f: f}
	t.Reset(d)
	w.timers = append(w.timers, t)
	return t
}

func (t *woundTimer) Reset(d time.Duration) { t.at = t.env.now + stage.Instant(max(d, 1)) }
func (t *woundTimer) Stop()                 { t.at = 0 }

// pass lets time pass, with the timers that fire meanwhile.
func (w *wound) pass(d time.Duration) {
	for end := w.now + stage.Instant(d); ; {
		var next *woundTimer
		for _, t := range w.timers {
			if t.at != 0 && t.at <= end && (next == nil || t.at < next.at) {
				next = t
			}
		}
		if next == nil {
			w.now = end
			return
		}
		w.now, next.at = max(w.now, next.at), 0
		next.f()
	}
}

// leadingRig is the application's function on a wound clock. The test is the engine.
type leadingRig struct {
	t *testing.T
	*leading
	clock *wound
	// runs are the calls of the function, and put what the core was told.
	runs    []*leadingCall
	put     []any
	notices []core.Notice
}

type leadingCall struct {
	ctx   context.Context
	term  core.Term
	ended func(error)
}

const leadingPatience = time.Second

func newLeadingRig(t *testing.T) *leadingRig {
	r := &leadingRig{t: t, clock: &wound{now: stage.Instant(time.Hour)}}
	r.leading = &leading{
		env: r.clock, patience: leadingPatience,
		call: func(ctx context.Context, term core.Term, ended func(error)) {
			r.runs = append(r.runs, &leadingCall{ctx, term, ended})
		},
		notify: func(n *core.Notice) { r.notices = append(r.notices, *n) },
		put:    func(item any) bool { r.put = append(r.put, item); return true },
	}
	return r
}

// says lets the engine say that the application may act in a term, for so long, and
// returns the run that was called last, nil if none was.
func (r *leadingRig) says(term core.Term, lasts time.Duration) *leadingCall {
	now := instant(r.clock)
	r.show(core.Leading{Term: term, Until: now.Add(lasts)}, now)
	r.begin(now)
	if len(r.runs) == 0 {
		return nil
	}
	return r.runs[len(r.runs)-1]
}

// over reports whether a context has ended, without asking what it would find out.
func over(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return true
	default:
		return false
	}
}

// kinds are those of the notices, in order.
func (r *leadingRig) kinds() (all []core.NoticeKind) {
	for i := range r.notices {
		all = append(all, r.notices[i].Kind)
	}
	return all
}

// TestLeadingAlternates: one run a term, one at a time, each with a living context.
func TestLeadingAlternates(t *testing.T) {
	r := newLeadingRig(t)
	if r.says(0, 0) != nil || r.says(3, 0) != nil {
		t.Fatal("called for no term, or without a lease")
	}
	first := r.says(3, time.Second)
	if first == nil || first.term != 3 || first.ctx.Err() != nil {
		t.Fatalf("%+v", first)
	}
	if r.says(3, time.Second); len(r.runs) != 1 {
		t.Error("called twice")
	}
	r.says(0, 0) // it steps down
	if !over(first.ctx) || !errors.Is(context.Cause(first.ctx), errNoLongerLeads) {
		t.Errorf("over: %v, %v", over(first.ctx), context.Cause(first.ctx))
	}
	// It leads again, and the function has not returned.
	if r.says(4, time.Second); len(r.runs) != 1 {
		t.Error("called beside itself")
	}
	if term, overdue := r.status(instant(r.clock).Add(time.Minute)); term != 3 || overdue != time.Minute {
		t.Errorf("the status says term %d, overdue for %v", term, overdue)
	}
	first.ended(nil)
	if item, ok := r.put[0].(*leadingReturned); len(r.put) != 1 || !ok || item.lapsed || item.term != 3 {
		t.Errorf("the core was told %+v", r.put)
	}
	second := r.says(4, time.Second)
	if len(r.runs) != 2 || second.term != 4 || second.ctx.Err() != nil {
		t.Fatalf("%d runs", len(r.runs))
	}
	// A function that returns by itself is not called again in its term.
	second.ended(nil)
	if r.says(4, time.Second); len(r.runs) != 2 || !over(second.ctx) {
		t.Errorf("%d runs", len(r.runs))
	}
	if term, overdue := r.status(instant(r.clock)); term != 0 || overdue != 0 {
		t.Errorf("the status says term %d, overdue for %v", term, overdue)
	}
	want := []core.NoticeKind{core.NoticeLeadingStarted, core.NoticeLeadingEnded, core.NoticeLeadingStarted, core.NoticeLeadingEnded}
	if !slices.Equal(r.kinds(), want) || r.notices[1].Text != errNoLongerLeads.Error() || r.notices[3].Text != "" {
		t.Errorf("told %v", r.notices)
	}
}

// TestLeadingEndsWithTheLease: at its end and not before, however often it is
// prolonged; by a timer, or sooner if the context is asked.
func TestLeadingEndsWithTheLease(t *testing.T) {
	for name, ask := range map[string]bool{"by the timer": false, "by who asks": true} {
		t.Run(name, func(t *testing.T) {
			r := newLeadingRig(t)
			run := r.says(1, time.Second)
			for range 20 {
				r.clock.pass(600 * time.Millisecond)
				r.says(1, time.Second)
			}
			r.clock.pass(time.Second - 1)
			if over(run.ctx) || run.ctx.Err() != nil {
				t.Fatal("over before the end of the lease")
			}
			if ask {
				r.clock.now++ // and no timer fires: the process was stopped
				if over(run.ctx) || run.ctx.Err() == nil {
					t.Error("it does not see that the lease is over")
				}
			} else {
				r.clock.pass(1)
			}
			if !over(run.ctx) || context.Cause(run.ctx) != errLeaseOver {
				t.Errorf("over: %v, %v", over(run.ctx), context.Cause(run.ctx))
			}
			// The lease comes back, the context does not. The next run needs another term.
			if r.says(1, time.Second); run.ctx.Err() == nil || len(r.runs) != 1 {
				t.Error("it lives again")
			}
			run.ended(nil)
			if item, ok := r.put[0].(*leadingReturned); !ok || !item.lapsed || item.term != 1 {
				t.Errorf("the core was told %+v", r.put)
			}
			if r.says(1, time.Second); len(r.runs) != 1 {
				t.Error("called again in its term")
			}
		})
	}
	// The core may be the first to see it.
	r := newLeadingRig(t)
	run := r.says(1, time.Second)
	r.clock.now += stage.Instant(2 * time.Second)
	if r.says(1, 0); !over(run.ctx) || context.Cause(run.ctx) != errLeaseOver {
		t.Errorf("over: %v, %v", over(run.ctx), context.Cause(run.ctx))
	}
}

// TestLeadingOverdue: a function that does not return is told of once.
func TestLeadingOverdue(t *testing.T) {
	r := newLeadingRig(t)
	run := r.says(1, time.Minute)
	r.clock.pass(3 * time.Second)
	r.says(0, 0)
	r.clock.pass(leadingPatience - 1)
	if want := []core.NoticeKind{core.NoticeLeadingStarted}; !slices.Equal(r.kinds(), want) {
		t.Errorf("told %v before its time", r.notices)
	}
	r.clock.pass(time.Hour)
	if want := []core.NoticeKind{core.NoticeLeadingStarted, core.NoticeLeadingOverdue}; !slices.Equal(r.kinds(), want) {
		t.Errorf("told %v", r.notices)
	}
	cause := errors.New("a cause")
	run.ended(cause)
	if last := r.notices[len(r.notices)-1]; last.Kind != core.NoticeLeadingEnded || last.Text != "a cause" {
		t.Errorf("told %v", last)
	}
	// Of one that returned nothing is told.
	run = r.says(2, time.Minute)
	r.says(0, 0)
	run.ended(nil)
	told := len(r.notices)
	if r.clock.pass(time.Hour); len(r.notices) != told {
		t.Errorf("told %v of one that has returned", r.notices[told:])
	}
}

// TestLeadingStops: the end of the group ends the context, no run begins after it, and
// the group's end waits for the one that is under way.
func TestLeadingStops(t *testing.T) {
	r := newLeadingRig(t)
	cause := errors.New("a cause")
	run := r.says(1, time.Minute)
	ended := 0
	r.stop(cause)
	r.whenOver(func() { ended++ })
	if !over(run.ctx) || context.Cause(run.ctx) != cause || ended != 0 {
		t.Errorf("over: %v, %v; ended %d times", over(run.ctx), context.Cause(run.ctx), ended)
	}
	run.ended(nil)
	if ended != 1 {
		t.Errorf("ended %d times", ended)
	}
	if r.says(2, time.Minute); len(r.runs) != 1 {
		t.Error("called after the end")
	}
	idle := newLeadingRig(t)
	idle.stop(cause)
	if idle.whenOver(func() { ended++ }); ended != 2 {
		t.Error("nothing runs, and the end waits")
	}
}

// leadingHost keeps the runs of a host's function. They end when their contexts do,
// unless they are held.
type leadingHost struct {
	mu   sync.Mutex
	runs []*leadingCall
	hold bool
	// came has a token for each run.
	came chan *leadingCall
}

func newLeadingHost() *leadingHost { return &leadingHost{came: make(chan *leadingCall, 64)} }

func (l *leadingHost) call(ctx context.Context, term core.Term, ended func(error)) {
	run := &leadingCall{ctx, term, ended}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.runs = append(l.runs, run)
	l.came <- run
	if !l.hold {
		context.AfterFunc(ctx, func() { ended(nil) })
	}
}

func (l *leadingHost) all() []*leadingCall {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.runs)
}

// next waits for a run.
func (l *leadingHost) next(t *testing.T) *leadingCall {
	t.Helper()
	select {
	case run := <-l.came:
		return run
	case <-time.After(patience):
		t.Fatal("the function is not called")
		return nil
	}
}

// leadingCluster is a cluster of hosts with functions.
func leadingCluster(t *testing.T, n int, configure func(*GroupConfig), around func(*leadingHost, network.Network) network.Network) ([]*host, []*leadingHost) {
	t.Helper()
	var runs []*leadingHost
	of := func() *leadingHost { return runs[len(runs)-1] }
	hosts := newClusterOf(t, n, func(c *GroupConfig) {
		if configure != nil {
			configure(c)
		}
		c.OnLeading = of().call
	}, func(net network.Network) network.Network { // made before the group is
		runs = append(runs, newLeadingHost())
		if around == nil {
			return net
		}
		return around(of(), net)
	})
	return hosts, runs
}

// watchedNetwork looks at what leaves.
type watchedNetwork struct {
	network.Network
	sends func(core.Message)
}

func (n *watchedNetwork) Send(m core.Message) bool {
	n.sends(m)
	return n.Network.Send(m)
}

// TestContextEndsBeforeAnythingLeaves: rule 14: when TimeoutNow leaves, or a vote, no
// context of this node lives. After a transfer the next leader's function runs.
func TestContextEndsBeforeAnythingLeaves(t *testing.T) {
	var told, alive int
	var mu sync.Mutex
	hosts, runs := leadingCluster(t, 3, nil, func(l *leadingHost, n network.Network) network.Network {
		return &watchedNetwork{n, func(m core.Message) {
			switch m := m.(type) {
			case *core.TimeoutNow:
				mu.Lock()
				told++
				mu.Unlock()
			case *core.VoteRequest:
				if m.Pre {
					return
				}
			case *core.VoteResponse:
				if m.Pre || !m.Granted {
					return
				}
			default:
				return
			}
			for _, run := range l.all() {
				if !over(run.ctx) {
					mu.Lock()
					alive++
					mu.Unlock()
				}
			}
		}}
	})
	last := core.Term(0)
	for i := range 6 {
		leader := leaderOf(t, hosts)
		run := runs[leader.id-1].next(t)
		if run.term <= last || run.ctx.Err() != nil {
			t.Errorf("run %d is of term %d, after %d: %v", i, run.term, last, run.ctx.Err())
		}
		last = run.term
		if _, err := transfer(t, leader.group, 0); err != nil {
			t.Fatal(err)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if told < 6 || alive > 0 {
		t.Errorf("%d were told, with %d living contexts", told, alive)
	}
}

// TestLeadingWaitsForTheMachine: what an earlier leader has committed is applied before
// the function is called, however long that takes.
func TestLeadingWaitsForTheMachine(t *testing.T) {
	hosts, runs := leadingCluster(t, 2, nil, nil)
	leader := leaderOf(t, hosts)
	runs[leader.id-1].next(t)
	slow := others(hosts, leader)[0]
	goOn, begun := make(chan struct{}), make(chan struct{})
	slow.machine.onApply = func([]byte) error { close(begun); <-goOn; return nil }
	insist(t, leader.group, []byte("x"))
	await(t, begun, "the entry to be applied")
	h, err := transfer(t, leader.group, slow.id)
	if err != nil {
		t.Fatal(err)
	}
	until(t, slow.group, "the lease", func(s Status) bool { return s.LeaseLeft > 0 })
	if n := len(runs[slow.id-1].all()); n != 0 {
		t.Errorf("%d runs before the machine has the entry", n)
	}
	close(goOn)
	run := runs[slow.id-1].next(t)
	if run.term != h.Term || len(slow.machine.list()) != 1 {
		t.Errorf("term %d, want %d; %d commands are applied", run.term, h.Term, len(slow.machine.list()))
	}
	if s := until(t, slow.group, "the status", func(s Status) bool { return s.LeadingTerm != 0 }); s.LeadingTerm != h.Term || s.LeadingOverdue != 0 {
		t.Errorf("the status says term %d, overdue for %v", s.LeadingTerm, s.LeadingOverdue)
	}
}

// TestLeadingHoldsTheEnd: rule 28: a group whose function does not return has answered
// everybody, leads no more, and has not stopped: it cannot be started again.
func TestLeadingHoldsTheEnd(t *testing.T) {
	l := newLeadingHost()
	l.hold = true
	h := newHost(t, inproc.NewHub(), 1, func(c *GroupConfig) { c.OnLeading = l.call })
	h.start()
	if err := bootstrap(t, h.group, patience, members(1)...); err != nil {
		t.Fatal(err)
	}
	run := l.next(t)
	stopped := make(chan struct{})
	h.group.Stop(func(error) { close(stopped) })
	await(t, run.ctx.Done(), "the context to end")
	if !errors.Is(context.Cause(run.ctx), core.ErrStopped) {
		t.Errorf("the cause is %v", context.Cause(run.ctx))
	}
	s := until(t, h.group, "the rest to end", func(s Status) bool { return s.Role == core.RoleFollower })
	if s.Stopped || s.Leader != 0 || s.LeadingTerm != run.term || s.LeadingOverdue <= 0 {
		t.Errorf("%+v", s)
	}
	if p := call(t, h.group, &Proposal{Data: []byte("late")}); !errors.Is(p.Err, core.ErrStopped) {
		t.Errorf("a proposal: %v", p.Err)
	}
	if _, err := h.node.Start(t.Context(), groupConfig(1, &listMachine{})); err == nil {
		t.Error("it was started beside itself")
	}
	select {
	case <-stopped:
		t.Error("it has stopped")
	case <-h.group.Done():
		t.Error("it is done")
	default:
	}
	run.ended(nil)
	await(t, stopped, "the end")
	if s := h.group.Status(); !s.Stopped || s.LeadingTerm != 0 || s.LeadingOverdue != 0 {
		t.Errorf("%+v", s)
	}
	// Now it can, and runs it again, in a later term.
	h.group = h.startGroup(1, &listMachine{})
	again := l.next(t)
	if again.term <= run.term {
		t.Errorf("term %d after %d", again.term, run.term)
	}
	again.ended(nil)
}

// TestMeteredLeading: where the function runs, and for how long it has not returned.
func TestMeteredLeading(t *testing.T) {
	l := newLeadingHost()
	l.hold = true
	hosts, m := newMeteredCluster(t, 2, func(c *GroupConfig) {
		calm(c)
		c.OnLeading = l.call
	})
	leader := leaderOf(t, hosts)
	run := l.next(t)
	running := func(at ...string) float64 { return sum(m.read()["raft.leading.running"], at...).sum }
	overdue := func() float64 { return sum(m.read()["raft.leading.overdue.age"]).sum }
	if running() != 1 || running(metrics.KeyNode, fmt.Sprint(leader.id)) != 1 || overdue() != 0 {
		t.Errorf("%v run, overdue for %v s", running(), overdue())
	}
	if _, err := transfer(t, leader.group, 0); err != nil {
		t.Fatal(err)
	}
	next := l.next(t)
	if running() != 2 || overdue() <= 0 {
		t.Errorf("%v run, overdue for %v s", running(), overdue())
	}
	run.ended(nil)
	if running() != 1 || overdue() != 0 {
		t.Errorf("%v run, overdue for %v s", running(), overdue())
	}
	next.ended(nil)
}

// TestFailureEndsTheContext: a group that fails tells the cause at once.
func TestFailureEndsTheContext(t *testing.T) {
	hosts, runs := leadingCluster(t, 1, nil, nil)
	run := runs[0].next(t)
	cause := errors.New("a cause")
	hosts[0].machine.onApply = func([]byte) error { return cause }
	call(t, hosts[0].group, &Proposal{Data: []byte("x")})
	await(t, run.ctx.Done(), "the context to end")
	await(t, hosts[0].group.Done(), "the end")
	if !errors.Is(context.Cause(run.ctx), cause) {
		t.Errorf("the cause is %v", context.Cause(run.ctx))
	}
}

// leapingClock is an environment whose clock can be moved on, as by a suspension.
type leapingClock struct {
	stage.Environment
	leaped atomic.Int64
}

func (c *leapingClock) Now() stage.Instant {
	return c.Environment.Now() + stage.Instant(c.leaped.Load())
}

// TestSleeperGetsANewTerm: a leader that slept through its lease, and leads on because
// nobody else was elected, runs the function again, in a new term.
func TestSleeperGetsANewTerm(t *testing.T) {
	l, clock := newLeadingHost(), &leapingClock{Environment: stage.Production()}
	h := newHost(t, inproc.NewHub(), 1, func(c *GroupConfig) {
		quickElections(c)
		c.OnLeading = l.call
	})
	h.env = clock
	h.start()
	if err := bootstrap(t, h.group, patience, members(1)...); err != nil {
		t.Fatal(err)
	}
	run := l.next(t)
	clock.leaped.Add(int64(time.Minute))
	if run.ctx.Err() == nil {
		t.Error("it lives after the lease")
	}
	if again := l.next(t); again.term <= run.term || h.group.Status().Role != core.RoleLeader {
		t.Errorf("term %d after %d", again.term, run.term)
	}
}
