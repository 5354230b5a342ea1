package storage

// Filling is a LogStore that refuses writes before its disk is full (NoSpaceError), and
// tells before it does. storage/badger is one. A node lets go of what its logs keep for
// others then, so that a purge makes room.
type Filling interface {
	// NearlyFull reports whether the last write found so little room that the store will
	// refuse writes before long. It waits for nothing, and is safe for concurrent use.
	NearlyFull() bool
}
