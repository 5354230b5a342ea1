package core

// writeTracker follows the group's writes until they are durable (rule 1).
//
// Its flushed index is that of the accepted log: whenever entries are removed,
// every earlier write is clipped to what remains, so that the same (term,
// index) written twice is not taken for durable too early.
type writeTracker struct {
	next    IOID
	pending []pendingWrite
	// flushed is the last index of the accepted log that is durable, and
	// flushedTerm the durable term.
	flushed     Index
	flushedTerm Term
}

// pendingWrite is a write that was submitted and is not durable yet.
type pendingWrite struct {
	ioid IOID
	last Index
	term Term
}

// submit numbers a write after which the log ends at last.
func (w *writeTracker) submit(last Index, term Term) IOID {
	w.next++
	w.pending = append(w.pending, pendingWrite{w.next, last, term})
	return w.next
}

// flush takes the watermark n. A notice that is older than what is known, or
// that no write stands behind, changes nothing.
func (w *writeTracker) flush(n IOID) {
	done := 0
	for done < len(w.pending) && w.pending[done].ioid <= n {
		w.flushed, w.flushedTerm = w.pending[done].last, w.pending[done].term
		done++
	}
	rest := copy(w.pending, w.pending[done:])
	w.pending = w.pending[:rest]
}

// clip removes everything above last from the earlier writes.
func (w *writeTracker) clip(last Index) {
	w.flushed = min(w.flushed, last)
	for i := range w.pending {
		w.pending[i].last = min(w.pending[i].last, last)
	}
}

// durable reports whether the accepted log up to i and the term are durable.
func (w *writeTracker) durable(i Index, term Term) bool {
	return len(w.pending) == 0 || i <= w.flushed && term == w.flushedTerm
}
