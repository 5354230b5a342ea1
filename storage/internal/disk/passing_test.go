package disk

import (
	"errors"
	"fmt"
	"syscall"
	"testing"
	"time"
)

// TestPatiently: what passes is waited for, so long and no longer, and nothing else
// is tried again.
func TestPatiently(t *testing.T) {
	lack := fmt.Errorf("open: %w", syscall.EMFILE)
	final := fmt.Errorf("sync: %w", syscall.EIO)
	for name, c := range map[string]struct {
		answers  []error
		patience time.Duration
		want     error
	}{
		"works":            {[]error{nil}, time.Hour, nil},
		"passes":           {[]error{lack, lack, nil}, time.Hour, nil},
		"fails":            {[]error{final}, time.Hour, final},
		"fails afterwards": {[]error{lack, final}, time.Hour, final},
		"does not pass":    {[]error{lack}, 0, lack},
	} {
		t.Run(name, func(t *testing.T) {
			calls := 0
			err := Patiently(c.patience, func() error { calls++; return c.answers[calls-1] })
			if !errors.Is(err, c.want) || calls != len(c.answers) {
				t.Errorf("%v after %d calls, want %v after %d", err, calls, c.want, len(c.answers))
			}
		})
	}
}
