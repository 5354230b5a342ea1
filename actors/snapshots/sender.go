package snapshots

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"

	"github.com/trouperaft/troupe/actors/calls"
	"github.com/trouperaft/troupe/actors/observe"
	"github.com/trouperaft/troupe/actors/stage"
	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/network"
	"github.com/trouperaft/troupe/storage"
)

// sender sends the newest snapshot to one follower.
//
// It asks first, with a piece without data, how much the receiver has of exactly
// this snapshot (rule 25), and goes on from there with a few pieces under way.
//
//	OWNS      the reader of the snapshot
//	RECEIVES  the receiver's answers, straight from the network; its turn
//	SENDS     pieces to the receiver; to the core that the receiver has more, and
//	          how the transfer ended
//	WAITS ON  the snapshot store
//	BOUND     a window of pieces; one transfer to a node has its turn at a time
//	DIES WITH its transfer, the stream, the group
type sender struct {
	stage.Shell
	inbox    stage.Inbox[senderItem]
	group    *Group
	cmd      core.SendSnapshot
	peer     core.Identity
	transfer uint64

	reader storage.SnapshotReader
	meta   core.SnapshotMeta
	// offset is how much was read, acked how much the receiver has.
	offset, acked uint64
	asked, agreed bool
	// proved: the receiver has shown that it knows the cluster.
	proved bool
	// inflight are the ends of the pieces under way.
	inflight []uint64
	// unsent is a piece that the network did not take yet.
	unsent *core.SnapshotChunk
	over   bool
	pause  stage.Timer // before it lines up, nil if there is none
	patrol stage.Timer
	// told: the operator knows that nothing gets through to the peer.
	told bool
	// moved is when the transfer moved last, or got its turn: an Instant. left is the
	// gate's: the sender lines up no more.
	moved   atomic.Int64
	left    bool
	figures transferFigures
	span    observe.Span
	// seen is what acked was when the patrol came last, and sent the bytes that
	// had left for the receiver; still counts the patrols since acked moved, quiet
	// those since either did.
	seen, sent   uint64
	still, quiet int
}

// senderItem is one thing that happened. The fields that are set say which.
type senderItem struct {
	begin    bool
	patrol   bool
	down     bool
	response *core.SnapshotResponse
}

const (
	// senderWindow is how many pieces may be under way.
	senderWindow = 4
	// senderQuietMax is for how many election time-outs no byte of a transfer may
	// leave, senderStillMax for how many the receiver may acknowledge nothing while
	// bytes leave.
	senderQuietMax = 10
	senderStillMax = 10 * senderQuietMax
)

func newSender(g *Group, cmd *core.SendSnapshot) *sender {
	s := &sender{group: g, cmd: *cmd, peer: cmd.Peer.Identity, transfer: g.Gate.number()}
	s.Shell = g.Shell("snapshot sender", s.step, s.finish)
	s.Release, s.ReleaseKind = s.closeReader, calls.Close
	s.inbox.Wake = s.Wake
	return s
}

func (s *sender) step() bool {
	for _, item := range s.inbox.Take() {
		s.accept(item)
	}
	if s.over || s.patrol == nil {
		return false
	}
	if s.reader == nil {
		s.open()
		return true
	}
	return s.advance()
}

func (s *sender) accept(item senderItem) {
	switch {
	case s.over:
	case item.begin && s.patrol != nil: // again
	case item.begin:
		s.span = observe.SendingSnapshot{Peer: s.peer}.Begin(s.group.Watch)
		s.patrol = s.Env.AfterFunc(s.group.ElectionTimeout, func() { s.inbox.Put(senderItem{patrol: true}, true) })
	case item.patrol:
		s.watch()
	case item.down:
		s.cutOff() // the stream asks again, and the receiver keeps its part
	case item.response != nil:
		s.onResponse(item.response)
	}
}

// watch ends a transfer that stands still. Slow is not silent: while bytes
// leave for the receiver the transfer moves, though a piece may take long.
func (s *sender) watch() {
	left := s.group.Network.Sent(s.peer.ID, core.ClassSnapshot)
	s.still++
	s.quiet++
	if left != s.sent {
		s.sent, s.quiet = left, 0
	}
	if s.acked != s.seen {
		s.seen, s.still, s.quiet = s.acked, 0, 0
		s.group.Core(&core.SnapshotProgress{Peer: s.peer, Stream: s.cmd.Stream})
	}
	if s.quiet >= senderQuietMax || s.still >= senderStillMax {
		s.cutOff()
		return
	}
	s.patrol.Reset(s.group.ElectionTimeout)
}

func (s *sender) open() {
	var err error
	s.Do(calls.SnapshotRead, func() { err = s.openNewest() }, func() {
		if err != nil {
			s.warn("no snapshot can be sent", s.span.LogIDs("peer", s.peer, "error", err)...)
			s.giveUp(fmt.Sprintf("it cannot be read here: %v", err))
			return
		}
		s.hasMoved()
		s.figures.put(0, s.meta.SizeBytes)
		observe.Transferring{Span: s.span, Meta: &s.meta}.Tell(s.group.Watch)
	})
}

func (s *sender) openNewest() error {
	g := s.group
	meta, err := g.Store.Newest(g.Context, g.ID)
	if err != nil {
		return err
	}
	s.reader, err = g.Store.Open(g.Context, g.ID, meta.LogID)
	if err != nil {
		s.reader = nil
		return err
	}
	s.meta = s.reader.Meta()
	return nil
}

// advance does what comes next: ask, skip what the receiver has, or send.
func (s *sender) advance() bool {
	switch {
	case !s.group.Gate.has(s):
		return false // it gets its turn again
	case s.unsent != nil:
		if !s.group.Network.Send(s.unsent) {
			return false // the next answer, or the patrol, tries again
		}
		s.inflight = append(s.inflight, s.unsent.Offset+uint64(len(s.unsent.Data)))
		s.unsent = nil
	case !s.asked:
		s.asked = true
		s.unsent = s.chunk(0, nil)
	case !s.agreed || len(s.inflight) >= senderWindow || s.offset == s.meta.SizeBytes:
		return false
	case s.offset < s.acked:
		s.read(s.acked-s.offset, func([]byte) {})
	default:
		offset := s.offset
		s.read(s.pieceBytes(), func(data []byte) { s.unsent = s.chunk(offset, data) })
	}
	return true
}

func (s *sender) chunk(offset uint64, data []byte) *core.SnapshotChunk {
	g := s.group
	return &core.SnapshotChunk{
		Header: core.Header{Group: g.ID, Cluster: s.meta.Cluster, Introduces: s.cmd.Introduces && !s.proved, From: g.Self, To: s.peer, Term: s.cmd.Term},
		Stream: s.cmd.Stream, Transfer: s.transfer, Meta: s.meta, Offset: offset, Data: data,
		Done: offset+uint64(len(data)) == s.meta.SizeBytes, Trace: s.span.Context,
	}
}

// pieceBytes is how much the next piece carries: no more than fits beside the rest of its
// message into what the receiver takes.
func (s *sender) pieceBytes() uint64 {
	bytes := s.group.ChunkBytes
	if most := s.group.Takes(s.peer.ID, core.ClassSnapshot); most > 0 {
		bytes = max(min(bytes, most-network.SizeBytes(s.chunk(0, nil))), 1)
	}
	return uint64(bytes)
}

// read reads the next n bytes, or what is left, at most a piece at a time.
func (s *sender) read(n uint64, then func([]byte)) {
	n = min(n, uint64(s.group.ChunkBytes), s.meta.SizeBytes-s.offset)
	data := make([]byte, n)
	var err error
	s.Do(calls.SnapshotRead, func() {
		if _, err = io.ReadFull(s.reader, data); err == nil && s.offset+n == s.meta.SizeBytes {
			err = s.verifyEnd()
		}
	}, func() {
		if err != nil {
			s.warn("the snapshot cannot be read", s.span.LogIDs("snapshot", s.meta.LogID.String(), "error", err)...)
			s.giveUp(fmt.Sprintf("it cannot be read here: %v", err))
			return
		}
		s.offset += n
		s.hasMoved()
		then(data)
	})
}

// verifyEnd lets the reader see the end, where it verifies the checksum.
func (s *sender) verifyEnd() error {
	var one [1]byte
	switch n, err := s.reader.Read(one[:]); {
	case n > 0:
		return errors.New("the snapshot is longer than its meta says")
	case err != nil && !errors.Is(err, io.EOF):
		return err
	}
	return nil
}

func (s *sender) onResponse(r *core.SnapshotResponse) {
	switch {
	case r.From != s.peer || r.Stream != s.cmd.Stream || len(s.inflight) == 0 || !s.counts(r):
		return
	case r.Refused:
		s.giveUp(shortened(r.Reason))
		return
	case !s.agreed:
		s.agreed = true
		if r.Offset > s.meta.SizeBytes {
			s.cutOff()
			return
		}
		observe.Resumed{Span: s.span, Offset: r.Offset}.Tell(s.group.Watch)
	case r.Offset != s.inflight[0]:
		s.cutOff() // the receiver began anew
		return
	}
	// Rule 27: who has shown that it knows the id is not told it any more.
	s.proved = s.proved || !r.Cluster.IsZero()
	s.inflight = s.inflight[1:]
	s.acked = max(s.acked, r.Offset)
	s.hasMoved()
	s.figures.put(s.acked, s.meta.SizeBytes)
	if r.Offset == s.meta.SizeBytes {
		s.conclude(true, "")
	}
}

// counts carries out rule 29: an answer counts if its sender has proved to know
// the cluster; a learner that is told it by this very transfer has not yet.
func (s *sender) counts(r *core.SnapshotResponse) bool {
	return !r.Introduces && r.Cluster == s.group.Cluster() || s.cmd.Introduces && !s.proved && r.Cluster.IsZero()
}

// hasMoved keeps the sender its turn.
func (s *sender) hasMoved() { s.moved.Store(int64(s.Env.Now())) }

// warn tells the operator what he does not know yet.
func (s *sender) warn(text string, attributes ...any) {
	if !s.told {
		s.group.Watch.Logger().Warn(text, attributes...)
	}
}

// reasonBytesMax is how much of a peer's reason is kept.
const reasonBytesMax = 200

func shortened(reason string) string {
	if reason == "" {
		return "it is refused"
	}
	return strings.ToValidUTF8(reason[:min(len(reason), reasonBytesMax)], "")
}

// cutOff ends a transfer that is worth another try at once, giveUp one that is not.
func (s *sender) cutOff()              { s.conclude(false, "") }
func (s *sender) giveUp(reason string) { s.conclude(false, reason) }

// conclude tells the core how the transfer ended, and ends.
func (s *sender) conclude(ok bool, reason string) {
	if s.over {
		return
	}
	s.over = true
	observe.Transferred{Span: s.span, Meta: &s.meta, Done: ok}.Tell(s.group.Watch)
	s.group.Core(&core.SnapshotSent{Peer: s.peer, Stream: s.cmd.Stream, LogID: s.meta.LogID, OK: ok, Reason: reason})
	s.Stop()
}

func (s *sender) finish() {
	s.over = true
	observe.Transferred{Span: s.span}.Tell(s.group.Watch)
	s.inbox.Close()
	for _, timer := range []stage.Timer{s.pause, s.patrol} {
		if timer != nil {
			timer.Stop()
		}
	}
	s.group.Gate.leave(s)
}

func (s *sender) closeReader() {
	if s.reader != nil {
		_ = s.reader.Close()
	}
}

// transferFigures are how far a snapshot's transfer has come, in bytes. The
// sender alone writes.
type transferFigures struct{ sent, total atomic.Uint64 }

func (f *transferFigures) put(sent, total uint64) {
	f.sent.Store(sent)
	f.total.Store(total)
}
