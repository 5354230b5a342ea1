package memory

import (
	"slices"
	"sort"

	"github.com/trouperaft/troupe/core"
)

// entryLog is one group's entries, in chunks, so that a log that grows is never
// moved. Readers keep parts of chunks: no element of one is ever written twice.
type entryLog struct {
	chunks [][]core.Entry // none is empty
}

// Chunks grow with the log, so that an idle group has a small one.
const chunkEntriesMin, chunkEntriesMax = 16, 1024

// adoptEntriesMin is how many entries are a chunk as they come, instead of being
// copied.
const adoptEntriesMin = 16

func (l *entryLog) append(entries []core.Entry) {
	if len(entries) >= adoptEntriesMin {
		l.chunks = append(l.chunks, slices.Clip(entries))
		return
	}
	for len(entries) > 0 {
		n := len(l.chunks)
		if n == 0 || len(l.chunks[n-1]) == cap(l.chunks[n-1]) {
			size := chunkEntriesMin
			if n > 0 {
				size = min(max(2*len(l.chunks[n-1]), size), chunkEntriesMax)
			}
			l.chunks = append(l.chunks, make([]core.Entry, 0, size))
			n++
		}
		last := &l.chunks[n-1]
		fits := min(len(entries), cap(*last)-len(*last))
		*last = append(*last, entries[:fits]...)
		entries = entries[fits:]
	}
}

// truncate removes the entries from i on.
func (l *entryLog) truncate(i core.Index) {
	for n := len(l.chunks) - 1; n >= 0; n-- {
		chunk := l.chunks[n]
		if first := chunk[0].Index; first < i {
			keep := min(int(i-first), len(chunk))
			// Without room behind, so that nothing is overwritten.
			l.chunks[n] = chunk[:keep:keep]
			return
		}
		l.chunks[n] = nil
		l.chunks = l.chunks[:n]
	}
}

// purge removes the entries up to i.
func (l *entryLog) purge(i core.Index) {
	gone := 0
	for gone < len(l.chunks) && l.chunks[gone][len(l.chunks[gone])-1].Index <= i {
		gone++
	}
	if gone > 0 {
		l.chunks = append([][]core.Entry(nil), l.chunks[gone:]...)
	}
	if len(l.chunks) > 0 && l.chunks[0][0].Index <= i {
		l.chunks[0] = l.chunks[0][i+1-l.chunks[0][0].Index:]
	}
}

// find returns the chunk that holds i, which is in the log.
func (l *entryLog) find(i core.Index) int {
	return sort.Search(len(l.chunks), func(n int) bool { return l.chunks[n][0].Index > i }) - 1
}

func (l *entryLog) at(i core.Index) *core.Entry {
	chunk := l.chunks[l.find(i)]
	return &chunk[i-chunk[0].Index]
}

// read returns the entries from first to last, which are in the log: as many as
// fit into bytesMax, at least one.
func (l *entryLog) read(first, last core.Index, bytesMax int) []core.Entry {
	n := l.find(first)
	chunk := l.chunks[n]
	from := int(first - chunk[0].Index)
	part, bytes := core.Fitting(chunk[from:min(from+int(last-first)+1, len(chunk))], bytesMax, 0)
	if n == len(l.chunks)-1 || from+len(part) < len(chunk) || first+core.Index(len(part)) > last {
		return part
	}
	read := append([]core.Entry(nil), part...)
	for n++; n < len(l.chunks) && first+core.Index(len(read)) <= last; n++ {
		chunk = l.chunks[n][:min(len(l.chunks[n]), int(last-first)+1-len(read))]
		part, bytes = core.Fitting(chunk, bytesMax, bytes)
		read = append(read, part...)
		if len(part) < len(chunk) {
			break
		}
	}
	return read
}
