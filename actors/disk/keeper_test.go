package disk

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/trouperaft/troupe/actors/stage"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/network"
	"github.com/trouperaft/troupe/storage"
	"github.com/trouperaft/troupe/storage/memory"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait of these tests.
const patience = 30 * time.Second

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
	ended := make(chan struct{})
	k := NewKeeper(KeeperNeeds{
		Env: stage.Production(), Store: store, Promises: NewPromises(store, 0),
		Failed: func(err error) { t.Error(err) }, Ended: func() { close(ended) },
	}, store.Header())
	k.Begin()
	t.Cleanup(func() {
		close(store.tokens)
		k.Stop()
		<-ended
	})
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
	k.Learned(peer(2, "first"))
	kept()
	k.Learned(peer(2, "second")) // is under way, or waits like the others
	for i := range 1000 {
		k.Learned(peer(2, fmt.Sprint(i)))
		k.Learned(peer(3, fmt.Sprint(i)))
	}
	k.inbox.Note(func() bool {
		if waiting := len(k.inbox.notes.peers); waiting > 2 {
			t.Errorf("%d records wait for two peers", waiting)
		}
		return false
	})
	want := []storage.Peer{
		{Identity: membership.Identity{ID: 2, Incarnation: 20}, StartCounter: 3, Nonce: 5, Address: "999"},
		{Identity: membership.Identity{ID: 3, Incarnation: 20}, StartCounter: 3, Nonce: 5, Address: "999"},
	}
	for !slices.Equal(store.Peers(), want) {
		kept()
	}
	if len(got) > 4 {
		t.Errorf("kept %q: more than the first, what was under way, and the newest of each", got)
	}
}
