//go:build hang

package cli

import (
	"context"
	"os"
	"time"

	"github.com/trouperaft/troupe"
	"github.com/trouperaft/troupe/examples/kv/internal/machine"
)

// A test build, with the tag hang, has a state machine that waits in Apply, and heeds no
// context, while the file exists that KV_HANG_FILE names.

type hangingMachine struct {
	machine.Machine
	file string
}

func hanging(m machine.Machine) machine.Machine {
	if file := os.Getenv("KV_HANG_FILE"); file != "" {
		return hangingMachine{m, file}
	}
	return m
}

func (m hangingMachine) Apply(ctx context.Context, entries []troupe.Entry) ([][]byte, error) {
	for {
		if _, err := os.Stat(m.file); err != nil {
			return m.Machine.Apply(ctx, entries)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
