// Package memlog holds the end of one group's log in memory.
//
// A log has a store, which is on a disk. A Log stands before it: it serves what the
// store does not have yet, and what is read again and again by those who follow
// closely. It knows nothing of actors, and does no I/O. Everything may be called
// from any goroutine; nothing waits but for a lock that nobody holds for long.
//
// One goroutine writes. It calls Submit with each write that it has decided, in their
// order and before it hands the write to the store. Whoever writes the store calls
// Flushed when it is durable, whoever applies entries calls SetApplied. These two
// decide what is evicted:
//
//	log := memlog.New(64<<20, purged, last, applied)
//	log.Submit(&core.Write{IOID: 1, Append: entries}) // served from now on
//	// ... the store writes and syncs ...
//	log.Flushed(1)
//	log.SetApplied(last) // now it may be evicted
//
// There are two kinds of readers. Who applies entries reads those that are committed,
// which no truncation touches: ReadForApply. Who replicates them reads what may be
// truncated behind him. He keeps the Generation in which he began, and each
// ReadForStream of another one ends with core.ErrLogChanged (rules 9 and 10).
//
// A Read that is not served says what the store is to be asked for. What the store
// returns of entries that may be truncated is good only if SettleStoreRead says so:
//
//	r := log.ReadForStream(generation, first, last, bytesMax)
//	if !r.Served && r.Err == nil {
//		// ... read entries up to r.StoreLast, and prev, the one before them ...
//		err = log.SettleStoreRead(generation, first, prev)
//	}
//
// Entries that were handed in or out are shared: nobody changes them any more.
//
// AppendTimes tells for how long an entry has been in a log, within an eighth, in
// bounded memory.
package memlog
