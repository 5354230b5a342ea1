package core

import "time"

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
	// slowest is the longest that a write took from its submission, since it was
	// set to 0 last.
	slowest time.Duration
}

// pendingWrite is a write that was submitted and is not durable yet.
type pendingWrite struct {
	ioid      IOID
	last      Index
	term      Term
	submitted Instant
	// answer is the answer to a leader that leaves with it, if there is one.
	answer *AppendResponse
}

// submit numbers a write after which the log ends at last.
func (w *writeTracker) submit(now Instant, last Index, term Term) IOID {
	w.next++
	w.pending = append(w.pending, pendingWrite{ioid: w.next, last: last, term: term, submitted: now})
	return w.next
}

// carries notes that an answer leaves with the write that was submitted last.
func (w *writeTracker) carries(r *AppendResponse) { w.pending[len(w.pending)-1].answer = r }

// promised reports whether a write that is not durable yet carries an answer to
// the same stream that says as much as r.
func (w *writeTracker) promised(r *AppendResponse) bool {
	for i := len(w.pending) - 1; i >= 0; i-- {
		a := w.pending[i].answer
		if a != nil && a.To == r.To && a.Stream == r.Stream && a.Header.Term == r.Header.Term && a.Match >= r.Match {
			return true
		}
	}
	return false
}

// flush takes the watermark n. A notice that is older than what is known, or
// that no write stands behind, changes nothing.
func (w *writeTracker) flush(now Instant, n IOID) {
	done := 0
	for done < len(w.pending) && w.pending[done].ioid <= n {
		p := &w.pending[done]
		w.flushed, w.flushedTerm = p.last, p.term
		w.slowest = max(w.slowest, now.Sub(p.submitted))
		done++
	}
	rest := copy(w.pending, w.pending[done:])
	w.pending = w.pending[:rest]
}

// oldest returns for how long the oldest write that is not durable has been out.
func (w *writeTracker) oldest(now Instant) time.Duration {
	if len(w.pending) == 0 {
		return 0
	}
	return now.Sub(w.pending[0].submitted)
}

// clip removes everything above last from the earlier writes.
func (w *writeTracker) clip(last Index) {
	w.flushed = min(w.flushed, last)
	for i := range w.pending {
		w.pending[i].last = min(w.pending[i].last, last)
	}
}

// over reports whether a write, and all before it, are durable.
func (w *writeTracker) over(n IOID) bool { return len(w.pending) == 0 || n < w.pending[0].ioid }

// durable reports whether the accepted log up to i and the term are durable.
func (w *writeTracker) durable(i Index, term Term) bool {
	return len(w.pending) == 0 || i <= w.flushed && term == w.flushedTerm
}
