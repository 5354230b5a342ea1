package actors

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/network"
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

// TestPromiseOfThisLifeStays: what was promised in this life is never lowered.
func TestPromiseOfThisLifeStays(t *testing.T) {
	store := &promiseStore{memory.New(1), make(chan time.Duration, 100)}
	if err := errors.Join(store.Store.RecordPromise(t.Context(), time.Hour), store.Close(), store.Reopen()); err != nil {
		t.Fatal(err)
	}
	n := keeperNode(t, store)
	if err := n.raisePromise(t.Context(), 3*time.Minute); err != nil {
		t.Fatal(err)
	}
	for _, left := range []time.Duration{time.Hour, 10 * time.Minute, time.Minute, 0} {
		if err := n.lowerPromise(left); err != nil {
			t.Fatal(err)
		}
	}
	var got []time.Duration
	for len(store.recorded) > 0 {
		got = append(got, <-store.recorded)
	}
	if want := []time.Duration{10 * time.Minute, 3 * time.Minute}; len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
		t.Errorf("recorded %v, want %v", got, want)
	}
}

// TestKeeperKeepsPeers: rule 29: what was proved of a peer is there in the next
// life of the node.
func TestKeeperKeepsPeers(t *testing.T) {
	store := memory.New(1)
	n := keeperNode(t, store)
	peer := network.Peer{Local: network.Local{Identity: membership.Identity{ID: 2, Incarnation: 20}, StartCounter: 3, Nonce: 5}, Address: "somewhere"}
	for _, address := range []string{"before", peer.Address} {
		p := peer
		p.Address = address
		handler{n}.Learned(p)
	}
	deadline := time.Now().Add(10 * time.Second)
	for {
		known := n.knownPeers()
		if len(known) == 1 && known[0] == peer {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%+v is known", known)
		}
		time.Sleep(time.Millisecond)
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
