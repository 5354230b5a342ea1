package snapshots

import (
	"github.com/trouperaft/troupe/actors/calls"
	"github.com/trouperaft/troupe/actors/observe"
	"github.com/trouperaft/troupe/actors/stage"
	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/storage"
)

// receiver takes in the leader's snapshot. It is started by the first
// piece, keeps an unfinished snapshot for a transfer that resumes it, and costs
// nothing while none comes.
//
//	OWNS      the unfinished snapshot
//	RECEIVES  pieces that the engine has let through
//	SENDS     answers to the sender; the whole snapshot's arrival to the core
//	WAITS ON  the snapshot store
//	BOUND     the sender's window
//	DIES WITH the group
type receiver struct {
	stage.Shell
	inbox stage.Inbox[*core.SnapshotChunk]
	group *Group

	queue  []*core.SnapshotChunk
	writer storage.SnapshotWriter
	// meta and offset are those of the unfinished snapshot.
	meta   core.SnapshotMeta
	offset uint64
	// span is of the transfer whose piece came last; begun is when the unfinished
	// snapshot was.
	span     observe.Span
	transfer uint64
	begun    core.Instant
	// failures are those since a snapshot arrived whole: the first is told.
	failures int
}

func newReceiver(g *Group) *receiver {
	r := &receiver{group: g}
	r.Shell = g.Shell("snapshot receiver", r.step, r.finish)
	r.Ended, r.Release, r.ReleaseKind = r.end, r.abort, calls.Close
	r.inbox.Wake = r.Wake
	return r
}

func (r *receiver) step() bool {
	r.queue = append(r.queue, r.inbox.Take()...)
	if len(r.queue) == 0 {
		return false
	}
	m := r.queue[0]
	r.queue[0] = nil
	r.queue = r.queue[1:]
	if reason := malformed(m); reason != "" {
		r.answer(m, reason)
		return true
	}
	var committed bool
	var err error
	r.follow(m)
	r.Do(calls.SnapshotWrite, func() { committed, err = r.take(m) }, func() {
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
	})
	return true
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
		if r.writer, err = r.group.Store.Create(r.group.Context, r.group.ID, m.Meta); err != nil {
			r.writer = nil
			return false, err
		}
		r.meta, r.offset, r.begun = m.Meta, 0, r.span.Begun
	}
	if m.Offset != r.offset {
		return false, nil
	}
	if _, err = r.writer.Write(m.Data); err != nil {
		r.abort()
		return false, err
	}
	r.offset += uint64(len(m.Data))
	if !m.Done {
		return false, nil
	}
	w := r.writer
	r.writer = nil
	if _, err = w.Commit(m.Meta); err != nil {
		r.offset = 0
		return false, err
	}
	return true, nil
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

func (r *receiver) answer(m *core.SnapshotChunk, refusal string) {
	r.group.Network.Send(&core.SnapshotResponse{
		Header: r.group.Header(m.From), Stream: m.Stream, Transfer: m.Transfer,
		Offset: r.offset, Refused: refusal != "", Reason: refusal,
	})
}

func (r *receiver) finish() { r.inbox.Close() }

func (r *receiver) end() {
	observe.Arrived{Span: r.span, Err: core.ErrStopped}.Tell(r.group.Watch)
	r.group.Ended()
}
