//go:build unix

package cli

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// TestInspectIsInterrupted: what an inspection has made for itself is removed when a signal
// ends it, and what was not looked at to the end is not called damaged.
func TestInspectIsInterrupted(t *testing.T) {
	data, temporary := t.TempDir(), t.TempDir()
	written(t, data)()
	t.Setenv("TMPDIR", temporary)
	// The machine's inspection waits at this log until somebody writes to it. By then it has
	// made its directory, and so has that of the node's log.
	held := filepath.Join(data, machineDir, "99999.mem")
	if err := syscall.Mkfifo(held, 0o600); err != nil {
		t.Fatal(err)
	}
	type ended struct {
		found *inspected
		err   error
	}
	for _, verify := range []bool{false, true} {
		ctx, stop := interruptible(t.Context())
		defer stop()
		done := make(chan ended, 1)
		go func() {
			found, err := inspect(ctx, data, verify, indexRange{})
			done <- ended{found, err}
		}()
		release, err := os.OpenFile(held, os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		if made, err := os.ReadDir(temporary); err != nil || len(made) != 2 {
			t.Errorf("%d directories while it looks, %v", len(made), err)
		}
		if err := syscall.Kill(os.Getpid(), syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
		<-ctx.Done()
		if err := release.Close(); err != nil {
			t.Fatal(err)
		}
		if end := <-done; end.found != nil || end.err == nil || !errors.Is(end.err, context.Cause(ctx)) {
			t.Errorf("with verify %t: %+v, %v", verify, end.found, end.err)
		}
		if left, err := os.ReadDir(temporary); err != nil || len(left) != 0 {
			t.Errorf("%v are left, %v", left, err)
		}
	}
}
