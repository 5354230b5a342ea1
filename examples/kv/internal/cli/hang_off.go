//go:build !hang

package cli

import "github.com/trouperaft/troupe/examples/kv/internal/machine"

// hanging returns a machine as it is: see hang.go.
func hanging(m machine.Machine) machine.Machine { return m }
