package foreign

import (
	"bytes"
	"context"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 30 * time.Second

// unruly takes strings, and does what they say.
type unruly struct {
	began   chan struct{} // it hangs
	release chan struct{}

	mu    sync.Mutex
	whole []string
}

func (u *unruly) take(what string) {
	switch what {
	case "hang":
		u.began <- struct{}{}
		<-u.release
	case "panic":
		panic(what)
	case "exit":
		runtime.Goexit()
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.whole = append(u.whole, what)
}

// TestEach asserts that all items are handed on, in order, whatever becomes of those
// before.
func TestEach(t *testing.T) {
	var u unruly
	var outcomes []bool
	Each([]string{"exit", "a", "panic", "b", "exit", "exit", "c", "panic"}, u.take, func(whole bool) { outcomes = append(outcomes, whole) })
	if !slices.Equal(u.whole, []string{"a", "b", "c"}) {
		t.Errorf("%q are whole", u.whole)
	}
	if want := []bool{false, true, false, true, false, false, true, false}; !slices.Equal(outcomes, want) {
		t.Errorf("the outcomes are %v, want %v", outcomes, want)
	}
	Each(nil, u.take, func(bool) { t.Error("something was handed on") })
}

// TestQueue asserts the bound, that nobody waits for what hangs, and that what had
// room arrives in order.
func TestQueue(t *testing.T) {
	u := &unruly{began: make(chan struct{}, 1), release: make(chan struct{})}
	q := NewQueue(4, u.take)
	q.Put("hang")
	<-u.began
	for _, what := range []string{"a", "panic", "b", "too many", "too many"} {
		q.Put(what)
	}
	if n := q.Lost(); n != 2 {
		t.Errorf("%d are lost, want the two that found no room", n)
	}
	q.Close(0) // gives up at once
	q.Put("late")
	close(u.release)
	q.Close(patience)
	if n := q.Lost(); n != 4 {
		t.Errorf("%d are lost, want 4: one panicked, and one came too late", n)
	}
	if !slices.Equal(u.whole, []string{"hang", "a", "b"}) {
		t.Errorf("%q are whole", u.whole)
	}
}

// TestQueueWorksAgain asserts that a queue works again after it was empty. It has no
// goroutine then: goleak finds what is left.
func TestQueueWorksAgain(t *testing.T) {
	handed := make(chan string)
	q := NewQueue(2, func(what string) { handed <- what })
	q.Close(0) // there is nothing to wait for
	q = NewQueue(2, func(what string) { handed <- what })
	for _, what := range []string{"a", "b", "c"} {
		q.Put(what)
		if got := <-handed; got != what {
			t.Errorf("%s was handed on, want %s", got, what)
		}
	}
	q.Close(patience)
	if n := q.Lost(); n != 0 {
		t.Errorf("%d are lost", n)
	}
}

// TestHandler asserts that a line arrives whole, later, and only if its handler
// wants it.
func TestHandler(t *testing.T) {
	var out bytes.Buffer
	var kept []Line
	logger := slog.New(NewHandler(slog.NewTextHandler(&out, nil), func(l Line) { kept = append(kept, l) }))
	logger.With("node", 7).WithGroup("g").Warn("a warning", "peer", 3)
	logger.Debug("nothing for this handler")
	if out.Len() > 0 || !logger.Enabled(context.Background(), slog.LevelDebug) || len(kept) != 2 {
		t.Errorf("%d lines are kept, and %q is written", len(kept), out.String())
	}
	for _, line := range kept {
		line.Write()
	}
	if s := out.String(); strings.Count(s, "\n") != 1 || !strings.Contains(s, `msg="a warning" node=7 g.peer=3`) {
		t.Errorf("the log is %q", s)
	}
}
