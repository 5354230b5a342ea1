package stage_test

import (
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/trouperaft/troupe/actors/stage"
)

const endPatience = 30 * time.Second

// caller is an actor of production that makes one call when it is woken.
type caller struct {
	stage.Shell
	closed, ended chan struct{}
	failed        chan error
	settled       bool
}

// newCaller starts one. prepare may fill in more of its shell.
func newCaller(call func(), prepare func(*stage.Shell)) *caller {
	c := &caller{closed: make(chan struct{}), ended: make(chan struct{}), failed: make(chan error, 1)}
	called := false
	c.Shell = stage.Shell{
		Env: stage.Production(), Name: "caller",
		Next: func() bool {
			if !called {
				called = true
				c.Do(7, call, func() { c.settled = true })
			}
			return false
		},
		Closing: func() { close(c.closed) },
		Failed:  func(err error) { c.failed <- err },
		Ended:   func() { close(c.ended) },
	}
	if prepare != nil {
		prepare(&c.Shell)
	}
	c.Start()
	c.Wake()
	return c
}

func arrives[T any](t *testing.T, what string, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(endPatience):
		t.Fatalf("%s: not within %v", what, endPatience)
	}
	return v
}

// TestAbandonClosesBesideACall: who is abandoned closes at once, and ends when the call
// has returned, whose outcome is thrown away. Who is only stopped waits.
func TestAbandonClosesBesideACall(t *testing.T) {
	hangs, release := make(chan struct{}), make(chan struct{})
	c := newCaller(func() { close(hangs); <-release }, nil)
	arrives(t, "the call", hangs)
	if kind, since, out := c.Out(); !out || kind != 7 || since == 0 {
		t.Errorf("the call that is out: %d, %d, %t", kind, since, out)
	}
	c.Stop()
	other := newCaller(func() {}, nil)
	other.Stop()
	arrives(t, "the end of another actor, which had its turn after this one", other.ended)
	select {
	case <-c.closed:
		t.Error("closed while a call is out, and nobody has abandoned it")
	default:
	}
	c.Abandon()
	arrives(t, "closing", c.closed)
	select {
	case <-c.ended:
		t.Error("ended while a call is out")
	default:
	}
	if c.Over() {
		t.Error("over while a call is out")
	}
	close(release)
	arrives(t, "the end", c.ended)
	if _, _, out := c.Out(); out || c.settled || !c.Over() {
		t.Errorf("at the end a call is out: %t, its outcome was taken: %t, over: %t", out, c.settled, c.Over())
	}
	c.Abandon()
}

// TestAbandonBeforeTheCall: the call begins after Abandon, and hangs.
func TestAbandonBeforeTheCall(t *testing.T) {
	inTurn, abandoned, hangs, release := make(chan struct{}), make(chan struct{}), make(chan struct{}), make(chan struct{})
	c := newCaller(func() { close(hangs); <-release }, func(s *stage.Shell) {
		next := s.Next
		s.Next = func() bool {
			close(inTurn)
			<-abandoned
			return next()
		}
	})
	arrives(t, "the turn", inTurn)
	c.Abandon()
	close(abandoned)
	arrives(t, "the call", hangs)
	arrives(t, "closing beside it", c.closed)
	close(release)
	arrives(t, "the end", c.ended)
}

// TestGoexitIsAFailure: a call that ends its goroutine fails its actor as a panic does,
// and takes no worker with it.
func TestGoexitIsAFailure(t *testing.T) {
	for range 3 * runtime.GOMAXPROCS(0) {
		c := newCaller(runtime.Goexit, nil)
		err := arrives(t, "the failure", c.failed)
		var failed *stage.PanicError
		if !errors.As(err, &failed) || failed.Actor != "caller" || !strings.Contains(err.Error(), "Goexit") {
			t.Fatalf("failed with %v", err)
		}
		c.Stop()
		arrives(t, "the end", c.ended)
		if c.settled {
			t.Error("settled after a failure")
		}
	}
	done := make(chan struct{})
	c := newCaller(func() { close(done) }, nil)
	arrives(t, "a call of another actor", done)
	c.Stop()
	arrives(t, "its end", c.ended)
}

// TestReleaseIsACall: what an actor lets go of at its end may hang. That delays its own
// end and nobody else's turn, however many there are.
func TestReleaseIsACall(t *testing.T) {
	release := make(chan struct{})
	var hung []*caller
	for range 3 * runtime.GOMAXPROCS(0) {
		releasing := make(chan struct{})
		c := newCaller(func() {}, func(s *stage.Shell) {
			s.ReleaseKind = 9
			s.Release = func() { close(releasing); <-release }
		})
		c.Stop()
		arrives(t, "the release", releasing)
		if kind, _, out := c.Out(); kind != 9 || !out {
			t.Errorf("the call that is out is %d, %t", kind, out)
		}
		hung = append(hung, c)
	}
	other := newCaller(func() {}, nil)
	other.Stop()
	arrives(t, "the end of another actor", other.ended)
	select {
	case <-hung[0].ended:
		t.Error("ended before it has released what it held")
	default:
	}
	close(release)
	for _, c := range hung {
		arrives(t, "the end", c.ended)
	}
}
