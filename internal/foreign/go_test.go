package foreign

import (
	"errors"
	"runtime"
	"strings"
	"testing"
)

// TestGo: whatever becomes of what is called, it is told once.
func TestGo(t *testing.T) {
	cause := errors.New("a cause")
	for name, test := range map[string]struct {
		f     func()
		says  string
		cause error
		stack bool
	}{
		"returns":            {func() {}, "", nil, false},
		"panics":             {func() { panic("a word") }, "it panicked: a word", nil, true},
		"panics by an error": {func() { panic(cause) }, "it panicked: a cause", cause, true},
		"panics with nil":    {func() { panic(nil) }, "it panicked: panic called with nil", nil, true},
		"ends its goroutine": {runtime.Goexit, "it ended its goroutine", nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			ended := make(chan error, 2)
			Go(test.f, func(err error) { ended <- err })
			err := <-ended
			if (err == nil) != (test.says == "") || err != nil && !strings.HasPrefix(err.Error(), test.says) {
				t.Fatalf("%v, want %q", err, test.says)
			}
			if test.cause != nil && !errors.Is(err, test.cause) {
				t.Errorf("%v does not wrap its cause", err)
			}
			var aborted *Aborted
			if errors.As(err, &aborted) && (len(aborted.Stack) > 0) != test.stack {
				t.Errorf("a stack of %d bytes", len(aborted.Stack))
			}
		})
	}
}
