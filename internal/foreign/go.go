package foreign

import (
	"fmt"
	"runtime/debug"
)

// Aborted is how code ended that did not return.
type Aborted struct {
	// Value is what it panicked with, nil if it ended its goroutine (runtime.Goexit).
	Value any
	// Stack is where it panicked.
	Stack []byte
}

// Error implements error. It does not tell the stack.
func (a *Aborted) Error() string {
	if a.Value == nil {
		return "it ended its goroutine"
	}
	return fmt.Sprintf("it panicked: %v", a.Value)
}

// Unwrap returns the panic's value if it is an error.
func (a *Aborted) Unwrap() error {
	err, _ := a.Value.(error)
	return err
}

// Go calls f, which may take as long as it likes, on a goroutine of its own. ended is
// called last, on the same one: with nil when f has returned, else with an *Aborted.
func Go(f func(), ended func(error)) {
	go func() {
		var err error = &Aborted{}
		defer func() {
			if value := recover(); value != nil {
				err = &Aborted{Value: value, Stack: debug.Stack()}
			}
			ended(err)
		}()
		f()
		err = nil
	}()
}
