//go:build !linux

package exhaust

import "testing"

const why = "counts and limits descriptors as Linux does"

// InUse skips the test.
func InUse(t *testing.T) int {
	t.Skip(why)
	return 0
}

// Descriptors skips the test.
func Descriptors(t *testing.T, _ int) (free func()) {
	t.Skip(why)
	return nil
}

// ForAMoment skips the test.
func ForAMoment(t *testing.T) { t.Skip(why) }
