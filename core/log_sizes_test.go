package core

import (
	"math/rand/v2"
	"testing"
)

// sizesModel knows each entry's size.
type sizesModel struct {
	first Index
	sizes []uint64
}

func (m *sizesModel) between(after, last Index) (n uint64) {
	for i, size := range m.sizes {
		if at := m.first + Index(i); at > after && at <= last {
			n += size
		}
	}
	return n
}

func (m *sizesModel) last() Index { return m.first + Index(len(m.sizes)) - 1 }

// TestLogSizes holds LogSizes against a model that knows every entry: sums are right
// within the part that a stretch may be, and the marks stay bounded.
func TestLogSizes(t *testing.T) {
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 1))
		var s LogSizes
		m := sizesModel{first: 1}
		large := 1 << (6 + r.IntN(12))
		for range 400 {
			switch k := r.IntN(20); {
			case k < 16:
				for range 1 + r.IntN(200) {
					e := Entry{LogID: LogID{1, m.last() + 1}, Data: make([]byte, r.IntN(large))}
					s.Append([]Entry{e})
					m.sizes = append(m.sizes, uint64(e.Size()))
				}
			case k < 17 && len(m.sizes) > 0:
				i := m.last() - Index(r.IntN(min(len(m.sizes), 300)))
				s.Truncate(i)
				m.sizes = m.sizes[:i-m.first]
			case k < 19 && len(m.sizes) > 0:
				i := m.first + Index(r.IntN(len(m.sizes)))
				s.Purge(i)
				m.sizes, m.first = m.sizes[i+1-m.first:], i+1
			case r.IntN(5) == 0:
				at := m.last() + Index(r.IntN(100))
				s.Reset(at)
				m = sizesModel{first: at + 1}
			}
			checkSizes(t, r, &s, &m, uint64(large))
		}
	}
}

func checkSizes(t *testing.T, r *rand.Rand, s *LogSizes, m *sizesModel, large uint64) {
	t.Helper()
	if s.First() != m.first || s.Last() != m.last() || len(s.marks) > sizeMarksMax {
		t.Fatalf("%d to %d, want %d to %d; %d marks", s.First(), s.Last(), m.first, m.last(), len(s.marks))
	}
	// What lies between two marks may be counted by its share.
	all := m.between(0, m.last())
	slack := 2*max(all/256, sizeStretchMin) + 2*(large+EntryOverheadBytes)
	after := m.first - 1 + Index(r.IntN(len(m.sizes)+1))
	last := after + Index(r.IntN(int(m.last()-after)+1))
	if got, want := s.Between(after, last), m.between(after, last); got > want+slack || want > got+slack {
		t.Fatalf("%d bytes between %d and %d, want %d within %d", got, after, last, want, slack)
	}
	most := uint64(r.Int64N(int64(all + 2)))
	floor := s.Floor(last, most)
	if floor > last && last >= m.first-1 || s.Between(floor, last) > most {
		t.Fatalf("behind %d are %d bytes up to %d, and at most %d were asked for", floor, s.Between(floor, last), last, most)
	}
	if floor > m.first-1 && s.Between(floor-1, last) <= most {
		t.Fatalf("%d is not the lowest: behind the one before are %d bytes, at most %d were asked for", floor, s.Between(floor-1, last), most)
	}
}

// TestLogSizesOfEntriesLargerThanAStretch: each is a stretch of its own, and exact.
func TestLogSizesOfEntriesLargerThanAStretch(t *testing.T) {
	var s LogSizes
	e := Entry{Data: make([]byte, 1<<20)}
	for i := range Index(100) {
		e.LogID = LogID{1, i + 1}
		s.Append([]Entry{e})
	}
	for keep := range Index(100) {
		if got := s.Floor(100, uint64(keep)*uint64(e.Size())); got != 100-keep {
			t.Fatalf("%d entries are the bytes behind %d, want %d", keep, got, 100-keep)
		}
	}
	if got := s.Total(); got != 100*uint64(e.Size()) {
		t.Errorf("%d bytes", got)
	}
	of := s.Clone()
	s.Truncate(50)
	if s.Total() != 49*uint64(e.Size()) || of.Total() != 100*uint64(e.Size()) {
		t.Errorf("%d and %d bytes", s.Total(), of.Total())
	}
}

// TestLogSizesAllocateNothing: what grows and is purged by turns needs no more memory.
func TestLogSizesAllocateNothing(t *testing.T) {
	var s LogSizes
	entries := []Entry{{Data: make([]byte, 1000)}}
	grow := func() {
		for range 5000 {
			entries[0].Index = s.Last() + 1
			s.Append(entries)
		}
		s.Purge(s.Last() - 100)
	}
	for range 10 {
		grow()
	}
	if n := testing.AllocsPerRun(10, grow); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
