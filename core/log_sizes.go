package core

import (
	"math/bits"
	"slices"
	"sort"
)

// LogSizes knows how many bytes the entries of a log take (Entry.Size), along any
// stretch of it. It keeps a bounded number of marks, so that a stretch is exact where
// it begins and ends at marks and else right within the 256th part of the whole. The
// zero value is that of an empty log that begins at index 1. A copy shares the marks
// with the original, which goes on changing them: Clone does not.
type LogSizes struct {
	// after is the entry before the first that is counted; its bytes are the sum of
	// what was counted before it.
	after sizeMark
	// marks are in order. Each ends a stretch that begins behind the one before.
	marks []sizeMark
}

// sizeMark says that all entries ever counted, up to the one at last, take bytes.
type sizeMark struct {
	last  Index
	bytes uint64
}

const (
	// sizeMarksMax bounds the marks; half of them stay when there are so many.
	sizeMarksMax = 1024
	// sizeParts: a stretch between two marks is at most this part of the whole, as
	// 1/sizeParts, or sizeStretchMin, unless it is of one entry.
	sizeParts      = 512
	sizeStretchMin = 4 << 10
)

// Append counts entries that follow the last one.
func (s *LogSizes) Append(entries []Entry) {
	for i := range entries {
		s.add(entries[i].Index, uint64(entries[i].Size()))
	}
}

func (s *LogSizes) add(i Index, size uint64) {
	end := s.end()
	stretch := max(s.Total()/sizeParts, sizeStretchMin)
	if n := len(s.marks); n > 0 && end.bytes+size-s.before(n-1).bytes <= stretch {
		s.marks[n-1] = sizeMark{i, end.bytes + size}
		return
	}
	if len(s.marks) == sizeMarksMax {
		s.thin()
	}
	s.marks = append(s.marks, sizeMark{i, end.bytes + size})
}

// thin lets every second mark go, and never the last.
func (s *LogSizes) thin() {
	n := 0
	for i := 1; i < len(s.marks); i += 2 {
		s.marks[n] = s.marks[i]
		n++
	}
	s.marks = s.marks[:n]
}

// before returns the mark before the i-th.
func (s *LogSizes) before(i int) sizeMark {
	if i == 0 {
		return s.after
	}
	return s.marks[i-1]
}

func (s *LogSizes) end() sizeMark { return s.before(len(s.marks)) }

// First returns the index of the first entry that is counted, or would be.
func (s *LogSizes) First() Index { return s.after.last + 1 }

// Last returns the index of the last entry that is counted; below First if none is.
func (s *LogSizes) Last() Index { return s.end().last }

// Total returns the bytes of all entries that are counted. It is exact, but for what
// Truncate and Purge have cut between two marks.
func (s *LogSizes) Total() uint64 { return s.end().bytes - s.after.bytes }

// Between returns the bytes of the entries behind after, up to last. What is not
// counted takes none.
func (s *LogSizes) Between(after, last Index) uint64 {
	if after >= last {
		return 0
	}
	return s.upTo(last) - s.upTo(after)
}

// upTo returns the bytes of all entries ever counted up to i.
func (s *LogSizes) upTo(i Index) uint64 {
	if i <= s.after.last {
		return s.after.bytes
	}
	n := sort.Search(len(s.marks), func(m int) bool { return s.marks[m].last >= i })
	if n == len(s.marks) {
		return s.end().bytes
	}
	from, to := s.before(n), s.marks[n]
	return from.bytes + share(to.bytes-from.bytes, uint64(i-from.last), uint64(to.last-from.last))
}

// share returns n*part/of. part is at most of, which is not 0.
func share(n, part, of uint64) uint64 {
	high, low := bits.Mul64(n, part)
	q, _ := bits.Div64(high, low, of)
	return q
}

// Floor returns the lowest index behind which the entries up to last take at most
// bytesMax; it is not below what is counted, nor above last.
func (s *LogSizes) Floor(last Index, bytesMax uint64) Index {
	end := s.upTo(last)
	if end-s.after.bytes <= bytesMax {
		return min(s.after.last, last)
	}
	least := end - bytesMax // what has to be up to the index
	n := sort.Search(len(s.marks), func(m int) bool { return s.marks[m].bytes >= least })
	from, to := s.before(n), s.marks[n]
	i := from.last + Index(share(uint64(to.last-from.last), least-from.bytes, to.bytes-from.bytes))
	for i < to.last && s.upTo(i) < least { // share rounds down
		i++
	}
	return min(i, last)
}

// Truncate forgets the entries from i on.
func (s *LogSizes) Truncate(i Index) {
	if i > s.Last() {
		return
	}
	if i <= s.after.last+1 {
		s.Reset(min(i-1, s.after.last))
		return
	}
	cut := sizeMark{i - 1, s.upTo(i - 1)}
	n := sort.Search(len(s.marks), func(m int) bool { return s.marks[m].last >= i })
	s.marks = s.marks[:n]
	if s.end().last < cut.last {
		s.marks = append(s.marks, cut)
	}
}

// Purge forgets the entries up to i.
func (s *LogSizes) Purge(i Index) {
	switch {
	case i <= s.after.last:
		return
	case i >= s.Last():
		s.Reset(i)
		return
	}
	s.after = sizeMark{i, s.upTo(i)}
	n := sort.Search(len(s.marks), func(m int) bool { return s.marks[m].last > i })
	s.marks = slices.Delete(s.marks, 0, n)
}

// Reset forgets all entries; the next one that is counted follows i.
func (s *LogSizes) Reset(i Index) { *s = LogSizes{after: sizeMark{last: i}, marks: s.marks[:0]} }

// Clone returns a copy that later changes do not touch.
func (s *LogSizes) Clone() LogSizes { return LogSizes{s.after, slices.Clone(s.marks)} }
