package disk

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/trouperaft/troupe/actors/calls"
	"github.com/trouperaft/troupe/actors/observe"
	"github.com/trouperaft/troupe/actors/stage"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/network"
	"github.com/trouperaft/troupe/storage"
)

// Keeper makes durable what a node keeps beside its groups' logs. Begin begins its life
// and Stop ends it. Nobody waits for what it is told.
//
//	OWNS      what was learned of peers until it is durable; the lease promise of
//	          the life before, while it comes down
//	RECEIVES  what the network has learned of a peer; that this process is outlived;
//	          its own timer
//	SENDS     nothing; a refused store stops all groups
//	WAITS ON  the store
//	BOUND     one record for each peer
//	DIES WITH the node
type Keeper struct {
	stage.Shell
	needs KeeperNeeds
	inbox keeperInbox

	// wanted is what is to be done.
	wanted keeperNotes
	// quietPeriod is how long the lease promise of the life before is, from begun on.
	quietPeriod time.Duration
	begun       stage.Instant
	timer       stage.Timer
}

// KeeperNeeds is what the keeper is given.
type KeeperNeeds struct {
	Env      stage.Environment
	Watch    *observe.Watch // of the node
	Store    storage.LogStore
	Promises *Promises
	// Failed stops all groups on the store.
	Failed func(error)
	// Ended is called at the actor's end.
	Ended func()
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

// NewKeeper makes the keeper of a node, whose quiet period begins now. The header is
// that of the store at its opening.
func NewKeeper(needs KeeperNeeds, header storage.Header) *Keeper {
	k := &Keeper{needs: needs, begun: needs.Env.Now()}
	if header.StartCounter > 1 {
		k.quietPeriod = header.Promise
	}
	k.Shell = stage.Shell{Env: needs.Env, Name: "keeper", Next: k.step, Closing: k.finish, Failed: needs.Failed, Ended: needs.Ended}
	k.inbox.Wake = k.Wake
	return k
}

// Begin starts the actor, and with it lets the promise of the life before come down.
func (k *Keeper) Begin() {
	k.Start()
	k.inbox.note(keeperNotes{begin: true})
}

// lowerEvery is how often the promise is lowered while it is served: a loop of
// restarts serves it too (rule 13), unless each life is shorter than this.
const lowerEvery = 2 * time.Second

// pause is after what time the promise is lowered next.
func (k *Keeper) pause(left time.Duration) time.Duration {
	if left < 200*time.Millisecond {
		return left
	}
	return min(left/2, lowerEvery)
}

// Learned has what the network has proved of a peer kept: the newest of each.
func (k *Keeper) Learned(p network.Peer) {
	k.inbox.note(keeperNotes{peers: []storage.Peer{{Identity: p.Identity, StartCounter: p.StartCounter, Nonce: p.Nonce, Address: p.Address}}})
}

// Outlived has the store refused: by has seen a later life of it (rule 17).
func (k *Keeper) Outlived(by membership.Identity) {
	k.inbox.note(keeperNotes{refusal: fmt.Sprintf("node %v has seen a later life of this store: this is an old copy of it", by)})
}

// step carries out one call of the store.
func (k *Keeper) step() bool {
	k.inbox.takeInto(&k.wanted)
	w := &k.wanted
	if w.begin && k.quietPeriod > 0 {
		k.timer = k.needs.Env.AfterFunc(k.pause(k.quietPeriod), func() { k.inbox.note(keeperNotes{lower: true}) })
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

func (k *Keeper) keep(p storage.Peer) {
	var err error
	k.Do(calls.Keep, func() { err = k.needs.Store.KeepPeer(context.Background(), p) }, func() {
		if err != nil {
			k.needs.Watch.Logger().Warn("what was learned of a peer cannot be kept", slog.Any("peer", p.Identity), slog.Any("error", err))
		}
	})
}

// lowerPromise records what is left of the promise of the life before, but never
// less than was promised in this one (rule 13).
func (k *Keeper) lowerPromise() {
	left := max(k.quietPeriod-k.needs.Env.Now().Sub(k.begun), 0)
	var err error
	k.Do(calls.Keep, func() { err = k.needs.Promises.lower(left) }, func() {
		switch {
		case err != nil:
			k.needs.Watch.Logger().Warn("the lease promise of the life before cannot be lowered", slog.Any("error", err))
		case left > 0:
			k.timer.Reset(k.pause(left))
		}
	})
}

// refuse marks the store as an old copy and stops everything on it (rule 17).
func (k *Keeper) refuse(reason string) {
	var err error
	k.Do(calls.Keep, func() {
		err = k.needs.Promises.Exclusive(func() error { return k.needs.Store.Refuse(context.Background(), reason) })
	}, func() {
		k.wanted.refusal = ""
		k.needs.Failed(errors.Join(&storage.RefusedError{Store: "the log store", Reason: reason}, err))
	})
}

func (k *Keeper) finish() {
	k.inbox.Close()
	if k.timer != nil {
		k.timer.Stop()
	}
}
