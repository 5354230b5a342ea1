package exhaust

import (
	"errors"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"
)

// InUse counts the descriptors of the process.
func InUse(t *testing.T) int {
	t.Helper()
	names, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(names)
}

// Descriptors takes all descriptors of the process but a few, until free is called.
func Descriptors(t *testing.T, left int) (free func()) {
	t.Helper()
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	few := limit
	few.Cur = uint64(InUse(t)) + 100
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &few); err != nil {
		t.Fatal(err)
	}
	var taken []*os.File
	var err error
	for err == nil {
		var f *os.File
		if f, err = os.Open(os.DevNull); err == nil {
			taken = append(taken, f)
		}
	}
	if !errors.Is(err, syscall.EMFILE) {
		t.Fatal(err)
	}
	release := func(n int) {
		for _, f := range taken[:n] {
			_ = f.Close()
		}
		taken = taken[n:]
	}
	release(left)
	return func() {
		release(len(taken))
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
			t.Error(err)
		}
	}
}

// moment is held for one.
var moment sync.Mutex

// ForAMoment takes all descriptors, and gives them back in a moment, when a call that
// does not wait for them has long failed.
func ForAMoment(t *testing.T) {
	t.Helper()
	moment.Lock()
	free := Descriptors(t, 0)
	freed := make(chan struct{})
	time.AfterFunc(50*time.Millisecond, func() {
		defer moment.Unlock()
		defer close(freed)
		free()
	})
	t.Cleanup(func() { <-freed })
}
