package actors

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/trouperaft/troupe/actors/calls"
	"github.com/trouperaft/troupe/actors/memlog"
	"github.com/trouperaft/troupe/actors/observe"
	"github.com/trouperaft/troupe/actors/stage"
	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/core/stream"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/network"
	"github.com/trouperaft/troupe/storage"
)

// replicationActor replicates the log to one follower: a pump around
// stream.Stream.
//
//	OWNS      the stream
//	RECEIVES  how far the log reaches and is committed; the follower's answers,
//	          straight from the network; from the core the follower's
//	          heartbeats' answers, lost connections and the end of a snapshot
//	SENDS     entries to the follower; to the core the newest match, that a
//	          snapshot is needed, that the follower has lost data, and that it
//	          is in a higher term
//	WAITS ON  the log store, where the in-memory log has no entries
//	BOUND     what is on its way, and so its answers, by the stream's window; one
//	          message of entries is read at a time
//	DIES WITH the leader's term, the membership of its follower, the group; an
//	          error of the store stops the group
type replicationActor struct {
	stage.Shell
	replicationNeeds
	inbox streamInbox
	key   streamKey

	stream     *stream.Stream
	generation uint64
	out        stream.Output
	over       bool

	// events are those that were taken and are not heard yet, from heard on; grew says that
	// grown is not. A read that ends at once takes and hears what is there within the turn
	// that began it.
	events []stream.Event
	heard  int
	grown  stream.Grown
	grew   bool

	matched core.Index // not yet told
	figures streamFigures
	// Events that every message has use for.
	sent   stream.Sent
	served stream.Read
	// left is the core's: the bytes that it knows to have left to the peer.
	left [core.Classes + 1]uint64
	// newMatch is the match that the core has not taken yet, 0 if it has.
	newMatch atomic.Uint64
}

// replicationNeeds is what the replication actors of a group are given.
type replicationNeeds struct {
	home
	cfg       *GroupConfig
	self      membership.Identity
	cluster   func() core.ClusterID
	memoryLog *memlog.Log
	store     storage.LogStore
	send      func(core.Message) bool
	// takes is the largest message of a class that can be sent to a node, 0 if any.
	takes func(membership.NodeID, core.Class) int
	// toPeer is the sum of what all groups' streams have on their way to a node, in
	// bytes.
	toPeer func(membership.NodeID) *atomic.Int64
	core   coreMail
}

// streamInbox is a replication actor's inbox. How far the log has grown is not
// an item: only the newest counts.
type streamInbox struct {
	stage.Inbox[stream.Event]
	grown stream.Grown
	grew  bool
}

// grow takes how far the log has grown.
func (b *streamInbox) grow(g stream.Grown) {
	b.Note(func() bool {
		b.grown, b.grew = g, true
		return true
	})
}

// takeAll swaps out everything.
func (b *streamInbox) takeAll() (events []stream.Event, grown stream.Grown, grew bool) {
	events = b.TakeNoted(func(bool) int {
		grown, grew, b.grew = b.grown, b.grew, false
		if grew {
			return 1
		}
		return 0
	})
	return events, grown, grew
}

// streamKey names a stream of this node.
type streamKey struct {
	peer   core.Identity
	stream uint64
}

func newReplicationActor(needs replicationNeeds, c *core.StartStream) *replicationActor {
	a := &replicationActor{replicationNeeds: needs, key: streamKey{c.Peer.Identity, c.Stream}, generation: needs.memoryLog.Generation()}
	a.stream = stream.New(stream.Config{
		Start: *c, Group: a.cfg.Group, Cluster: a.cluster(), Self: a.self,
		MessageBytesMax: a.cfg.MessageBytesMax, EntriesPerMessageMax: a.cfg.EntriesPerMessageMax,
		InflightMessagesMax: a.cfg.WindowMessagesMax, InflightBytesMax: a.cfg.WindowBytesMax,
	})
	a.Shell = a.Home.Shell("replication", a.step, a.finish)
	a.figures.toPeer = a.toPeer(a.key.peer.ID)
	a.inbox.Wake, a.inbox.Meter, a.watch = a.Wake, a.watch.Inbox(observe.ActorReplication), a.watch.Stream(a.key.peer)
	return a
}

func (a *replicationActor) finish() {
	a.inbox.Close()
	a.figures.end()
}

func (a *replicationActor) step() bool {
	events, grown, grew := a.inbox.takeAll()
	a.events = append(a.events, events...)
	if grew {
		a.grown, a.grew = grown, true
	}
	if len(a.events) == 0 && !a.grew {
		return false
	}
	for a.heard < len(a.events) {
		ev := a.events[a.heard]
		a.events[a.heard] = nil
		a.heard++
		a.pump(ev)
	}
	a.events, a.heard = a.events[:0], 0
	if a.grew {
		a.grew = false
		a.pump(&a.grown)
	}
	if a.matched > 0 {
		a.newMatch.Store(uint64(a.matched))
		// What is committed without it may wait.
		a.core.noteMatched(a.matched > a.grown.Commit)
		a.matched = 0
	}
	a.figures.put(a.stream)
	return false // whatever comes next wakes it
}

// pump steps the stream and carries out what it wants, until it wants nothing or
// has to wait.
func (a *replicationActor) pump(ev stream.Event) {
	now := instant(a.Env)
	for ev != nil && !a.over {
		a.stream.Step(now, ev, &a.out)
		if w := a.cfg.Witness; w != nil {
			w.Streamed(a.stream, ev, &a.out)
		}
		a.report()
		ev = nil
		switch {
		case a.out.Send != nil:
			observe.Sending{Message: a.out.Send}.Begin(a.watch)
			a.sent = stream.Sent{OK: a.send(a.out.Send)}
			a.sent.TooLarge = !a.sent.OK && a.tooLarge(a.out.Send)
			observe.Sent{Message: a.out.Send, Taken: a.sent.OK}.Tell(a.watch)
			ev = &a.sent
		case a.out.Want:
			ev = a.read(a.out.First, a.out.Last, a.out.BytesMax)
		}
	}
}

// tooLarge reports whether a message that was not sent never will be.
func (a *replicationActor) tooLarge(m *core.AppendEntries) bool {
	most := a.takes(a.key.peer.ID, m.Class())
	return most > 0 && network.SizeBytes(m) > most
}

func (a *replicationActor) report() {
	a.matched = max(a.matched, a.out.Matched)
	if a.out.Matched > 0 {
		observe.Matched{Match: a.out.Matched}.Tell(a.watch)
	}
	if a.out.NeedSnapshot {
		a.core.put(&core.SnapshotNeeded{Peer: a.key.peer, Stream: a.key.stream, Through: a.out.Through})
	}
	if a.out.LostData {
		a.core.put(&core.LostData{Peer: a.key.peer, Stream: a.key.stream})
	}
	if a.out.HigherTerm > 0 {
		a.core.put(&core.HigherTerm{From: a.key.peer, Term: a.out.HigherTerm})
	}
	a.over = a.over || a.out.Ended
}

// read answers the stream's wish from memory, or begins to read the store and
// returns nil.
func (a *replicationActor) read(first, last core.Index, bytesMax int) stream.Event {
	r := a.memoryLog.ReadForStream(a.generation, first, last, bytesMax)
	if r.Served || r.Err != nil {
		a.served = stream.Read{Prev: r.Prev, Entries: r.Entries, Err: r.Err}
		return &a.served
	}
	answer := &stream.Read{Prev: r.Prev}
	a.Do(calls.Read, func() { a.readStore(answer, first, r.StoreLast, bytesMax) }, func() {
		// What was said meanwhile comes first. It may make what was read useless, and
		// a learner that has acknowledged something is told the id no more (rule 27).
		a.step()
		if err := a.memoryLog.SettleStoreRead(a.generation, first, answer.Prev); err != nil {
			answer.Err = err
		}
		switch {
		case answer.Err != nil && !errors.Is(answer.Err, core.ErrCompacted) && !errors.Is(answer.Err, core.ErrLogChanged):
			a.Fail(fmt.Errorf("actors: entry %d is to be sent to node %d and cannot be read: %w", first, a.key.peer.ID, answer.Err))
		case answer.Err == nil && len(answer.Entries) == 0 && last >= first:
			// The entry before was all that memory lacked.
			a.pump(a.read(first, last, bytesMax))
		default:
			a.pump(answer)
		}
	})
	return nil
}

// readStore reads the entry before first, whose purged id answer.Prev holds, and
// those from first to last.
func (a *replicationActor) readStore(answer *stream.Read, first, last core.Index, bytesMax int) {
	store, group := a.store, a.cfg.Group
	if before := first - 1; before != answer.Prev.Index {
		entries, err := store.Read(context.Background(), group, before, before, bytesMax)
		if err != nil {
			answer.Err = readError(err)
			return
		}
		answer.Prev = entries[0].LogID
	}
	if last < first {
		return
	}
	var err error
	if answer.Entries, err = store.Read(context.Background(), group, first, last, bytesMax); err != nil {
		answer.Entries, answer.Err = nil, readError(err)
	}
}

// readError: what was there when the read began may be purged by now.
func readError(err error) error {
	if errors.Is(err, storage.ErrNotFound) {
		return core.ErrCompacted
	}
	return err
}

// streamFigures are what a stream lets others see. Its actor alone writes.
type streamFigures struct {
	mode, messages, bytes atomic.Int64
	match                 atomic.Uint64
	// toPeer are the bytes that streams of all groups have on their way to the
	// peer's node, onTheWay those of this stream.
	toPeer   *atomic.Int64
	onTheWay atomic.Int64
	ended    bool
}

func (f *streamFigures) put(s *stream.Stream) {
	if f.ended {
		return
	}
	messages, bytes := s.Inflight()
	onTheWay := int64(s.OnTheWay())
	f.toPeer.Add(onTheWay - f.onTheWay.Swap(onTheWay))
	f.mode.Store(int64(s.Mode()))
	f.messages.Store(int64(messages))
	f.bytes.Store(int64(bytes))
	f.match.Store(uint64(s.Match()))
}

// end takes what the stream had on its way out of the sum.
func (f *streamFigures) end() {
	f.ended = true
	f.toPeer.Add(-f.onTheWay.Swap(0))
}

func (f *streamFigures) read(p *core.PeerStatus) {
	p.Mode = core.StreamMode(f.mode.Load())
	p.InflightMessages, p.InflightBytes = int(f.messages.Load()), int(f.bytes.Load())
	// The core may not have been told of it yet.
	p.Match = max(p.Match, core.Index(f.match.Load()))
}
