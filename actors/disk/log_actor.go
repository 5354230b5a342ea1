package disk

import (
	"context"
	"runtime/debug"
	"slices"
	"sync/atomic"

	"github.com/trouperaft/troupe/actors/calls"
	"github.com/trouperaft/troupe/actors/memlog"
	"github.com/trouperaft/troupe/actors/observe"
	"github.com/trouperaft/troupe/actors/stage"
	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/storage"
)

// LogActor writes the logs of all groups on a store. Start begins its life and Stop
// ends it, when every group has left.
//
//	OWNS      the store's write side; each group's queue of writes
//	RECEIVES  writes in each group's order; groups that leave
//	SENDS     what waited for a write (Then) to the network; to each core, once a
//	          round, the newest durable IOID
//	WAITS ON  the store's sync
//	BOUND     the groups' uncommitted bytes and the leaders' windows
//	DIES WITH the node; a failed write stops all groups of the store
type LogActor struct {
	stage.Shell
	needs  LogNeeds
	inbox  stage.Inbox[logItem]
	limits storage.Limits

	// active are the logs with writes to do, in the order in which they came.
	active []*GroupLog
	// round is what the batch under way carries, in order.
	round []*GroupLog
	order []*GroupLog // fill's
	batch storage.Batch
	// logs are the groups of the batch's operations.
	logs  []*GroupLog
	span  observe.Span // of the store's write
	bytes int
	count int
	// commands: the batch carries some of a client.
	commands bool
	// lost: the store has failed.
	lost bool

	// busySince is since when the write under way has been, 0 if there is none. The
	// cores of the groups read it.
	busySince atomic.Int64
	// commandsAt is when commands were written last, 0 if none were. The senders of
	// snapshots read it.
	commandsAt atomic.Int64

	// What every round calls, made once, and the outcome of its write.
	callWrite, callWritten func()
	writeErr               error
}

// LogNeeds is what the log actor is given.
type LogNeeds struct {
	Env     stage.Environment
	Watch   *observe.Watch // of the node
	Store   storage.LogStore
	Network Network
	// Exclusive keeps the store's one writer alone: the promise is recorded
	// where a group is started, and lowered by the keeper.
	Exclusive func(func() error) error
	// StoreFailed stops all groups.
	StoreFailed func(error)
	// Ended is called at the actor's end.
	Ended func()
}

// Network is what the log actor uses of network.Network.
type Network interface {
	Send(core.Message) bool
	SetCluster(membership.GroupID, core.ClusterID)
}

// GroupLog is one group's stream of writes. Whoever makes it fills in the exported
// fields before its first write. From then on the log actor owns it.
type GroupLog struct {
	Group     membership.GroupID
	MemoryLog *memlog.Log
	Watch     *observe.Watch
	// Flushed takes the watermark of durable writes. The actor calls it, once a
	// round.
	Flushed func(core.IOID)
	// Known is the cluster that the network was told of.
	Known core.ClusterID

	// cluster is the one that the round under way writes, zero if it writes none.
	cluster core.ClusterID

	queue []core.Write
	// part is how many entries of the first write are written already: a write
	// that is split is durable with its last part (rule 1).
	part int
	// leave is called when the queue is empty.
	leave func()

	// Of the round under way: the last write that it completes, what waits for
	// it, and this group's last operation in the batch.
	upTo    core.IOID
	then    []core.Message
	op      int
	owned   bool // the operation's entries are the actor's own slice
	inRound bool
	// submitted is when the oldest entries of the round were.
	submitted core.Instant
}

// logItem is a write, or a group's leave.
type logItem struct {
	log   *GroupLog
	write core.Write
	leave func()
	// drop: the group has failed, what is queued is not written any more.
	drop bool
}

// NewLogActor makes the one log actor of a store.
func NewLogActor(needs LogNeeds) *LogActor {
	l := &LogActor{needs: needs, limits: needs.Store.Limits()}
	l.Shell = stage.Shell{Env: needs.Env, Name: "log", Next: l.step, Closing: l.finish, Failed: l.broke, Ended: needs.Ended}
	l.inbox.Wake, l.inbox.Meter = l.Wake, needs.Watch.Inbox(observe.ActorLog)
	write := l.write
	l.callWrite = func() { l.writeErr = needs.Exclusive(write) }
	l.callWritten = l.written
	return l
}

// Write queues a write behind those that the group has handed over before. It is lost
// if the store has failed.
func (l *LogActor) Write(g *GroupLog, w *core.Write) { l.inbox.Put(logItem{log: g, write: *w}, true) }

// Leave ends a group's writes: left is called, by the actor, when what is queued is
// durable. drop: the group has failed, and what is queued is not written any more.
// Leave reports false, and left is not called, if the actor has ended.
func (l *LogActor) Leave(g *GroupLog, drop bool, left func()) bool {
	return l.inbox.Put(logItem{log: g, leave: left, drop: drop}, true)
}

// BusySince is since when the store's write under way has been, 0 if there is none.
// Anybody may ask.
func (l *LogActor) BusySince() core.Instant { return core.Instant(l.busySince.Load()) }

// CommandsAt is when the store was given commands last, of any group, 0 if it never was.
// Other entries do not count: nobody waits for them as a client does. Anybody may ask.
func (l *LogActor) CommandsAt() stage.Instant { return stage.Instant(l.commandsAt.Load()) }

// step writes one batch of all that piled up.
func (l *LogActor) step() bool {
	for _, item := range l.inbox.Take() {
		l.accept(item)
	}
	if len(l.active) == 0 {
		return false
	}
	l.fill()
	if len(l.batch.Operations) == 0 {
		// Only answers, and everything that they depend on is durable.
		l.settle()
		return len(l.active) > 0
	}
	l.busySince.Store(int64(l.Env.Now()))
	if l.commands {
		l.commandsAt.Store(int64(l.Env.Now()))
	}
	l.Do(calls.Write, l.callWrite, l.callWritten)
	return len(l.active) > 0
}

func (l *LogActor) written() {
	l.busySince.Store(0)
	if err := l.writeErr; err != nil {
		l.giveUp(err)
		return
	}
	observe.Wrote{Span: l.span, Entries: l.count, Bytes: l.bytes}.Tell(l.needs.Watch)
	l.settle()
}

// write writes the batch. A store that panics has failed like one that says so.
func (l *LogActor) write() (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = &stage.PanicError{Actor: l.Name, Value: r, Stack: debug.Stack()}
		}
	}()
	l.span = observe.Writing{}.Begin(l.needs.Watch)
	return l.needs.Store.Write(context.Background(), &l.batch)
}

func (l *LogActor) accept(item logItem) {
	g := item.log
	switch {
	case item.leave != nil:
		g.leave = item.leave
		if item.drop || l.lost {
			l.forget(g)
		}
		if len(g.queue) == 0 {
			l.left(g)
		}
	case l.lost:
		// Rule 6: a failed write releases nothing, nor does what would follow.
	default:
		if len(g.queue) == 0 {
			l.active = append(l.active, g)
		}
		g.queue = append(g.queue, item.write)
	}
}

func (l *LogActor) forget(g *GroupLog) {
	g.queue, g.part = nil, 0
	l.active = slices.DeleteFunc(l.active, func(o *GroupLog) bool { return o == g })
}

func (l *LogActor) left(g *GroupLog) {
	leave := g.leave
	g.leave = nil
	leave()
}

// fill makes a batch within the store's limits: groups with a hard state to save
// first (rule 6: priority is between groups, never within one), each with a
// share of the bytes, then whatever still fits.
func (l *LogActor) fill() {
	l.batch.Operations, l.logs = l.batch.Operations[:0], l.logs[:0]
	l.round, l.bytes, l.count, l.commands = l.round[:0], 0, 0, false
	order := l.order[:0]
	for _, votes := range []bool{true, false} {
		for _, g := range l.active {
			if g.savesHardState() == votes {
				order = append(order, g)
			}
		}
	}
	l.order = order
	share := l.limits.BatchBytesMax / len(order)
	for _, g := range order {
		g.upTo, g.op, g.owned, g.inRound = 0, -1, false, false
		l.take(g, min(l.limits.BatchBytesMax, l.bytes+share))
	}
	for _, g := range order {
		l.take(g, l.limits.BatchBytesMax)
	}
	l.active = slices.DeleteFunc(l.active, func(g *GroupLog) bool { return len(g.queue) == 0 })
	// Who found no room, an entry larger than its share for one, comes first the
	// next time, when one always fits.
	slices.SortStableFunc(l.active, func(a, b *GroupLog) int {
		switch {
		case a.inRound == b.inRound:
			return 0
		case b.inRound:
			return -1
		}
		return 1
	})
}

func (g *GroupLog) savesHardState() bool {
	return slices.ContainsFunc(g.queue, func(w core.Write) bool { return w.SaveHardState })
}

// take moves writes of a group into the batch until that carries bytesMax.
func (l *LogActor) take(g *GroupLog, bytesMax int) {
	taken := 0
	for taken < len(g.queue) {
		w := &g.queue[taken]
		rest := w.Append[g.part:]
		n := l.fitting(rest, bytesMax)
		if n == 0 && len(rest) > 0 {
			break
		}
		if !g.inRound {
			g.inRound = true
			l.round = append(l.round, g)
		}
		l.add(g, w, rest[:n:n], n == len(rest))
		if n < len(rest) {
			g.part += n
			break
		}
		g.part = 0
		g.upTo = w.IOID
		if w.SaveHardState {
			g.cluster = w.HardState.Cluster
		}
		if g.submitted == 0 && len(w.Append) > 0 {
			g.submitted = w.Submitted
		}
		g.then = append(g.then, w.Then...)
		taken++
	}
	left := copy(g.queue, g.queue[taken:])
	clear(g.queue[left:])
	g.queue = g.queue[:left]
}

// fitting counts the entries that the batch still has room for. One always fits
// into an empty batch.
func (l *LogActor) fitting(entries []core.Entry, bytesMax int) int {
	n := 0
	for n < len(entries) && l.count < l.limits.BatchEntriesMax {
		size := entries[n].Size()
		if l.bytes > 0 && l.bytes+size > bytesMax {
			break
		}
		l.bytes += size
		l.count++
		l.commands = l.commands || entries[n].Kind == core.EntryCommand
		n++
	}
	return n
}

// add puts a part of a write into the batch, into the group's last operation
// where the order of an operation's fields allows it.
func (l *LogActor) add(g *GroupLog, w *core.Write, entries []core.Entry, last bool) {
	if w.Empty() {
		return
	}
	begins := g.part == 0
	removes := begins && (w.Reset.Index != 0 || w.TruncateFrom != 0)
	if g.op >= 0 && removes {
		if op := &l.batch.Operations[g.op]; op.Reset.Index != 0 || op.TruncateFrom != 0 || len(op.Append) > 0 || op.Purge.Index != 0 {
			g.op = -1
		}
	}
	if g.op < 0 {
		g.op, g.owned = len(l.batch.Operations), false
		l.batch.Operations = append(l.batch.Operations, storage.Operation{Group: g.Group})
		l.logs = append(l.logs, g)
	}
	op := &l.batch.Operations[g.op]
	if begins {
		if w.SaveHardState {
			hard := w.HardState
			op.HardState = &hard
		}
		if removes {
			op.Reset, op.TruncateFrom = w.Reset, w.TruncateFrom
		}
	}
	switch {
	case len(entries) == 0:
	case len(op.Append) == 0:
		op.Append = entries
	default:
		if !g.owned {
			// What has piled up behind a slow disk is copied once.
			joined := make([]core.Entry, 0, len(op.Append)+min(g.queued(w), l.limits.BatchEntriesMax))
			op.Append, g.owned = append(joined, op.Append...), true
		}
		op.Append = append(op.Append, entries...)
	}
	if last {
		if w.Purge.Index != 0 {
			op.Purge = w.Purge
		}
		if w.Commit != 0 {
			op.Commit = w.Commit
		}
	}
}

// queued counts the entries of a write and of those behind it in the queue.
func (g *GroupLog) queued(w *core.Write) int {
	entries := -g.part
	for i := len(g.queue) - 1; i >= 0; i-- {
		entries += len(g.queue[i].Append)
		if &g.queue[i] == w {
			break
		}
	}
	return entries
}

// settle releases what the round made durable (rule 3) and tells each group
// once.
func (l *LogActor) settle() {
	for i := range l.batch.Operations {
		g := l.logs[i]
		observe.Durable{Span: l.span, Entries: l.batch.Operations[i].Append, BatchEntries: l.count, BatchBytes: l.bytes, Submitted: g.submitted}.Tell(g.Watch)
		g.submitted = 0
	}
	for _, g := range l.round {
		l.prove(g)
		for _, m := range g.then {
			observe.Released{Message: m}.Tell(g.Watch)
			l.needs.Network.Send(m)
		}
		clear(g.then)
		g.then = g.then[:0]
		if g.upTo != 0 {
			g.MemoryLog.Flushed(g.upTo)
			g.Flushed(g.upTo)
		}
		if g.leave != nil && len(g.queue) == 0 {
			l.left(g)
		}
	}
	clear(l.batch.Operations)
}

// prove lets the network prove a cluster that the group has adopted, now that
// this is durable and before it acknowledges anything (rule 29).
func (l *LogActor) prove(g *GroupLog) {
	if !g.cluster.IsZero() && g.cluster != g.Known {
		g.Known = g.cluster
		l.needs.Network.SetCluster(g.Group, g.cluster)
	}
	g.cluster = core.ClusterID{}
}

// giveUp ends the store's life: nothing is released, nothing tried again, and
// every group stops (rule 6).
func (l *LogActor) giveUp(cause error) {
	l.lost = true
	logs := append(slices.Clone(l.active), l.round...)
	l.active, l.round = nil, nil
	for _, g := range logs {
		g.queue, g.then = nil, nil
		if g.leave != nil {
			l.left(g)
		}
	}
	l.needs.StoreFailed(cause)
}

// broke takes a panic. The actor stays, so that groups can leave.
func (l *LogActor) broke(cause error) {
	l.giveUp(cause)
	l.Survive()
}

func (l *LogActor) finish() {
	for _, item := range l.inbox.Close() {
		if item.leave != nil {
			item.leave()
		}
	}
}
