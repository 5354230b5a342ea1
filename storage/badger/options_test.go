package badger

import (
	"testing"

	"github.com/trouperaft/troupe/internal/settingstest"
)

// TestNegativeOptions asserts that each number that can be negative has a rule. A
// negative FreeBytesMin turns the guard off.
func TestNegativeOptions(t *testing.T) {
	settingstest.Negative(t, Options{Node: 1}, func(o Options) error { return o.complete() }, "FreeBytesMin")
}
