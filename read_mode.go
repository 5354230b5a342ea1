package troupe

import (
	"fmt"
	"time"
)

// ReadMode says how current a read has to be. Its zero value is [Linearizable].
type ReadMode struct {
	kind     readKind
	staleMax time.Duration
}

type readKind uint8

const (
	readLinearizable readKind = iota
	readLease
	readStale
)

// Linearizable reads see every write that was acknowledged before they began,
// wherever it was made (dissertation, 6.4). They never trust a clock.
var Linearizable = ReadMode{}

// Lease reads trust the clocks of the members instead of asking a quorum. This
// version answers them with *UnsupportedError.
var Lease = ReadMode{kind: readLease}

// Stale reads see a state that is at most so old. This version answers them
// with *UnsupportedError.
func Stale(ageMax time.Duration) ReadMode { return ReadMode{kind: readStale, staleMax: ageMax} }

// String returns "linearizable", "lease" or, for instance, "stale up to 2s".
func (m ReadMode) String() string {
	switch m.kind {
	case readLease:
		return "lease"
	case readStale:
		return fmt.Sprintf("stale up to %v", m.staleMax)
	}
	return "linearizable"
}

func (m ReadMode) validate() error {
	if m.kind != readLinearizable {
		return &UnsupportedError{What: fmt.Sprintf("a read of mode %q", m)}
	}
	return nil
}
