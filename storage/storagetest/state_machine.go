package storagetest

import (
	"bytes"
	"errors"
	"testing"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/storage"
)

// Machine is a kind of state machine, for StateMachine.
type Machine struct {
	// New makes an empty machine. It is closed by t.Cleanup, if need be.
	New func(t *testing.T) storage.StateMachine
	// Command returns the i-th of at least a hundred commands, of which each has
	// an effect that depends on those before it, so that any two beginnings of
	// the sequence lead to different contents.
	Command func(i int) []byte
	// Content tells what the machine holds, apart from where it stands.
	Content func(t *testing.T, m storage.StateMachine) string
	// Reopen returns a machine with what m keeps over the end of its process. It
	// is nil for machines that keep nothing and embed storage.Volatile.
	Reopen func(t *testing.T, m storage.StateMachine) storage.StateMachine
}

// StateMachine runs the suite of state machines.
func StateMachine(t *testing.T, kind Machine) {
	cases := []struct {
		name string
		run  func(*stage)
	}{
		{"Empty", emptyMachine},
		{"OneResultForEachEntry", oneResultForEachEntry},
		{"Deterministic", deterministic},
		{"EveryCommandCounts", everyCommandCounts},
		{"BlankAndConfiguration", blankAndConfiguration},
		{"DataIsCopied", dataIsCopied},
		{"ViewDoesNotChange", viewDoesNotChange},
		{"ViewUnwritten", viewUnwritten},
		{"RestoreReplacesEverything", restoreReplacesEverything},
		{"RestoreOfTheEmpty", restoreOfTheEmpty},
		{"RestoreFailsWhole", restoreFailsWhole},
		{"ApplyAfterRestore", applyAfterRestore},
		{"Applied", applied},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) { c.run(&stage{T: t, kind: kind}) })
	}
}

// stage is where machines are tested.
type stage struct {
	*testing.T
	kind Machine
}

// entries makes entries with the commands of index first to last.
func (s *stage) entries(first, last core.Index) []core.Entry {
	var entries []core.Entry
	for i := first; i <= last; i++ {
		entries = append(entries, core.Entry{LogID: id(1, i), Kind: core.EntryCommand, Time: int64(i), Data: s.kind.Command(int(i))})
	}
	return entries
}

func (s *stage) apply(m storage.StateMachine, entries []core.Entry) [][]byte {
	s.Helper()
	results, err := m.Apply(s.Context(), entries)
	if err != nil {
		s.Fatal(err)
	}
	if results != nil && len(results) != len(entries) {
		s.Fatalf("%d results of %d entries", len(results), len(entries))
	}
	return results
}

// made makes a machine that has applied the commands up to last, ten at a time.
func (s *stage) made(last core.Index) storage.StateMachine {
	s.Helper()
	m := s.kind.New(s.T)
	for first := core.Index(1); first <= last; first += 10 {
		s.apply(m, s.entries(first, min(first+9, last)))
	}
	return m
}

func (s *stage) same(a, b storage.StateMachine) {
	s.Helper()
	if x, y := s.kind.Content(s.T, a), s.kind.Content(s.T, b); x != y {
		s.Fatalf("one holds %.200q, the other %.200q", x, y)
	}
}

func (s *stage) view(m storage.StateMachine) storage.SnapshotView {
	s.Helper()
	v, err := m.View()
	if err != nil {
		s.Fatal(err)
	}
	return v
}

// write writes a view out, on another goroutine, and closes it.
func (s *stage) write(v storage.SnapshotView) []byte {
	s.Helper()
	var b bytes.Buffer
	written := make(chan error)
	go func() {
		n, err := v.WriteTo(&b)
		if err == nil && n != int64(b.Len()) {
			err = errors.New("WriteTo returned another length than it wrote")
		}
		written <- err
	}()
	if err := errors.Join(<-written, v.Close()); err != nil {
		s.Fatal(err)
	}
	return b.Bytes()
}

func (s *stage) restore(m storage.StateMachine, snapshot []byte) {
	s.Helper()
	if err := m.Restore(s.Context(), bytes.NewReader(snapshot)); err != nil {
		s.Fatal(err)
	}
}

func emptyMachine(s *stage) {
	m := s.kind.New(s.T)
	at, err := m.Applied()
	if err != nil || at != (core.LogID{}) {
		s.Fatalf("applied %v, %v", at, err)
	}
	s.same(m, s.kind.New(s.T))
	if volatile := storage.IsVolatile(m); volatile != (s.kind.Reopen == nil) {
		s.Fatalf("volatile: %t, and Reopen nil: %t", volatile, s.kind.Reopen == nil)
	}
}

func oneResultForEachEntry(s *stage) {
	m := s.kind.New(s.T)
	for i := core.Index(1); i < 20; i++ {
		s.apply(m, s.entries(i*(i-1)/2+1, i*(i+1)/2))
		if i*(i+1)/2 > 80 {
			break
		}
	}
}

func deterministic(s *stage) {
	a, b := s.kind.New(s.T), s.kind.New(s.T)
	ra := s.apply(a, s.entries(1, 50))
	var rb [][]byte
	for i := core.Index(1); i <= 50; i++ {
		rb = append(rb, s.apply(b, s.entries(i, i))...)
	}
	s.same(a, b)
	for i := range ra {
		if !bytes.Equal(ra[i], rb[i]) {
			s.Fatalf("result %d: %q in a batch, %q alone", i+1, ra[i], rb[i])
		}
	}
}

func everyCommandCounts(s *stage) {
	m := s.kind.New(s.T)
	seen := map[string]core.Index{s.kind.Content(s.T, m): 0}
	for i := core.Index(1); i <= 30; i++ {
		s.apply(m, s.entries(i, i))
		c := s.kind.Content(s.T, m)
		if before, found := seen[c]; found {
			s.Fatalf("the same content after %d and %d commands", before, i)
		}
		seen[c] = i
	}
}

func blankAndConfiguration(s *stage) {
	m := s.kind.New(s.T)
	s.apply(m, []core.Entry{configuration(id(1, 1), 3), {LogID: id(1, 2), Kind: core.EntryBlank}})
	s.same(m, s.kind.New(s.T))
	command := core.Entry{LogID: id(1, 3), Kind: core.EntryCommand, Data: s.kind.Command(1)}
	s.apply(m, []core.Entry{command, configuration(id(1, 4), 2), {LogID: id(2, 5), Kind: core.EntryBlank}})
	s.same(m, s.made(1))
}

func dataIsCopied(s *stage) {
	m := s.kind.New(s.T)
	entries := s.entries(1, 30)
	for i := range entries {
		entries[i].Data = bytes.Clone(entries[i].Data)
	}
	s.apply(m, entries)
	for i := range entries {
		for j := range entries[i].Data {
			entries[i].Data[j] ^= 0x55
		}
	}
	s.same(m, s.made(30))
}

func viewDoesNotChange(s *stage) {
	m := s.made(30)
	v := s.view(m)
	s.apply(m, s.entries(31, 60))
	snapshot := s.write(v)
	fresh := s.kind.New(s.T)
	s.restore(fresh, snapshot)
	s.same(fresh, s.made(30))
	s.same(m, s.made(60))
}

func viewUnwritten(s *stage) {
	m := s.made(10)
	if err := s.view(m).Close(); err != nil {
		s.Fatal(err)
	}
	s.apply(m, s.entries(11, 20))
	s.same(m, s.made(20))
}

func restoreReplacesEverything(s *stage) {
	snapshot := s.write(s.view(s.made(20)))
	m := s.made(70)
	s.restore(m, snapshot)
	s.same(m, s.made(20))
}

func restoreOfTheEmpty(s *stage) {
	snapshot := s.write(s.view(s.kind.New(s.T)))
	m := s.made(20)
	s.restore(m, snapshot)
	s.same(m, s.kind.New(s.T))
}

var errBrokenReader = errors.New("the reader broke")

// brokenReader gives some bytes and then an error.
type brokenReader struct{ left []byte }

func (r *brokenReader) Read(p []byte) (int, error) {
	if len(r.left) == 0 {
		return 0, errBrokenReader
	}
	n := copy(p, r.left[:min(len(r.left), 7)])
	r.left = r.left[n:]
	return n, nil
}

func restoreFailsWhole(s *stage) {
	snapshot := s.write(s.view(s.made(40)))
	m := s.made(20)
	for _, n := range []int{0, 1, len(snapshot) / 2, len(snapshot) - 1} {
		if err := m.Restore(s.Context(), &brokenReader{left: snapshot[:max(n, 0)]}); err == nil {
			s.Fatalf("no error after %d of %d bytes", n, len(snapshot))
		}
		s.same(m, s.made(20))
	}
	s.apply(m, s.entries(21, 30))
	s.same(m, s.made(30))
}

func applyAfterRestore(s *stage) {
	snapshot := s.write(s.view(s.made(20)))
	m := s.kind.New(s.T)
	s.restore(m, snapshot)
	s.apply(m, s.entries(21, 50))
	s.same(m, s.made(50))
}

// applied compares what a machine says that it keeps with what it kept.
func applied(s *stage) {
	if s.kind.Reopen == nil {
		m := s.made(20)
		if at, err := m.Applied(); err != nil || at != (core.LogID{}) {
			s.Fatalf("a volatile machine has applied %v, %v", at, err)
		}
		return
	}
	m := s.made(20)
	said, err := m.Applied()
	if err != nil || said.Index > 20 {
		s.Fatalf("applied %v, %v", said, err)
	}
	m = s.kind.Reopen(s.T, m)
	at, err := m.Applied()
	if err != nil || at.Index > 20 || at.Index > 0 && at.Term != 1 {
		s.Fatalf("applied %v, %v", at, err)
	}
	if at.Index < said.Index {
		s.Fatalf("it said that %v is durable, and holds %v after a restart", said, at)
	}
	s.same(m, s.made(at.Index))
	s.apply(m, s.entries(at.Index+1, 20))
	s.same(m, s.made(20))

	blank := core.Entry{LogID: id(2, 21), Kind: core.EntryBlank}
	s.apply(m, []core.Entry{blank})
	m = s.kind.Reopen(s.T, m)
	if at, err = m.Applied(); err != nil || at.Index > 21 || at.Index == 21 && at.Term != 2 {
		s.Fatalf("applied %v, %v", at, err)
	}

	snapshot := s.write(s.view(s.made(10)))
	s.restore(m, snapshot)
	if at, err = m.Applied(); err != nil || at != id(1, 10) {
		s.Fatalf("applied %v, %v after the restore of 1.10", at, err)
	}
	m = s.kind.Reopen(s.T, m)
	if at, err = m.Applied(); err != nil || at != id(1, 10) {
		s.Fatalf("applied %v, %v after the restore of 1.10 and a restart", at, err)
	}
	s.same(m, s.made(10))
}
