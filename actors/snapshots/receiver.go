package snapshots

import (
	"errors"
	"sync/atomic"

	"github.com/trouperaft/troupe/actors/calls"
	"github.com/trouperaft/troupe/actors/observe"
	"github.com/trouperaft/troupe/actors/stage"
	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/storage"
)

// receiver takes in the leader's snapshot. It is started by the first
// piece, keeps an unfinished snapshot for a transfer that resumes it, over a restart where
// the store can (storage.Resuming), and costs nothing while none comes.
//
//	OWNS      the unfinished snapshot
//	RECEIVES  pieces that the engine has let through
//	SENDS     answers to the sender; the whole snapshot's arrival to the core
//	WAITS ON  the snapshot store
//	BOUND     the sender's window
//	DIES WITH the group
type receiver struct {
	stage.Shell
	inbox stage.Inbox[receiverItem]
	group *Group

	queue  []*core.SnapshotChunk
	writer storage.SnapshotWriter
	// meta and offset are those of the unfinished snapshot, had what was there of it before.
	meta   core.SnapshotMeta
	offset uint64
	had    []core.ByteRange
	// span is of the transfer whose piece came last; begun is when the unfinished
	// snapshot was.
	span     observe.Span
	transfer uint64
	begun    core.Instant
	// failures are those since a snapshot arrived whole: the first is told.
	failures int

	// counted: the node counts this one among those that it receives.
	counted bool
	// patrol comes while a snapshot is unfinished; idle counts how often it has since a
	// piece came. asideNow: the snapshot is to be let go for now.
	patrol   stage.Timer
	idle     int
	asideNow bool
	figures  figures
	shown    *atomic.Pointer[figures]
}

// receiverItem is a piece, or that the patrol comes.
type receiverItem struct {
	chunk  *core.SnapshotChunk
	patrol bool
}

// errBusy: the node receives as many snapshots as it may.
var errBusy = errors.New("this node receives as many snapshots as it may (SnapshotReceivesMax)")

func newReceiver(g *Group, shown *atomic.Pointer[figures]) *receiver {
	r := &receiver{group: g, shown: shown}
	r.Shell = g.Shell("snapshot receiver", r.step, r.finish)
	r.Ended, r.Release, r.ReleaseKind = r.end, r.letGo, calls.Close
	r.inbox.Wake = r.Wake
	return r
}

func (r *receiver) step() bool {
	for _, item := range r.inbox.Take() {
		if item.chunk != nil {
			r.queue = append(r.queue, item.chunk)
			r.idle = 0
		} else if item.patrol {
			r.watch()
		}
	}
	if len(r.queue) == 0 {
		return r.stepAside()
	}
	r.asideNow = false
	m := r.queue[0]
	r.queue[0] = nil
	r.queue = r.queue[1:]
	if reason := malformed(m); reason != "" {
		r.answer(m, reason)
		return true
	}
	if !r.counted && !r.group.Gate.beginReceiving() {
		r.answer(m, errBusy.Error())
		return true
	}
	r.counted = true
	var committed bool
	var err error
	r.follow(m)
	r.Do(calls.SnapshotWrite, func() { committed, err = r.take(m) }, func() {
		r.taken(m, committed, err)
		r.recycle(m)
	})
	return true
}

// recycle gives the memory of a piece back, once, to a network that takes it.
func (r *receiver) recycle(m *core.SnapshotChunk) {
	if r.group.Recycle == nil {
		return
	}
	data := m.Data
	m.Data = nil
	r.group.Recycle(data)
}

// taken says what came of a piece.
func (r *receiver) taken(m *core.SnapshotChunk, committed bool, err error) {
	if r.writer == nil {
		r.uncount()
	} else {
		r.show(m)
	}
	switch {
	case err != nil:
		if r.failures++; r.failures == 1 {
			r.group.Watch.Logger().Warn("a snapshot cannot be received", r.span.LogIDs("snapshot", m.Meta.LogID.String(), "error", err)...)
		}
		observe.Arrived{Span: r.span, Begun: r.begun, Meta: &m.Meta, Err: err}.Tell(r.group.Watch)
		r.answer(m, err.Error())
		return
	case committed:
		if r.failures > 0 {
			r.group.Watch.Logger().Info("a snapshot is received at last", r.span.LogIDs("snapshot", m.Meta.LogID.String(), "failures", r.failures)...)
			r.failures = 0
		}
		observe.Arrived{Span: r.span, Begun: r.begun, Meta: &m.Meta}.Tell(r.group.Watch)
		// The core decides in one step whether it is still newer (rule 24).
		r.group.Core(&core.SnapshotReceived{Meta: m.Meta, From: m.From, Term: m.Header.Term, Stream: m.Stream})
	}
	r.answer(m, "")
}

// show lets others see how far the snapshot is, and the patrol come.
func (r *receiver) show(m *core.SnapshotChunk) {
	if r.shown.Load() == nil {
		r.figures.begin(r.Env.Now(), m.From, &r.meta, r.offset, r.had)
		r.shown.Store(&r.figures)
		r.arm()
		return
	}
	r.figures.put(r.offset, r.had)
}

func (r *receiver) arm() {
	if r.patrol == nil {
		r.patrol = r.Env.AfterFunc(r.group.ElectionTimeout, func() { r.inbox.Put(receiverItem{patrol: true}, true) })
		return
	}
	r.patrol.Reset(r.group.ElectionTimeout)
}

// watch lets go of a snapshot of which nothing has come for as long as its sender would
// wait: it counts no more among those that the node receives.
func (r *receiver) watch() {
	if r.writer == nil {
		return
	}
	if p, news := r.figures.measure(r.Env.Now()); news {
		r.group.tellProgress(r.span, p, 0)
	}
	r.idle++
	r.asideNow = r.idle >= senderStillMax
	if !r.asideNow {
		r.arm()
	}
}

// stepAside carries that out.
func (r *receiver) stepAside() bool {
	if !r.asideNow {
		return false
	}
	r.asideNow = false
	if r.writer == nil {
		return false
	}
	r.Do(calls.SnapshotWrite, r.letGo, r.uncount)
	return true
}

// uncount: the node receives one less.
func (r *receiver) uncount() {
	if r.counted {
		r.counted = false
		r.group.Gate.endReceiving()
	}
	r.shown.Store(nil)
	if r.patrol != nil {
		r.patrol.Stop()
	}
}

// follow begins to observe a transfer with its first piece.
func (r *receiver) follow(m *core.SnapshotChunk) {
	if r.transfer == m.Transfer {
		return
	}
	observe.Arrived{Span: r.span}.Tell(r.group.Watch)
	r.transfer, r.span = m.Transfer, observe.ReceivingSnapshot{Chunk: m}.Begin(r.group.Watch)
}

// malformed checks what take relies on.
func malformed(m *core.SnapshotChunk) string {
	end := m.Offset + uint64(len(m.Data))
	switch {
	case end < m.Offset || end > m.Meta.SizeBytes:
		return "a piece beyond the end"
	case m.Done != (end == m.Meta.SizeBytes):
		return "a wrong mark of the end"
	}
	return ""
}

// take writes a piece if it is the next one. A piece of another snapshot begins
// that one; a piece from elsewhere only asks where to go on.
func (r *receiver) take(m *core.SnapshotChunk) (committed bool, err error) {
	if r.writer != nil && !sameSnapshot(&r.meta, &m.Meta) {
		r.abort()
	}
	if r.writer == nil {
		if r.writer, r.offset, err = r.open(m); err != nil {
			r.writer, r.offset, r.had = nil, 0, nil
			return false, err
		}
		r.meta, r.begun = m.Meta, r.span.Begun
		if r.offset == m.Meta.SizeBytes { // an earlier life has all of it but the end
			return r.commit(m)
		}
	}
	if m.Offset != r.offset {
		return false, nil
	}
	if _, err = r.writer.Write(m.Data); err != nil {
		r.abort()
		return false, err
	}
	if r.wentOn(len(m.Data)); r.offset != m.Meta.SizeBytes {
		return false, nil
	}
	return r.commit(m)
}

// commit ends a snapshot of which all is there.
func (r *receiver) commit(m *core.SnapshotChunk) (committed bool, err error) {
	w := r.writer
	r.writer = nil
	if _, err = w.Commit(m.Meta); err != nil {
		r.offset = 0
		return false, err
	}
	return true, nil
}

// open begins a snapshot, or goes on with what an earlier life has of it.
func (r *receiver) open(m *core.SnapshotChunk) (storage.SnapshotWriter, uint64, error) {
	g := r.group
	r.had = nil
	if store, keepsFiles := g.Store.(storage.FileStore); keepsFiles && m.HeadBytes > 0 {
		w, have, err := store.ResumeFiles(g.Context, g.ID, m.Meta, m.HeadBytes, g.OwnFiles)
		if err == nil {
			r.had = w.Had()
		}
		return w, have, err
	}
	if store, resumes := g.Store.(storage.Resuming); resumes {
		return store.Resume(g.Context, g.ID, m.Meta)
	}
	w, err := g.Store.Create(g.Context, g.ID, m.Meta)
	return w, 0, err
}

// sameSnapshot: a transfer resumes only on equal id, size and checksum
// (rule 25).
func sameSnapshot(a, b *core.SnapshotMeta) bool {
	return a.LogID == b.LogID && a.SizeBytes == b.SizeBytes && a.Checksum == b.Checksum
}

func (r *receiver) abort() {
	if r.writer != nil {
		_ = r.writer.Abort()
		r.writer, r.offset = nil, 0
	}
}

// letGo closes the unfinished snapshot. What is there of it stays where the store can keep
// it.
func (r *receiver) letGo() {
	if kept, keeps := r.writer.(storage.SuspendableWriter); keeps {
		_ = kept.Suspend()
		r.writer, r.offset = nil, 0
		return
	}
	r.abort()
}

func (r *receiver) answer(m *core.SnapshotChunk, refusal string) {
	r.group.Network.Send(&core.SnapshotResponse{
		Header: r.group.Header(m.From), Stream: m.Stream, Transfer: m.Transfer,
		Offset: r.offset, Refused: refusal != "", Reason: refusal, Had: r.hadFor(m),
	})
}

func (r *receiver) finish() {
	r.inbox.Close()
	r.uncount()
}

func (r *receiver) end() {
	observe.Arrived{Span: r.span, Err: core.ErrStopped}.Tell(r.group.Watch)
	r.group.Ended()
}
