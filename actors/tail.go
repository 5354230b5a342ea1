package actors

import (
	"fmt"
	"slices"
	"sort"
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
	// chunks hold the entries from first up to end, which is not among them, in
	// order; none is empty. An element that was handed out is never written
	// again: entries are only appended behind it.
	chunks     [][]core.Entry
	first, end core.Index
	// lastBytes were put into the last chunk.
	lastBytes int
	// prev is the entry before first; its term is 0 if it has to be read.
	prev  core.LogID
	bytes int

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
	return &tail{bytesMax: bytesMax, first: last.Index + 1, end: last.Index + 1, prev: last, purged: purged, applied: applied}
}

// submit takes a write that the core has decided, before anybody hears of it.
func (t *tail) submit(w *core.Write) {
	t.mu.Lock()
	defer t.mu.Unlock()
	lowest := core.Index(0)
	if w.Reset.Index != 0 {
		t.generation++
		t.begin(w.Reset)
		t.purged = w.Reset
		lowest = w.Reset.Index + 1
	}
	if w.TruncateFrom != 0 {
		t.generation++
		t.truncate(w.TruncateFrom)
		lowest = w.TruncateFrom
	}
	if len(w.Append) > 0 {
		if w.Append[0].Index != t.end {
			panic(fmt.Sprintf("actors: entry %v is appended to a log that ends before %d", w.Append[0].LogID, t.end))
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
	if from < t.first {
		t.begin(core.LogID{Index: from - 1})
		return
	}
	for n := len(t.chunks) - 1; n >= 0; n-- {
		chunk := t.chunks[n]
		keep := 0
		if chunk[0].Index < from {
			keep = min(int(from-chunk[0].Index), len(chunk))
		}
		t.bytes -= core.SizeOf(chunk[keep:])
		if keep > 0 {
			// Without room behind, so that nothing is overwritten.
			t.chunks[n] = chunk[:keep:keep]
			break
		}
		t.chunks[n] = nil
		t.chunks = t.chunks[:n]
	}
	t.end = min(t.end, from)
}

// begin empties the tail; what follows prev is to come.
func (t *tail) begin(prev core.LogID) {
	t.chunks, t.bytes = nil, 0
	t.prev, t.first, t.end = prev, prev.Index+1, prev.Index+1
}

// Chunks grow with the tail, so that an idle group has a small one. An evicted
// entry's memory is free when its chunk is: so one chunk takes no more than a
// part of the bound in bytes.
const chunkEntriesMin, chunkEntriesMax, chunkBytesPart = 16, 512, 4

// adoptEntriesMin is how many entries are a chunk as they come, instead of being
// copied.
const adoptEntriesMin = 16

func (t *tail) extend(entries []core.Entry) {
	t.end += core.Index(len(entries))
	if size := core.SizeOf(entries); len(entries) >= adoptEntriesMin && size <= t.bytesMax/chunkBytesPart {
		t.bytes += size
		t.chunks = append(t.chunks, slices.Clip(entries))
		return
	}
	for len(entries) > 0 {
		n := len(t.chunks)
		if n == 0 || len(t.chunks[n-1]) == cap(t.chunks[n-1]) || t.lastBytes > t.bytesMax/chunkBytesPart {
			size := chunkEntriesMin
			if n > 0 {
				size = min(max(2*len(t.chunks[n-1]), size), chunkEntriesMax)
			}
			t.chunks, t.lastBytes = append(t.chunks, make([]core.Entry, 0, size)), 0
			n++
		}
		last := &t.chunks[n-1]
		fits := t.fill(entries[:min(len(entries), cap(*last)-len(*last))])
		*last = append(*last, entries[:fits]...)
		entries = entries[fits:]
	}
}

// fill counts the bytes of the first entries until the last chunk has its part,
// and returns their number.
func (t *tail) fill(entries []core.Entry) int {
	n, before := 0, t.lastBytes
	for n < len(entries) && t.lastBytes <= t.bytesMax/chunkBytesPart {
		t.lastBytes += entries[n].Size()
		n++
	}
	t.bytes += t.lastBytes - before
	return n
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

// progress returns what is applied, and up to where the log is durable.
func (t *tail) progress() (applied, flushed core.Index) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.applied, t.durable()
}

// durable returns up to where the log is durable.
func (t *tail) durable() core.Index {
	if len(t.unflushed) > 0 {
		return t.unflushed[0].lowest - 1
	}
	return t.end - 1
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
	durable := t.durable()
	for t.first < t.end && t.bytes > t.bytesMax {
		entry := &t.chunks[0][0]
		if entry.Index > durable || entry.Index > t.applied && t.bytes <= 2*t.bytesMax {
			return
		}
		t.bytes -= entry.Size()
		t.prev = entry.LogID
		t.first++
		if t.chunks[0] = t.chunks[0][1:]; len(t.chunks[0]) == 0 {
			t.chunks[0] = nil
			t.chunks = t.chunks[1:]
		}
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

// readForStream reads the entry before first and entries from first up to last,
// within bytesMax, at least one; none if last is first-1. It is one consistent read of a generation (rules 9, 10).
func (t *tail) readForStream(generation uint64, first, last core.Index, bytesMax int) tailRead {
	t.mu.RLock()
	defer t.mu.RUnlock()
	switch {
	case t.generation != generation || first > t.end || last >= t.end:
		return tailRead{err: core.ErrLogChanged}
	case first > t.first:
		return tailRead{served: true, prev: t.at(first - 1).LogID, entries: t.gather(first, last, bytesMax)}
	case first == t.first && (t.prev.Term != 0 || t.prev.Index == 0):
		return tailRead{served: true, prev: t.prev, entries: t.gather(first, last, bytesMax)}
	case first == t.first && t.prev.Index == t.purged.Index:
		return tailRead{served: true, prev: t.purged, entries: t.gather(first, last, bytesMax)}
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
	case last >= t.end:
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

// size returns the bytes of the entries that are held.
func (t *tail) size() int {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.bytes
}

// chunk returns the chunk that holds i, which is in the tail.
func (t *tail) chunk(i core.Index) []core.Entry {
	n := sort.Search(len(t.chunks), func(n int) bool { return t.chunks[n][0].Index > i })
	return t.chunks[n-1]
}

func (t *tail) at(i core.Index) *core.Entry {
	chunk := t.chunk(i)
	return &chunk[i-chunk[0].Index]
}

// slice returns entries from first to last, as many as fit into bytesMax and
// stand in one chunk, at least one.
func (t *tail) slice(first, last core.Index, bytesMax int) []core.Entry {
	if last < first {
		return nil
	}
	chunk := t.chunk(first)
	from := int(first - chunk[0].Index)
	part, _ := core.Fitting(chunk[from:min(from+int(last-first)+1, len(chunk))], bytesMax, 0)
	return part
}

// gather returns entries like slice, but those of several small chunks together:
// a message is worth a copy.
func (t *tail) gather(first, last core.Index, bytesMax int) []core.Entry {
	part := t.slice(first, last, bytesMax)
	next := first + core.Index(len(part))
	if len(part) == 0 || len(part) >= gatherEntriesMin || next > last || part[len(part)-1].Index != t.chunkEnd(first) {
		return part
	}
	gathered := append(make([]core.Entry, 0, min(int(last-first)+1, chunkEntriesMax)), part...)
	bytes := core.SizeOf(part)
	for next <= last && len(gathered) < cap(gathered) {
		chunk := t.chunk(next)
		from := int(next - chunk[0].Index)
		whole := chunk[from:min(from+int(last-next)+1, len(chunk), from+cap(gathered)-len(gathered))]
		part, bytes = core.Fitting(whole, bytesMax, bytes)
		gathered = append(gathered, part...)
		next += core.Index(len(part))
		if len(part) < len(whole) {
			break
		}
	}
	return gathered
}

// gatherEntriesMin is how many entries of one chunk are a message by themselves.
const gatherEntriesMin = 64

// chunkEnd returns the last index of the chunk that holds i.
func (t *tail) chunkEnd(i core.Index) core.Index {
	chunk := t.chunk(i)
	return chunk[len(chunk)-1].Index
}
