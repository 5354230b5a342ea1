package simulation

import "github.com/trouperaft/troupe/core"

// hashChange adds what a message about the members says to a digest. Reports print all
// that they hold, in an order of its own.
func hashChange(d uint64, m core.Message) uint64 {
	return mix(d, hashString(describe(m)))
}
