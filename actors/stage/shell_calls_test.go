package stage_test

import (
	"errors"
	"testing"

	"github.com/trouperaft/troupe/actors/stage"
	"github.com/trouperaft/troupe/actors/stage/stagetest"
)

func TestShellWithCallsThatEndLater(t *testing.T) {
	env := stagetest.NewHand()
	work, ended, failure := 3, 0, error(nil)
	var settled []int
	s := &stage.Shell{Env: env, Closing: func() {}, Ended: func() { ended++ }, Failed: func(err error) { failure = err }}
	s.Next = func() bool {
		if work == 0 {
			return false
		}
		n := work
		work--
		s.Do(1, func() {}, func() { settled = append(settled, n) })
		return true
	}
	wake := func() {
		s.Wake()
		env.Settle()
	}
	s.Start()
	wake()
	if env.Calls() != 1 || len(settled) != 0 {
		t.Fatalf("%d calls, %d settled: want one call under way", env.Calls(), len(settled))
	}
	wake() // meanwhile
	env.Finish()
	if env.Calls() != 1 || len(settled) != 1 {
		t.Fatalf("%d calls, %d settled", env.Calls(), len(settled))
	}
	s.Stop()
	s.Stop()
	env.Settle()
	if ended != 0 {
		t.Error("the actor ended with a call under way")
	}
	env.Finish()
	if ended != 1 || len(settled) != 1 || work != 1 {
		t.Errorf("ended %d times with %d settled and %d to do, want 1, 1 and 1", ended, len(settled), work)
	}
	if failure != nil {
		t.Error(failure)
	}
}

// TestShellThatSurvives: an actor that has failed works no more, until its own
// Failed says that it does.
func TestShellThatSurvives(t *testing.T) {
	env := stagetest.NewHand()
	cause := errors.New("boom")
	for _, survives := range []bool{false, true} {
		steps, settled, failures := 0, 0, 0
		s := &stage.Shell{Env: env, Name: "tough", Closing: func() {}, Ended: func() {}}
		s.Next = func() bool {
			if steps++; steps == 1 {
				s.Do(1, func() { panic(cause) }, func() { settled++ })
			}
			return false
		}
		s.Failed = func(err error) {
			var panicked *stage.PanicError
			if !errors.As(err, &panicked) || panicked.Actor != "tough" || len(panicked.Stack) == 0 || !errors.Is(err, cause) {
				t.Errorf("failed with %v", err)
			}
			if failures++; survives {
				s.Survive()
			}
		}
		s.Start()
		s.Wake()
		env.Settle()
		env.Finish()
		s.Wake()
		env.Settle()
		if survives && (steps != 3 || settled != 1) || !survives && (steps != 1 || settled != 0) || failures != 1 {
			t.Errorf("survives %v: %d steps, %d settled and %d failures", survives, steps, settled, failures)
		}
	}
}

// TestOneCallAtATime: to begin a second one is the actor's failure.
func TestOneCallAtATime(t *testing.T) {
	env := stagetest.NewHand()
	var failure error
	settled := 0
	s := &stage.Shell{Env: env, Closing: func() {}, Ended: func() {}, Failed: func(err error) { failure = err }}
	s.Next = func() bool {
		s.Do(1, func() {}, func() { settled++ })
		s.Do(1, func() {}, func() { settled++ })
		return false
	}
	s.Start()
	s.Wake()
	env.Settle()
	var panicked *stage.PanicError
	if !errors.As(failure, &panicked) || env.Calls() != 1 {
		t.Errorf("failed with %v, and %d calls are under way", failure, env.Calls())
	}
	env.Finish()
	if settled != 0 {
		t.Errorf("%d calls of a broken actor are settled", settled)
	}
}
