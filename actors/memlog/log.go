package memlog

import (
	"fmt"
	"slices"
	"sort"
	"sync"

	"github.com/trouperaft/troupe/core"
)

// Log is the end of a group's log in memory. Make it by New. It may be used by many
// goroutines, of which one calls Submit.
//
// It always holds everything from the lowest index that an unflushed write
// touches (rule 9), so that what is not in it can be read from the store. Beyond
// that it keeps entries up to a bound in bytes: first those go that are flushed
// and applied; those that are only flushed stay up to twice the bound, so that a
// machine that lags does not read the disk for every batch.
type Log struct {
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

// New returns a Log that holds nothing yet. The store has the entries behind purged up
// to last; those up to applied are applied. bytesMax bounds what is kept, with the
// exceptions above.
func New(bytesMax int, purged, last core.LogID, applied core.Index) *Log {
	return &Log{bytesMax: bytesMax, first: last.Index + 1, end: last.Index + 1, prev: last, purged: purged, applied: applied}
}

// Submit takes a write that was decided, before anybody hears of it. Readers get its
// entries from now on, and must not change them. It panics if they do not follow the
// last entry.
func (m *Log) Submit(w *core.Write) {
	m.mu.Lock()
	defer m.mu.Unlock()
	lowest := core.Index(0)
	if w.Reset.Index != 0 {
		m.generation++
		m.begin(w.Reset)
		m.purged = w.Reset
		lowest = w.Reset.Index + 1
	}
	if w.TruncateFrom != 0 {
		m.generation++
		m.truncate(w.TruncateFrom)
		lowest = w.TruncateFrom
	}
	if len(w.Append) > 0 {
		if w.Append[0].Index != m.end {
			panic(fmt.Sprintf("memlog: entry %v is appended to a log that ends before %d", w.Append[0].LogID, m.end))
		}
		m.extend(w.Append)
		if lowest == 0 {
			lowest = w.Append[0].Index
		}
	}
	if w.Purge.Index > m.purged.Index {
		m.purged = w.Purge
	}
	if lowest == 0 {
		return
	}
	n := len(m.unflushed)
	for n > 0 && m.unflushed[n-1].lowest >= lowest {
		n--
	}
	m.unflushed = append(m.unflushed[:n], unflushedWrite{w.IOID, lowest})
	m.evict()
}

func (m *Log) truncate(from core.Index) {
	if from < m.first {
		m.begin(core.LogID{Index: from - 1})
		return
	}
	for n := len(m.chunks) - 1; n >= 0; n-- {
		chunk := m.chunks[n]
		keep := 0
		if chunk[0].Index < from {
			keep = min(int(from-chunk[0].Index), len(chunk))
		}
		m.bytes -= core.SizeOf(chunk[keep:])
		if keep > 0 {
			// Without room behind, so that nothing is overwritten.
			m.chunks[n] = chunk[:keep:keep]
			break
		}
		m.chunks[n] = nil
		m.chunks = m.chunks[:n]
	}
	m.end = min(m.end, from)
}

// begin empties it; what follows prev is to come.
func (m *Log) begin(prev core.LogID) {
	m.chunks, m.bytes = nil, 0
	m.prev, m.first, m.end = prev, prev.Index+1, prev.Index+1
}

// Chunks grow with the in-memory log, so that an idle group has a small one. An
// evicted entry's memory is free when its chunk is: so one chunk takes no more
// than a part of the bound in bytes.
const chunkEntriesMin, chunkEntriesMax, chunkBytesPart = 16, 512, 4

// adoptEntriesMin is how many entries are a chunk as they come, instead of being
// copied.
const adoptEntriesMin = 16

func (m *Log) extend(entries []core.Entry) {
	m.end += core.Index(len(entries))
	if size := core.SizeOf(entries); len(entries) >= adoptEntriesMin && size <= m.bytesMax/chunkBytesPart {
		m.bytes += size
		m.chunks = append(m.chunks, slices.Clip(entries))
		return
	}
	for len(entries) > 0 {
		n := len(m.chunks)
		if n == 0 || len(m.chunks[n-1]) == cap(m.chunks[n-1]) || m.lastBytes > m.bytesMax/chunkBytesPart {
			size := chunkEntriesMin
			if n > 0 {
				size = min(max(2*len(m.chunks[n-1]), size), chunkEntriesMax)
			}
			m.chunks, m.lastBytes = append(m.chunks, make([]core.Entry, 0, size)), 0
			n++
		}
		last := &m.chunks[n-1]
		fits := m.fill(entries[:min(len(entries), cap(*last)-len(*last))])
		*last = append(*last, entries[:fits]...)
		entries = entries[fits:]
	}
}

// fill counts the bytes of the first entries until the last chunk has its part,
// and returns their number.
func (m *Log) fill(entries []core.Entry) int {
	n, before := 0, m.lastBytes
	for n < len(entries) && m.lastBytes <= m.bytesMax/chunkBytesPart {
		m.lastBytes += entries[n].Size()
		n++
	}
	m.bytes += m.lastBytes - before
	return n
}

// Flushed takes the watermark of durable writes: n and all before it are.
func (m *Log) Flushed(n core.IOID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	done := 0
	for done < len(m.unflushed) && m.unflushed[done].ioid <= n {
		done++
	}
	m.unflushed = slices.Delete(m.unflushed, 0, done)
	m.evict()
}

// Progress returns what is applied, and up to where the log is durable.
func (m *Log) Progress() (applied, flushed core.Index) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.applied, m.durable()
}

// durable returns up to where the log is durable.
func (m *Log) durable() core.Index {
	if len(m.unflushed) > 0 {
		return m.unflushed[0].lowest - 1
	}
	return m.end - 1
}

// SetApplied says that entries up to i are applied. A lower i says nothing.
func (m *Log) SetApplied(i core.Index) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.applied = max(m.applied, i)
	m.evict()
}

// evict cuts off the oldest entries while there are too many bytes.
func (m *Log) evict() {
	if m.bytes <= m.bytesMax {
		return
	}
	durable := m.durable()
	for m.first < m.end && m.bytes > m.bytesMax {
		entry := &m.chunks[0][0]
		if entry.Index > durable || entry.Index > m.applied && m.bytes <= 2*m.bytesMax {
			return
		}
		m.bytes -= entry.Size()
		m.prev = entry.LogID
		m.first++
		if m.chunks[0] = m.chunks[0][1:]; len(m.chunks[0]) == 0 {
			m.chunks[0] = nil
			m.chunks = m.chunks[1:]
		}
	}
}

// Read answers ReadForStream and ReadForApply.
type Read struct {
	// Served: Prev, the entry before the first, and Entries are the answer.
	// Otherwise Err says that there is none, core.ErrCompacted or
	// core.ErrLogChanged; or it is nil, and the store has to be asked for entries up
	// to StoreLast. Then Prev is what was purged last.
	Served    bool
	Prev      core.LogID
	Entries   []core.Entry
	Err       error
	StoreLast core.Index
}

// Generation returns the present generation: each truncation and reset begins another.
func (m *Log) Generation() uint64 {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.generation
}

// ReadForStream reads the entry before first and entries from first up to last,
// within bytesMax, at least one; none if last is first-1. It is one consistent read
// of a generation (rules 9, 10).
func (m *Log) ReadForStream(generation uint64, first, last core.Index, bytesMax int) Read {
	m.mu.RLock()
	defer m.mu.RUnlock()
	switch {
	case m.generation != generation || first > m.end || last >= m.end:
		return Read{Err: core.ErrLogChanged}
	case first > m.first:
		return Read{Served: true, Prev: m.at(first - 1).LogID, Entries: m.gather(first, last, bytesMax)}
	case first == m.first && (m.prev.Term != 0 || m.prev.Index == 0):
		return Read{Served: true, Prev: m.prev, Entries: m.gather(first, last, bytesMax)}
	case first == m.first && m.prev.Index == m.purged.Index:
		return Read{Served: true, Prev: m.purged, Entries: m.gather(first, last, bytesMax)}
	case first <= m.purged.Index:
		return Read{Err: core.ErrCompacted}
	case first-1 == m.purged.Index && last < first:
		return Read{Served: true, Prev: m.purged}
	}
	return Read{StoreLast: min(last, m.first-1), Prev: m.purged}
}

// SettleStoreRead judges what the store returned for a ReadForStream: whether
// prev and the entries behind it are still this generation's. It learns prev,
// which a truncation made the memory forget. The error is core.ErrLogChanged or
// core.ErrCompacted.
func (m *Log) SettleStoreRead(generation uint64, first core.Index, prev core.LogID) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.generation != generation:
		return core.ErrLogChanged
	case first <= m.purged.Index:
		return core.ErrCompacted
	}
	if m.prev.Index == prev.Index {
		m.prev = prev
	}
	return nil
}

// ReadForApply reads committed entries from first up to last, within entriesMax and
// bytesMax, at least one. It may return fewer than there are. Committed entries are
// of every generation. Prev is not set.
func (m *Log) ReadForApply(first, last core.Index, entriesMax, bytesMax int) Read {
	m.mu.RLock()
	defer m.mu.RUnlock()
	last = min(last, first+core.Index(entriesMax)-1)
	switch {
	case first < m.first && first <= m.purged.Index:
		return Read{Err: core.ErrCompacted}
	case first < m.first:
		return Read{StoreLast: min(last, m.first-1)}
	case last >= m.end:
		return Read{Err: core.ErrLogChanged}
	}
	return Read{Served: true, Entries: m.slice(first, last, bytesMax)}
}

// Purged returns the last entry that the log no longer holds.
func (m *Log) Purged() core.LogID {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.purged
}

// Size returns the bytes of the entries that are held.
func (m *Log) Size() int {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.bytes
}

// chunk returns the chunk that holds i, which is in memory.
func (m *Log) chunk(i core.Index) []core.Entry {
	n := sort.Search(len(m.chunks), func(n int) bool { return m.chunks[n][0].Index > i })
	return m.chunks[n-1]
}

func (m *Log) at(i core.Index) *core.Entry {
	chunk := m.chunk(i)
	return &chunk[i-chunk[0].Index]
}

// slice returns entries from first to last, as many as fit into bytesMax and
// stand in one chunk, at least one.
func (m *Log) slice(first, last core.Index, bytesMax int) []core.Entry {
	if last < first {
		return nil
	}
	chunk := m.chunk(first)
	from := int(first - chunk[0].Index)
	part, _ := core.Fitting(chunk[from:min(from+int(last-first)+1, len(chunk))], bytesMax, 0)
	return part
}

// gather returns entries like slice, but those of several small chunks together:
// a message is worth a copy.
func (m *Log) gather(first, last core.Index, bytesMax int) []core.Entry {
	part := m.slice(first, last, bytesMax)
	next := first + core.Index(len(part))
	if len(part) == 0 || len(part) >= gatherEntriesMin || next > last || part[len(part)-1].Index != m.chunkEnd(first) {
		return part
	}
	gathered := append(make([]core.Entry, 0, min(int(last-first)+1, chunkEntriesMax)), part...)
	bytes := core.SizeOf(part)
	for next <= last && len(gathered) < cap(gathered) {
		chunk := m.chunk(next)
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
func (m *Log) chunkEnd(i core.Index) core.Index {
	chunk := m.chunk(i)
	return chunk[len(chunk)-1].Index
}
