package actors

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/trouperaft/troupe/actors/calls"
	"github.com/trouperaft/troupe/actors/stage"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/network"
	"github.com/trouperaft/troupe/storage"
)

// keeper makes durable what a node keeps beside its groups' logs.
//
//	OWNS      what was learned of peers until it is durable; the lease promise of
//	          the life before, while it comes down
//	RECEIVES  what the network has learned of a peer; that this process is outlived;
//	          its own timer
//	SENDS     nothing; a refused store stops all groups
//	WAITS ON  the store
//	BOUND     one record for each peer
//	DIES WITH the node
type keeper struct {
	stage.Shell
	keeperNeeds
	inbox keeperInbox

	// wanted is what is to be done.
	wanted keeperNotes
	// quietPeriod is how long the lease promise of the life before is, from begun on.
	quietPeriod time.Duration
	begun       stage.Instant
	timer       stage.Timer
}

// keeperNeeds is what the keeper is given.
type keeperNeeds struct {
	home     // of the node: a failure stops all groups on the store
	store    storage.LogStore
	promises *promises
}

// keeperInbox has notes alone, each of which has its place: so it is bounded by the
// number of peers however long the store takes.
type keeperInbox struct {
	stage.Inbox[struct{}]
	notes keeperNotes
}

// keeperNotes are what a keeper has to do.
type keeperNotes struct {
	// begin: the actor has started. lower: it is time to record what is left of the
	// promise of the life before.
	begin, lower bool
	// refusal is why the store is an old copy, "" if nobody says so.
	refusal string
	// peers are to be kept, the newest of each identity, in the order of their coming.
	peers []storage.Peer
}

// add takes more.
func (n *keeperNotes) add(more *keeperNotes) {
	n.begin, n.lower = n.begin || more.begin, n.lower || more.lower
	if more.refusal != "" {
		n.refusal = more.refusal
	}
	for _, p := range more.peers {
		if i := slices.IndexFunc(n.peers, func(o storage.Peer) bool { return o.Identity == p.Identity }); i >= 0 {
			n.peers[i] = p
		} else {
			n.peers = append(n.peers, p)
		}
	}
}

func (b *keeperInbox) note(n keeperNotes) {
	b.Note(func() bool {
		b.notes.add(&n)
		return true
	})
}

// takeInto moves what was noted.
func (b *keeperInbox) takeInto(n *keeperNotes) {
	b.TakeNoted(func(bool) int {
		n.add(&b.notes)
		b.notes = keeperNotes{}
		return 1
	})
}

func newKeeper(needs keeperNeeds, header storage.Header) *keeper {
	k := &keeper{keeperNeeds: needs, begun: needs.Env.Now()}
	if header.StartCounter > 1 {
		k.quietPeriod = header.Promise
	}
	k.Shell = k.Home.Shell("keeper", k.step, k.finish)
	k.inbox.Wake = k.Wake
	return k
}

// begin starts the actor, and the quiet period's end with it.
func (k *keeper) begin() {
	k.Start()
	k.inbox.note(keeperNotes{begin: true})
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
	k.inbox.note(keeperNotes{peers: []storage.Peer{{Identity: p.Identity, StartCounter: p.StartCounter, Nonce: p.Nonce, Address: p.Address}}})
}

func (k *keeper) outlived(by membership.Identity) {
	k.inbox.note(keeperNotes{refusal: fmt.Sprintf("node %v has seen a later life of this store: this is an old copy of it", by)})
}

// step carries out one call of the store.
func (k *keeper) step() bool {
	k.inbox.takeInto(&k.wanted)
	w := &k.wanted
	if w.begin && k.quietPeriod > 0 {
		k.timer = k.Env.AfterFunc(k.pause(k.quietPeriod), func() { k.inbox.note(keeperNotes{lower: true}) })
	}
	w.begin = false
	switch {
	case w.refusal != "":
		k.refuse(w.refusal)
	case w.lower:
		w.lower = false
		k.lowerPromise()
	case len(w.peers) > 0:
		p := w.peers[0]
		w.peers = slices.Delete(w.peers, 0, 1)
		k.keep(p)
	default:
		return false
	}
	return true
}

func (k *keeper) keep(p storage.Peer) {
	var err error
	k.Do(calls.Keep, func() { err = k.store.KeepPeer(context.Background(), p) }, func() {
		if err != nil {
			k.watch.Logger().Warn("what was learned of a peer cannot be kept", slog.Any("peer", p.Identity), slog.Any("error", err))
		}
	})
}

// lowerPromise records what is left of the promise of the life before, but never
// less than was promised in this one (rule 13).
func (k *keeper) lowerPromise() {
	left := max(k.quietPeriod-k.Env.Now().Sub(k.begun), 0)
	var err error
	k.Do(calls.Keep, func() { err = k.promises.lower(left) }, func() {
		switch {
		case err != nil:
			k.watch.Logger().Warn("the lease promise of the life before cannot be lowered", slog.Any("error", err))
		case left > 0:
			k.timer.Reset(k.pause(left))
		}
	})
}

// refuse marks the store as an old copy and stops everything on it (rule 17).
func (k *keeper) refuse(reason string) {
	var err error
	k.Do(calls.Keep, func() {
		err = k.promises.exclusive(func() error { return k.store.Refuse(context.Background(), reason) })
	}, func() {
		k.wanted.refusal = ""
		k.Failed(errors.Join(&storage.RefusedError{Store: "the log store", Reason: reason}, err))
	})
}

func (k *keeper) finish() {
	k.inbox.Close()
	if k.timer != nil {
		k.timer.Stop()
	}
}
