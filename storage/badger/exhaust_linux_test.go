package badger

import (
	"errors"
	"os"
	"syscall"
	"testing"
)

// exhaust takes all descriptors of the process but a few, until free is called. before
// is how many were in use.
func exhaust(t *testing.T, left int) (before int, free func()) {
	t.Helper()
	before = countDescriptors(t)
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	few := limit
	few.Cur = uint64(before) + 100
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
	return before, func() {
		release(len(taken))
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
			t.Error(err)
		}
	}
}
