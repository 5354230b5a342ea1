package actors

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

func TestWorkersLingerAndEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newWorkers(workerLinger)
		parked := func() int {
			synctest.Wait()
			p.mu.Lock()
			defer p.mu.Unlock()
			return len(p.parked)
		}
		hold := make(chan struct{})
		for range 5 {
			p.Schedule(func() { <-hold })
		}
		if n := parked(); n != 0 {
			t.Errorf("%d workers wait while five runs are under way", n)
		}
		close(hold)
		if n := parked(); n != 5 {
			t.Errorf("%d workers wait after five runs at a time, want 5", n)
		}
		// A heartbeat ten times a second needs one, and finds it.
		started := 0
		for range 10 {
			time.Sleep(100 * time.Millisecond)
			before := parked()
			p.Schedule(func() {})
			if after := parked(); after > before {
				started++
			}
		}
		if n := parked(); n != 1 || started > 0 {
			t.Errorf("%d workers wait and %d were started while one was needed", n, started)
		}
		time.Sleep(2 * workerLinger)
		if n := parked(); n != 0 {
			t.Errorf("%d workers wait although all is quiet", n)
		}
		ran := false
		p.Schedule(func() { ran = true })
		if parked(); !ran {
			t.Error("a run after a quiet time did not run")
		}
		time.Sleep(2 * workerLinger)
	})
}

func TestDispatcherRunsOneAtATime(t *testing.T) {
	// The sum is not guarded: the race detector sees two runs at a time.
	const messages = 5000
	done := make(chan struct{})
	sum := 0
	props := actor.PropsFromFunc(func(ctx actor.Context) {
		if n, ok := ctx.Message().(int); ok {
			if sum += n; sum == 4*messages {
				close(done)
			}
		}
	}, actor.WithDispatcher(newWorkers(time.Microsecond)))
	root := system().Root
	pid := root.Spawn(props)
	for range 4 {
		go func() {
			for range messages {
				root.Send(pid, 1)
			}
		}()
	}
	await(t, done, "all messages")
	if err := root.StopFuture(pid).Wait(); err != nil {
		t.Error(err)
	}
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
	}, actor.WithDispatcher(newWorkers(time.Millisecond)), actor.WithGuardian(neverRestart))
	root := system().Root
	root.Send(root.Spawn(props), bellMessage)
	await(t, stopped, "the actor to stop")
	if started != 1 {
		t.Errorf("started %d times", started)
	}
}

// laterEnvironment carries out calls when a test says so, like a simulation.
type laterEnvironment struct {
	production
	calls []func()
}

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
	s.work()
	if len(env.calls) != 1 || len(settled) != 0 {
		t.Fatalf("%d calls, %d settled: want one call under way", len(env.calls), len(settled))
	}
	s.work() // a bell meanwhile
	env.calls[0]()
	if len(env.calls) != 2 || len(settled) != 1 {
		t.Fatalf("%d calls, %d settled", len(env.calls), len(settled))
	}
	s.close()
	if ended != 0 {
		t.Error("the actor ended with a call under way")
	}
	env.calls[1]()
	if ended != 1 || len(settled) != 1 {
		t.Errorf("ended %d times with %d settled, want 1 and 1", ended, len(settled))
	}
	if failure != nil {
		t.Error(failure)
	}
}
