package storagetest

import (
	"context"
	"errors"
	"iter"
	"testing"
	"time"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/storage"
)

func readEntries(h *home) {
	for first := core.Index(1); first <= 20; first += 4 {
		h.append(core.Term(first), first, 4)
	}
	all := h.model.group(1).entries
	for first := core.Index(1); first <= 20; first++ {
		for last := first; last <= 20; last++ {
			got, err := h.store.Read(h.Context(), 1, first, last, 1<<20)
			if err != nil {
				h.Fatalf("Read(%d, %d): %v", first, last, err)
			}
			if err := sameEntries(got, all[first-1:last]); err != nil {
				h.Fatalf("Read(%d, %d): %v", first, last, err)
			}
		}
	}
}

func limitedRead(h *home) {
	h.append(1, 1, 3)
	h.append(1, 4, 7)
	size := h.model.group(1).entries[0].Size()
	for _, test := range []struct {
		name     string
		first    core.Index
		bytesMax int
		want     int
	}{
		{"nothing", 1, 0, 1},
		{"negative", 1, -1, 1},
		{"less than one", 2, size - 1, 1},
		{"one", 2, size, 1},
		{"almost two", 2, 2*size - 1, 1},
		{"two", 2, 2 * size, 2},
		{"into the next batch", 2, 5 * size, 5},
		{"all", 1, 10 * size, 10},
		{"more than all", 1, 1 << 30, 10},
	} {
		h.Run(test.name, func(t *testing.T) {
			got, err := h.store.Read(t.Context(), 1, test.first, 10, test.bytesMax)
			if err != nil {
				t.Fatal(err)
			}
			if err := sameEntries(got, h.model.group(1).entries[test.first-1:][:test.want]); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func readOutside(h *home) {
	h.append(1, 1, 10)
	h.write(storage.Operation{Group: 1, Purge: id(1, 4)})
	for _, r := range [][2]core.Index{{0, 5}, {1, 4}, {4, 10}, {5, 11}, {11, 11}, {11, 12}, {1 << 63, 1 << 63}} {
		if _, err := h.store.Read(h.Context(), 1, r[0], r[1], 1<<20); !errors.Is(err, storage.ErrNotFound) {
			h.Fatalf("Read(%d, %d): %v", r[0], r[1], err)
		}
	}
	if _, err := h.store.Read(h.Context(), 2, 5, 10, 1<<20); !errors.Is(err, storage.ErrNotFound) {
		h.Fatalf("Read of another group: %v", err)
	}
}

// readsStayAsTheyAre: what Read returned is not touched by what the store does
// later, with the memory that it has used.
func readsStayAsTheyAre(h *home) {
	h.append(1, 1, 30)
	h.append(1, 31, 30)
	want := h.model.group(1).fitting(1, 45, 1<<20)
	got, err := h.store.Read(h.Context(), 1, 1, 45, 1<<20)
	if err != nil {
		h.Fatal(err)
	}
	for what, op := range besideOperations() {
		h.write(op)
		h.read1(h.model.group(1).purged.Index+1, h.model.group(1).last().Index, 1<<20)
		if err := sameEntries(got, want); err != nil {
			h.Fatalf("what a Read returned before %s is not the same any more: %v", what, err)
		}
	}
}

// loadsStayAsTheyAre is the same for Load.
func loadsStayAsTheyAre(h *home) {
	h.append(1, 1, 30)
	h.append(2, 31, 30)
	h.write(storage.Operation{Group: 1, Append: []core.Entry{configuration(id(3, 61), 1), configuration(id(4, 62), 2)}})
	h.append(5, 63, 1)
	want, got := h.model.group(1).state(), h.load(1)
	for what, op := range besideOperations() {
		h.write(op)
		if err := sameState(h.load(1), h.model.group(1).state()); err != nil {
			h.Fatalf("after %s: %v", what, err)
		}
		if err := sameState(got, want); err != nil {
			h.Fatalf("what a Load returned before %s is not the same any more: %v", what, err)
		}
	}
}

// besideOperations change a log of 60 entries in every way, one after the other.
func besideOperations() iter.Seq2[string, storage.Operation] {
	return func(yield func(string, storage.Operation) bool) {
		_ = yield("an append", storage.Operation{Group: 1, TruncateFrom: 60, Append: commands(6, 60, 20, 40)}) &&
			yield("a truncation", storage.Operation{Group: 1, TruncateFrom: 10, Append: append(commands(7, 10, 50, 40), configuration(id(8, 60), 5))}) &&
			yield("a purge", storage.Operation{Group: 1, Purge: id(7, 20)}) &&
			yield("a reset", storage.Operation{Group: 1, Reset: id(9, 100), Append: commands(9, 101, 30, 40)})
	}
}

// operationsInOrder changes one group several times in one batch.
func operationsInOrder(h *home) {
	h.write(
		storage.Operation{Group: 1, Append: commands(1, 1, 5, 20)},
		storage.Operation{Group: 2, Append: commands(1, 1, 3, 20)},
		storage.Operation{Group: 1, TruncateFrom: 4, Append: commands(2, 4, 3, 20)},
		storage.Operation{Group: 1, HardState: &core.HardState{Term: 2}},
		storage.Operation{Group: 2, Reset: id(5, 30), Append: commands(5, 31, 2, 20)},
		storage.Operation{Group: 1, Purge: id(1, 2)},
		storage.Operation{Group: 1, TruncateFrom: 5, Append: commands(3, 5, 1, 20)},
		storage.Operation{Group: 1, HardState: &core.HardState{Term: 3}, Commit: 4},
	)
	h.checkState(id(1, 2), id(3, 5))
	h.write(storage.Operation{Group: 1, TruncateFrom: 3}, storage.Operation{Group: 1, Append: commands(1, 3, 1, 5)})
	h.checkState(id(1, 2), id(1, 3))
}

func allPartsOfAnOperation(h *home) {
	h.append(1, 1, 10)
	h.write(storage.Operation{Group: 1, HardState: &core.HardState{Term: 4, Cluster: cluster(2)}, TruncateFrom: 8, Append: commands(4, 8, 5, 20),
		Purge: id(1, 6), Commit: 7})
	h.checkState(id(1, 6), id(4, 12))
	h.write(storage.Operation{Group: 1, HardState: &core.HardState{Term: 5}, Reset: id(4, 20), Append: commands(5, 21, 5, 20), Purge: id(5, 23), Commit: 23})
	h.checkState(id(5, 23), id(5, 25))
}

func groupsIndependent(h *home) {
	groups := []membership.GroupID{1, 2, 255, 256, 0x2162616467657221, 1<<64 - 1, 1 << 32, 1<<32 + 1, 1<<63 + 2, 1<<53 + 1, 1 << 53}
	for i, g := range groups {
		h.write(storage.Operation{Group: g, HardState: &core.HardState{Term: core.Term(i + 1)}, Append: commands(core.Term(i+1), 1, 10+i, 10)})
	}
	h.write(storage.Operation{Group: groups[1], TruncateFrom: 5})
	h.write(storage.Operation{Group: groups[2], Purge: id(3, 7)})
	h.write(storage.Operation{Group: groups[3], Reset: id(9, 90)})
	h.check()
	h.refused(storage.Operation{Group: 0, Append: commands(1, 1, 1, 1)})
}

func manyGroupsInABatch(h *home) {
	var operations []storage.Operation
	for g := range membership.GroupID(500) {
		operations = append(operations, storage.Operation{Group: g + 1, HardState: &core.HardState{Term: 1}, Append: commands(1, 1, 1, 100)})
	}
	h.write(operations...)
	h.check()
}

func entryAtTheLimit(h *home) {
	limits := h.store.Limits()
	if limits.EntryBytesMax < 1 || limits.BatchEntriesMax < 1 || limits.BatchBytesMax < limits.EntryBytesMax+core.EntryOverheadBytes {
		h.Fatalf("limits %+v", limits)
	}
	h.append(1, 1, 1)
	h.write(storage.Operation{Group: 1, HardState: &core.HardState{Term: 1}, Append: commands(1, 2, 1, limits.EntryBytesMax)})
	h.append(1, 3, 1)
	h.check()
	h.write(storage.Operation{Group: 1, TruncateFrom: 2, Append: commands(2, 2, 1, limits.EntryBytesMax/2)})
	h.check()
}

func batchAtTheLimits(h *home) {
	limits := h.store.Limits()
	n := min(limits.BatchEntriesMax, limits.BatchBytesMax/core.EntryOverheadBytes)
	h.write(storage.Operation{Group: 1, Append: commands(1, 1, n, limits.BatchBytesMax/n-core.EntryOverheadBytes)})
	n = limits.BatchBytesMax / (1000 + core.EntryOverheadBytes)
	h.write(
		storage.Operation{Group: 2, Append: commands(1, 1, n/2, 1000)},
		storage.Operation{Group: 1, HardState: &core.HardState{Term: 9}},
		storage.Operation{Group: 3, Append: commands(1, 1, n/2, 1000)},
	)
	h.check()
}

func batchBelongsToTheCaller(h *home) {
	batch := &storage.Batch{Operations: []storage.Operation{{Group: 1, HardState: &core.HardState{Term: 1}, Append: commands(1, 1, 5, 20)}}}
	h.model.write(batch)
	if err := h.store.Write(h.Context(), batch); err != nil {
		h.Fatal(err)
	}
	batch.Operations[0].HardState.Term = 77
	clear(batch.Operations)
	h.check()
}

func emptyBatch(h *home) {
	h.append(1, 1, 2)
	h.write()
	h.write(storage.Operation{Group: 1})
	h.write(storage.Operation{Group: 5})
	h.check()
}

func contextCancelled(h *home) {
	h.append(1, 1, 2)
	ctx, cancel := context.WithCancel(h.Context())
	cancel()
	if err := h.store.Write(ctx, &storage.Batch{Operations: []storage.Operation{{Group: 1, Append: commands(1, 3, 1, 1)}}}); !errors.Is(err, context.Canceled) {
		h.Fatalf("Write: %v", err)
	}
	if _, err := h.store.Read(ctx, 1, 1, 1, 1); !errors.Is(err, context.Canceled) {
		h.Fatalf("Read: %v", err)
	}
	if _, err := h.store.Load(ctx, 1); !errors.Is(err, context.Canceled) {
		h.Fatalf("Load: %v", err)
	}
	if err := h.store.RecordPromise(ctx, time.Hour); !errors.Is(err, context.Canceled) {
		h.Fatalf("RecordPromise: %v", err)
	}
	if err := h.store.Refuse(ctx, "cancelled"); !errors.Is(err, context.Canceled) {
		h.Fatalf("Refuse: %v", err)
	}
	if err := h.store.KeepPeer(ctx, peer(1, 1)); !errors.Is(err, context.Canceled) {
		h.Fatalf("KeepPeer: %v", err)
	}
	h.nothingOf(&storage.Operation{Group: 1, Append: commands(1, 3, 1, 1)})
	h.reopen()
	h.check()
}

func reopenKeepsEverything(h *home) {
	made := newHistory(7)
	for range 30 {
		h.write(made.batch(false).Operations...)
	}
	first := h.store.Header()
	h.check()
	if got := h.store.Header(); got.Incarnation != first.Incarnation || got.Node != first.Node {
		h.Fatalf("header %+v, before it was %+v", got, first)
	}
	h.write(made.batch(true).Operations...)
	h.check()
}

func otherNodeRefused(h *home) {
	h.append(1, 1, 3)
	h.close()
	var wrong *storage.WrongNodeError
	store, err := h.opener(h.dir, node+1)
	if !errors.As(err, &wrong) {
		if err == nil {
			err = store.Close()
		}
		h.Fatalf("opened for another node: %v", err)
	}
	if wrong.Node != node+1 || wrong.Owner != node {
		h.Fatalf("error %+v", wrong)
	}
	h.open()
	h.check()
}

func otherIncarnation(h *home) {
	other, err := h.opener(h.TempDir(), node)
	if err != nil {
		h.Fatal(err)
	}
	defer other.Close()
	if a, b := h.store.Header().Incarnation, other.Header().Incarnation; a == b {
		h.Fatalf("two stores with incarnation %x", uint64(a))
	}
}

func closed(h *home) {
	h.append(1, 1, 3)
	store := h.store
	h.close()
	if err := store.Write(h.Context(), &storage.Batch{Operations: []storage.Operation{{Group: 1, Append: commands(1, 4, 1, 1)}}}); err == nil {
		h.Error("Write to a closed store")
	}
	if _, err := store.Read(h.Context(), 1, 1, 1, 1); err == nil {
		h.Error("Read from a closed store")
	}
	if _, err := store.Load(h.Context(), 1); err == nil {
		h.Error("Load from a closed store")
	}
	if err := store.RecordPromise(h.Context(), time.Hour); err == nil {
		h.Error("RecordPromise of a closed store")
	}
	if err := store.Refuse(h.Context(), "closed"); err == nil {
		h.Error("Refuse of a closed store")
	}
	if err := store.KeepPeer(h.Context(), peer(1, 1)); err == nil {
		h.Error("KeepPeer of a closed store")
	}
	h.open()
	h.check()
}

// randomOperations compares the store with the model again and again.
func randomOperations(h *home) {
	for seed := range uint64(3) {
		h.Run("", func(t *testing.T) {
			h := &home{T: t, opener: h.opener, dir: t.TempDir(), model: model{}}
			h.open()
			defer h.close()
			made := newHistory(seed)
			for i := range 100 {
				h.write(made.batch(i%10 == 0).Operations...)
				if i%20 == 7 {
					h.reopen()
				}
				if i%4 != 0 {
					continue
				}
				if err := h.model.differs(t, h.store); err != nil {
					t.Fatalf("seed %d, after batch %d: %v", seed, i, err)
				}
			}
			h.check()
		})
	}
}
