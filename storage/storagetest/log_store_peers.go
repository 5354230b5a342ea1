package storagetest

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/storage"
)

// peer makes one whose every part depends on id and counter.
func peer(id membership.NodeID, counter uint64) storage.Peer {
	return storage.Peer{
		Identity:     membership.Identity{ID: id, Incarnation: membership.Incarnation(id) + 1<<63},
		StartCounter: counter, Nonce: counter*31 + uint64(id), Address: fmt.Sprintf("node-%d.test:%d", id, counter),
	}
}

func (h *home) keep(p storage.Peer) {
	h.Helper()
	if err := h.store.KeepPeer(h.Context(), p); err != nil {
		h.Fatalf("KeepPeer(%+v): %v", p, err)
	}
}

// notKept keeps a peer that the store must not keep.
func (h *home) notKept(p storage.Peer) {
	h.Helper()
	if err := h.store.KeepPeer(h.Context(), p); err == nil {
		h.Fatalf("%+v was kept", p)
	}
}

// checkPeers compares what is kept, before and after opening it again.
func (h *home) checkPeers(want ...storage.Peer) {
	h.Helper()
	if got := h.store.Peers(); !slices.Equal(got, want) {
		h.Fatalf("peers %+v, want %+v", got, want)
	}
	h.reopen()
	if got := h.store.Peers(); !slices.Equal(got, want) {
		h.Fatalf("opened again: peers %+v, want %+v", got, want)
	}
}

func peersKept(h *home) {
	h.checkPeers()
	largest := storage.Peer{
		Identity:     membership.Identity{ID: 1<<64 - 1, Incarnation: 1<<64 - 1},
		StartCounter: 1<<64 - 1, Nonce: 1<<64 - 1, Address: strings.Repeat("é", storage.PeerAddressBytesMax/2),
	}
	smallest := storage.Peer{Identity: membership.Identity{ID: 1, Incarnation: 1}}
	again := peer(2, 5)
	again.Incarnation = 7 // another one of the same node
	h.keep(largest)
	h.keep(peer(256, 1))
	h.keep(peer(2, 9))
	h.keep(smallest)
	h.keep(again)
	h.checkPeers(smallest, again, peer(2, 9), peer(256, 1), largest)
	h.append(1, 1, 3)
	h.keep(peer(3, 1))
	h.checkPeers(smallest, again, peer(2, 9), peer(3, 1), peer(256, 1), largest)
	h.check()
}

// peerReplaced: nothing is left of what was kept, be it more than what is new.
func peerReplaced(h *home) {
	h.keep(peer(1, 1))
	h.keep(peer(2, 1))
	next := peer(1, 2)
	h.keep(next)
	h.checkPeers(next, peer(2, 1))
	next.Address = "" // in the same life
	h.keep(next)
	h.keep(next)
	h.checkPeers(next, peer(2, 1))
	next.Address, next.Nonce, next.StartCounter = "elsewhere:1", 1, 1<<63
	h.keep(next)
	h.checkPeers(next, peer(2, 1))
}

// peerOfALowerCounter: rule 17: what was seen of a node is never taken back, in
// this life or another one, whatever else is kept meanwhile.
func peerOfALowerCounter(h *home) {
	h.keep(peer(1, 8))
	for range 2 {
		h.notKept(peer(1, 7))
		h.keep(peer(2, 1))
		lower := peer(1, 8)
		lower.StartCounter = 0
		h.notKept(lower)
		h.checkPeers(peer(1, 8), peer(2, 1))
	}
	other := peer(1, 3)
	other.Incarnation++ // has its own counter
	h.keep(other)
	h.keep(peer(1, 9))
	h.notKept(peer(1, 8))
	h.checkPeers(peer(1, 9), other, peer(2, 1))
}

func peerOfAnotherNonce(h *home) {
	h.keep(peer(1, 8))
	for range 2 {
		for _, change := range []uint64{1, 1 << 63} {
			copied := peer(1, 8)
			copied.Nonce ^= change
			h.notKept(copied)
		}
		h.checkPeers(peer(1, 8))
	}
}

func peerThatIsNone(h *home) {
	h.keep(peer(1, 8))
	none, nobody, long := peer(2, 1), peer(2, 1), peer(1, 9)
	none.ID, nobody.Incarnation = 0, 0
	long.Address = strings.Repeat("x", storage.PeerAddressBytesMax+1)
	for _, p := range []storage.Peer{none, nobody, long} {
		h.notKept(p)
	}
	h.checkPeers(peer(1, 8))
}

func peersBelongToTheCaller(h *home) {
	h.keep(peer(1, 8))
	h.keep(peer(2, 8))
	clear(h.store.Peers())
	h.checkPeers(peer(1, 8), peer(2, 8))
}

// peersForgotten: so many are kept at least, and the newest of more.
func peersForgotten(h *home) {
	var want []storage.Peer
	for i := range membership.NodeID(storage.PeersMin) {
		want = append(want, peer(i+1, 1))
		h.keep(want[i])
	}
	h.checkPeers(want...)
	h.keep(want[0]) // again: it is the newest now
	third := peer(3, 2)
	h.keep(third) // and now this one
	const more = 100
	for i := range membership.NodeID(more) {
		h.keep(peer(storage.PeersMin+i+1, 1))
	}
	got := h.store.Peers()
	if len(got) < storage.PeersMin {
		h.Fatalf("%d peers are kept, fewer than %d", len(got), storage.PeersMin)
	}
	have := make(map[membership.NodeID]storage.Peer)
	for _, p := range got {
		have[p.ID] = p
	}
	if have[1] != want[0] || have[3] != third || have[storage.PeersMin+more] != peer(storage.PeersMin+more, 1) {
		h.Fatalf("what was kept last is forgotten: %+v, %+v, %+v", have[1], have[3], have[storage.PeersMin+more])
	}
	// Without the first and the third, what is forgotten is what was kept first.
	forgotten := storage.PeersMin + more - len(got)
	for i := range membership.NodeID(storage.PeersMin + more) {
		gone := have[i+1].ID == 0
		if oldest := i == 1 || i > 2 && int(i) < forgotten+2; gone != (oldest && forgotten > 0) {
			h.Fatalf("of %d forgotten, peer %d is gone: %t", forgotten, i+1, gone)
		}
	}
	h.checkPeers(got...)
}

// peersBesideWrites keeps peers from two goroutines while batches are written.
func peersBesideWrites(h *home) {
	h.append(1, 1, 10)
	const n = 8
	pool := make(chan storage.Peer, n)
	for i := range membership.NodeID(n) {
		pool <- peer(i+1, 0)
	}
	h.beside(func() error {
		p := <-pool
		p = peer(p.ID, p.StartCounter+1)
		err := h.store.KeepPeer(h.Context(), p)
		pool <- p
		if got := h.store.Peers(); err == nil && !slices.Contains(got, p) && !slices.ContainsFunc(got, func(k storage.Peer) bool {
			return k.Identity == p.Identity && k.StartCounter > p.StartCounter
		}) {
			err = fmt.Errorf("%w: %+v was kept, and is not in %+v", errDiffers, p, got)
		}
		return err
	}, func(i int) {
		h.write(storage.Operation{Group: 1, Append: commands(1, h.model.group(1).last().Index+1, 5, 40)})
		if i%10 == 0 {
			h.promise(time.Duration(100 - i%100))
		}
	})
	close(pool)
	var want []storage.Peer
	for p := range pool {
		if p.StartCounter > 0 {
			want = append(want, p)
		}
	}
	slices.SortFunc(want, func(a, b storage.Peer) int { return a.Compare(b.Identity) })
	h.checkPeers(want...)
	h.check()
}
