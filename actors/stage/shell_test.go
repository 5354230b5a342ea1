package stage

import (
	"errors"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// prober is an actor in a shell whose steps a test decides.
func prober(next func() bool, failed func(error)) (*Shell, chan struct{}) {
	ended := make(chan struct{})
	s := &Shell{Env: Production(), Name: "probed", Next: next, Closing: func() {}, Failed: failed, Ended: func() { close(ended) }}
	s.Start()
	return s, ended
}

func TestPanicFailsAndNothingRestarts(t *testing.T) {
	steps := 0
	failed := make(chan error, 4)
	cause := errors.New("boom")
	s, ended := prober(func() bool { steps++; panic(cause) }, func(err error) { failed <- err })
	s.Wake()
	if err := <-failed; !errors.Is(err, cause) {
		t.Errorf("the failure is %v, want %v", err, cause)
	}
	s.Wake()
	s.Stop()
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
	box := newMailbox(newWorkers(time.Millisecond))
	system().spawn(func(ctx actor.Context) {
		switch ctx.Message().(type) {
		case *actor.Started:
			started++
		case *wakeUp:
			panic("boom")
		case *actor.Stopped:
			close(stopped)
		}
	}, box)
	box.wake()
	await(t, stopped, "the actor to stop")
	if started != 1 {
		t.Errorf("started %d times", started)
	}
}

// TestEndAfterAPanicInClosing: what an actor calls at its end may panic, and
// nobody waits for that actor for ever.
func TestEndAfterAPanicInClosing(t *testing.T) {
	var failed error
	ended := 0
	s := &Shell{Closing: func() { panic("view") }, Failed: func(err error) { failed = err }, Ended: func() { ended++ }}
	s.guard(s.close)
	if failed == nil || ended != 1 {
		t.Errorf("failed %v, ended %d times", failed, ended)
	}
}
