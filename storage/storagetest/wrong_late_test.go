package storagetest_test

import (
	"context"
	"slices"
	"sync"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/storage"
	"github.com/trouperaft/troupe/storage/memory"
)

// lateFaults acknowledge what is only in memory, until the next batch comes: it
// is gone when the store is opened again before.
var lateFaults = []fault[func(*altered)]{
	{"writes every batch when the next one comes", "AppendToLog", `opened again: .* log \(0.0, 1.10\], want \(0.0, 2.11\]`, late(func(*storage.Operation) bool { return true })},
	{"keeps a commit that comes alone in memory", "EachPartAlone", `nothing but a commit: opened again: .* commit 0, want 3`, late(func(op *storage.Operation) bool {
		return op.HardState == nil && op.Reset.Index == 0 && op.TruncateFrom == 0 && len(op.Append) == 0 && op.Purge.Index == 0
	})},
	{"keeps a hard state that comes alone in memory", "EachPartAlone", `nothing but a hard state: opened again: .* hard state {Term:0`, late(func(op *storage.Operation) bool {
		return op.HardState != nil && op.Reset.Index == 0 && op.TruncateFrom == 0 && len(op.Append) == 0
	})},
	{"keeps a truncation that comes alone in memory", "EachPartAlone", `nothing but a truncation: opened again: .* log \(0.0, 1.20\], want \(0.0, 1.14\]`, late(func(op *storage.Operation) bool {
		return op.TruncateFrom != 0 && len(op.Append) == 0
	})},
	{"keeps a purge that comes alone in memory", "EachPartAlone", `nothing but a purge: opened again: .* log \(0.0, 2.24\], want \(1.5, 2.24\]`, late(func(op *storage.Operation) bool {
		return op.Purge.Index != 0 && len(op.Append) == 0
	})},
	{"keeps a reset that comes alone in memory", "EachPartAlone", `nothing but a reset: opened again: .* log \(1.5, 2.24\], want \(2.40, 2.40\]`, late(func(op *storage.Operation) bool {
		return op.Reset.Index != 0 && len(op.Append) == 0
	})},
}

// disks are what is really written of the stores of this process.
var disks struct {
	sync.Mutex
	batches map[*memory.Store][]*storage.Batch
}

// late makes a fault of a store that shows what it was given, and writes batches
// of one operation that is in question only together with the next batch.
func late(inQuestion func(*storage.Operation) bool) func(*altered) {
	return func(a *altered) {
		written := writtenTo(a.Store)
		shown := replayed(written)
		var waiting []*storage.Batch
		a.load, a.read = shown.Load, shown.Read
		a.write = func(ctx context.Context, b *storage.Batch) error {
			if err := shown.Write(ctx, b); err != nil {
				return err
			}
			waiting = append(waiting, &storage.Batch{Operations: slices.Clone(b.Operations)})
			if len(b.Operations) == 1 && inQuestion(&b.Operations[0]) && len(waiting) == 1 {
				return nil
			}
			written = append(written, waiting...)
			waiting = nil
			disks.Lock()
			defer disks.Unlock()
			disks.batches[a.Store] = written
			return nil
		}
	}
}

func writtenTo(s *memory.Store) []*storage.Batch {
	disks.Lock()
	defer disks.Unlock()
	if disks.batches == nil {
		disks.batches = make(map[*memory.Store][]*storage.Batch)
	}
	return disks.batches[s]
}

// replayed makes a store that holds what batches wrote.
func replayed(batches []*storage.Batch) *memory.Store {
	s := memory.New(1)
	for _, b := range batches {
		if err := s.Write(context.Background(), b); err != nil {
			panic(err)
		}
	}
	return s
}

// refusalFaults are of what is left of a batch that fails.
var refusalFaults = []fault[func(*altered)]{
	{"says of what it refused that it is written", "HoleRefused", `the batch was accepted`, func(a *altered) {
		inner := a.write
		a.write = func(ctx context.Context, b *storage.Batch) error {
			_ = inner(ctx, b)
			return ctx.Err()
		}
	}},
	{"lets the first entry of a refused operation be read", "RefusedAsAWhole", `an operation that failed can be (seen|read): .*Read\(8, 8\)`, func(a *altered) {
		var left []core.Entry
		inner := a.write
		a.write = func(ctx context.Context, b *storage.Batch) error {
			err := inner(ctx, b)
			if len(b.Operations) == 1 && len(b.Operations[0].Append) > 1 && err != nil {
				left = b.Operations[0].Append[:1]
			}
			return err
		}
		a.reads(func(r reading, inner func(reading) ([]core.Entry, error)) ([]core.Entry, error) {
			if len(left) > 0 && r.first == left[0].Index && r.last == r.first {
				return left, nil
			}
			return inner(r)
		})
	}},
	{"lets the hard state of a refused operation be loaded", "RefusedAsAWhole", `a part of an operation that failed can be seen: .* hard state {Term:7`, func(a *altered) {
		hard := make(map[membership.GroupID]core.HardState)
		a.refuses(func(op *storage.Operation) {
			if op.HardState != nil {
				hard[op.Group] = *op.HardState
			}
		})
		a.loads(func(g membership.GroupID, s *storage.State) {
			if h, found := hard[g]; found {
				s.HardState = h
			}
		})
	}},
	{"carries out a truncation although the entries are refused", "RefusedAsAWhole", `a part of an operation that failed can be seen: .* log \(0.0, 1.7\], want \(0.0, 1.10\]`, func(a *altered) {
		a.refuses(func(op *storage.Operation) {
			_ = a.Store.Write(context.Background(), &storage.Batch{Operations: []storage.Operation{{Group: op.Group, TruncateFrom: op.TruncateFrom}}})
		})
	}},
	{"carries out what follows a refused operation", "RefusedAfterOthers", `neither none nor the first nor the first two are there: group 2`, func(a *altered) {
		a.refuses(func(op *storage.Operation) {
			_ = a.Store.Write(context.Background(), &storage.Batch{Operations: []storage.Operation{*op}})
		})
	}},
	{"shows operations of a batch that it has not written", "RefusedAfterOthers", `2 operations could be seen, and 0 are there`, late(func(*storage.Operation) bool { return false })},
}

// refuses calls left with each operation of a batch that fails.
func (a *altered) refuses(left func(*storage.Operation)) {
	inner := a.write
	a.write = func(ctx context.Context, b *storage.Batch) error {
		err := inner(ctx, b)
		if err != nil {
			for i := range b.Operations {
				left(&b.Operations[i])
			}
		}
		return err
	}
}
