package simulation

import (
	"os"
	"runtime/debug"
	"testing"

	"go.uber.org/goleak"
)

// TestMain lets garbage pile up: a run makes much of it and keeps little.
func TestMain(m *testing.M) {
	debug.SetGCPercent(400)
	code := m.Run()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			println(err.Error())
			code = 1
		}
	}
	os.Exit(code)
}
