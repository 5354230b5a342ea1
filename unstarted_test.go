package troupe_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/trouperaft/troupe"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/network"
	"github.com/trouperaft/troupe/network/inproc"
	"github.com/trouperaft/troupe/storage"
	"github.com/trouperaft/troupe/storage/memory"
)

var errNoNetwork = errors.New("no network today")

// unstartable is a network that learns of a peer while it starts, and then does not start.
type unstartable struct{ troupe.Network }

func (n unstartable) Start(_ network.Local, _ []network.Peer, h network.Handler) error {
	h.Learned(network.Peer{Local: network.Local{Identity: membership.Identity{ID: 2, Incarnation: 20}, StartCounter: 1}})
	return errNoNetwork
}

// slowKeeper is a store in which keeping a peer hangs.
type slowKeeper struct {
	troupe.LogStore
	held *gate
}

func (s slowKeeper) KeepPeer(ctx context.Context, p storage.Peer) error {
	if err := s.held.pass("hang"); err != nil {
		return err
	}
	return s.LogStore.KeepPeer(ctx, p)
}

// TestNodeThatCannotStart: a node whose network does not start leaves its store to the next
// one at once, but not while a call of it in the store hangs: never two at a time.
func TestNodeThatCannotStart(t *testing.T) {
	start := func(log troupe.LogStore, net troupe.Network) error {
		node, err := troupe.NewNode(troupe.NodeConfig{ID: 1, Network: net, Log: log, Snapshots: memory.NewSnapshots()})
		if err == nil {
			node.Kill()
		}
		return err
	}
	bad := func() troupe.Network { return unstartable{inproc.NewHub().Network("")} }
	good := func() troupe.Network { return inproc.NewHub().Network("") }
	store := memory.New(1)
	if err := start(store, bad()); !errors.Is(err, errNoNetwork) {
		t.Fatal(err)
	}
	if err := start(store, good()); err != nil {
		t.Errorf("the store of a node that was not started: %v", err)
	}
	held := newGate()
	slow := slowKeeper{memory.New(1), held}
	if err := start(slow, bad()); !errors.Is(err, errNoNetwork) {
		t.Fatal(err)
	}
	comesTrue(t, "the call", held.reached)
	err := start(slow, good())
	if e := asError[*troupe.StillRunningError](t, err); e.Call == "" {
		t.Errorf("%+v", e)
	}
	close(held.open)
	for limit := within(t, 20*time.Second); err != nil; err = start(slow, good()) {
		if limit.Err() != nil {
			t.Fatalf("the call has returned, and the next node is told: %v", err)
		}
	}
}
