// Package machine holds the state machines of the key-value store: [Memory]
// keeps the pairs in the process, and [Badger] keeps them on disk.
//
// Both carry out the same commands ([Put], [Delete], [CompareAndSwap]), and
// write and read the same snapshots. So a cluster may mix them.
package machine

import (
	"io"

	"github.com/trouperaft/troupe/storage"
)

// Machine is a replicated map from keys to values.
type Machine interface {
	storage.StateMachine
	// Version is that of the commands and snapshots that it takes.
	storage.Versioned
	// Get returns the value of a key as of some applied entry, never of half a
	// batch or half a restore. It may be called from any goroutine, beside
	// everything else. The value must not be changed.
	Get(key string) (value []byte, found bool, err error)
	// Close waits for views that are being written, and for reads. Call it
	// after the group has stopped.
	io.Closer
}
