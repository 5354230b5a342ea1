package storagetest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/storage"
)

// Workload is a history of what is written to a log store. What its n-th step does
// depends on the seed and on the steps before it alone. So a process that knows how
// many steps were acknowledged, and how many were begun, knows what a store has to
// hold, whatever has become of those who wrote it.
type Workload struct {
	seed    uint64
	steps   int
	history *history
	promise time.Duration
	peers   map[membership.NodeID]storage.Peer
}

// NewWorkload begins with an empty store.
func NewWorkload(seed uint64) *Workload {
	w := &Workload{seed: seed, history: newHistory(seed), peers: make(map[membership.NodeID]storage.Peer)}
	w.history.sizeMax, w.history.largeMax = 3000, 64<<10
	return w
}

// Steps is how many have been taken.
func (w *Workload) Steps() int { return w.steps }

// step is one: an operation, a promise or a peer.
type step struct {
	operation *storage.Operation
	promise   time.Duration
	peer      *storage.Peer
}

// next takes the next step.
func (w *Workload) next() (s step) {
	w.steps++
	random := rand.New(rand.NewPCG(w.seed, uint64(w.steps)))
	w.history.random = random
	switch kind := random.IntN(100); {
	case kind == 0:
		w.promise = time.Duration(1+random.IntN(100)) * time.Second
		s.promise = w.promise
	case kind == 1:
		id := membership.NodeID(1 + random.IntN(5))
		p := peer(id, w.peers[id].StartCounter+1)
		w.peers[id], s.peer = p, &p
	default:
		op := w.history.operation(membership.GroupID(1 + random.IntN(w.history.groups)))
		g := w.history.model.group(op.Group)
		if kind < 12 {
			op.HardState = w.history.hardState(g.hardState.Term + 1)
		}
		g.write(&op)
		s.operation = &op
	}
	return s
}

// Write takes up to most steps and writes them: so many operations as one batch, or a
// promise, or a peer. before is called when they are known and nothing is written yet.
// It is given the batch, which may be empty; an error of it ends the call.
func (w *Workload) Write(ctx context.Context, s storage.LogStore, most int, before func(*storage.Batch) error) error {
	var batch storage.Batch
	var last step
	const bytesMax = 200 << 10 // one batch of every store
	for bytes := 0; most > 0 && bytes < bytesMax && last.peer == nil && last.promise == 0; most-- {
		if last = w.next(); last.operation != nil {
			batch.Operations = append(batch.Operations, *last.operation)
			bytes += sizeOf(last.operation)
		}
	}
	if err := before(&batch); err != nil {
		return err
	}
	if len(batch.Operations) > 0 {
		if err := s.Write(ctx, &batch); err != nil {
			return err
		}
	}
	switch {
	case last.peer != nil:
		return s.KeepPeer(ctx, *last.peer)
	case last.promise != 0:
		return s.RecordPromise(ctx, last.promise)
	}
	return nil
}

func sizeOf(op *storage.Operation) (bytes int) {
	for i := range op.Append {
		bytes += op.Append[i].Size()
	}
	return bytes
}

// differs compares what a store holds with what it has to hold after the steps so far.
func (w *Workload) differs(ctx context.Context, s storage.LogStore) error {
	if got := s.Header().Promise; got != w.promise {
		return fmt.Errorf("%w: promise %v, want %v", errDiffers, got, w.promise)
	}
	want := slices.SortedFunc(maps.Values(w.peers), func(a, b storage.Peer) int { return int(a.ID) - int(b.ID) })
	if got := s.Peers(); !slices.Equal(got, want) {
		return fmt.Errorf("%w: peers %+v, want %+v", errDiffers, got, want)
	}
	for _, id := range slices.Sorted(maps.Keys(w.history.model)) {
		if err := w.history.model[id].differs(ctx, s, id); err != nil {
			return fmt.Errorf("group %d: %w", id, err)
		}
	}
	return nil
}

// Find returns the workload after as many steps as the store holds: at least low and at
// most high of them, and nothing of a later one. Otherwise it says what the store holds
// that it should not after low steps, or returns an error of the store as it is.
func Find(ctx context.Context, s storage.LogStore, seed uint64, low, high int) (*Workload, error) {
	w := NewWorkload(seed)
	var first error
	for {
		if w.steps >= low {
			err := w.differs(ctx, s)
			if err == nil {
				return w, nil
			}
			if !errors.Is(err, errDiffers) {
				return nil, err
			}
			if first == nil {
				first = err
			}
		}
		if w.steps >= high {
			return nil, first
		}
		w.next()
	}
}

// Differs reports whether an error of Find says that the store holds something else, and
// is none of the store's own.
func Differs(err error) bool { return errors.Is(err, errDiffers) }
