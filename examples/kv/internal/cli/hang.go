//go:build hang && unix

package cli

import (
	"context"
	"fmt"
	"os"
	"syscall"
	"time"

	"github.com/trouperaft/troupe"
	"github.com/trouperaft/troupe/examples/kv/internal/machine"
	"github.com/trouperaft/troupe/storage"
)

// A test build, with the tag hang, has parts that fail on request. Its state machine waits
// in Apply, and heeds no context, while the file exists that KV_HANG_FILE names. Its log
// store refuses writes while that of KV_REFUSE_FILE does. In die.go it dies.

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

type refusingLog struct {
	troupe.LogStore
	file string
}

func refusing(log troupe.LogStore) troupe.LogStore {
	if file := os.Getenv("KV_REFUSE_FILE"); file != "" {
		return refusingLog{log, file}
	}
	return dying(log)
}

// Write refuses a batch. Nobody knows what of it is on the disk: all, if the file says so,
// or nothing.
func (l refusingLog) Write(ctx context.Context, b *storage.Batch) error {
	how, err := os.ReadFile(l.file)
	if err != nil {
		return l.LogStore.Write(ctx, b)
	}
	if string(how) == "late" {
		if err := l.LogStore.Write(ctx, b); err != nil {
			return err
		}
	}
	return fmt.Errorf("refused on request: %w", syscall.EIO)
}
