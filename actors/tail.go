package actors

import (
	"fmt"
	"slices"
	"sync"

	"github.com/trouperaft/troupe/core"
)

// tail is the end of a group's log in memory. The core actor writes it, streams
// and the apply actor read it, the log actor tells what is durable.
//
// It always holds everything from the lowest index that an unflushed write
// touches (rule 9), so that what is not in it can be read from the store. Beyond
// that it keeps entries up to a bound in bytes: first those go that are flushed
// and applied; those that are only flushed stay up to twice the bound, so that a
// machine that lags does not read the disk for every batch.
type tail struct {
	bytesMax int

	mu sync.RWMutex
	// entries are consecutive; the first has index first. The backing array is
	// never overwritten where it was handed out.
	entries []core.Entry
	first   core.Index
	// prev is the entry before first; its term is 0 if it has to be read.
	prev core.LogID
	// evicted counts the entries that were cut off the front of the backing
	// array and still keep their data alive.
	evicted int
	bytes   int

	// generation is raised by each truncation and reset (rule 9).
	generation uint64
	purged     core.LogID
	applied    core.Index
	// unflushed are the writes that are not durable, with the lowest index that
	// each touches. A write that a later one reaches below of is left out, so
	// that the first is the lowest of all.
	unflushed []unflushedWrite
}

type unflushedWrite struct {
	ioid   core.IOID
	lowest core.Index
}

func newTail(bytesMax int, purged, last core.LogID, applied core.Index) *tail {
	return &tail{bytesMax: bytesMax, first: last.Index + 1, prev: last, purged: purged, applied: applied}
}

// submit takes a write that the core has decided, before anybody hears of it.
func (t *tail) submit(w *core.Write) {
	t.mu.Lock()
	defer t.mu.Unlock()
	lowest := core.Index(0)
	if w.Reset.Index != 0 {
		t.generation++
		t.cut(nil, w.Reset.Index+1, w.Reset)
		t.purged = w.Reset
		lowest = w.Reset.Index + 1
	}
	if w.TruncateFrom != 0 {
		t.generation++
		t.truncate(w.TruncateFrom)
		lowest = w.TruncateFrom
	}
	if len(w.Append) > 0 {
		if next := t.first + core.Index(len(t.entries)); w.Append[0].Index != next {
			panic(fmt.Sprintf("actors: entry %v is appended to a log that ends before %d", w.Append[0].LogID, next))
		}
		t.extend(w.Append)
		if lowest == 0 {
			lowest = w.Append[0].Index
		}
	}
	if w.Purge.Index > t.purged.Index {
		t.purged = w.Purge
	}
	if lowest == 0 {
		return
	}
	n := len(t.unflushed)
	for n > 0 && t.unflushed[n-1].lowest >= lowest {
		n--
	}
	t.unflushed = append(t.unflushed[:n], unflushedWrite{w.IOID, lowest})
	t.evict()
}

func (t *tail) truncate(from core.Index) {
	if from >= t.first {
		keep := int(from - t.first)
		for i := keep; i < len(t.entries); i++ {
			t.bytes -= t.entries[i].Size()
		}
		// Readers may hold what is cut off: appending must not overwrite it.
		t.entries = t.entries[:keep:keep]
		return
	}
	t.cut(nil, from, core.LogID{Index: from - 1})
}

// cut replaces everything by entries that follow prev.
func (t *tail) cut(entries []core.Entry, first core.Index, prev core.LogID) {
	t.entries, t.first, t.prev = entries, first, prev
	t.bytes, t.evicted = core.SizeOf(entries), 0
}

func (t *tail) extend(entries []core.Entry) {
	if cap(t.entries)-len(t.entries) < len(entries) {
		t.evicted = 0 // append moves what is left
	}
	t.entries = append(t.entries, entries...)
	t.bytes += core.SizeOf(entries)
}

// flushed takes the watermark of durable writes.
func (t *tail) flushed(n core.IOID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	done := 0
	for done < len(t.unflushed) && t.unflushed[done].ioid <= n {
		done++
	}
	t.unflushed = slices.Delete(t.unflushed, 0, done)
	t.evict()
}

// setApplied says how far the state machine is.
func (t *tail) setApplied(i core.Index) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.applied = max(t.applied, i)
	t.evict()
}

// evict cuts off the oldest entries while there are too many bytes.
func (t *tail) evict() {
	if t.bytes <= t.bytesMax {
		return
	}
	durable := t.first + core.Index(len(t.entries)) - 1
	if len(t.unflushed) > 0 {
		durable = t.unflushed[0].lowest - 1
	}
	n := 0
	for n < len(t.entries) && t.bytes > t.bytesMax {
		entry := &t.entries[n]
		if entry.Index > durable || entry.Index > t.applied && t.bytes <= 2*t.bytesMax {
			break
		}
		t.bytes -= entry.Size()
		n++
	}
	if n == 0 {
		return
	}
	t.prev = t.entries[n-1].LogID
	t.first += core.Index(n)
	t.entries = t.entries[n:]
	if t.evicted += n; t.evicted > len(t.entries) {
		t.entries, t.evicted = slices.Clone(t.entries), 0
	}
}

// tailRead is the answer of the memory to a read.
type tailRead struct {
	// served: prev and entries are the answer. Otherwise err says that there is
	// none, or the store has to be asked for entries up to storeLast.
	served    bool
	prev      core.LogID
	entries   []core.Entry
	err       error
	storeLast core.Index
}

// now returns the present generation.
func (t *tail) now() uint64 {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.generation
}

// readForStream reads the entry before first and the entries from first to
// last, as many as fit into bytesMax, at least one; none if last is first-1. It
// is one consistent read of a generation (rules 9, 10).
func (t *tail) readForStream(generation uint64, first, last core.Index, bytesMax int) tailRead {
	t.mu.RLock()
	defer t.mu.RUnlock()
	end := t.first + core.Index(len(t.entries)) // exclusive
	switch {
	case t.generation != generation || first > end || last >= end:
		return tailRead{err: core.ErrLogChanged}
	case first > t.first:
		return tailRead{served: true, prev: t.entries[first-1-t.first].LogID, entries: t.slice(first, last, bytesMax)}
	case first == t.first && (t.prev.Term != 0 || t.prev.Index == 0):
		return tailRead{served: true, prev: t.prev, entries: t.slice(first, last, bytesMax)}
	case first == t.first && t.prev.Index == t.purged.Index:
		return tailRead{served: true, prev: t.purged, entries: t.slice(first, last, bytesMax)}
	case first <= t.purged.Index:
		return tailRead{err: core.ErrCompacted}
	case first-1 == t.purged.Index && last < first:
		return tailRead{served: true, prev: t.purged}
	}
	return tailRead{storeLast: min(last, t.first-1), prev: t.purged}
}

// settleStoreRead judges what the store returned for a readForStream: whether
// prev and the entries behind it are still this generation's. It learns prev,
// which a truncation made the tail forget.
func (t *tail) settleStoreRead(generation uint64, first core.Index, prev core.LogID) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.generation != generation:
		return core.ErrLogChanged
	case first <= t.purged.Index:
		return core.ErrCompacted
	}
	if t.prev.Index == prev.Index {
		t.prev = prev
	}
	return nil
}

// readForApply reads from first on, or says up to where the store is to be
// asked. Committed entries are of every generation.
func (t *tail) readForApply(first, last core.Index, entriesMax, bytesMax int) tailRead {
	t.mu.RLock()
	defer t.mu.RUnlock()
	last = min(last, first+core.Index(entriesMax)-1)
	switch {
	case first < t.first && first <= t.purged.Index:
		return tailRead{err: core.ErrCompacted}
	case first < t.first:
		return tailRead{storeLast: min(last, t.first-1)}
	case last >= t.first+core.Index(len(t.entries)):
		return tailRead{err: core.ErrLogChanged}
	}
	return tailRead{served: true, entries: t.slice(first, last, bytesMax)}
}

// purgedUpTo returns what the log no longer holds.
func (t *tail) purgedUpTo() core.LogID {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.purged
}

// slice returns the entries from first to last, as many as fit into bytesMax, at
// least one.
func (t *tail) slice(first, last core.Index, bytesMax int) []core.Entry {
	if last < first {
		return nil
	}
	from, to := int(first-t.first), int(last-t.first)+1
	bytes, n := 0, from
	for n < to {
		if bytes += t.entries[n].Size(); bytes > bytesMax && n > from {
			break
		}
		n++
	}
	return t.entries[from:n:n]
}
