package actors

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/trouperaft/troupe/actors/stage"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/network"
	"github.com/trouperaft/troupe/storage"
)

// keeper makes durable what a node keeps beside its groups' logs.
//
//	OWNS      what was learned of peers until it is durable; the promise of the
//	          life before, while it comes down
//	RECEIVES  what the network has learned of a peer; that this process is outlived;
//	          its own timer
//	SENDS     nothing; a refused store stops all groups
//	WAITS ON  the store
//	BOUND     one record for each peer
//	DIES WITH the node
type keeper struct {
	stage.Shell
	node  *Node
	inbox stage.Inbox[keeperItem]

	// waiting are the peers to be kept, the newest of each identity, in the order
	// of their coming.
	waiting []storage.Peer
	refusal string
	// silence is how long the promise of the life before is, from begun on; lower
	// says that it is time to record what is left of it.
	silence time.Duration
	begun   stage.Instant
	timer   stage.Timer
	lower   bool
}

// keeperItem is a peer to keep, a refusal, the beginning or the timer.
type keeperItem struct {
	begin   bool
	peer    *storage.Peer
	refusal string
	lower   bool
}

func newKeeper(n *Node, header storage.Header) *keeper {
	k := &keeper{node: n, begun: n.env.Now()}
	if header.StartCounter > 1 {
		k.silence = header.Promise
	}
	k.Shell = stage.Shell{Env: n.env, Name: "keeper", Next: k.step, Closing: k.finish, Failed: k.broke, Ended: n.keeperEnded}
	k.inbox.Bell = k.Ring
	return k
}

// begin starts the actor, and the silence's end with it.
func (k *keeper) begin() {
	k.Start()
	k.inbox.Put(keeperItem{begin: true}, true)
}

// lowerEvery is how often the promise is lowered while it is served: a loop of
// restarts serves it too (rule 13), unless each life is shorter than this.
const lowerEvery = 2 * time.Second

// pause is after what time the promise is lowered next.
func (k *keeper) pause(left time.Duration) time.Duration {
	if left < 200*time.Millisecond {
		return left
	}
	return min(left/2, lowerEvery)
}

func (k *keeper) learned(p network.Peer) {
	k.inbox.Put(keeperItem{peer: &storage.Peer{Identity: p.Identity, StartCounter: p.StartCounter, Nonce: p.Nonce, Address: p.Address}}, true)
}

func (k *keeper) outlived(by membership.Identity) {
	k.inbox.Put(keeperItem{refusal: fmt.Sprintf("node %v has seen a later life of this store: this is an old copy of it", by)}, true)
}

// step carries out one call of the store.
func (k *keeper) step() bool {
	for _, item := range k.inbox.Take() {
		k.accept(item)
	}
	switch {
	case k.refusal != "":
		k.refuse()
	case k.lower:
		k.lower = false
		k.lowerPromise()
	case len(k.waiting) > 0:
		p := k.waiting[0]
		k.waiting = k.waiting[1:]
		k.keep(p)
	default:
		return false
	}
	return true
}

func (k *keeper) accept(item keeperItem) {
	switch {
	case item.begin:
		if k.silence > 0 {
			k.timer = k.Env.AfterFunc(k.pause(k.silence), func() { k.inbox.Put(keeperItem{lower: true}, true) })
		}
	case item.refusal != "":
		k.refusal = item.refusal
	case item.lower:
		k.lower = true
	default:
		for i := range k.waiting {
			if k.waiting[i].Identity == item.peer.Identity {
				k.waiting[i] = *item.peer
				return
			}
		}
		k.waiting = append(k.waiting, *item.peer)
	}
}

func (k *keeper) keep(p storage.Peer) {
	var err error
	k.Do(CallKeep, func() { err = k.node.cfg.Store.KeepPeer(context.Background(), p) }, func() {
		if err != nil {
			k.node.logger.Warn("what was learned of a peer cannot be kept", slog.Any("peer", p.Identity), slog.Any("error", err))
		}
	})
}

// lowerPromise records what is left of the promise of the life before, but never
// less than was promised in this one (rule 13).
func (k *keeper) lowerPromise() {
	left := max(k.silence-k.Env.Now().Sub(k.begun), 0)
	var err error
	k.Do(CallKeep, func() { err = k.node.lowerPromise(left) }, func() {
		switch {
		case err != nil:
			k.node.logger.Warn("the promise of the life before cannot be lowered", slog.Any("error", err))
		case left > 0:
			k.timer.Reset(k.pause(left))
		}
	})
}

// refuse marks the store as an old copy and stops everything on it (rule 17).
func (k *keeper) refuse() {
	reason := k.refusal
	var err error
	k.Do(CallKeep, func() {
		err = k.node.exclusive(func() error { return k.node.cfg.Store.Refuse(context.Background(), reason) })
	}, func() {
		k.refusal = ""
		cause := error(&storage.RefusedError{Store: "the log store", Reason: reason})
		k.node.storeFailed(errors.Join(cause, err))
	})
}

// broke takes a panic of the store.
func (k *keeper) broke(cause error) { k.node.storeFailed(cause) }

func (k *keeper) finish() {
	k.inbox.Close()
	if k.timer != nil {
		k.timer.Stop()
	}
}
