//go:build !hang

package cli

import (
	"github.com/trouperaft/troupe"
	"github.com/trouperaft/troupe/examples/kv/internal/machine"
	"github.com/trouperaft/troupe/examples/kv/internal/server"
)

// upgraded and proposing return what they are given: see upgrade.go.
func upgraded(m machine.Machine) machine.Machine { return m }
func proposing(raft *troupe.Raft) server.Raft    { return raft }
