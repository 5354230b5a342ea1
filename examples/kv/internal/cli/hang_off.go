//go:build !hang || !unix

package cli

import (
	"github.com/trouperaft/troupe"
	"github.com/trouperaft/troupe/examples/kv/internal/machine"
)

// hanging and refusing return what they are given: see hang.go.
func hanging(m machine.Machine) machine.Machine    { return m }
func refusing(log troupe.LogStore) troupe.LogStore { return log }
