package storagetest

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/storage"
)

// moments are what group 1 holds after each of the writes of a case, so that
// readers beside them can be compared. A call may have seen the state after any
// write from the last one that had returned when it began to the last one that
// had begun when it ended: one of them, as a whole.
type moments struct {
	*home
	mu       sync.Mutex
	states   []*groupModel
	returned int // the newest state whose write has returned
}

func newMoments(h *home) *moments {
	return &moments{home: h, states: []*groupModel{h.model.clone().group(1)}}
}

// write writes op, which readers may see from its beginning on, and have to see
// after its end. Only one goroutine calls it.
func (m *moments) write(op storage.Operation) {
	m.Helper()
	next := m.model.clone().group(1)
	next.write(&op)
	m.mu.Lock()
	m.states = append(m.states, next)
	m.mu.Unlock()
	m.home.write(op)
	m.mu.Lock()
	m.returned = len(m.states) - 1
	m.mu.Unlock()
}

// now is the oldest state that a call may see that begins now.
func (m *moments) now() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.returned
}

// one returns nil if what a call returned, that began at now and has ended, is
// one of the states that it may have seen: differs compares it with one.
func (m *moments) one(now int, differs func(*groupModel) error) error {
	m.mu.Lock()
	states := m.states
	m.mu.Unlock()
	var err error
	for n := now; n < len(states); n++ {
		if err = differs(states[n]); err == nil {
			return nil
		}
	}
	return fmt.Errorf("beside writes %d to %d of one operation each a call returned what is there after none of them, "+
		"perhaps one part from before a write and another from after it; compared with the newest: %w", now, len(states)-1, err)
}

// read reads from first to last of group 1.
func (m *moments) read(first, last core.Index) error {
	now := m.now()
	got, err := m.store.Read(m.Context(), 1, first, last, 1<<20)
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		return err
	}
	return m.one(now, func(g *groupModel) error { return g.sameRead(got, err, first, last, 1<<20) })
}

func (m *moments) load() error {
	now := m.now()
	got, err := m.store.Load(m.Context(), 1)
	if err != nil {
		return err
	}
	return m.one(now, func(g *groupModel) error {
		if err := sameState(got, g.state()); err != nil {
			return fmt.Errorf("in Load: %w", err)
		}
		return nil
	})
}

// rewrite replaces the end of a log of 60 entries, and all else that Load tells,
// in one operation: the i-th of them.
func (m *moments) rewrite(i int) {
	from, term := core.Index(31+i%3*10), core.Term(2+i)
	entries := commands(term, from, 60-int(from)+1, 100)
	entries[1] = configuration(entries[1].LogID, 1+i%5)
	hard := &core.HardState{Term: term, Vote: membership.Identity{ID: 1, Incarnation: membership.Incarnation(i)}}
	m.write(storage.Operation{Group: 1, HardState: hard, TruncateFrom: from, Append: entries, Commit: core.Index(1 + i)})
}

// readersBesideWrites reads while the end of the log is truncated and written
// again. No read may show the beginning of one log and the end of the next.
func readersBesideWrites(h *home) {
	h.append(1, 1, 60)
	m := newMoments(h)
	h.beside(func() error {
		for _, r := range [][2]core.Index{{1, 30}, {31, 60}, {1, 60}, {25, 45}} {
			if err := m.read(r[0], r[1]); err != nil {
				return err
			}
		}
		return nil
	}, m.rewrite)
	h.check()
}

// loadsBesideWrites: the hard state, the ends of the log, its terms and its
// configurations are those of one moment.
func loadsBesideWrites(h *home) {
	h.append(1, 1, 60)
	m := newMoments(h)
	h.beside(m.load, m.rewrite)
	h.check()
}

// readersBesidePurges reads what a Load has just told. It may be purged
// meanwhile, as a whole or not at all.
func readersBesidePurges(h *home) {
	h.append(1, 1, 10)
	m := newMoments(h)
	h.beside(func() error {
		s, err := h.store.Load(h.Context(), 1)
		if err != nil {
			return err
		}
		return m.read(s.Purged.Index+1, s.Last.Index)
	}, func(i int) {
		last := h.model.group(1).last().Index
		m.write(storage.Operation{Group: 1, Append: commands(1, last+1, 10, 40), Purge: id(1, last-3)})
	})
	h.check()
}

// Bounds of what runs beside each other: so many writes at least, until each
// reader has read so often; and so many writes at most without a read, however
// long a reader does not get the processor.
const (
	besideWritesMin      = 60
	besideWritesAheadMax = 20
	besideReadsMin       = 30
	besideReaders        = 2
)

// beside runs read on two goroutines while write runs on this one, until there
// were enough of both.
func (h *home) beside(read func() error, write func(int)) {
	h.Helper()
	var readers sync.WaitGroup
	var reading atomic.Int32 // readers that have not read often enough yet
	reading.Store(besideReaders)
	stop, progress := make(chan struct{}), make(chan struct{}, 1)
	failed := make(chan error, besideReaders)
	reader := func() {
		for n := 1; ; n++ {
			err := read()
			if n == besideReadsMin || err != nil && n < besideReadsMin {
				reading.Add(-1)
			}
			if err != nil {
				failed <- err
			}
			select {
			case progress <- struct{}{}: // after the error, which ends the writes
			default:
			}
			if err != nil {
				return
			}
			select {
			case <-stop:
				return
			default:
			}
		}
	}
	for range besideReaders {
		readers.Go(reader)
	}
	func() {
		defer readers.Wait()
		defer close(stop)
		ahead := 0
		for i := 0; len(failed) == 0 && (i < besideWritesMin || reading.Load() > 0); i++ {
			write(i)
			if ahead++; ahead == besideWritesAheadMax {
				<-progress
				ahead = 0
			}
			select {
			case <-progress:
				ahead = 0
			default:
			}
		}
	}()
	select {
	case err := <-failed:
		h.Fatal(err)
	default:
	}
}
