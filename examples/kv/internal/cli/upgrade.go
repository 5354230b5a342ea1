//go:build hang

package cli

import (
	"context"
	"os"
	"strconv"

	"github.com/trouperaft/troupe"
	"github.com/trouperaft/troupe/examples/kv/internal/machine"
	"github.com/trouperaft/troupe/examples/kv/internal/server"
)

// A test build, with the tag hang, tells of its state machine the version that
// KV_MACHINE_VERSION names, and proposes every command as one that needs the version that
// KV_NEEDS_VERSION names.

type upgradedMachine struct {
	machine.Machine
	version uint64
}

func (m upgradedMachine) Version() uint64 { return m.version }

func upgraded(m machine.Machine) machine.Machine {
	if version, err := strconv.ParseUint(os.Getenv("KV_MACHINE_VERSION"), 10, 64); err == nil {
		return upgradedMachine{m, version}
	}
	return m
}

type needing struct {
	*troupe.Raft
	version uint64
}

func (n needing) Propose(ctx context.Context, command []byte, options ...troupe.ProposeOption) (troupe.Result, error) {
	return n.Raft.Propose(ctx, command, append(options, troupe.NeedsVersion(n.version))...)
}

func proposing(raft *troupe.Raft) server.Raft {
	if version, err := strconv.ParseUint(os.Getenv("KV_NEEDS_VERSION"), 10, 64); err == nil {
		return needing{raft, version}
	}
	return raft
}
