package troupe

import (
	"errors"
	"io"
	"runtime"
	"testing"
	"time"
)

// busyWriter takes its time, and leaves none to a timer.
type busyWriter time.Duration

func (w busyWriter) Write(p []byte) (int, error) {
	for begun := time.Now(); time.Since(begun) < time.Duration(w); {
	}
	return len(p), nil
}

// TestLateTimerCutsABackup: a write that took too long is told so, though the timer of its limit
// has not run yet.
func TestLateTimerCutsABackup(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	from, _ := io.Pipe()
	w := &impatient{to: busyWriter(2 * time.Millisecond), backup: &backup{from: from}, stall: time.Millisecond}
	if _, err := w.Write([]byte("a")); !errors.Is(err, ErrBackupStalled) {
		t.Errorf("%v", err)
	}
}
