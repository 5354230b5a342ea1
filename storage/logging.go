package storage

// Logging is a LogStore or a SnapshotStore that has a log of its own. What takes the
// lines may hang: then they are lost, and nobody waits for it (rule 28).
type Logging interface {
	// LinesDropped returns how many lines were lost. Safe for concurrent use.
	LinesDropped() int64
}
