package actors

import (
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

func TestWorkersLingerAndEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newWorkers(workerLinger)
		p.most, p.processors = 5, func() int { return 5 }
		count := func() (parked, running, queued int) {
			synctest.Wait()
			p.mu.Lock()
			defer p.mu.Unlock()
			return len(p.parked), p.running, len(p.queue) - p.first
		}
		expect := func(when string, parked, running, queued int) {
			t.Helper()
			if a, b, c := count(); a != parked || b != running || c != queued {
				t.Errorf("%s: %d workers wait, %d run and %d runs are queued, want %d, %d and %d", when, a, b, c, parked, running, queued)
			}
		}
		hold := make(chan struct{})
		for range 7 {
			p.Schedule(func() { <-hold })
		}
		expect("seven runs", 0, 5, 2)
		close(hold)
		expect("after them", 5, 0, 0)
		// A heartbeat ten times a second needs one, and finds it.
		for range 10 {
			time.Sleep(100 * time.Millisecond)
			before, _, _ := count()
			p.Schedule(func() {})
			if after, _, _ := count(); after > before {
				t.Errorf("%d workers wait after a run, %d before", after, before)
			}
		}
		expect("after ten beats", 1, 0, 0)
		time.Sleep(2 * workerLinger)
		expect("all is quiet", 0, 0, 0)
		ran := false
		p.Schedule(func() { ran = true })
		if count(); !ran {
			t.Error("a run after a quiet time did not run")
		}
		time.Sleep(2 * workerLinger)
	})
}

// TestWorkersWhoBlockAreReplaced: a call that blocks keeps nobody from running.
func TestWorkersWhoBlockAreReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newWorkers(workerLinger)
		p.most, p.processors = 1, func() int { return 1 }
		release, ran := make(chan struct{}), 0
		p.Schedule(func() {
			p.Schedule(func() { ran++ })
			p.blocking(func() { <-release })
		})
		if synctest.Wait(); ran != 1 {
			t.Errorf("%d runs beside the call, want the one that was queued", ran)
		}
		p.Schedule(func() { ran++ })
		if synctest.Wait(); ran != 2 {
			t.Errorf("%d runs beside the call, want 2", ran)
		}
		close(release)
		synctest.Wait()
		p.Schedule(func() { ran++ })
		if synctest.Wait(); ran != 3 {
			t.Errorf("%d runs in all, want 3: the worker that blocked is lost", ran)
		}
		time.Sleep(2 * workerLinger)
	})
}

// TestWorkersQueueStaysSmall while it is never empty: it holds what waits, and not
// all that ever did.
func TestWorkersQueueStaysSmall(t *testing.T) {
	const actors, turns = 3, 100_000
	p := newWorkers(workerLinger)
	p.most, p.processors = 1, func() int { return 1 }
	done, taken := make(chan struct{}), 0
	var run func()
	run = func() {
		switch taken++; {
		case taken < turns:
			p.Schedule(run)
		case taken == turns:
			close(done)
		}
	}
	p.Schedule(func() {
		for range actors {
			p.Schedule(run)
		}
	})
	await(t, done, "all turns")
	p.mu.Lock()
	defer p.mu.Unlock()
	if cap(p.queue) > 16*actors {
		t.Errorf("the queue has room for %d runs, and %d were ever in it at once", cap(p.queue), actors)
	}
}

// TestMailboxRunsOneAtATime rings an actor from many goroutines: the counts are
// not guarded, so that the race detector sees two runs at a time.
func TestMailboxRunsOneAtATime(t *testing.T) {
	const rings = 5000
	var given atomic.Int64
	taken, done := int64(0), make(chan struct{})
	s, ended := prober(func() bool {
		if n := given.Load(); n > taken {
			if taken = n; n == 4*rings {
				close(done)
			}
			return true
		}
		return false
	}, func(err error) { t.Error(err) })
	for range 4 {
		go func() {
			for range rings {
				given.Add(1)
				s.ring()
			}
		}()
	}
	await(t, done, "all bells")
	s.stop()
	await(t, ended, "the actor to end")
}

// prober is an actor in a shell whose steps a test decides.
func prober(next func() bool, failed func(error)) (*shell, chan struct{}) {
	ended := make(chan struct{})
	s := &shell{env: Production(), name: "probed", next: next, closing: func() {}, failed: failed, ended: func() { close(ended) }}
	s.start()
	return s, ended
}

func TestPanicFailsAndNothingRestarts(t *testing.T) {
	steps := 0
	failed := make(chan error, 4)
	cause := errors.New("boom")
	s, ended := prober(func() bool { steps++; panic(cause) }, func(err error) { failed <- err })
	s.ring()
	if err := <-failed; !errors.Is(err, cause) {
		t.Errorf("the failure is %v, want %v", err, cause)
	}
	s.ring()
	s.stop()
	await(t, ended, "the actor to end")
	if steps != 1 {
		t.Errorf("%d steps, want 1: a broken actor works no more", steps)
	}
	select {
	case err := <-failed:
		t.Errorf("it failed again: %v", err)
	default:
	}
}

func TestPanicBeyondTheShellStopsTheActor(t *testing.T) {
	stopped := make(chan struct{})
	started := 0
	props := actor.PropsFromFunc(func(ctx actor.Context) {
		switch ctx.Message().(type) {
		case *actor.Started:
			started++
		case *bell:
			panic("boom")
		case *actor.Stopped:
			close(stopped)
		}
	}, actor.WithDispatcher(newWorkers(time.Millisecond)), actor.WithGuardian(neverRestart),
		actor.WithMailbox(func() actor.Mailbox { return newMailbox() }))
	root := system().Root
	root.Send(root.Spawn(props), bellMessage)
	await(t, stopped, "the actor to stop")
	if started != 1 {
		t.Errorf("started %d times", started)
	}
}

// laterEnvironment carries out calls when a test says so, like a simulation, and
// runs actors when it works.
type laterEnvironment struct {
	production
	calls []func()
	runs  []func()
}

// attach gives an actor that is never spawned a mailbox.
func (e *laterEnvironment) attach(s *shell) {
	s.mailbox = newMailbox()
	s.mailbox.RegisterHandlers(handInvoker{s}, e)
}

// Schedule implements actor.Dispatcher.
func (e *laterEnvironment) Schedule(run func()) { e.runs = append(e.runs, run) }

// Throughput implements actor.Dispatcher.
func (e *laterEnvironment) Throughput() int { return 1 }

// work rings an actor and lets it work until it has nothing to do.
func (e *laterEnvironment) work(s *shell) {
	s.ring()
	e.settle()
}

func (e *laterEnvironment) settle() {
	for len(e.runs) > 0 {
		run := e.runs[0]
		e.runs = e.runs[1:]
		run()
	}
}

// finish ends the call that began first, and lets its actor go on.
func (e *laterEnvironment) finish() {
	call := e.calls[0]
	e.calls = e.calls[1:]
	call()
	e.settle()
}

// handInvoker takes a mailbox's bells to its actor.
type handInvoker struct{ s *shell }

func (i handInvoker) InvokeSystemMessage(any)      {}
func (i handInvoker) InvokeUserMessage(any)        { i.s.guard(i.s.work) }
func (i handInvoker) EscalateFailure(r any, _ any) { panic(r) }

func (e *laterEnvironment) Do(_ CallKind, call, done func()) {
	e.calls = append(e.calls, func() { call(); done() })
}

func TestShellWithCallsThatEndLater(t *testing.T) {
	env := &laterEnvironment{}
	work, ended, failure := 3, 0, error(nil)
	var settled []int
	s := &shell{env: env, closing: func() {}, ended: func() { ended++ }, failed: func(err error) { failure = err }}
	s.next = func() bool {
		if work == 0 {
			return false
		}
		n := work
		work--
		s.do(CallWrite, func() {}, func() { settled = append(settled, n) })
		return true
	}
	env.attach(s)
	env.work(s)
	if len(env.calls) != 1 || len(settled) != 0 {
		t.Fatalf("%d calls, %d settled: want one call under way", len(env.calls), len(settled))
	}
	env.work(s) // a bell meanwhile
	env.finish()
	if len(env.calls) != 1 || len(settled) != 1 {
		t.Fatalf("%d calls, %d settled", len(env.calls), len(settled))
	}
	s.close()
	if ended != 0 {
		t.Error("the actor ended with a call under way")
	}
	env.finish()
	if ended != 1 || len(settled) != 1 {
		t.Errorf("ended %d times with %d settled, want 1 and 1", ended, len(settled))
	}
	if failure != nil {
		t.Error(failure)
	}
}
