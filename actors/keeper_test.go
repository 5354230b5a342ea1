package actors

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/network/inproc"
	"github.com/trouperaft/troupe/storage"
	"github.com/trouperaft/troupe/storage/memory"
)

// promiseStore tells each promise that is recorded.
type promiseStore struct {
	*memory.Store
	recorded chan time.Duration
}

func (s *promiseStore) RecordPromise(ctx context.Context, d time.Duration) error {
	err := s.Store.RecordPromise(ctx, d)
	if err == nil {
		s.recorded <- d
	}
	return err
}

// keeperNode starts a node without a group on a store.
func keeperNode(t *testing.T, store storage.LogStore) *Node {
	t.Helper()
	n, err := NewNode(NodeConfig{ID: 1, Store: store, Snapshots: memory.NewSnapshots(), Network: inproc.NewHub().Network("")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sync.OnceFunc(func() {
		done := make(chan struct{})
		n.Stop(func() { close(done) })
		<-done
	}))
	return n
}

// TestPromiseComesDown: rule 13: what is recorded is never less than what is left
// of the promise of the life before, and in the end nothing is left of it.
func TestPromiseComesDown(t *testing.T) {
	const promise = 2 * time.Second
	store := &promiseStore{memory.New(1), make(chan time.Duration, 100)}
	if err := store.RecordPromise(t.Context(), promise); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(store.Close(), store.Reopen()); err != nil {
		t.Fatal(err)
	}
	<-store.recorded
	begun := time.Now()
	keeperNode(t, store)
	for before := promise; before > 0; {
		select {
		case d := <-store.recorded:
			// The node began to serve it after begun: more is left than this says.
			if left := promise - time.Since(begun); d < left || d >= before {
				t.Fatalf("%v recorded after %v, when %v was left", d, before, left)
			}
			before = d
		case <-time.After(10 * promise):
			t.Fatalf("it stays at %v", before)
		}
	}
}

// TestOutlivedStoreIsRefused: rule 17: a process on an old copy of a directory
// stops, and the copy is refused from then on.
func TestOutlivedStoreIsRefused(t *testing.T) {
	store := memory.New(1)
	n := keeperNode(t, store)
	g, err := n.Start(t.Context(), groupConfig(1, &listMachine{}))
	if err != nil {
		t.Fatal(err)
	}
	handler{n}.Outlived(membership.Identity{ID: 2, Incarnation: 20})
	select {
	case <-g.Done():
	case <-time.After(10 * time.Second):
		t.Fatal("the group goes on")
	}
	var refused *storage.RefusedError
	if !errors.As(g.Err(), &refused) {
		t.Errorf("the group ended with %v", g.Err())
	}
	done := make(chan struct{})
	n.Stop(func() { close(done) })
	<-done
	if err := errors.Join(store.Close(), store.Reopen()); !errors.As(err, &refused) {
		t.Errorf("it opens again: %v", err)
	}
}
