package memlog

import (
	"errors"
	"runtime"
	"sync"
	"testing"
	"weak"

	"github.com/trouperaft/troupe/core"
)

// entriesOf makes entries of a term from first to last, each of size bytes.
func entriesOf(term core.Term, first, last core.Index, size int) []core.Entry {
	var entries []core.Entry
	for i := first; i <= last; i++ {
		entries = append(entries, core.Entry{LogID: core.LogID{Term: term, Index: i}, Kind: core.EntryCommand, Data: make([]byte, size-core.EntryOverheadBytes)})
	}
	return entries
}

// readAll reads from memory until last, or until it serves no more.
func readAll(tl *Log, generation uint64, first, last core.Index) (core.LogID, int) {
	r := tl.ReadForStream(generation, first, last, 1<<30)
	prev, n := r.Prev, 0
	for r.Served && len(r.Entries) > 0 {
		n += len(r.Entries)
		if first += core.Index(len(r.Entries)); first > last {
			break
		}
		r = tl.ReadForStream(generation, first, last, 1<<30)
	}
	return prev, n
}

func id(term core.Term, i core.Index) core.LogID { return core.LogID{Term: term, Index: i} }

func TestLogServesWhatIsUnflushed(t *testing.T) {
	tl := New(1000, core.LogID{}, id(1, 10), 10)
	tl.Submit(&core.Write{IOID: 1, Append: entriesOf(1, 11, 30, 100)})
	g := tl.Generation()
	if prev, n := readAll(tl, g, 11, 30); prev != id(1, 10) || n != 20 {
		t.Fatalf("nothing may be evicted before it is durable: %d entries after %v", n, prev)
	}
	tl.Flushed(1)
	// 2,000 bytes, nothing applied: up to twice the bound stays.
	if r := tl.ReadForStream(g, 11, 30, 1<<20); !r.Served {
		t.Fatalf("what is not applied stays up to twice the bound: %+v", r)
	}
	tl.SetApplied(15)
	if r := tl.ReadForStream(g, 11, 11, 1<<20); r.Served || r.StoreLast != 11 {
		t.Fatalf("want entry 11 from the store: %+v", r)
	}
	if r := tl.ReadForStream(g, 16, 30, 1<<20); !r.Served || r.Prev != id(1, 15) {
		t.Fatalf("want entry 16 from memory: %+v", r)
	}
	tl.SetApplied(30)
	if prev, n := readAll(tl, g, 21, 30); prev != id(1, 20) || n != 10 {
		t.Fatalf("want the last 1,000 bytes in memory: %d entries after %v", n, prev)
	}
	if r := tl.ReadForStream(g, 20, 30, 1<<20); r.Served || r.StoreLast != 20 {
		t.Fatalf("want entry 20 from the store: %+v", r)
	}
	// An unflushed write far above twice the bound stays.
	tl.Submit(&core.Write{IOID: 2, Append: entriesOf(1, 31, 70, 100)})
	if prev, n := readAll(tl, g, 31, 70); prev != id(1, 30) || n != 40 {
		t.Fatalf("rule 9: %d entries after %v", n, prev)
	}
}

// TestLogLetsGo of what it has evicted, also where large entries follow
// small ones: chunks keep a part of the bound more at most.
func TestLogLetsGo(t *testing.T) {
	const size, held, small, large = 16 << 10, 16, 1530, 400
	tl := New(held*size, core.LogID{}, core.LogID{}, 0)
	var data []weak.Pointer[byte]
	for i := core.Index(1); i <= small+large; i++ {
		entries := entriesOf(1, i, i, core.EntryOverheadBytes)
		if i > small {
			entries = entriesOf(1, i, i, size)
			data = append(data, weak.Make(&entries[0].Data[0]))
		}
		tl.Submit(&core.Write{IOID: core.IOID(i), Append: entries})
		tl.Flushed(core.IOID(i))
		tl.SetApplied(i)
	}
	runtime.GC()
	kept := 0
	for _, d := range data {
		if d.Value() != nil {
			kept++
		}
	}
	if most := held + held/chunkBytesPart + 1; kept > most {
		t.Errorf("%d entries are in memory, want %d at most", kept, most)
	}
	runtime.KeepAlive(tl)
}

func TestLogBoundsARead(t *testing.T) {
	tl := New(1<<20, core.LogID{}, core.LogID{}, 0)
	tl.Submit(&core.Write{IOID: 1, Append: entriesOf(1, 1, 10, 100)})
	for _, test := range []struct {
		first, last core.Index
		bytes, want int
	}{{1, 10, 1, 1}, {1, 10, 250, 2}, {1, 10, 300, 3}, {4, 3, 100, 0}, {11, 10, 100, 0}} {
		r := tl.ReadForStream(0, test.first, test.last, test.bytes)
		if !r.Served || len(r.Entries) != test.want || r.Prev.Index != test.first-1 {
			t.Errorf("%+v: %d entries after %v", test, len(r.Entries), r.Prev)
		}
	}
	if r := tl.ReadForApply(2, 10, 3, 1<<20); !r.Served || len(r.Entries) != 3 || r.Entries[0].Index != 2 {
		t.Errorf("for apply: %+v", r)
	}
}

func TestLogGenerations(t *testing.T) {
	tl := New(1<<20, core.LogID{}, id(1, 5), 0)
	tl.Submit(&core.Write{IOID: 1, Append: entriesOf(1, 6, 10, 100)})
	g := tl.Generation()
	old := tl.ReadForStream(g, 6, 10, 1<<20)
	tl.Submit(&core.Write{IOID: 2, TruncateFrom: 8, Append: entriesOf(2, 8, 12, 100)})
	if r := tl.ReadForStream(g, 6, 7, 1<<20); !errors.Is(r.Err, core.ErrLogChanged) {
		t.Errorf("a truncation raises the generation: %+v", r)
	}
	if err := tl.SettleStoreRead(g, 6, id(1, 5)); !errors.Is(err, core.ErrLogChanged) {
		t.Errorf("a store read of the old generation: %v", err)
	}
	if len(old.Entries) == 0 {
		t.Fatal("nothing was read")
	}
	for i, e := range old.Entries {
		if e.Term != 1 || e.Index != core.Index(6+i) {
			t.Errorf("what a reader holds was overwritten: %v", e.LogID)
		}
	}
	g = tl.Generation()
	if r := tl.ReadForStream(g, 9, 12, 1<<20); !r.Served || r.Prev != id(2, 8) {
		t.Errorf("after the truncation: %+v", r)
	}

	// Below what is in memory: the entry before has to be read.
	tl.Submit(&core.Write{IOID: 3, TruncateFrom: 3, Append: entriesOf(3, 3, 4, 100)})
	g = tl.Generation()
	if r := tl.ReadForStream(g, 3, 4, 1<<20); r.Served || r.Err != nil || r.StoreLast != 2 {
		t.Errorf("the entry before is only in the store: %+v", r)
	}
	if err := tl.SettleStoreRead(g, 3, id(1, 2)); err != nil {
		t.Error(err)
	}
	if r := tl.ReadForStream(g, 3, 4, 1<<20); !r.Served || r.Prev != id(1, 2) || len(r.Entries) != 2 {
		t.Errorf("it was learned: %+v", r)
	}

	tl.Submit(&core.Write{IOID: 4, Reset: id(4, 100)})
	if r := tl.ReadForStream(g, 3, 4, 1<<20); !errors.Is(r.Err, core.ErrLogChanged) {
		t.Errorf("a reset raises the generation: %+v", r)
	}
	g = tl.Generation()
	if r := tl.ReadForStream(g, 101, 100, 1<<20); !r.Served || r.Prev != id(4, 100) {
		t.Errorf("after the reset: %+v", r)
	}
	if r := tl.ReadForStream(g, 100, 100, 1<<20); !errors.Is(r.Err, core.ErrCompacted) {
		t.Errorf("before the reset's entry: %+v", r)
	}
	if r := tl.ReadForApply(4, 100, 10, 1<<20); !errors.Is(r.Err, core.ErrCompacted) {
		t.Errorf("for apply, before the reset's entry: %+v", r)
	}
}

func TestLogLowestUnflushedOfSeveralWrites(t *testing.T) {
	tl := New(100, core.LogID{}, core.LogID{}, 0)
	tl.Submit(&core.Write{IOID: 1, Append: entriesOf(1, 1, 10, 100)})
	tl.Submit(&core.Write{IOID: 2, TruncateFrom: 4, Append: entriesOf(2, 4, 10, 100)})
	tl.Submit(&core.Write{IOID: 3, Append: entriesOf(2, 11, 12, 100)})
	tl.SetApplied(12)
	for i, want := range []core.Index{1, 4, 11, 12} {
		if i > 0 {
			tl.Flushed(core.IOID(i))
		}
		if tl.first != want {
			t.Errorf("after flush %d the in-memory log begins at %d, want %d", i, tl.first, want)
		}
	}
}

func TestLogRefusesAGap(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a gap was not noticed")
		}
	}()
	New(100, core.LogID{}, id(1, 5), 0).Submit(&core.Write{IOID: 1, Append: entriesOf(1, 7, 7, 100)})
}

// TestLogConcurrentReads lets readers check every read while the log
// grows, is truncated and evicted.
func TestLogConcurrentReads(t *testing.T) {
	tl := New(2000, core.LogID{}, core.LogID{}, 0)
	done := make(chan struct{})
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				g := tl.Generation()
				tl.mu.RLock()
				first, end := tl.first, tl.end
				tl.mu.RUnlock()
				r := tl.ReadForStream(g, first+1, end-1, 1500)
				if !r.Served {
					continue
				}
				before := r.Prev
				for _, e := range r.Entries {
					if e.Index != before.Index+1 || e.Term < before.Term {
						t.Errorf("%v follows %v", e.LogID, before)
						return
					}
					before = e.LogID
				}
			}
		})
	}
	last, ioid := core.Index(0), core.IOID(0)
	for term := core.Term(1); term <= 200; term++ {
		w := &core.Write{}
		if last > 5 && term%3 == 0 {
			last -= 3
			w.TruncateFrom = last + 1
		}
		w.Append = entriesOf(term, last+1, last+20, 100)
		last += 20
		ioid++
		w.IOID = ioid
		tl.Submit(w)
		tl.Flushed(ioid)
		tl.SetApplied(last - 5)
	}
	close(done)
	readers.Wait()
	if tl.bytes > 2000 {
		t.Errorf("%d bytes are kept, at most 2000", tl.bytes)
	}
}
