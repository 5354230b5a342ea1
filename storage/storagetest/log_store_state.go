package storagetest

import (
	"reflect"
	"slices"
	"testing"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/storage"
)

func initialState(h *home) {
	s := h.load(1)
	if err := sameState(s, storage.State{}); err != nil {
		h.Fatal(err)
	}
	if _, err := h.store.Read(h.Context(), 1, 1, 1, 1<<20); err != storage.ErrNotFound {
		h.Fatalf("Read of an empty log: %v", err)
	}
	h.check()
}

func saveHardState(h *home) {
	states := []core.HardState{
		{Term: 1},
		{Term: 1, Vote: membership.Identity{ID: 2, Incarnation: 1<<64 - 1}},
		{Term: 2, Cluster: cluster(1<<64 - 1)},
		{Term: 2, Cluster: core.ClusterID{0: 1}},
		{Term: 2, Cluster: core.ClusterID{15: 1}},
		{Term: 1<<64 - 1, Vote: membership.Identity{ID: 1<<64 - 1, Incarnation: 3}, Cluster: cluster(4)},
		// Rule 31: a grant is durable before it is sent, with or without a term, and
		// what releases it takes all of it away.
		{Grant: core.Grant{To: membership.Identity{ID: 7, Incarnation: 8}, Attempt: 9, List: membership.Founding{1, 15: 2}, LengthMillis: 10_000}},
		{Grant: core.Grant{To: membership.Identity{ID: 7, Incarnation: 8}, Attempt: 10, List: membership.Founding{1, 15: 2}, LengthMillis: 20_000}},
		{Term: 1, Grant: core.Grant{To: membership.Identity{ID: 1<<64 - 1, Incarnation: 1<<64 - 1}, Attempt: 1<<64 - 1, LengthMillis: 1<<32 - 1}},
		{Term: 1},
		// Rule 22: a removal, with and without a grant, and none again.
		{Term: 3, Removed: core.LogID{Term: 2, Index: 1<<64 - 1}},
		{Term: 3, Grant: core.Grant{To: membership.Identity{ID: 7, Incarnation: 8}, Attempt: 9, LengthMillis: 1}, Removed: core.LogID{Term: 1, Index: 1}},
		{Term: 4, Removed: core.LogID{Term: 3, Index: 2}},
		{Term: 4},
	}
	for _, s := range states {
		h.write(storage.Operation{Group: 1, HardState: &s})
		if got := h.load(1).HardState; got != s {
			h.Fatalf("hard state %+v, want %+v", got, s)
		}
		h.check()
	}
	h.write(storage.Operation{Group: 1, Append: commands(1, 1, 1, 5)})
	h.check() // a write without a hard state leaves it
}

// everyFieldOfTheHardState sets one number of it after the other and takes it
// away again, whatever fields it has, so that none can be forgotten.
func everyFieldOfTheHardState(h *home) {
	var all core.HardState
	for i, set := range numbers(reflect.ValueOf(&all).Elem()) {
		set(uint64(i + 1))
		var one core.HardState
		numbers(reflect.ValueOf(&one).Elem())[i](1<<64 - 1)
		for _, s := range []core.HardState{one, {}, all} {
			h.write(storage.Operation{Group: 1, HardState: &s})
			if got := h.load(1).HardState; got != s {
				h.Fatalf("hard state %+v, want %+v", got, s)
			}
		}
		h.check()
	}
}

// numbers returns what sets each number in v, cut to its size.
func numbers(v reflect.Value) (set []func(uint64)) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			set = append(set, numbers(v.Field(i))...)
		}
	case reflect.Array:
		for i := range v.Len() {
			set = append(set, numbers(v.Index(i))...)
		}
	default:
		bits := v.Type().Bits()
		set = append(set, func(n uint64) { v.SetUint(n << (64 - bits) >> (64 - bits)) })
	}
	return set
}

func saveCommit(h *home) {
	h.append(1, 1, 5)
	h.write(storage.Operation{Group: 1, Commit: 3})
	if got := h.load(1).Commit; got != 3 {
		h.Fatalf("commit %d, want 3", got)
	}
	h.write(storage.Operation{Group: 1, Append: commands(1, 6, 1, 5)})
	h.check()
}

// eachPartAlone writes batches that have nothing but one part of an operation,
// and opens the store again after each, so that none waits for the next.
func eachPartAlone(h *home) {
	h.append(1, 1, 20)
	for _, batch := range []struct {
		part string
		op   storage.Operation
	}{
		{"a commit", storage.Operation{Commit: 3}},
		{"a hard state", storage.Operation{HardState: &core.HardState{Term: 2, Vote: peer(1, 1).Identity}}},
		{"a truncation", storage.Operation{TruncateFrom: 15}},
		{"an append", storage.Operation{Append: commands(2, 15, 10, 20)}},
		{"a purge", storage.Operation{Purge: id(1, 5)}},
		{"a reset", storage.Operation{Reset: id(2, 40)}},
		{"another commit", storage.Operation{Commit: 40}},
		{"another hard state", storage.Operation{HardState: &core.HardState{Term: 3}}},
	} {
		batch.op.Group = 1
		h.write(batch.op)
		h.checkAfter("a batch that is nothing but %s", batch.part)
	}
}

func appendToLog(h *home) {
	h.append(1, 1, 1)
	h.append(1, 2, 9)
	h.append(2, 11, 1)
	h.checkState(id(0, 0), id(2, 11))
	h.append(2, 12, 3)
	h.checkState(id(0, 0), id(2, 14))
}

func appendEmptyData(h *home) {
	h.write(storage.Operation{Group: 1, Append: []core.Entry{
		{LogID: id(1, 1), Kind: core.EntryBlank, Time: 1},
		{LogID: id(1, 2), Kind: core.EntryCommand, Time: 1, Data: []byte{}},
		{LogID: id(1, 3), Kind: core.EntryCommand, Time: -1, Data: []byte{0}},
	}})
	h.check()
}

func lastIDInLog(h *home) {
	h.append(1, 1, 10)
	h.checkState(id(0, 0), id(1, 10))
	h.write(storage.Operation{Group: 1, Purge: id(1, 5)})
	h.checkState(id(1, 5), id(1, 10))
	h.write(storage.Operation{Group: 1, Purge: id(1, 10)})
	h.checkState(id(1, 10), id(1, 10))
	h.append(2, 11, 1)
	h.checkState(id(1, 10), id(2, 11))
}

func timeOfLastEntry(h *home) {
	want := func(time int64) {
		h.Helper()
		if got := h.load(1).LastTime; got != time {
			h.Fatalf("time of the last entry %d, want %d", got, time)
		}
		h.check()
	}
	for i, time := range []int64{-5, 0, 7, 7, 1 << 62} {
		h.write(storage.Operation{Group: 1, Append: []core.Entry{{LogID: id(1, core.Index(i+1)), Kind: core.EntryCommand, Time: time, Data: []byte("x")}}})
		want(time)
	}
	h.write(storage.Operation{Group: 1, TruncateFrom: 5})
	want(7)
	h.write(storage.Operation{Group: 1, TruncateFrom: 3})
	want(0)
	h.write(storage.Operation{Group: 1, TruncateFrom: 2})
	want(-5)
	h.write(storage.Operation{Group: 1, TruncateFrom: 1})
	want(0)
	h.append(1, 1, 2)
	h.write(storage.Operation{Group: 1, Purge: id(1, 2)})
	want(0)
}

func termRuns(h *home) {
	want := func(terms ...core.LogID) {
		h.Helper()
		if got := h.load(1).Terms; !slices.Equal(got, terms) {
			h.Fatalf("terms %v, want %v", got, terms)
		}
		h.check()
	}
	h.append(1, 1, 3)
	h.append(1, 4, 2)
	h.append(3, 6, 1)
	h.append(4, 7, 4)
	want(id(1, 1), id(3, 6), id(4, 7))
	h.write(storage.Operation{Group: 1, TruncateFrom: 9})
	want(id(1, 1), id(3, 6), id(4, 7))
	h.write(storage.Operation{Group: 1, TruncateFrom: 7})
	want(id(1, 1), id(3, 6))
	h.append(4, 7, 2)
	h.write(storage.Operation{Group: 1, Purge: id(1, 2)})
	want(id(1, 3), id(3, 6), id(4, 7))
	h.write(storage.Operation{Group: 1, Purge: id(1, 5)})
	want(id(3, 6), id(4, 7))
	h.write(storage.Operation{Group: 1, Purge: id(4, 8)})
	want()
	h.append(4, 9, 1)
	want(id(4, 9))
}

func stateAfterPurge(h *home) {
	for _, test := range []struct {
		name         string
		purge        core.LogID
		purged, last core.LogID
	}{
		{"0", id(0, 0), id(0, 0), id(2, 10)},
		{"1", id(1, 1), id(1, 1), id(2, 10)},
		{"5", id(1, 5), id(1, 5), id(2, 10)},
		{"10", id(2, 10), id(2, 10), id(2, 10)},
		{"20", id(2, 20), id(2, 20), id(2, 20)},
	} {
		h.Run(test.name, func(t *testing.T) {
			h := &home{T: t, opener: h.opener, dir: t.TempDir(), model: model{}}
			h.open()
			defer h.close()
			h.append(1, 1, 7)
			h.append(2, 8, 3)
			h.write(storage.Operation{Group: 1, Purge: test.purge})
			h.checkState(test.purged, test.last)
			if test.purge.Index > 0 {
				if _, err := h.store.Read(t.Context(), 1, test.purge.Index, test.purge.Index, 1); err != storage.ErrNotFound {
					t.Fatalf("Read of a purged entry: %v", err)
				}
			}
			h.append(3, test.last.Index+1, 2)
			h.checkState(test.purged, id(3, test.last.Index+2))
		})
	}
}

func purgeBeyondTheEnd(h *home) {
	h.write(storage.Operation{Group: 1, Purge: id(2, 20)})
	h.checkState(id(2, 20), id(2, 20))
	h.append(2, 21, 5)
	h.write(storage.Operation{Group: 1, Purge: id(5, 100)})
	h.checkState(id(5, 100), id(5, 100))
	h.append(5, 101, 1)
	h.checkState(id(5, 100), id(5, 101))
}

func purgeTwice(h *home) {
	h.append(1, 1, 10)
	h.write(storage.Operation{Group: 1, Purge: id(1, 7)})
	h.write(storage.Operation{Group: 1, Purge: id(1, 7)})
	h.checkState(id(1, 7), id(1, 10))
	h.write(storage.Operation{Group: 1, Purge: id(1, 3)})
	h.checkState(id(1, 7), id(1, 10))
}

func truncateFrom(h *home) {
	for _, test := range []struct {
		name  string
		from  core.Index
		last  core.LogID
		again core.Term
	}{
		{"12", 12, id(2, 10), 2},
		{"11", 11, id(2, 10), 2},
		{"10", 10, id(2, 9), 3},
		{"8", 8, id(1, 7), 3},
		{"5", 5, id(1, 4), 3},
		{"1", 1, id(0, 0), 1},
	} {
		h.Run(test.name, func(t *testing.T) {
			h := &home{T: t, opener: h.opener, dir: t.TempDir(), model: model{}}
			h.open()
			defer h.close()
			h.append(1, 1, 7)
			h.append(2, 8, 3)
			h.write(storage.Operation{Group: 1, TruncateFrom: test.from})
			h.checkState(id(0, 0), test.last)
			h.append(test.again, test.last.Index+1, 6)
			h.checkState(id(0, 0), id(test.again, test.last.Index+6))
		})
	}
}

// truncateThroughBatches cuts at every index of a log that came in batches of
// all sizes, and writes over it in the same operation.
func truncateThroughBatches(h *home) {
	build := func() (last core.Index) {
		h.write(storage.Operation{Group: 1, Reset: h.model.group(1).last()})
		last = h.model.group(1).last().Index
		for n := range 6 {
			h.append(2, last+1, n)
			last += core.Index(n)
		}
		return last
	}
	h.append(2, 1, 1)
	for i := range 15 {
		last := build()
		from := last - core.Index(i)
		h.write(storage.Operation{Group: 1, TruncateFrom: from, Append: commands(3, from, 4, 30)})
		if err := h.model.differs(h.T, h.store); err != nil {
			h.Fatalf("truncated %d before the end: %v", i, err)
		}
		h.write(storage.Operation{Group: 1, TruncateFrom: from + 2, Append: commands(4, from+2, 1, 30)})
		if err := h.model.differs(h.T, h.store); err != nil {
			h.Fatalf("truncated %d before the end, and again: %v", i, err)
		}
		h.write(storage.Operation{Group: 1, TruncateFrom: h.model.group(1).purged.Index + 1})
		h.append(2, h.model.group(1).last().Index+1, 1)
	}
	h.check()
}

func truncateToThePurged(h *home) {
	h.append(1, 1, 10)
	h.write(storage.Operation{Group: 1, Purge: id(1, 4)})
	h.write(storage.Operation{Group: 1, TruncateFrom: 5})
	h.checkState(id(1, 4), id(1, 4))
	h.append(2, 5, 3)
	h.checkState(id(1, 4), id(2, 7))
	h.refused(storage.Operation{Group: 1, TruncateFrom: 4})
}

func truncateManyTimes(h *home) {
	h.append(1, 1, 100)
	for i := core.Index(100); i > 1; i -= 3 {
		h.write(storage.Operation{Group: 1, TruncateFrom: i})
	}
	h.check()
	for term := core.Term(2); term < 20; term++ {
		last := h.model.group(1).last().Index
		h.write(storage.Operation{Group: 1, TruncateFrom: last, Append: commands(term, last, 3, 10)})
	}
	h.check()
}

func reset(h *home) {
	h.append(1, 1, 10)
	h.write(storage.Operation{Group: 1, Reset: id(3, 50)})
	h.checkState(id(3, 50), id(3, 50))
	h.append(3, 51, 2)
	h.checkState(id(3, 50), id(3, 52))
	h.refused(storage.Operation{Group: 1, Reset: id(3, 49)})
}

func resetInsideTheLog(h *home) {
	for _, at := range []core.Index{3, 5, 7, 10} {
		h.write(storage.Operation{Group: membership.GroupID(at), Append: commands(1, 1, 5, 10)})
		h.write(storage.Operation{Group: membership.GroupID(at), Append: commands(1, 6, 5, 10)})
		h.write(storage.Operation{Group: membership.GroupID(at), Reset: id(2, at), Append: commands(2, at+1, 2, 10)})
		if s := h.load(membership.GroupID(at)); s.Purged != id(2, at) || s.Last != id(2, at+2) {
			h.Fatalf("log (%v, %v] after a reset to %d", s.Purged, s.Last, at)
		}
	}
	h.check()
}

func configurationsInitial(h *home) {
	if c := h.load(1).Configurations; len(c) != 0 {
		h.Fatalf("configurations %v", c)
	}
	h.append(1, 1, 3)
	if c := h.load(1).Configurations; len(c) != 0 {
		h.Fatalf("configurations %v", c)
	}
}

// configurations writes some to group 1, between commands.
func configurations(h *home) {
	h.append(1, 1, 2)
	h.write(storage.Operation{Group: 1, Append: []core.Entry{configuration(id(1, 3), 1)}})
	h.write(storage.Operation{Group: 1, Append: []core.Entry{commands(1, 4, 1, 3)[0], configuration(id(1, 5), 2), configuration(id(2, 6), 3)}})
	h.append(2, 7, 4)
}

func (h *home) checkConfigurations(at ...core.LogID) {
	h.Helper()
	var got []core.LogID
	for _, c := range h.load(1).Configurations {
		got = append(got, c.LogID)
	}
	if !slices.Equal(got, at) {
		h.Fatalf("configurations at %v, want %v", got, at)
	}
	h.check()
}

func configurationsMultiStep(h *home) {
	configurations(h)
	h.checkConfigurations(id(1, 3), id(1, 5), id(2, 6))
	h.write(storage.Operation{Group: 1, Append: []core.Entry{configuration(id(3, 11), 5)}})
	h.checkConfigurations(id(1, 3), id(1, 5), id(2, 6), id(3, 11))
	if n := len(h.load(1).Configurations[3].Configuration.Voters); n != 5 {
		h.Fatalf("%d voters, want 5", n)
	}
}

func configurationsAfterReset(h *home) {
	configurations(h)
	h.write(storage.Operation{Group: 1, Reset: id(2, 6)})
	h.checkConfigurations()
	h.write(storage.Operation{Group: 1, Append: []core.Entry{configuration(id(2, 7), 2)}})
	h.checkConfigurations(id(2, 7))
}

func configurationsAfterTruncate(h *home) {
	configurations(h)
	h.write(storage.Operation{Group: 1, TruncateFrom: 7})
	h.checkConfigurations(id(1, 3), id(1, 5), id(2, 6))
	h.write(storage.Operation{Group: 1, TruncateFrom: 6})
	h.checkConfigurations(id(1, 3), id(1, 5))
	h.write(storage.Operation{Group: 1, TruncateFrom: 3, Append: []core.Entry{configuration(id(3, 3), 4)}})
	h.checkConfigurations(id(3, 3))
}

func configurationsAfterPurge(h *home) {
	configurations(h)
	h.write(storage.Operation{Group: 1, Purge: id(1, 2)})
	h.checkConfigurations(id(1, 3), id(1, 5), id(2, 6))
	h.write(storage.Operation{Group: 1, Purge: id(1, 5)})
	h.checkConfigurations(id(2, 6))
	h.write(storage.Operation{Group: 1, Purge: id(2, 10)})
	h.checkConfigurations()
}

func configurationDamaged(h *home) {
	h.append(1, 1, 2)
	h.refused(storage.Operation{Group: 1, Append: []core.Entry{{LogID: id(1, 3), Kind: core.EntryConfiguration, Data: []byte("no configuration")}}})
}
