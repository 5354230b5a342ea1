package storagetest

import (
	"errors"
	"slices"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/storage"
)

// refused writes an operation that the store must refuse, and checks that
// nothing of it happened: for who reads on, and after the next opening.
func (h *home) refused(op storage.Operation) {
	h.Helper()
	if err := h.store.Write(h.Context(), &storage.Batch{Operations: []storage.Operation{op}}); err == nil {
		h.Fatal("the batch was accepted")
	}
	h.nothingOf(&op)
	h.reopen() // an error is final
	h.check()
}

// nothingOf checks that Load and Read show nothing of an operation that failed.
// They may fail themselves until the store is opened again.
func (h *home) nothingOf(op *storage.Operation) {
	h.Helper()
	err := h.model.differs(h.T, h.store)
	if errors.Is(err, errDiffers) {
		h.Fatalf("a part of an operation that failed can be seen: %v", err)
	}
	g := h.model[op.Group]
	if g == nil {
		g = &groupModel{}
	}
	const ends = 3 // there may be very many
	for i := range op.Append {
		if i >= ends && i < len(op.Append)-ends {
			continue
		}
		index := op.Append[i].Index
		err := g.readDiffers(h.Context(), h.store, op.Group, index, index, 1<<20)
		if errors.Is(err, errDiffers) {
			h.Fatalf("an entry of an operation that failed can be read: %v", err)
		}
	}
}

func holeRefused(h *home) {
	h.refused(storage.Operation{Group: 1, Append: commands(1, 2, 1, 5)})
	h.append(1, 1, 5)
	h.refused(storage.Operation{Group: 1, Append: commands(1, 7, 1, 5)})
	h.refused(storage.Operation{Group: 1, Append: commands(1, 5, 1, 5)})
	h.refused(storage.Operation{Group: 1, Append: append(commands(1, 6, 2, 5), commands(1, 9, 1, 5)...)})
	h.refused(storage.Operation{Group: 1, TruncateFrom: 4, Append: commands(1, 5, 1, 5)})
	h.refused(storage.Operation{Group: 1, Reset: id(1, 8), Append: commands(1, 6, 1, 5)})
}

func lowerTermRefused(h *home) {
	h.append(3, 1, 5)
	h.refused(storage.Operation{Group: 1, Append: commands(2, 6, 1, 5)})
	h.refused(storage.Operation{Group: 1, Append: append(commands(4, 6, 1, 5), commands(3, 7, 1, 5)...)})
}

func beyondTheLimits(h *home) {
	limits := h.store.Limits()
	h.refused(storage.Operation{Group: 1, Append: commands(1, 1, 1, limits.EntryBytesMax+1)})
	h.refused(storage.Operation{Group: 1, Append: commands(1, 1, limits.BatchEntriesMax+1, 0)})
	large := commands(1, 1, 2, limits.EntryBytesMax)
	for core.SizeOf(large) <= limits.BatchBytesMax {
		large = append(large, core.Entry{LogID: id(1, core.Index(len(large)+1)), Kind: core.EntryCommand, Data: large[0].Data})
	}
	h.refused(storage.Operation{Group: 1, Append: large})
}

// refusedAsAWhole: the parts before the one that is refused are not carried out
// either.
func refusedAsAWhole(h *home) {
	h.append(1, 1, 10)
	hard := &core.HardState{Term: 7, Cluster: cluster(3)}
	bad := core.Entry{LogID: id(2, 10), Kind: core.EntryConfiguration, Data: []byte("no configuration")}
	large := commands(2, 10, 1, h.store.Limits().EntryBytesMax+1)[0]
	for _, op := range []storage.Operation{
		{HardState: hard, Commit: 5, Append: commands(2, 12, 1, 20)},
		{HardState: hard, Commit: 5, Purge: id(1, 3), TruncateFrom: 8, Append: append(commands(2, 8, 2, 20), commands(2, 11, 1, 20)...)},
		{HardState: hard, Commit: 5, Purge: id(1, 3), TruncateFrom: 8, Append: append(commands(2, 8, 2, 20), bad)},
		{HardState: hard, Commit: 5, Purge: id(1, 3), TruncateFrom: 8, Append: append(commands(2, 8, 2, 20), large)},
		{HardState: hard, Commit: 20, Purge: id(2, 20), Reset: id(2, 20), Append: commands(2, 22, 2, 20)},
	} {
		op.Group = 1
		h.refused(op)
	}
	h.append(1, 11, 3)
	h.check()
}

// refusedAfterOthers: of a batch that fails, the operations before the one that
// is refused may have been carried out, in their order and each as a whole. What
// could be seen of them stays.
func refusedAfterOthers(h *home) {
	h.append(1, 1, 5)
	operations := []storage.Operation{
		{Group: 1, HardState: &core.HardState{Term: 2}, TruncateFrom: 4, Append: commands(2, 4, 3, 20), Commit: 4},
		{Group: 2, HardState: &core.HardState{Term: 3}, Append: commands(3, 1, 2, 20)},
		{Group: 1, HardState: &core.HardState{Term: 4}, Append: commands(4, 9, 1, 20), Commit: 6},
		{Group: 2, HardState: &core.HardState{Term: 5}, Append: commands(3, 3, 2, 20)},
	}
	const refused = 2
	h.model.group(2)
	states := []model{h.model.clone()}
	for i := range operations[:refused] {
		h.model.write(&storage.Batch{Operations: operations[i : i+1]})
		states = append(states, h.model.clone())
	}
	if err := h.store.Write(h.Context(), &storage.Batch{Operations: operations}); err == nil {
		h.Fatal("the batch was accepted")
	}
	carriedOut := func() (n int, err error) {
		h.Helper()
		n = slices.IndexFunc(states, func(m model) bool {
			err = m.differs(h.T, h.store)
			return err == nil
		})
		if errors.Is(err, errDiffers) {
			h.Fatalf("of a batch whose third operation was refused neither none nor the first nor the first two are there: %v", err)
		}
		return n, err
	}
	seen, _ := carriedOut() // it may fail until the store is opened again
	h.reopen()
	there, err := carriedOut()
	if err != nil {
		h.Fatal(err)
	}
	if there < seen {
		h.Fatalf("of a batch that was refused %d operations could be seen, and %d are there when the store is opened again", seen, there)
	}
	h.model = states[there]
	h.write(operations[there:refused]...)
	h.check()
}
