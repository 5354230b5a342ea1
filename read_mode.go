package troupe

import (
	"fmt"
	"time"

	"github.com/trouperaft/troupe/actors"
)

// ReadMode says how current a read has to be. The zero value is [Linearizable].
type ReadMode struct {
	mode  actors.ReadMode
	max   time.Duration
	index Index
}

// Linearizable reads see every write that was acknowledged before they began,
// wherever it was made (dissertation, 6.4). They never trust a clock. Each costs a
// round of heartbeats, which all reads that wait share.
var Linearizable = ReadMode{}

// Lease reads see what [Linearizable] ones do, as long as no two clocks differ in
// their rates by more than Config.ClockDriftMax. The leader answers them at once
// while its lease lasts, and by a round of heartbeats when it does not. Other members
// ask the leader once.
//
// A clock shows no pause in which the whole machine stands still from outside: a
// virtual machine that is paused, or continued from a snapshot. Where that may happen
// use Linearizable.
var Lease = ReadMode{mode: actors.ReadLease}

// Stale reads may miss what was acknowledged within max before they began, and see
// everything that was acknowledged earlier. They are answered at once where the state
// is current enough, and otherwise ask the leader, for all reads that wait together. On
// systems other than Linux, where nothing tells for how long the machine was suspended,
// they ask each time.
// No clock of another node counts for the bound. max is more than 0, and at most 24
// hours.
func Stale(max time.Duration) ReadMode { return ReadMode{mode: actors.ReadStale, max: max} }

// AtLeast reads see everything up to an entry, which need not be committed yet: with
// the Index of a Result they see the caller's own write, on any member. They ask
// nobody, and wait for as long as it takes.
func AtLeast(index Index) ReadMode { return ReadMode{mode: actors.ReadAtLeast, index: index} }

// String returns "linearizable", "lease", "stale 500ms" or "at least 7".
func (m ReadMode) String() string {
	switch m.mode {
	case actors.ReadLease:
		return "lease"
	case actors.ReadStale:
		return "stale " + m.max.String()
	case actors.ReadAtLeast:
		return fmt.Sprintf("at least %d", m.index)
	}
	return "linearizable"
}

// staleMax bounds how old a state may be that a read accepts.
const staleMax = 24 * time.Hour

// validate names what no read can be.
func (m ReadMode) validate() error {
	if m.mode == actors.ReadStale && (m.max <= 0 || m.max > staleMax) {
		return &ConfigError{Field: "Stale", Rule: fmt.Sprintf("%v is not more than 0 and at most %v", m.max, staleMax)}
	}
	return nil
}

// ReadOption changes how one read is treated. The zero value changes nothing.
type ReadOption struct {
	limitLag        bool
	lagMax          uint64
	failWithoutRoom bool
}

// MaxLag does not wait for a state machine that is far behind. If it is more than
// this many entries behind the index of the read, ReadIndex fails at once with
// *TooStaleError.
func MaxLag(entries uint64) ReadOption { return ReadOption{limitLag: true, lagMax: entries} }

// FailReadWithoutRoom does not wait for room. If too many reads are under way on this
// node, ReadIndex fails at once with ErrOverloaded: what [FailWithoutRoom] does for
// proposals.
func FailReadWithoutRoom() ReadOption { return ReadOption{failWithoutRoom: true} }
