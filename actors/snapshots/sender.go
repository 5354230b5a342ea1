package snapshots

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"time"

	"github.com/trouperaft/troupe/actors/calls"
	"github.com/trouperaft/troupe/actors/observe"
	"github.com/trouperaft/troupe/actors/stage"
	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/network"
	"github.com/trouperaft/troupe/storage"
)

// sender sends a snapshot to one follower.
//
// It asks first, with a piece without data, how much the receiver has of exactly
// this snapshot (rule 25), and goes on from there with a window of bytes under way. When
// the connection breaks it steps aside and keeps the snapshot open for a while: the stream
// asks again, and the transfer goes on with the same snapshot, though a newer one may have
// been made meanwhile.
//
//	OWNS      the reader of the snapshot
//	RECEIVES  the receiver's answers, straight from the network; its turn
//	SENDS     pieces to the receiver; to the core that the receiver has more, and
//	          how the transfer ended
//	WAITS ON  the snapshot store
//	BOUND     a window of bytes; one transfer to a node has its turn at a time
//	DIES WITH its transfer, the stream, the group
type sender struct {
	stage.Shell
	inbox    stage.Inbox[senderItem]
	group    *Group
	cmd      core.SendSnapshot
	peer     core.Identity
	transfer uint64
	// number is that of the transfer, and stream its stream, as the Jobs know them.
	number, stream uint64

	reader storage.SnapshotReader
	meta   core.SnapshotMeta
	// offset is where the reader stands, acked how much the receiver has.
	offset, acked uint64
	asked, agreed bool
	// head is how long the list of a snapshot is that is made of files, had what the receiver
	// has behind it, and listed that it has said so. spared: that was told.
	head           uint64
	had            had
	listed, spared bool
	// stale: the receiver has not been reached, and there may be a newer one by now.
	stale bool
	// proved: the receiver has shown that it knows the cluster.
	proved bool
	// inflight are the pieces under way, inflightBytes their sum; spare is the memory of
	// some that have arrived.
	inflight      []piece
	inflightBytes uint64
	spare         [][]byte
	// unsent is a piece that the network did not take yet.
	unsent *core.SnapshotChunk
	over   bool
	// paid: the next piece may leave. held: it waits for that.
	paid, held bool
	pause      stage.Timer // before it lines up, nil if there is none
	patrol     stage.Timer
	wait       stage.Timer // for the node's rate
	expiry     stage.Timer // of one that has stepped aside
	// told: the operator knows that nothing gets through to the peer.
	told bool
	// keepUntil is when one that breaks, again and again, lets go of its snapshot.
	keepUntil stage.Instant
	// aside is the snapshot with which the sender has stepped aside, nil if it has not.
	aside atomic.Pointer[core.LogID]
	// moved is when the transfer moved last, or got its turn: an Instant. left is the
	// gate's: the sender lines up no more.
	moved   atomic.Int64
	left    bool
	figures figures
	span    observe.Span
	// seen is what acked was when the patrol came last, and sent the bytes that
	// had left for the receiver; stands counts the patrols since acked moved, quiet
	// those since either did. passed is how far the reader was on its way to acked.
	seen, sent, passed uint64
	stands, quiet      int
	// rotten: the snapshot is not what was written. gone: there is none any more.
	rotten, gone bool
}

// piece is one that is under way: it ends before end.
type piece struct {
	end  uint64
	data []byte
}

// senderItem is one thing that happened. The fields that are set say which.
type senderItem struct {
	begin    bool
	patrol   bool
	down     bool
	rate     bool // the limit has changed
	paid     bool // the wait for it is over
	expired  bool
	response *core.SnapshotResponse
	// again is a later command for one that has stepped aside, and transfer its number.
	again    *core.SendSnapshot
	transfer uint64
}

const (
	// windowBytes is how much may be under way of one transfer, and windowPieces in how
	// many pieces; one piece of any size always may. What a receiver holds in memory is
	// no more.
	windowBytes  = 6 << 20
	windowPieces = 256
	// senderQuietMax is for how many election time-outs no byte of a transfer may
	// leave, senderStillMax for how many the receiver may acknowledge nothing while
	// bytes leave.
	senderQuietMax = 10
	senderStillMax = 10 * senderQuietMax
	// asideFor is for how long a transfer that broke keeps its snapshot open, since the
	// receiver answered last.
	asideFor = 10 * time.Minute
)

func newSender(g *Group, cmd *core.SendSnapshot) *sender {
	s := &sender{group: g, cmd: *cmd, peer: cmd.Peer.Identity, transfer: g.Gate.number()}
	s.number, s.stream = s.transfer, cmd.Stream
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
	if s.reader == nil || s.stale {
		s.open()
		return true
	}
	return s.advance()
}

func (s *sender) accept(item senderItem) {
	switch {
	case item.again != nil:
		s.goOn(item.again, item.transfer)
	case item.expired && s.aside.Load() != nil:
		s.Stop()
	case s.over:
	case item.begin && s.patrol != nil: // again
	case item.begin:
		s.span = observe.SendingSnapshot{Peer: s.peer}.Begin(s.group.Watch)
		s.patrol = s.Env.AfterFunc(s.group.ElectionTimeout, func() { s.inbox.Put(senderItem{patrol: true}, true) })
	case item.patrol && s.patrol == nil: // of before it stepped aside
	case item.patrol:
		s.watch()
	case item.down:
		s.cutOff() // the stream asks again, and the receiver keeps its part
	case item.rate:
		s.held = false
	case item.paid && s.held:
		s.held, s.paid = false, true
	case item.response != nil:
		s.onResponse(item.response)
	}
}

// watch ends a transfer that stands still. Slow is not silent: while bytes
// leave for the receiver the transfer moves, though a piece may take long, and while the
// node's own limit holds it back nothing is wrong with it. Nor is there while it reads up
// to where the receiver is, on a disk however slow: cut off, it would begin that anew.
func (s *sender) watch() {
	left := s.group.Network.Sent(s.peer.ID, core.ClassSnapshot)
	s.stands++
	s.quiet++
	if left != s.sent || s.held {
		s.sent, s.quiet = left, 0
	}
	if s.acked != s.seen || s.held {
		if s.acked != s.seen {
			s.group.Core(&core.SnapshotProgress{Peer: s.peer, Stream: s.cmd.Stream})
		}
		s.seen, s.stands, s.quiet = s.acked, 0, 0
	}
	if at := min(s.offset, s.acked); at != s.passed {
		s.passed, s.stands, s.quiet = at, 0, 0
	}
	if s.quiet >= senderQuietMax || s.stands >= senderStillMax {
		s.cutOff()
		return
	}
	s.stale = s.unsent != nil && !s.agreed && s.cmd.Resume.Index == 0
	if p, news := s.figures.measure(s.Env.Now()); news {
		s.group.tellProgress(s.span, p, s.cmd.Term)
	}
	s.patrol.Reset(s.group.ElectionTimeout)
}

func (s *sender) open() {
	var err error
	s.stale, s.asked, s.unsent = false, false, nil
	s.Do(calls.SnapshotRead, func() { err = s.openSnapshot() }, func() {
		switch {
		case errors.Is(err, storage.ErrNotFound):
			// It waited, and the log has passed it: another is made when the stream asks again, and
			// is not to wait until it is passed, too.
			s.gone = true
			s.cutOff()
			return
		case err != nil:
			s.warn("no snapshot can be sent", s.span.LogIDs("peer", s.peer, "error", err)...)
			s.rotten = errors.Is(err, core.ErrCorrupt)
			s.giveUp(fmt.Sprintf("it cannot be read here: %v", err))
			return
		}
		// A recovery that a crash has interrupted leaves the id of the cluster before in it
		// (core.FormerSnapshot). Who comes in belongs to this one.
		s.meta.Cluster = s.group.Cluster()
		s.hasMoved()
		s.figures.begin(s.Env.Now(), s.peer, &s.meta, 0, nil)
		observe.Transferring{Span: s.span, Meta: &s.meta}.Tell(s.group.Watch)
	})
}

// openSnapshot opens the one that a transfer is to go on with, if it is still there, else
// the newest.
func (s *sender) openSnapshot() (err error) {
	g, id := s.group, s.cmd.Resume
	s.closeReader()
	if id.Index > 0 {
		s.reader, err = g.Store.Open(g.Context, g.ID, id)
		if err != nil && !errors.Is(err, storage.ErrNotFound) {
			s.reader = nil
			return err
		}
	}
	if id.Index == 0 || err != nil {
		s.reader = nil
		newest, err := g.Store.Newest(g.Context, g.ID)
		if err != nil {
			return err
		}
		if s.reader, err = g.Store.Open(g.Context, g.ID, newest.LogID); err != nil {
			s.reader, s.meta.LogID = nil, newest.LogID
			return err
		}
	}
	s.meta, s.offset = s.reader.Meta(), 0
	s.head, s.had, s.spared = 0, nil, false
	if r, ofFiles := s.reader.(storage.FileReader); ofFiles {
		s.head = r.HeadBytes()
	}
	s.listed = s.head == 0
	return nil
}

// advance does what comes next: ask, go to where the receiver is, or send.
func (s *sender) advance() bool {
	switch {
	case !s.group.Gate.has(s):
		return false // it gets its turn again
	case s.unsent != nil:
		if !s.group.Network.Send(s.unsent) {
			return false // the next answer, or the patrol, tries again
		}
		data := s.unsent.Data
		s.inflight = append(s.inflight, piece{s.had.over(s.unsent.Offset + uint64(len(data))), data})
		s.inflightBytes += uint64(len(data))
		s.unsent = nil
	case !s.asked:
		s.asked = true
		s.unsent = s.chunk(s.acked, nil)
	case !s.agreed || s.held || !s.hasRoom():
		return false
	case s.offset != s.expected():
		s.goTo(s.expected())
	case s.offset == s.meta.SizeBytes || s.waits():
		return false
	default:
		return s.sendNext()
	}
	return true
}

// hasRoom reports whether the window takes one more piece.
func (s *sender) hasRoom() bool {
	return len(s.inflight) == 0 || len(s.inflight) < windowPieces && s.inflightBytes+uint64(s.group.ChunkBytes) <= s.window()
}

// sendNext reads the next piece as soon as the node's limit lets it leave.
func (s *sender) sendNext() bool {
	now := s.Env.Now()
	bytes := min(s.group.Gate.pace.piece(now, s.pieceBytes(), s.meta.SizeBytes), s.upTo()-s.offset)
	if !s.paid {
		if wait := s.group.Gate.pace.take(now, bytes, s.meta.SizeBytes); wait > 0 {
			s.held = true
			s.hasMoved() // it does not stand still
			s.wait = s.after(s.wait, wait, senderItem{paid: true})
			return false
		}
	}
	s.paid = false
	offset := s.offset
	s.read(bytes, func(data []byte) { s.unsent = s.chunk(offset, data) })
	return true
}

// after sets a timer that puts an item into the inbox.
func (s *sender) after(timer stage.Timer, d time.Duration, item senderItem) stage.Timer {
	if timer == nil {
		return s.Env.AfterFunc(d, func() { s.inbox.Put(item, true) })
	}
	timer.Reset(d)
	return timer
}

func (s *sender) chunk(offset uint64, data []byte) *core.SnapshotChunk {
	g := s.group
	return &core.SnapshotChunk{
		Header: core.Header{Group: g.ID, Cluster: s.meta.Cluster, Introduces: s.cmd.Introduces && !s.proved, From: g.Self, To: s.peer, Term: s.cmd.Term},
		Stream: s.cmd.Stream, Transfer: s.transfer, Meta: s.meta, Offset: offset, Data: data,
		Done: offset+uint64(len(data)) == s.meta.SizeBytes, HeadBytes: s.head, Trace: s.span.Context,
	}
}

// goTo lets the reader stand at an offset: by a step over what lies between where it can,
// else by reading that.
func (s *sender) goTo(offset uint64) {
	seeker, seeks := s.reader.(io.Seeker)
	switch {
	case seeks:
		var err error
		s.Do(calls.SnapshotRead, func() { _, err = seeker.Seek(int64(offset), io.SeekStart) }, func() {
			if err != nil {
				s.cannotRead(err)
				return
			}
			s.offset = offset
			s.hasMoved()
		})
	case offset > s.offset:
		s.read(offset-s.offset, s.recycle)
	default:
		s.openAgain()
	}
}

// openAgain begins to read anew, for a receiver that is not as far as the reader.
func (s *sender) openAgain() {
	old, g := s.reader, s.group
	var err error
	s.Do(calls.SnapshotRead, func() {
		_ = old.Close()
		s.reader, err = g.Store.Open(g.Context, g.ID, s.meta.LogID)
	}, func() {
		s.offset = 0
		if err != nil {
			s.reader = nil
			s.cutOff() // it is gone: the stream asks for a newer one
		}
	})
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
	data := s.memory(int(n))
	var err error
	s.Do(calls.SnapshotRead, func() {
		if _, err = io.ReadFull(s.reader, data); err == nil && s.offset+n == s.meta.SizeBytes {
			err = s.verifyEnd()
		}
	}, func() {
		if err != nil {
			s.cannotRead(err)
			return
		}
		s.offset += n
		s.hasMoved()
		then(data)
	})
}

func (s *sender) cannotRead(err error) {
	s.warn("the snapshot cannot be read", s.span.LogIDs("snapshot", s.meta.LogID.String(), "error", err)...)
	s.rotten = errors.Is(err, core.ErrCorrupt)
	s.giveUp(fmt.Sprintf("it cannot be read here: %v", err))
}

// memory returns room for a piece: that of one which has arrived, and which nobody else
// has any more.
func (s *sender) memory(n int) []byte {
	if last := len(s.spare) - 1; last >= 0 {
		b := s.spare[last]
		s.spare = s.spare[:last]
		if cap(b) >= n {
			return b[:n]
		}
	}
	return make([]byte, n)
}

func (s *sender) recycle(b []byte) {
	if cap(b) > 0 && len(s.spare) < 2 {
		s.spare = append(s.spare, b)
	}
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
	case r.From != s.peer || r.Stream != s.cmd.Stream || r.Transfer != s.transfer || len(s.inflight) == 0 || !s.counts(r):
		return
	case r.Refused && r.Reason == core.SnapshotNotNeeded:
		// The receiver acknowledges what it has, too. But that goes where entries do, and
		// there may be no connection for them until some are sent.
		s.conclude(true, "")
		return
	case r.Refused:
		s.giveUp(shortened(r.Reason))
		return
	case !s.agreed:
		s.agreed = true
		if r.Offset > s.meta.SizeBytes || !s.learn(r) {
			s.cutOff()
			return
		}
		s.acked = r.Offset
		s.figures.begin(s.Env.Now(), s.peer, &s.meta, r.Offset, s.had)
		observe.Resumed{Span: s.span, Offset: r.Offset}.Tell(s.group.Watch)
	case s.endsList() && s.learnAtList(r):
	case s.endsList() || r.Offset != s.inflight[0].end:
		s.cutOff() // the receiver began anew
		return
	}
	s.tellSpared()
	// Rule 27: who has shown that it knows the id is not told it any more.
	s.proved = s.proved || !r.Cluster.IsZero()
	arrived := s.inflight[0]
	s.inflight = append(s.inflight[:0], s.inflight[1:]...)
	s.inflightBytes -= uint64(len(arrived.data))
	s.recycle(arrived.data)
	s.acked = max(s.acked, r.Offset)
	s.hasMoved()
	s.figures.put(s.acked, s.had)
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

// still is for how long the transfer has not moved.
func (s *sender) still(now stage.Instant) time.Duration {
	return now.Sub(stage.Instant(s.moved.Load()))
}

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

// conclude tells the core how the transfer ended, and ends, or steps aside.
func (s *sender) conclude(ok bool, reason string) {
	if s.over {
		return
	}
	s.over = true
	observe.Transferred{Span: s.span, Meta: &s.meta, Done: ok}.Tell(s.group.Watch)
	if s.agreed {
		s.keepUntil = s.Env.Now() + stage.Instant(asideFor)
	}
	stays := !ok && reason == "" && s.reader != nil && s.Env.Now() < s.keepUntil
	if stays {
		s.stepAside()
	}
	s.group.Core(&core.SnapshotSent{Peer: s.peer, Stream: s.cmd.Stream, LogID: s.meta.LogID, OK: ok, Reason: reason, Rotten: s.rotten, Gone: s.gone})
	if !stays {
		s.Stop()
	}
}

// stepAside keeps the snapshot open until the transfer goes on, or for a while.
func (s *sender) stepAside() {
	s.group.Gate.stepAside(s)
	s.stopTimers()
	s.patrol, s.span = nil, observe.Span{}
	s.expiry = s.after(s.expiry, s.keepUntil.Sub(s.Env.Now()), senderItem{expired: true})
	id := s.meta.LogID
	s.aside.Store(&id)
}

// goOn begins a transfer again that had stepped aside: with the same snapshot, and what
// the receiver has of it.
func (s *sender) goOn(cmd *core.SendSnapshot, transfer uint64) {
	s.expiry.Stop()
	s.cmd, s.transfer, s.over = *cmd, transfer, false
	s.asked, s.agreed, s.proved, s.paid, s.held = false, false, false, false, false
	// What was under way may still be in somebody's hands.
	s.inflight, s.inflightBytes, s.unsent = nil, 0, nil
	s.listed, s.had = s.head == 0, nil
	s.stands, s.quiet = 0, 0
}

func (s *sender) stopTimers() {
	for _, timer := range []stage.Timer{s.pause, s.patrol, s.wait, s.expiry} {
		if timer != nil {
			timer.Stop()
		}
	}
}

func (s *sender) finish() {
	s.over = true
	observe.Transferred{Span: s.span}.Tell(s.group.Watch)
	for _, item := range s.inbox.Close() {
		if item.again != nil { // it came too late
			s.group.Core(&core.SnapshotSent{Peer: s.peer, Stream: item.again.Stream})
		}
	}
	s.stopTimers()
	s.group.Gate.leave(s)
}

func (s *sender) closeReader() {
	if s.reader != nil {
		_ = s.reader.Close()
		s.reader = nil
	}
}
