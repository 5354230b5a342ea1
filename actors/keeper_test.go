package actors

import (
	"context"
	"errors"
	"fmt"
	"slices"
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
	if err := n.promises.raise(t.Context(), 3*time.Minute); err != nil {
		t.Fatal(err)
	}
	for _, left := range []time.Duration{time.Hour, 10 * time.Minute, time.Minute, 0} {
		if err := n.promises.lower(left); err != nil {
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

// fickleStore records the first so many promises and then says that it has not.
type fickleStore struct {
	*memory.Store
	fails    bool
	recorded []time.Duration
}

func (s *fickleStore) RecordPromise(ctx context.Context, d time.Duration) error {
	s.recorded = append(s.recorded, d)
	if err := s.Store.RecordPromise(ctx, d); err != nil || !s.fails {
		return err
	}
	return errors.New("no room")
}

// TestPromiseAfterAFailedLowering: rule 13: a store that fails may have recorded the
// lower promise. One that lies between is recorded before it is given.
func TestPromiseAfterAFailedLowering(t *testing.T) {
	store := &fickleStore{Store: memory.New(1)}
	p := &promises{store: store, recorded: time.Hour}
	store.fails = true
	if err := p.lower(time.Minute); err == nil {
		t.Fatal("the failure is not told")
	}
	store.fails = false
	if err := p.raise(t.Context(), 10*time.Minute); err != nil {
		t.Fatal(err)
	}
	if want := []time.Duration{time.Minute, 10 * time.Minute}; !slices.Equal(store.recorded, want) {
		t.Errorf("recorded %v, want %v", store.recorded, want)
	}
}

// keepingStore tells what of peers it has kept. Each call waits for a token.
type keepingStore struct {
	*memory.Store
	tokens chan struct{}
	kept   chan storage.Peer
}

func (s *keepingStore) KeepPeer(ctx context.Context, p storage.Peer) error {
	<-s.tokens
	defer func() { s.kept <- p }()
	return s.Store.KeepPeer(ctx, p)
}

// TestKeeperKeepsPeers: rule 29: what was proved of a peer is there in the next
// life of the node. While the store takes its time the newest of each peer waits,
// and no more.
func TestKeeperKeepsPeers(t *testing.T) {
	store := &keepingStore{memory.New(1), make(chan struct{}, 10), make(chan storage.Peer, 10)}
	n := keeperNode(t, store)
	t.Cleanup(func() { close(store.tokens) })
	peer := func(id membership.NodeID, address string) network.Peer {
		return network.Peer{Local: network.Local{Identity: membership.Identity{ID: id, Incarnation: 20}, StartCounter: 3, Nonce: 5}, Address: address}
	}
	var got []string
	kept := func() {
		t.Helper()
		store.tokens <- struct{}{}
		select {
		case p := <-store.kept:
			got = append(got, fmt.Sprint(p.ID, " ", p.Address))
		case <-time.After(patience):
			t.Fatalf("kept %q, and nothing more", got)
		}
	}
	handler{n}.Learned(peer(2, "first"))
	kept()
	handler{n}.Learned(peer(2, "second")) // is under way, or waits like the others
	for i := range 1000 {
		handler{n}.Learned(peer(2, fmt.Sprint(i)))
		handler{n}.Learned(peer(3, fmt.Sprint(i)))
	}
	n.keeper.inbox.Note(func() bool {
		if waiting := len(n.keeper.inbox.notes.peers); waiting > 2 {
			t.Errorf("%d records wait for two peers", waiting)
		}
		return false
	})
	want := []network.Peer{peer(2, "999"), peer(3, "999")}
	for !slices.Equal(n.knownPeers(), want) {
		kept()
	}
	if len(got) > 4 {
		t.Errorf("kept %q: more than the first, what was under way, and the newest of each", got)
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
